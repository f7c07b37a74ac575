"""The witness daemon: seals and steers its keepers by the real `decide_keeper`, and reports.

A keeper's turn follows whatever woke it: the store's watch, a poll, the keeper's own change.
"""

from typing import TYPE_CHECKING

from controller.core.model import (
    DatabaseName,
    Epoch,
    Role,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.terms import own_terms
from controller.ports import PortError
from controller.runtime.restraint import Restraint
from tests.sim import truth
from tests.sim.engine import Clock, Process
from tests.sim.keeper import Keeper
from tests.sim.knowledge import Knowledge
from tests.sim.publisher import Publisher
from tests.sim.senses import Senses
from witness.decide import (
    FollowHolder,
    KeeperDecision,
    PromiseEpoch,
    SealKeeper,
    decide_keeper,
)
from witness.loop import FOLLOW, LONGEST_REST_S

if TYPE_CHECKING:
    from tests.sim.world import World

REST_S = 2.0
POLL_S = 0.25
ATTACH_S = 2.0  # at most, of an attempt that nobody answers


class KeeperLoop:
    """One keeper of one service."""

    def __init__(self, daemon: "WitnessDaemon", service: ServiceName, keeper: Keeper) -> None:
        self._daemon, self._service, self.keeper = daemon, service, keeper
        self._world, self._engine = daemon.world, daemon.world.engine
        self.forget()

    def forget(self) -> None:
        """A daemon that has just started wants nothing of the keeper."""
        self.keeper.wanted = None
        self.state: VoterState | None = None
        self._due = float("inf")
        self._acting = False
        self._attempt: tuple[int, Epoch] | None = None  # to follow the holder of that epoch
        self._attempts = 0
        self._pause = 0.05
        self._trying = False
        self._restraint = Restraint(LONGEST_REST_S)

    def poke(self, within_s: float) -> None:
        """A turn at the latest in `within_s`."""
        due = self._engine.now + within_s
        if due < self._due - 1e-6:
            self._due = due
            self._daemon.process.after(within_s, self._turn_if_due, due)

    def _turn_if_due(self, due: float) -> None:
        if due == self._due:
            self._due = float("inf")
            self.turn()

    def turn(self) -> None:
        """One look, one decision, at most one intent."""
        daemon = self._daemon
        promised = self._world.promise_of(daemon.site, self._service)
        if self._attempt is not None and self._outdated(self._attempt[1], promised):
            self._attempt, self._acting = None, False
        if self._acting:
            return
        state = self.keeper.observe(Epoch(promised))
        if state != self.state:
            self.state = state
            daemon.report(self._service)
        record = daemon.knowledge.record(self._service)
        learns = record is not None and daemon.site in record.learners
        decision = decide_keeper(
            record, Epoch(promised), state, self._holder_report(), learns=learns
        )
        if isinstance(decision.intent, FollowHolder) and self._rests():
            return
        if decision.intent is not None:
            self._acting = True
            self._begin(decision)
            return
        self._keep_running()
        self.poke(self._engine.draw(0.6, 1.0) * REST_S)

    def _outdated(self, epoch: Epoch, promised: int) -> bool:
        """A newer epoch is known than the one whose holder it tries to follow."""
        record = self._daemon.knowledge.record(self._service)
        return max(promised, 0 if record is None else record.epoch) > epoch

    def _rests(self) -> bool:
        """The holder refused a short while ago."""
        now = self._daemon.process.clock.monotonic()
        until = self._restraint.wakes_at(now)
        if until is not None:
            self.poke(until - now + self._engine.draw(0.0, POLL_S))
        return until is not None

    def _holder_report(self) -> ServiceReport | None:
        record = self._daemon.knowledge.record(self._service)
        report = None if record is None else self._daemon.knowledge.report(record.holder)
        if report is None:
            return None
        return next((r for r in report.services if r.service == self._service), None)

    def _begin(self, decision: KeeperDecision) -> None:
        draw = self._engine.draw
        took = draw(0.002, 0.02)
        if isinstance(decision.intent, FollowHolder):
            reached = self.keeper.finds(decision.intent.upstream)
            took = draw(0.01, 0.08) if reached else draw(0.5, ATTACH_S)
            self._attempts += 1
            self._attempt = (self._attempts, decision.intent.epoch)
        self._daemon.process.after(took, self._act, decision, self._attempt)

    def _act(self, decision: KeeperDecision, attempt: tuple[int, Epoch] | None) -> None:
        """The effect, unless it was given up; what fails is tried again a little later."""
        if attempt != self._attempt:
            return
        self._attempt, self._acting = None, False
        try:
            match decision.intent:
                case PromiseEpoch(epoch=epoch):
                    self._restraint.new_epoch()
                    self._world.save_promise(self._daemon.site, self._service, epoch)
                case SealKeeper(epoch=epoch):
                    self._fence()
                    self.keeper.seal(epoch)
                case FollowHolder(upstream=upstream, epoch=epoch):
                    self._fence()
                    self.keeper.attach(upstream, epoch)
                case None:
                    pass
        except PortError as error:
            if isinstance(decision.intent, FollowHolder):
                now = self._daemon.process.clock.monotonic()
                self._restraint.failed(FOLLOW, str(error), now)
            self.keeper.changed()
            self.poke(0.05)
            return
        self.poke(0.0)

    def _fence(self) -> None:
        """No replication from here reaches a data site that does not hold the epoch."""
        record = self._daemon.knowledge.record(self._service)
        if record is not None:
            sites = self._world.data_sites
            self.keeper.fenced = frozenset(site for site in sites if site != record.holder)

    def _keep_running(self) -> None:
        """A receiver that ended is started again, ever more patiently."""
        if self.keeper.wanted is None or self.keeper.process.alive:
            self._pause = 0.05
        elif not self._trying:
            self._trying = True
            self._daemon.process.after(self._pause, self._try_again)
            self._pause = min(self._pause * 2, 1.0)

    def _try_again(self) -> None:
        self._trying = False
        self.keeper.keep_running()
        self.poke(0.0)


class WitnessDaemon:
    """The daemon of one witness site."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self.world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 5000.0), f"witness at {site}")
        self.knowledge = Knowledge(world, site, self.process)
        self.senses = Senses(world, site, self.process)
        self.publisher = Publisher(world, site, self.process)
        self.loops: dict[DatabaseName, KeeperLoop] = {
            name: KeeperLoop(self, service, world.keepers[name][site])
            for service, spec in world.specs.items()
            for name in spec.databases
        }

    def boot(self) -> None:
        """It starts, and reads its promises; receivers that live go on."""
        if self.process.alive or not self.world.power[self.site]:
            return
        self.process.begin()
        self.knowledge.forget()
        self.senses.started()
        self.publisher.forget()
        for service in self.world.specs:
            promised = self.world.promise_of(self.site, service)
            now = self.world.engine.now
            self.world.tell(truth.PromiseRead(now, service, self.site, promised))
        for loop in self.loops.values():
            loop.forget()
        self.world.review()
        self.knowledge.read(self._wake)
        self.process.after(1.0, self._poll)
        for service in self.world.specs:
            self.report(service)

    def hinted(self) -> None:
        """The store's watch."""
        self.knowledge.hint(self.world.engine.draw(0.001, 0.006), self._wake)

    def late(self) -> None:
        """Some site is late: the store is polled for a while."""
        self._haste(25)

    def _haste(self, left: int) -> None:
        if left and self.senses.late():
            self.knowledge.read(self._wake)
            self.process.after(0.1, self._haste, left - 1)

    def _poll(self) -> None:
        """A watch may be silent."""
        if self.knowledge.silent_s() > 1.0:
            self.knowledge.read(self._wake)
        self.process.after(1.0, self._poll)

    def _wake(self) -> None:
        for loop in self.loops.values():
            loop.poke(0.0005)

    def keeper_changed(self, name: DatabaseName) -> None:
        """Its loop looks, at the latest at its next poll."""
        if self.process.alive:
            self.loops[name].poke(self.world.engine.draw(0.001, POLL_S))

    def report(self, service: ServiceName) -> None:
        """What the witness says of one service."""
        voters = tuple(
            loop.state
            for name, loop in self.loops.items()
            if loop.state is not None and name in self.world.specs[service].databases
        )
        report = ServiceReport(
            service=service,
            role=Role.WITNESS,
            epoch=Epoch(self.world.promise_of(self.site, service)),
            stance=None,
            rule=0,
            reason="looks on",
            healthy=all(voter.whole for voter in voters),
            eligible=False,
            not_eligible_because=("a witness site holds no database to promote",),
            voters=voters,
            terms=own_terms(self.world.specs[service]),
        )
        self.publisher.update(report)
