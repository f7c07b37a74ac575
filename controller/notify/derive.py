"""Events from a situation and from what is known of those before it.

Two sorts. What *happened* has an identity of its own (an epoch, a request) and is told once. What
*holds* is told when it has held for its patience, and its end when it has been over for as long;
what cannot be judged now neither begins nor ends. `Known` is all the memory there is: kept on disk,
a restart tells nothing twice and leaves nothing out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.notify.event import TRAITS, Event, EventKind, Severity, Teller
from controller.notify.situation import Asked, Serving, Situation

TOLD_MAX: Final = 1000
SEAL_S: Final = 5.0
PLANNED: Final = frozenset({"handover", "bootstrap"})
MOVES: Final = frozenset({"switchover", "failover"})
ENDS: Final = frozenset({"resume", "undrain", "unfence"})
LOUD: Final = "BREAK-GLASS"  # with which a reason begins that tells who passed over what


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier situations have shown; `pending` is not kept over a restart."""

    told: tuple[str, ...] | None = None  # ids of what happened, the oldest first; None: not begun
    standing: Mapping[str, str] = field(default_factory=dict)  # condition -> since when (RFC 3339)
    pending: Mapping[str, float] = field(default_factory=dict)  # condition -> it differs since


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    kind: EventKind
    subject: str
    holds: bool | None  # None: cannot be judged
    what: str
    over: str = ""
    service: Serving | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.subject}"


def derive(
    known: Known, situation: Situation, *, lag_bytes: int
) -> tuple[Known, tuple[Event, ...]]:
    """What is known now, and what is new; the teller of each event is named in it.

    At the first start of all, what has happened before is no news: it is noted as soon as the
    store has been read.
    """
    told, found = _news(known.told, situation)
    standing, pending = dict(known.standing), dict(known.pending)
    for condition in _conditions(situation, lag_bytes):
        found += _judge(condition, situation, standing, pending)
    return Known(told=told, standing=standing, pending=pending), tuple(found)


def _news(
    before: tuple[str, ...] | None, situation: Situation
) -> tuple[tuple[str, ...] | None, list[Event]]:
    happened = list(_happened(situation))
    if before is None:
        read = situation.store_ok and any(service.epoch for service in situation.services)
        return (tuple(event.id for event in happened) if read else None), []
    told = dict.fromkeys(before)
    found = [event for event in happened if event.id not in told]
    told |= dict.fromkeys(event.id for event in found)
    return tuple(told)[-TOLD_MAX:], found


def _judge(
    condition: _Condition,
    situation: Situation,
    standing: dict[str, str],
    pending: dict[str, float],
) -> list[Event]:
    """Its event if it has begun or ended for good; what stands and is pending is brought up."""
    key, trait = condition.key, TRAITS[condition.kind]
    if condition.holds is None or condition.holds == (key in standing):
        if condition.holds is not None:
            pending.pop(key, None)
        return []
    since = pending.setdefault(key, situation.now_s)
    if situation.now_s - since < trait.patience_s:
        return []
    del pending[key]
    if condition.holds:
        standing[key] = situation.at
        return [_of_condition(condition, condition.kind, condition.what, situation, situation.at)]
    began = standing.pop(key)
    if trait.end is None:
        return []
    ended = replace(condition, facts={**condition.facts, "since": began})
    return [_of_condition(ended, trait.end, condition.over, situation, began)]


def _of_condition(
    condition: _Condition, kind: EventKind, what: str, situation: Situation, began: str
) -> Event:
    service = condition.service
    return Event(
        id=f"{situation.cluster}/{kind}/{condition.subject}/{began}",
        kind=kind,
        severity=TRAITS[kind].severity,
        at=situation.at,
        what=what,
        service="" if service is None else service.name,
        epoch=0 if service is None else service.epoch,
        teller=teller(TRAITS[kind].teller, situation, service),
        facts=condition.facts,
    )


def teller(rule: Teller, situation: Situation, service: Serving | None) -> str:
    """The site that tells. Sites that hear one another name the same one."""
    if rule is Teller.OWN:
        return situation.me
    heard = [
        site
        for site in situation.data_sites
        if site == situation.me or situation.heard.get(site, False)
    ]
    if rule is Teller.HOLDER and service is not None and service.holder in heard:
        return service.holder
    return heard[0] if heard else situation.me


# --- what happened --------------------------------------------------------------------------------


