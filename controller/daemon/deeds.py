"""What a daemon puts into the audit log: what operators ask, and what changes without them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from controller.audit.entry import Event
from controller.config import Verb
from controller.core.decide import Decision
from controller.core.intents import RaiseEpoch
from controller.core.model import Epoch, EpochRecord, Instant, ServiceName, SiteName
from controller.core.requests import Request, State
from controller.core.view import View
from controller.core.wire import Change
from controller.runtime.auditor import Auditor
from controller.runtime.orders import Orders
from controller.runtime.progress import evidence
from controller.runtime.records import Records
from controller.web.plan_schema import Foreseen
from controller.web.schema import Ask, RequestView, Verdict
from controller.web.source import Asker, Desk, NotAsked
from controller.web.voters_schema import ServiceVoters

UNKNOWN = 504
SAME_S = 60.0  # a refusal that comes back within this time is the same one
ASIDE = frozenset({"kind", "service", "reason", "dry"})  # an entry has fields for them


@dataclass(slots=True, kw_only=True)
class AuditedDesk:
    """`web.source.Desk`: as the desk behind it, and every wish and its outcome is noted."""

    desk: Desk
    auditor: Auditor

    async def ask(self, order: Ask, who: Asker) -> RequestView:
        """As the desk behind it. A plan that is only looked at is noted if it is refused."""
        facts = _facts(order.model_dump(exclude_defaults=True))
        async with self._noted(who, order.kind, order.service, order.reason, facts):
            found = await self.desk.ask(order, who)
        if not order.dry:
            event = Event.BROKE_GLASS if order.break_glass else Event.ASKED
            self._note(event, who, order.kind, order.reason, facts, found)
        return found

    async def plan(self, order: Ask) -> Foreseen:
        """As the desk behind it: who only looks is not noted."""
        return await self.desk.plan(order)

    async def voters(self, service: str) -> tuple[ServiceVoters, ...]:
        """As the desk behind it."""
        return await self.desk.voters(service)

    async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
        """As the desk behind it."""
        facts = _facts(verdict.model_dump(exclude_defaults=True))
        async with self._noted(who, "approve", verdict.service, verdict.reason, facts):
            found = await self.desk.approve(verdict, who)
        self._note(Event.APPROVED, who, f"approve {found.kind}", verdict.reason, facts, found)
        return found

    async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
        """As the desk behind it."""
        facts = _facts(verdict.model_dump(exclude_defaults=True))
        async with self._noted(who, "decline", verdict.service, verdict.reason, facts):
            found = await self.desk.decline(verdict, who)
        event, verb = Event.DECLINED, f"decline {found.kind}"
        if verdict.break_glass:
            event, verb = Event.BROKE_GLASS, f"end {found.kind}"
        elif found.kind in (Verb.RESUME, Verb.UNDRAIN, Verb.UNFENCE) and found.state == State.OPEN:
            event, verb = Event.ASKED, found.kind
        self._note(event, who, verb, verdict.reason, facts, found)
        return found

    def _note(
        self,
        event: Event,
        who: Asker,
        verb: str,
        reason: str,
        facts: Mapping[str, str],
        found: RequestView,
    ) -> None:
        known = {
            "target": found.target,
            "database": found.database,
            "plan": found.plan,
            "statement": found.statement,
            "passed over": found.broke_glass,
        }
        self.auditor.note(
            event,
            who=str(who),
            verb=verb,
            service=found.service,
            epoch=found.epoch,
            reason=reason,
            outcome=f"request {found.number} is {found.state}",
            facts={**facts, **{name: value for name, value in known.items() if value}, **who.facts},
        )

    @asynccontextmanager
    async def _noted(
        self, who: Asker, verb: str, service: str, reason: str, facts: Mapping[str, str]
    ) -> AsyncIterator[None]:
        """What was refused, and what nobody knows the end of, is noted."""
        event, outcome = Event.REFUSED, ""
        try:
            yield
        except NotAsked as error:
            outcome = str(error)
            event = Event.ASKED if error.status == UNKNOWN else Event.REFUSED
            raise
        except asyncio.CancelledError:
            event, outcome = Event.ASKED, "unknown: it was not done in time"
            raise
        finally:
            if outcome:
                self.auditor.note(
                    event,
                    who=str(who),
                    verb=verb,
                    service=service,
                    reason=reason,
                    outcome=outcome,
                    facts={**facts, **who.facts},
                )


def _facts(given: Mapping[str, object]) -> dict[str, str]:
    return {name: _fact(value) for name, value in given.items() if name not in ASIDE}


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={found}" for key, found in value.items())
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """Why this site meant to raise an epoch."""

    epoch: Epoch
    holder: SiteName
    rule: int
    facts: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Deeds:
    """Notes what changes by itself, once each: the log leaves out what it has an entry of."""

    auditor: Auditor
    _epochs: dict[ServiceName, Epoch] = field(default_factory=dict)
    _causes: dict[ServiceName, _Cause] = field(default_factory=dict)
    _refusals: dict[ServiceName, tuple[int, Instant]] = field(default_factory=dict)
    _states: dict[str, State] | None = None
    _pauses: dict[ServiceName, str] | None = None
    _alone: dict[ServiceName, Request] = field(default_factory=dict)

    def turned(self, view: View, decision: Decision) -> None:
        """A loop has turned: a new epoch is noted, with the reasons of who raised it."""
        service = view.spec.name
        for intent in decision.intents:
            if isinstance(intent, RaiseEpoch):
                self._causes[service] = _Cause(
                    epoch=intent.epoch,
                    holder=intent.holder or view.me,
                    rule=decision.rule,
                    facts={"because": decision.reason.value, **evidence(view, decision)},
                )
        self._refuses(view, decision)
        if view.record is not None:
            self.saw(service, view.record)

    def _refuses(self, view: View, decision: Decision) -> None:
        """This site would take over, and may not: noted when that begins, not each turn."""
        if not decision.refused_because:
            return
        service = view.spec.name
        rule, seen_at = self._refusals.get(service, (0, view.now))
        self._refusals[service] = (decision.rule, view.now)
        if rule == decision.rule and view.now - seen_at < SAME_S:
            return
        reasons = {f"refused {n}": why for n, why in enumerate(decision.refused_because, 1)}
        self.auditor.note(
            Event.REFUSED,
            verb="failover",
            service=service,
            epoch=0 if view.record is None else view.record.epoch,
            reason=decision.reason.value,
            outcome="; ".join(decision.refused_because),
            facts={"rule": str(decision.rule), **reasons, **evidence(view, decision)},
        )

    def saw(self, service: ServiceName, record: EpochRecord) -> None:
        """The epoch record as it stands now."""
        if record.epoch == self._epochs.get(service):
            return
        cause = self._causes.get(service)
        self._epochs[service] = record.epoch
        mine = cause is not None and (cause.epoch, cause.holder) == (record.epoch, record.holder)
        facts = {
            "holder": record.holder,
            "kind": record.kind,
            "previous": record.previous or "",
            "asked_by": record.asked_by,
            "raised_at": record.at,
            "request": str(record.request) if record.request else "",
            "excused": ", ".join(record.excused),
        }
        if cause is not None and mine:
            facts |= {"rule": str(cause.rule), **cause.facts}
        self.auditor.note(
            Event.RAISED,
            service=service,
            epoch=record.epoch,
            reason=record.reason,
            facts={name: value for name, value in facts.items() if value},
        )

    def moved(self, change: Change) -> None:
        """A role change of this site is complete."""
        steps = {
            f"step {step.name} {step.database}".rstrip(): f"{step.took_s:.3f} s"
            for step in change.steps
            if not step.name.startswith("intent ")
        }
        self.auditor.note(
            Event.MOVED,
            service=change.service,
            epoch=change.epoch,
            reason=change.reason,
            outcome=f"{change.outcome} after {change.took_s:.3f} s",
            facts={
                "kind": change.kind,
                "from": change.previous_holder,
                "to": change.holder,
                "rule": str(change.rule),
                "asked_by": change.asked_by,
                **change.evidence,
                **steps,
            },
        )

    def looked(self, records: Records, services: Iterable[ServiceName]) -> None:
        """The store as it was read last: requests that have come further, pauses by hand."""
        if not records.ok:
            return
        book = records.requests
        found = [seen.request for service in services for seen in book.of(service)]
        found += [seen.request for service in services for seen in records.weights.of(service)]
        self._settled([*found, *(seen.request for seen in book.orders())])
        before, self._pauses = self._pauses, dict(records.pauses)
        if before is None:
            return
        for service in self._pauses.keys() - before.keys():
            self.auditor.note(
                Event.PAUSED, verb="pause", service=service, reason=self._pauses[service]
            )
        for service in before.keys() - self._pauses.keys():
            self.auditor.note(Event.RESUMED, verb="pause", service=service)

    def alone(self, orders: Orders, services: Iterable[ServiceName]) -> None:
        """Which services this site serves alone: that it ends is noted, for nobody asks for it."""
        for service in services:
            order, known = orders.of(service), self._alone.pop(service, None)
            if order is not None:
                self._alone[service] = order.request
            elif known is not None:
                self.auditor.note(
                    Event.SETTLED, verb=known.kind, service=service, outcome="the order has ended"
                )

    def _settled(self, requests: Iterable[Request]) -> None:
        """Each request that this site has brought to another state."""
        me, before = f"tricast at {self.auditor.site}", self._states
        self._states = {}
        for request in requests:
            key = f"{request.service or request.target}/{request.number}"
            self._states[key] = request.state
            if before is None or before.get(key) is request.state or request.state_by != me:
                continue
            self.auditor.note(
                Event.SETTLED,
                verb=request.kind,
                service=request.service or "",
                epoch=request.epoch,
                reason=request.state_why,
                outcome=f"request {request.number} is {request.state}",
                facts={
                    "asked_by": request.asked_by,
                    "asked_at": request.asked_at,
                    "target": request.target,
                    **({"database": request.database} if request.database else {}),
                },
            )
