"""A site looks on while a service changes hands, turn by turn, and remembers what it saw.

Nothing that is decided comes from here. What happened before this daemon began is not known to it:
then only where its own logs end is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from controller.core.alone import FORCED
from controller.core.decide import Decision
from controller.core.model import FOREVER_S, Epoch, EpochRecord, Instant, Role
from controller.core.quorum import prove
from controller.core.requests import Request, approvers
from controller.core.view import View
from controller.history.recollection import (
    DISCARDED_MAX,
    STAGES_MAX,
    Asked,
    Discarded,
    LogBegin,
    LogEnd,
    Outside,
    Recollection,
    Stage,
    StepSeen,
    furthest_ends,
)

WATCHED_S: Final = 60.0  # how a change goes on; the end of a log is told whenever it comes back
SETTLED_S: Final = 10.0
CLIMBED: Final = ("HAND_OVER", "STEP_DOWN", "REJOIN")  # the history has the steps of TAKE_OVER
SERVING: Final = (Role.PRIMARY, Role.HANDING_OVER)
SILENT: Final = "silent"  # the speaker
NOBODY: Final = "nobody"  # answered at the service address
NEVER: Final = Instant(-FOREVER_S)


@dataclass(slots=True, kw_only=True)
class _Open:
    """What has been seen of the newest change so far."""

    zero: Instant
    seen_at: str
    whole: bool  # its beginning was seen, too
    routes: list[Stage] = field(default_factory=list)
    outside: dict[str, list[Stage]] = field(default_factory=dict)
    steps: dict[tuple[str, str, str], float] = field(default_factory=dict)
    held_s: float | None = None
    out_from: Instant = NEVER
    out_why: str = ""
    outage_s: float | None = None
    begins: dict[str, LogBegin] = field(default_factory=dict)
    ends: tuple[LogEnd, ...] = ()
    discarded: tuple[Discarded, ...] = ()
    asked: Asked | None = None


@dataclass(slots=True, kw_only=True)
class Watching:
    """The newest role change of one service, as this site sees it."""

    _record: EpochRecord | None = None
    _open: _Open | None = None
    _stance: str = ""
    _lands: dict[str, str] = field(default_factory=dict)
    _handing: dict[tuple[str, str, str], Instant] = field(default_factory=dict)
    _held_from: Instant | None = None
    _served: Instant = NEVER  # when the holder was last seen to serve
    _told: tuple[int, int, tuple[LogEnd, ...]] = (0, 0, ())

    def turned(self, view: View, decision: Decision, stamp: Callable[[], str]) -> None:
        """One more turn."""
        record, known = view.record, self._record
        if record is None or (known is not None and record.epoch < known.epoch):
            return
        if known is None or record.epoch > known.epoch:
            self._open = self._begun(view, record, stamp())
        self._record = record
        self._stance = SILENT if view.own.stance is None else view.own.stance.value
        self._lands |= dict(_entered(view))
        assert self._open is not None
        self._hold_ends(view, self._open)
        self._climbs(view, decision, self._open)
        if record.holder == view.me:
            _notes_begins(view, decision, self._open)
        else:
            _notes_ends(view, record, self._open)
        if view.now - self._open.zero <= WATCHED_S:
            self._goes_on(view, record, self._open)
        self._served = max(self._served, _served(view, record))

    def threw_away(self, epoch: Epoch, database: str, what: str) -> None:
        """A copy here became that of the holder of `epoch`, and lost `what`."""
        if self._open is not None and self._record is not None and self._record.epoch == epoch:
            new = Discarded(database=database, what=what)
            if new not in self._open.discarded:
                self._open.discarded = (*self._open.discarded, new)[-DISCARDED_MAX:]

    def stirs(self, now: Instant) -> bool:
        """There may be more to keep than there was."""
        found = self._open
        if found is None:
            return False
        return now - found.zero <= WATCHED_S + SETTLED_S or self._told != _size(found)

    def recollection(self, view: View) -> Recollection | None:
        """What is to be kept of it; None while there is nothing that is not known otherwise."""
        found, record = self._open, self._record
        if found is not None:
            self._told = _size(found)
        if found is None or record is None or not (found.whole or found.ends or found.discarded):
            return None
        return Recollection(
            service=view.spec.name,
            epoch=record.epoch,
            site=view.me,
            seen_at=found.seen_at,
            routes=tuple(found.routes) if found.whole else (),
            outside=tuple(
                Outside(vantage=vantage, entered=tuple(stages))
                for vantage, stages in sorted(found.outside.items())
                if found.whole
            ),
            held_s=found.held_s,
            outage_s=found.outage_s,
            outage_from=found.out_why if found.outage_s is not None else "",
            begins=tuple(found.begins[name] for name in sorted(found.begins)),
            ends=found.ends,
            discarded=found.discarded,
            steps=tuple(
                StepSeen(ladder=ladder, name=name, database=database, at_s=at_s)
                for (ladder, name, database), at_s in found.steps.items()
            ),
            asked=found.asked,
        )

    def _begun(self, view: View, record: EpochRecord, stamp: str) -> _Open:
        found = _Open(zero=view.now, seen_at=stamp, whole=self._record is not None)
        if found.whole:
            _stage(found.routes, self._stance, 0.0)
            for vantage, site in self._lands.items():
                _stage(found.outside.setdefault(vantage, []), site, 0.0)
        if record.previous == view.me and self._handing:
            handed = self._handing | {("HAND_OVER", "handed", ""): view.now}
            found.steps = {rung: _s(at - view.now) for rung, at in handed.items()}
        self._handing.clear()
        if record.previous is not None and record.holder == view.me and found.whole:
            if self._held_from is not None:
                found.out_from, found.out_why = self._held_from, "requests were held"
            elif self._served > NEVER:
                before = f"{record.previous} was last seen to serve"
                found.out_from, found.out_why = self._served, before
        return found

    def _hold_ends(self, view: View, found: _Open) -> None:
        """How long requests waited here, if that began before the epoch came."""
        if view.own.held:
            self._held_from = Instant(view.now - view.own.held_s)
        elif self._held_from is not None:
            if found.whole and self._held_from <= found.zero:
                found.held_s = _s(view.now - self._held_from)
            self._held_from = None

    def _climbs(self, view: View, decision: Decision, found: _Open) -> None:
        done = [rung for rung in decision.rungs if rung.done]
        if decision.ladder == "HAND_OVER":
            for rung in done:
                key = (decision.ladder, rung.step, rung.database or "")
                self._handing.setdefault(key, view.now)
            return
        self._handing.clear()
        since = _s(view.now - found.zero)
        begun = any(ladder == decision.ladder for ladder, _, _ in found.steps)
        if decision.ladder in CLIMBED and found.whole and (begun or since <= WATCHED_S):
            for rung in done:
                found.steps.setdefault((decision.ladder, rung.step, rung.database or ""), since)

    def _goes_on(self, view: View, record: EpochRecord, found: _Open) -> None:
        """Routes, and whether the service answers again."""
        since = _s(view.now - found.zero)
        _stage(found.routes, self._stance, since)
        for vantage, site in self._lands.items():
            _stage(found.outside.setdefault(vantage, []), site, since)
        answers = view.own.promised == record.epoch and view.own.canary_age_s < FOREVER_S
        if found.outage_s is None and answers and found.out_from > NEVER:
            found.outage_s = _s(view.now - found.out_from)


def _stage(stages: list[Stage], what: str, at_s: float) -> None:
    if what and len(stages) < STAGES_MAX and (not stages or stages[-1].what != what):
        stages.append(Stage(what=what, at_s=at_s))


def _entered(view: View) -> Iterator[tuple[str, str]]:
    """Where each vantage's requests enter, while it is heard."""
    for site in view.spec.witnesses:
        other = view.others.get(site)
        fresh = other is not None and other.report_age_s <= view.spec.timings.report_fresh_s
        if fresh and other is not None and other.report is not None:
            yield site, other.report.lands_at or NOBODY