def _happened(situation: Situation) -> Iterator[Event]:
    services = {service.name: service for service in situation.services}
    for service in situation.services:
        if service.epoch:
            yield _begun(service, situation)
    for move in situation.moves:
        if (serving := services.get(move.service)) is None:
            continue
        took = "" if move.took_s is None else f" after {move.took_s:.1f} s"
        yield Event(
            id=f"{situation.cluster}/{EventKind.ROLE_CHANGE_FINISHED}/{move.service}/{move.epoch}",
            kind=EventKind.ROLE_CHANGE_FINISHED,
            severity=_of_move(move.kind),
            at=situation.at,
            what=f"{move.holder} serves {move.service}{took}: {move.reason}",
            service=move.service,
            epoch=move.epoch,
            teller=teller(Teller.HOLDER, situation, serving),
            facts=_given(
                {
                    "kind": move.kind,
                    "from": move.previous,
                    "to": move.holder,
                    "asked_by": move.asked_by,
                    "began_at": move.began_at,
                    "outcome": move.outcome,
                }
            ),
        )
    for request in situation.requests:
        about = services.get(request.service)
        if (kind := _of_request(request)) is not None:
            yield _asked(request, kind, situation, about)
        if request.broke_glass:
            yield _asked(request, EventKind.GLASS_BROKEN, situation, about)


def _begun(service: Serving, situation: Situation) -> Event:
    return Event(
        id=f"{situation.cluster}/{EventKind.ROLE_CHANGE_BEGUN}/{service.name}/{service.epoch}",
        kind=EventKind.ROLE_CHANGE_BEGUN,
        severity=_of_move(service.kind),
        at=situation.at,
        what=f"{service.holder} takes {service.name} in epoch {service.epoch}: {service.reason}",
        service=service.name,
        epoch=service.epoch,
        teller=teller(Teller.HOLDER, situation, service),
        facts=_given(
            {
                "kind": service.kind,
                "to": service.holder,
                "asked_by": service.asked_by,
                "raised_at": service.at,
            }
        ),
    )


def _of_move(kind: str) -> Severity:
    return Severity.INFO if kind in PLANNED else Severity.WARNING


def _of_request(request: Asked) -> EventKind | None:
    if request.state == "open" and request.missing:
        return EventKind.APPROVAL_WANTED
    if request.state == "lapsed" and request.missing:
        return EventKind.APPROVAL_LAPSED
    if request.state == "failed" and request.kind in MOVES:
        return EventKind.ROLE_CHANGE_UNDONE
    return None


_SENTENCES: Final[Mapping[EventKind, str]] = {
    EventKind.APPROVAL_WANTED: "{asked} waits for {missing} approval(s): {reason}",
    EventKind.APPROVAL_LAPSED: "{asked} has lapsed without its approvals: {why}",
    EventKind.GLASS_BROKEN: "{asked} was carried out past the policy of {glass}: {loud}",
    EventKind.ROLE_CHANGE_UNDONE: "{asked} was tried and taken back: {why}",
}


def _asked(request: Asked, kind: EventKind, situation: Situation, service: Serving | None) -> Event:
    about = f"{request.kind} of {request.service or request.target}"
    asked = f"request {request.number}, {about} asked by {request.asked_by},"
    loud = request.why if request.why.startswith(LOUD) else request.reason
    subject = f"{request.service or request.target}/{request.number}"
    if request.kind in ENDS:  # they bear the number of what they end, and may be asked again
        subject = f"{subject}/{request.kind}/{request.at}"
    if kind is EventKind.GLASS_BROKEN and loud == request.why:
        subject = f"{subject}/end"
    return Event(
        id=f"{situation.cluster}/{kind}/{subject}",
        kind=kind,
        severity=TRAITS[kind].severity,
        at=situation.at,
        what=_SENTENCES[kind].format(
            asked=asked,
            missing=request.missing,
            reason=request.reason or "no reason given",
            why=request.why or "no reason given",
            glass=request.broke_glass,
            loud=loud,
        ),
        service=request.service,
        epoch=0 if service is None else service.epoch,
        teller=teller(TRAITS[kind].teller, situation, service),
        facts=_given(
            {
                "request": str(request.number),
                "asked": request.kind,
                "asked_by": request.asked_by,
                "target": request.target,
                "passed_over": request.broke_glass if kind is EventKind.GLASS_BROKEN else "",
            }
        ),
    )


