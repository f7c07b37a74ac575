"""The loop of one service: observe, decide, act, note; then wait for whatever comes first."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from controller.core import repair
from controller.core.decide import Decision, decide
from controller.core.intents import Intent, RaiseEpoch, SetGate, lane, name
from controller.core.margin import only_waits
from controller.core.model import (
    FOREVER_S,
    NO_EPOCH,
    DatabaseName,
    DatabaseState,
    Epoch,
    Instant,
    Outcome,
    Role,
)
from controller.core.troubles import patience_left_s
from controller.core.view import View
from controller.core.wants import HOLD, Keep
from controller.ports import Clock, Database, PortError, Prober
from controller.runtime import beat
from controller.runtime.act import Hands
from controller.runtime.hearing import Hearing
from controller.runtime.lanes import Done, Lanes
from controller.runtime.observe import Observer
from controller.runtime.patience import while_leased_s
from controller.runtime.progress import Progress

log = structlog.get_logger()

HASTE_S = 3.0
PROOF_CLIMBING_S = 0.15
AWAITING = frozenset({110, 410})  # a new holder climbs, and this site keeps out of its way
COMMIT_FOREVER_S = 24 * 3600.0  # a waiting commit is never cancelled: cancelling would show it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a turn comes, in seconds."""

    rest_s: float
    alert_s: float = 0.03  # somebody is late
    climb_s: float = 0.02  # a rung waits for something outside
    patience_s: float = 0.05  # for a port that is late
    proof_s: float = 0.6  # between our own writes
    service_proof_s: float = 3.0  # between requests of ours through the service address
    store_patience_s: float = 0.3
    store_s: float = 0.05  # between reads of the store while its answer matters; watches hint


