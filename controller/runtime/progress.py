"""When each rung of the open role change was first seen reached: for status, history, metrics."""

from dataclasses import dataclass, field

from controller.core.decide import Decision
from controller.core.intents import RaiseEpoch, Rejoin, name
from controller.core.ladder import climbed
from controller.core.model import DatabaseName, Epoch, EpochRecord, Instant, Outcome, ServiceName
from controller.core.view import View
from controller.core.wire import Change, ChangeStep
from controller.ports import Clock
from controller.runtime.lanes import Done


@dataclass(slots=True, kw_only=True)
class Open:
    """A takeover under way."""

    record: EpochRecord
    rule: int
    began: Instant
    began_at: str
    evidence: dict[str, str]
    reached: dict[tuple[str, str], float] = field(default_factory=dict)
    intents: list[tuple[str, float, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrownAway:
    """What a copy here lost when it became that of the holder of `epoch`, in one sentence."""

    service: ServiceName
    epoch: Epoch
    database: DatabaseName
    what: str


@dataclass(slots=True, kw_only=True)
class Progress:
    """The open takeover of one service, and the one just finished."""

    clock: Clock
    open: Open | None = None
    finished: Change | None = None
    thrown_away: list[ThrownAway] = field(default_factory=list)
    _service: ServiceName = ServiceName("")
    _suspected: Instant | None = None
    _raise_rule: int = 0
    _raise_evidence: dict[str, str] = field(default_factory=dict)
    _last_epoch: Epoch = Epoch(0)

    def turned(self, view: View, decision: Decision) -> None:
        """One more turn: rungs newly reached are stamped."""
        self._service = view.spec.name
        self._remember_cause(view, decision)
        record = view.record
        if record is None or record.holder != view.me or decision.ladder != "TAKE_OVER":
            return
        if self.open is None and record.epoch != self._last_epoch:
            self._begin(view, decision, record)
        if self.open is None:
            return
        since = self.clock.monotonic() - self.open.began
        for rung in decision.rungs:
            key = (rung.step, rung.database or "")
            if rung.done:
                self.open.reached.setdefault(key, since)
        if climbed(decision.rungs):
            self._finish(view, since)

    def did(self, done: Done) -> None:
        """An intent has been carried out: it belongs to the open change, if there is one."""
        if self.open is not None:
            began = done.began - self.open.began
            self.open.intents.append((name(done.intent), began, done.took_s))
        intent, detail = done.intent, done.result.detail
        if isinstance(intent, Rejoin) and done.result.outcome is Outcome.OK and detail:
            lost = ThrownAway(
                service=self._service, epoch=intent.epoch, database=intent.database, what=detail
            )
            self.thrown_away.append(lost)

    def _remember_cause(self, view: View, decision: Decision) -> None:
        if any(isinstance(intent, RaiseEpoch) for intent in decision.intents):
            self._suspected = view.now
            self._raise_rule = decision.rule
            self._raise_evidence = evidence(view, decision)

    def _begin(self, view: View, decision: Decision, record: EpochRecord) -> None:
        raised = self._suspected is not None and view.raised_here
        self.open = Open(
            record=record,
            rule=self._raise_rule if raised else decision.rule,
            began=self._suspected if raised and self._suspected is not None else view.now,
            began_at=self.clock.stamp(),
            evidence=self._raise_evidence if raised else evidence(view, decision),
        )
        self._last_epoch = record.epoch

    def _finish(self, view: View, since: float) -> None:
        assert self.open is not None
        opened = self.open
        self.finished = Change(
            service=ServiceName(view.spec.name),
            epoch=opened.record.epoch,
            previous_holder=opened.record.previous or "",
            holder=view.me,
            kind=opened.record.kind,
            reason=opened.record.reason,
            rule=opened.rule,
            asked_by=opened.record.asked_by,
            began_at=opened.began_at,
            took_s=round(since, 4),
            evidence=opened.evidence,
            steps=tuple(
                ChangeStep(name=step, database=database, began_s=0.0, took_s=round(took, 4))
                for (step, database), took in sorted(opened.reached.items(), key=lambda i: i[1])
            )
            + tuple(
                ChangeStep(name=f"intent {what}", began_s=round(at, 4), took_s=round(took, 4))
                for what, at, took in opened.intents
            ),
        )
        self.open = None


def evidence(view: View, decision: Decision) -> dict[str, str]:
    """The guards that held, and what they looked at."""
    found = dict.fromkeys(decision.evidence, "true")
    for site, other in view.others.items():
        seen = other.seen
        found[f"{site} seen by {view.me}"] = (
            f"heartbeat {_age(seen.control_s)}, front {_age(seen.front_s)}, "
            f"data {_age(seen.data_s)}"
        )
        for observer, told in other.seen_by.items():
            found[f"{site} seen by {observer}"] = (
                f"heartbeat {_age(told.control_s)}, front {_age(told.front_s)}, "
                f"data {_age(told.data_s)}"
            )
    return found


def _age(seconds: float) -> str:
    return "never" if seconds == float("inf") else f"{seconds * 1000:.0f} ms ago"