def _given(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value}


# --- what holds -----------------------------------------------------------------------------------


def _conditions(situation: Situation, lag_bytes: int) -> Iterator[_Condition]:
    yield _Condition(
        kind=EventKind.STORE_LOST,
        subject="store",
        holds=not situation.store_ok,
        what=f"etcd's majority does not answer {situation.me}",
        over=f"etcd's majority answers {situation.me} again",
        facts=_given({"detail": situation.store_detail}),
    )
    for site, heard in situation.heard.items():
        yield _Condition(
            kind=EventKind.SITE_LOST,
            subject=site,
            holds=not heard,
            what=f"{site} is not heard by {situation.me}",
            over=f"{site} is heard by {situation.me} again",
            facts={"lost": site},
        )
    for site in situation.data_sites:
        why = "" if situation.fenced is None else situation.fenced.get(site, "")
        yield _Condition(
            kind=EventKind.SITE_FENCED,
            subject=site,
            holds=None if situation.fenced is None else bool(why),
            what=f"{site} is fenced {why}",
            over=f"{site} is no longer fenced",
            facts={"fenced": site},
        )
    alarms = situation.audit_alarms
    yield _Condition(
        kind=EventKind.AUDIT_TROUBLE,
        subject=situation.me,
        holds=None if alarms is None else bool(alarms),
        what="; ".join(alarms or ()),
        over=f"the audit log of {situation.me} is well again",
    )
    for service in situation.services:
        if service.epoch:
            yield from _of_service(service, situation)
            yield from _of_copies(service, lag_bytes)
            yield _of_drill(service)


def _of_service(service: Serving, situation: Situation) -> Iterator[_Condition]:
    name, me = service.name, situation.me
    yield _Condition(
        kind=EventKind.PAUSE_SET,
        subject=name,
        holds=bool(service.paused),
        what=f"automation of {name} is paused: {service.paused}",
        over=f"automation of {name} is no longer paused",
        service=service,
    )
    yield _Condition(
        kind=EventKind.SITE_ISOLATED,
        subject=f"{name}/{me}",
        holds=service.isolated,
        what=f"{me} is isolated: it cannot confirm that it may serve {name}",
        over=f"{me} is no longer isolated",
        service=service,
    )
    yield _Condition(
        kind=EventKind.TAKEOVER_REFUSED,
        subject=f"{name}/{me}",
        holds=bool(service.refused),
        what=f"{me} would take {name} over and may not: {'; '.join(service.refused)}",
        service=service,
    )
    yield _Condition(
        kind=EventKind.SEAL_REFUSED,
        subject=f"{name}/{me}/{service.epoch}",
        holds=service.unsealed_s >= SEAL_S,
        what=(
            f"the takeover of {name} by {me} waits: "
            f"no majority of its voters has sealed epoch {service.epoch}"
        ),
        service=service,
    )


def _of_drill(service: Serving) -> _Condition:
    return _Condition(
        kind=EventKind.DRILL_OVERDUE,
        subject=service.name,
        holds=None if service.overdue is None else bool(service.overdue),
        what=service.overdue or "",
        service=service,
    )


def _of_copies(service: Serving, lag_bytes: int) -> Iterator[_Condition]:
    for copy in service.copies:
        holder, where = copy.site == service.holder, f"{copy.database} at {copy.site}"
        facts = {"database": copy.database, "copy": copy.site}
        subject = f"{service.name}/{copy.database}/{copy.site}"
        yield _Condition(
            kind=EventKind.VOTER_LOST,
            subject=subject,
            holds=False if holder else None if copy.votes is None else not copy.votes,
            what=f"the copy {where} does not vote; one more loss may stop {service.name}",
            over=f"the copy {where} votes again",
            service=service,
            facts=facts,
        )
        behind = None if holder else copy.lag_bytes
        yield _Condition(
            kind=EventKind.LAG_HIGH,
            subject=subject,
            holds=False if holder else _lags(behind, lag_bytes),
            what=f"{where} is {behind} bytes behind",
            over=f"{where} has caught up",
            service=service,
            facts=facts,
        )


def _lags(behind: int | None, limit: int) -> bool | None:
    """Above the limit, below half of it; between the two it stays what it was."""
    if behind is None or limit / 2 <= behind <= limit:
        return None
    return behind > limit