def _served(view: View, record: EpochRecord) -> Instant:
    """When the holder was last seen to serve, by whoever saw it last: haproxy and databases."""
    if record.holder == view.me:
        opened = all(state.gate_open for state in view.own.databases)
        ages = [view.own.commit_age_s.get(state.name, FOREVER_S) for state in view.own.databases]
        return Instant(view.now - max(ages, default=view.own.canary_age_s)) if opened else NEVER
    other = view.others.get(record.holder)
    if other is None or other.report is None or other.report.epoch != record.epoch:
        return NEVER
    if other.report.role not in SERVING:
        return NEVER
    looks = (other.seen, *other.seen_by.values())
    return Instant(view.now - min(max(look.front_s, look.data_s) for look in looks))


def _notes_begins(view: View, decision: Decision, found: _Open) -> None:
    """What its databases go on from is proved; and whose order it was."""
    assert view.record is not None
    if decision.ladder == "TAKE_OVER":
        for state in view.own.databases:
            if state.writable and state.epoch == view.record.epoch:
                continue
            proof = prove(view, state)
            if proof.complete and proof.target is not None:
                found.begins[state.name] = LogBegin(
                    database=state.name,
                    position=proof.target,
                    source=proof.source or "",
                    sealed=proof.sealed,
                    needed=proof.needed,
                    excused=proof.excused,
                )
    request = _ordered(view, view.record)
    if request is not None:
        found.asked = Asked(
            request=request.number,
            kind=request.kind.value,
            asked_at=request.asked_at,
            approved_by=tuple(sorted(approvers(request))),
            statement=request.statement,
        )


def _ordered(view: View, record: EpochRecord) -> Request | None:
    if record.kind == FORCED:
        return view.alone
    seen = view.request
    by_number = seen is not None and 0 < record.request == seen.request.number
    return seen.request if by_number and seen is not None else None


def _notes_ends(view: View, record: EpochRecord, found: _Open) -> None:
    """Logs here that were written before the epoch, as long as they receive nothing of it."""
    ends = [
        LogEnd(database=state.name, position=state.position)
        for state in view.own.databases
        if state.position is not None
        and not state.receiving
        and 0 < state.position.epoch < record.epoch
    ]
    if ends:
        found.ends = furthest_ends((*found.ends, *ends))


def _size(found: _Open) -> tuple[int, int, tuple[LogEnd, ...]]:
    return len(found.steps), len(found.discarded), found.ends


def _s(seconds: float) -> float:
    return round(seconds, 3)