@dataclass(slots=True, kw_only=True)
class ServiceLoop:
    """One service of this site."""

    observer: Observer
    hands: Hands
    hearing: Hearing
    clock: Clock
    pace: Pace
    tasks: asyncio.TaskGroup
    longest_rest_s: float
    canary: Prober | None
    report: Callable[[View, Decision], None]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    unproven: dict[DatabaseName, asyncio.Event] = field(default_factory=dict)
    unanswered: asyncio.Event = field(default_factory=asyncio.Event)  # clients come from now on
    progress: Progress = field(init=False)
    lanes: Lanes = field(init=False)
    decision: Decision | None = None
    last_view: View | None = None
    newest: Epoch = NO_EPOCH
    repaired: int = 0  # the last request for which what rested was tried again
    turns: int = 0
    turn_s: float = 0.0
    turned_at: Instant = Instant(float("-inf"))
    moved_at: Instant = Instant(float("-inf"))

    def __post_init__(self) -> None:
        self.progress = Progress(clock=self.clock)
        self.lanes = Lanes(
            carry_out=self.hands.carry_out,
            on_done=self._done,
            tasks=self.tasks,
            clock=self.clock,
            longest_rest_s=self.longest_rest_s,
        )

    async def run(self) -> None:
        """Turns for ever."""
        async with asyncio.TaskGroup() as tasks:
            for database, port in self.hands.databases.items():
                port.tell_of_loss(partial(self._look_again, database))
                tasks.create_task(self._prove_commits(database))
            if self.canary is not None:
                tasks.create_task(self._prove_service(self.canary))
            while True:
                await self._turn()
                await self._wait()

    def _look_again(self, database: DatabaseName) -> None:
        self.observer.dirty[f"database:{database}"] = self.clock.monotonic()
        self.wake.set()

    async def _turn(self) -> None:
        began = self.clock.monotonic()
        self.wake.clear()
        urgent = self._reading_matters()
        await self.observer.read_store(
            self._while_leased_s(self.pace.store_patience_s),
            max_age_s=self.pace.store_s if urgent else 1.0,
        )
        await self.observer.look(
            self._while_leased_s(self.pace.patience_s),
            calm=not urgent,
            busy=frozenset(self.lanes.running()),
        )
        self.observer.lease_until = self.hands.lease_until
        self.observer.raised = self.hands.raised
        self.observer.fenced = self.hands.fenced
        self.observer.closings = tuple(self.hands.closings.values())
        self.observer.copied = self.hands.copied
        self._give_up_what_is_old()
        view = self.observer.view(
            self.lanes.busy(),
            self.lanes.resting(),
            self.lanes.rejoining(),
            self.lanes.failed_for_good(),
        )
        self._try_again(view)
        decision = decide(view)
        self._note(view, decision)
        self._ask_for_proof(view.own.promised)
        for intent in decision.intents:
            self._start(intent, decision)
        if decision.stance is not None and view.own.stance is decision.stance:
            self.hands.routes.stand_by(self.hands.service, decision.stance, view.own.promised)
        self.report(view, decision)
        self.turns += 1
        self.turned_at = self.clock.monotonic()
        self.turn_s = self.turned_at - began

    def _while_leased_s(self, patience_s: float) -> float:
        left_s = self.hands.lease_until - self.clock.monotonic()
        return while_leased_s(patience_s, self.last_view, left_s)

    def _give_up_what_is_old(self) -> None:
        record = self.observer.records.epochs.get(self.hands.service)
        if record is not None and record.epoch > self.newest:
            self.newest = record.epoch
            self.lanes.new_epoch(record.epoch)

    def _try_again(self, view: View) -> None:
        """What rests after failures is tried at once when an operator asks for it; once each."""
        number, lanes = repair.tried_again(view)
        if number > self.repaired:
            self.repaired = number
            self.lanes.try_again(lanes)
            self.wake.set()

    def _reading_matters(self) -> bool:
        """Somebody is late, or something is under way: what the store says must be fresh."""
        return self.hearing.late() or self._climbing()

    def _climbing(self) -> bool:
        """Rungs wait and something moved a short while ago; a long wait needs no haste, nor does
        one for another site, which the store tells of.
        """
        decision = self.decision
        if decision is None or decision.traffic is HOLD:
            return True
        if decision.rule >= 420 or decision.rule in AWAITING:
            return False
        hasty = self.clock.monotonic() - self.moved_at < HASTE_S
        return hasty and any(not rung.done for rung in decision.rungs)

    def _start(self, intent: Intent, decision: Decision) -> None:
        if not self.lanes.start(intent):
            return
        quiet = decision.rule in (121, 401) and not isinstance(intent, RaiseEpoch)
        (log.debug if quiet else log.info)(
            "intent", service=self.hands.service, rule=decision.rule, intent=str(intent)
        )

    def _done(self, done: Done) -> None:
        self.observer.dirty[lane(done.intent)] = self.clock.monotonic()
        if done.result.outcome is Outcome.OK:
            self.moved_at = self.clock.monotonic()
        if isinstance(done.intent, SetGate) and not done.intent.opened:
            self.observer.proofs.gate_closed(done.intent.database, self.clock.monotonic())
        self.progress.did(done)
        if done.result.outcome is not Outcome.OK or done.took_s > 0.2:
            log.warning(
                "outcome",
                service=self.hands.service,
                intent=name(done.intent),
                outcome=done.result.outcome.value,
                detail=done.result.detail,
                took_s=round(done.took_s, 3),
            )
        self.wake.set()

    def _note(self, view: View, decision: Decision) -> None:
        before = self.decision
        self.decision, self.last_view = decision, view
        if before is None or _standing(before) != _standing(decision):
            self.moved_at = self.clock.monotonic()
        came = None if before is None else before.traffic
        if decision.traffic == self.hands.me != came:
            self.unanswered.set()
        self.progress.turned(view, decision)
        if before is None or (before.rule, before.role) != (decision.rule, decision.role):
            traffic = None if isinstance(decision.traffic, Keep) else decision.traffic
            log.info(
                "decision",
                service=self.hands.service,
                rule=decision.rule,
                role=decision.role.value,
                reason=decision.reason.value,
                epoch=None if view.record is None else view.record.epoch,
                evidence=",".join(decision.evidence),
                stance=None if decision.stance is None else decision.stance.value,
                traffic=traffic,
                yielding=decision.yielding,
                refused=decision.refused_because,
            )
            self.wake.set()

    async def _wait(self) -> None:
        if self.wake.is_set():
            await asyncio.sleep(0)
            return
        if self._climbing():
            timeout = self.pace.climb_s
        elif self.hearing.late():
            timeout = self.pace.alert_s
        else:
            timeout = beat.left_s(self.pace.rest_s)
        now = self.clock.monotonic()
        for end_s in (self.hands.lease_until - now, self._patience_left_s(now)):
            if 0 < end_s < timeout:
                timeout = end_s  # it is not seen a turn late
        alarm = asyncio.get_running_loop().call_later(timeout, self.wake.set)
        try:
            await self.wake.wait()
        finally:
            alarm.cancel()

    def _patience_left_s(self, now: Instant) -> float:
        view = self.last_view
        if view is None or not view.own.trouble_s:
            return FOREVER_S
        return patience_left_s(view) - (now - view.now)

    # --- our own writes ----------------------------------------------------------------------

    async def _prove_commits(self, database: DatabaseName) -> None:
        """While the database here is writable, a write of ours is acknowledged now and then."""
        port: Database = self.hands.databases[database]
        sampled = self.observer.looks.databases[database]
        unproven = self.unproven[database] = asyncio.Event()
        token = 0
        while True:
            unproven.clear()
            epoch = self.hands.promises.of(self.hands.service)
            if proves(self.decision, self.last_view, sampled.value, epoch):
                token += 1
                began = self.clock.monotonic()
                try:
                    await port.canary(f"{epoch}-{token}", COMMIT_FOREVER_S)
                except PortError as error:
                    self.hands.last_error[f"canary {database}"] = str(error)
                    self._look_again(database)
                    await asyncio.sleep(self.pace.climb_s)
                else:
                    known = self.observer.proofs.commits.get(database)
                    self.observer.proofs.committed(database, epoch, began)
                    if known is None or known[0] != epoch:
                        self._look_again(database)  # a voter follows, or it had not been heard
            with suppress(TimeoutError):
                async with asyncio.timeout(beat.left_s(self.pace.proof_s)):
                    await unproven.wait()

    def _ask_for_proof(self, promised: Epoch) -> None:
        """A primary that has not proven yet that it commits does so now, not at the next beat."""
        for database, unproven in self.unproven.items():
            known = self.observer.proofs.commits.get(database)
            state = self.observer.looks.databases[database].value
            if known is not None and known[0] == promised:
                continue
            if proves(self.decision, self.last_view, state, promised):
                unproven.set()

    async def _prove_service(self, canary: Prober) -> None:
        """While this site should serve, a request through the service address is answered."""
        while True:
            self.unanswered.clear()
            decision = self.decision
            if decision is not None and decision.traffic == self.hands.me:
                epoch = self.hands.promises.of(self.hands.service)
                began = self.clock.monotonic()
                if (await canary.sample()).ok:
                    self.observer.proofs.canary = (epoch, began)
            rest_s = self.pace.service_proof_s
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    PROOF_CLIMBING_S if self._climbing() else beat.left_s(rest_s)
                ):
                    await self.unanswered.wait()


def proves(
    decision: Decision | None, view: View | None, state: DatabaseState, promised: Epoch
) -> bool:
    """Writes of our own are made here: by a primary, but never into a log that another site has to
    hold whole. That is so while the service is handed over, and until it is closed after that; and
    where a write could only wait for a voter that may have to be made a copy of this log.
    """
    if not state.writable or state.epoch != promised:
        return False
    if view is not None and only_waits(view, state):
        return False
    return decision is None or decision.role not in (Role.HANDING_OVER, Role.STEPPING_DOWN)


def _standing(decision: Decision) -> tuple[int, tuple[bool, ...]]:
    """What has to change for something to have moved."""
    return decision.rule, tuple(rung.done for rung in decision.rungs)
