"""The loop of one service at one data site: turns, lanes, our own writes, the report.

As `controller.runtime.loop`, with the same `decide`, `Restraint`, `service_report` and `digest`.
Between events nothing moves by itself, so a turn is taken when something that is seen has changed,
when an age crosses a limit that a rule knows, and now and then; each a little late, as polling is.
"""

from typing import TYPE_CHECKING

from bgp.permit import Wish
from controller.core import repair
from controller.core.decide import Decision, decide
from controller.core.intents import Follow, Intent, Rejoin, SetGate, lane
from controller.core.model import DatabaseName, Epoch, Instant, Outcome, SiteName
from controller.core.rules import RULES
from controller.core.view import ServiceSpec, View
from controller.ports import PortError, TimedOut
from controller.runtime.loop import proves
from controller.runtime.patience import while_leased_s
from controller.runtime.publish import service_report
from controller.runtime.restraint import Restraint
from tests.sim import truth
from tests.sim.engine import Steps
from tests.sim.eyes import Eyes
from tests.sim.hands import LIMIT_S, LIMITS, Hands
from tests.sim.log import CANARY
from tests.sim.running import Run

if TYPE_CHECKING:
    from tests.sim.controller import Controller

HASTE_S = 3.0
PATIENCE_S = 0.3
PROOF_S = 0.6
CALM_PROOF_S = 0.7  # while nothing happens; no limit on a proof's age is shorter
REST_S = 4.0
CLIMB_S = 0.5
LONGEST_REST_S = 4.0
NAMES = {rule.number: rule for rule in RULES}


class ServiceLoop:
    """One service of one site."""

    def __init__(self, controller: "Controller", spec: ServiceSpec) -> None:
        self.controller, self.spec = controller, spec
        self.world, self.site = controller.world, controller.site
        self.process, self.knowledge = controller.process, controller.knowledge
        self.engine = self.world.engine
        self.epoch_key = f"services/{spec.name}/epoch"
        self.eyes = Eyes(self)
        self.hands = Hands(self)
        self._told: tuple[object, ...] = ()
        self.forget()

    def forget(self) -> None:
        """A daemon that has just started remembers nothing but its promises."""
        self.raised = self.tried = self.fenced = self.newest = self.remembered = 0
        self.copied = self.repaired = 0
        self.lease_until = self.moved_at = self.raise_began_s = float("-inf")
        self.unfinished = False  # a rung of the ladder is not reached
        self._stood: tuple[bool, ...] = ()
        self.decision: Decision | None = None
        self.last_view: View | None = None
        self.running: dict[str, Run] = {}
        self.restraint = Restraint(LONGEST_REST_S)
        self._turning = self._again = False
        self._due = float("inf")
        self._built_of: object = None
        self._proving: set[DatabaseName] = set()
        self.sources: list[SiteName] = []  # something is fetched from them now
        self._proof_due: dict[DatabaseName, float] = {}
        self._aged: dict[DatabaseName, int] = {}  # limits that the newest proof has crossed
        self.eyes.forget()

    @property
    def promised(self) -> int:
        """The floor of this site, as on its disk."""
        return self.world.promise_of(self.site, self.spec.name)

    # --- when to turn ------------------------------------------------------------------------

    def poke(self, within_s: float) -> None:
        """A turn is taken at the latest in `within_s`."""
        due = self.engine.now + within_s
        if due < self._due - 1e-6:
            self._due = due
            self.process.after(within_s, self._turn_if_due, due)

    def _turn_if_due(self, due: float) -> None:
        if due == self._due:
            self._due = float("inf")
            self.turn()

    def hasty(self) -> bool:
        """Somebody is late, or something is under way."""
        return self.controller.senses.late() or self.climbing()

    def climbing(self) -> bool:
        """Rungs wait and something moved a short while ago."""
        decision = self.decision
        if decision is None or decision.rule >= 420:
            return decision is None
        return self.unfinished and self.process.clock.now() - self.moved_at < HASTE_S

    # --- a turn ------------------------------------------------------------------------------

    def turn(self) -> None:
        """Read the store if it has been silent for too long; then look, decide, act."""
        if self._turning:
            self._again = True
            return
        self._turning = True
        left_s = self.lease_until - self.process.clock.now()
        patience = while_leased_s(PATIENCE_S, self.last_view, left_s)
        if patience and self.knowledge.silent_s() > (0.05 if self.hasty() else 1.0):
            self.knowledge.read_within(patience, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self.eyes.look()
        record = self.knowledge.record(self.spec.name)
        if record is not None:
            self.heard_epoch(record.epoch)
        now = Instant(self.process.clock.now())
        resting = self.restraint.resting(now)
        busy = frozenset(self.running.keys() | resting)
        view = self.eyes.view(busy, frozenset(resting - self.running.keys()))
        self._try_again(view)
        decision = decide(view)
        self._note(view, decision)
        life = self.process.life
        for intent in decision.intents:
            self._start(intent, decision)
            if self.process.life != life:
                return
        if decision.stance is not None and view.own.stance is decision.stance:
            wish = Wish(decision.stance, view.own.promised)
            self.controller.stand_by(self.spec.name, wish)
        self._publish(view, decision)
        self._prove_commits(view)
        self._turning = False
        if self._again:
            self._again = False
            self.poke(0.0)
        self._plan_next(view)

    def _publish(self, view: View, decision: Decision) -> None:
        """The report is built anew when something that it is built of has changed."""
        own = view.own
        built_of = (
            decision.rule,
            decision.role,
            decision.yielding,
            decision.not_eligible_because,
            own.stance,
            own.promised,
            own.held,
            own.in_flight,
            own.failing,
            own.databases,
            view.busy,
            self.knowledge.news(),
        )
        if built_of != self._built_of:
            self._built_of = built_of
            self.controller.publisher.update(service_report(view, decision, warned=False))

    def _plan_next(self, view: View) -> None:
        draw, climbing, late = self.engine.draw, self.climbing(), self._lateness()
        within = draw(0.6, 1.0) * (CLIMB_S if climbing else REST_S)
        threshold = self.eyes.next_threshold(view)
        if threshold < REST_S:
            within = min(within, threshold + draw(0.0005, late))
        rested = self.restraint.wakes_at(view.now)
        if rested is not None:
            within = min(within, rested - view.now + draw(0.0005, late))
        self.poke(within)

    def _lateness(self) -> float:
        """How much later than it could be a turn comes at most: polling."""
        troubled = self.last_view is not None and self.last_view.own.trouble_s
        hasty = self.controller.senses.late() or troubled
        return 0.02 if self.climbing() else 0.03 if hasty else 0.25

    def heard_epoch(self, epoch: Epoch) -> None:
        """What was begun under an older epoch and may wait long for another site is given up."""
        if epoch <= self.newest:
            return
        self.newest = epoch
        self.restraint.new_epoch()
        for run in list(self.running.values()):
            if isinstance(run.intent, Follow) and run.intent.epoch < epoch:
                self._end(run, Outcome.UNKNOWN, "given up for a newer epoch", given_up=True)

    def _try_again(self, view: View) -> None:
        """What rests after failures is tried at once when an operator asks for it; once each."""
        number, lanes = repair.tried_again(view)
        if number > self.repaired:
            self.repaired = number
            self.restraint.try_again(lanes)
            self._again = True

    def rejoining(self) -> frozenset[DatabaseName]:
        """Databases that a host agent is at work on, to make them follow somebody."""
        intents = [run.intent for run in self.running.values()]
        return frozenset(found.database for found in intents if isinstance(found, Rejoin))

    def _note(self, view: View, decision: Decision) -> None:
        before = self.decision
        self.decision, self.last_view = decision, view
        stands = tuple([rung.done for rung in decision.rungs])
        if before is None or decision.rule != before.rule or stands != self._stood:
            self.moved_at = self.process.clock.now()
            self._stood, self.unfinished = stands, not all(stands)
        if before is None or (before.rule, before.role) != (decision.rule, decision.role):
            self.poke(self.engine.draw(0.0, 0.02))
        said = (
            decision.rule,
            decision.role,
            decision.ladder,
            decision.refused_because,
            decision.yielding,
            self.unfinished,
        )
        if decision.intents or said != self._told:
            self._told = said
            self._tell(view, decision)

    def _tell(self, view: View, decision: Decision) -> None:
        waiting = tuple(
            f"{rung.step} {rung.database}" if rung.database else rung.step
            for rung in decision.rungs
            if not rung.done
        )
        self.world.rules.add(decision.rule)
        self.world.tell(
            truth.Decided(
                self.engine.now,
                self.spec.name,
                self.site,
                decision.rule,
                decision.role.value,
                decision.reason.value,
                tuple(decision.evidence),
                decision.refused_because,
                decision.yielding,
                decision.ladder,
                not waiting,
                waiting,
                decision.intents,
                0 if view.record is None else view.record.epoch,
                self.knowledge.answered_at,
                self.knowledge.paused(self.spec.name),
            )
        )

    # --- intents -----------------------------------------------------------------------------

    def _start(self, intent: Intent, decision: Decision) -> None:
        key = lane(intent)
        now = Instant(self.process.clock.now())
        if key in self.running or not self.restraint.allows(key, intent, now):
            return
        run = Run(intent, decision.rule, self.world.next_intent(), now)
        self.running[key] = run
        life = self.process.life
        self.world.intent_began(self, run)
        if self.process.life != life:
            return
        self.process.after(LIMITS.get(type(intent), LIMIT_S), self._too_late, run)
        self.process.after(self.engine.draw(0.0, 0.003), self._carry_out, run)

    def _carry_out(self, run: Run) -> None:
        if not run.over:
            run.task = self.process.spawn(self._guarded(run), lambda: self._ended(run))

    def _guarded(self, run: Run) -> Steps:
        try:
            yield from self.hands.carry_out(run.intent)
        except TimedOut as error:
            run.outcome, run.detail = Outcome.UNKNOWN, str(error)
        except PortError as error:
            run.outcome, run.detail = Outcome.FAILED, str(error)

    def _too_late(self, run: Run) -> None:
        if not run.over:
            self._end(run, Outcome.UNKNOWN, "deadline", given_up=False)

    def _ended(self, run: Run) -> None:
        if not run.over:
            self._end(run, run.outcome, run.detail, given_up=False)

    def _end(self, run: Run, outcome: Outcome, detail: str, *, given_up: bool) -> None:
        run.over, run.outcome, run.detail = True, outcome, detail
        if run.task is not None:
            run.task.cancel()
        life = self.process.life
        self.world.intent_ended(self, run)
        if self.process.life == life:
            self.process.after(0.0, self._learn, run, given_up)

    def _learn(self, run: Run, given_up: bool) -> None:
        key, now = lane(run.intent), Instant(self.process.clock.now())
        if self.running.get(key) is run:
            del self.running[key]
        name = getattr(run.intent, "database", None)
        self.eyes.acted_on(name)
        if isinstance(run.intent, SetGate) and not run.intent.opened:
            self.eyes.proofs.gate_closed(run.intent.database, now)
        if run.outcome is Outcome.OK:
            self.moved_at = now
            self.restraint.succeeded(key, run.intent, now)
        elif not given_up:
            self.restraint.failed(key, run.detail, now)
        self.poke(0.0)

    def dies(self) -> None:
        """What was begun may or may not have happened."""
        for run in list(self.running.values()):
            if not run.over:
                run.over, run.outcome, run.detail = True, Outcome.UNKNOWN, "its daemon died"
                self.world.intent_cut(self, run)

    # --- our own writes ----------------------------------------------------------------------

    def _prove_commits(self, view: View) -> None:
        """While a database here is writable, a write of ours is acknowledged now and then."""
        for state in view.own.databases:
            if state.name not in self._proving:
                self._proving.add(state.name)
                self._prove(state.name)

    def stir(self) -> None:
        """Something is about to happen: the next proofs come at full pace."""
        now = self.engine.now
        for name in [name for name, due in self._proof_due.items() if due > now + PROOF_S]:
            self._prove_in(name, PROOF_S * self.engine.dice.random())

    def _prove_in(self, name: DatabaseName, seconds: float) -> None:
        due = self._proof_due[name] = self.engine.now + seconds
        self.process.after(seconds, self._prove_if_due, name, due)

    def _prove_if_due(self, name: DatabaseName, due: float) -> None:
        if due == self._proof_due.get(name):
            del self._proof_due[name]
            self._prove(name)

    def _prove(self, name: DatabaseName) -> None:
        state = self.eyes.states.get(name)
        epoch = Epoch(self.promised)
        server = self.world.servers[name][self.site]
        if not state or not server.up or not proves(self.decision, self.last_view, state, epoch):
            self._proving.discard(name)
            return
        began = self.process.clock.now()

        def done(committed: bool) -> None:
            self.process.after(0.0005, self._proved, name, epoch, began, committed)

        if not server.commit(CANARY, done):
            self._prove_in(name, PROOF_S)

    def canary_lost(self, name: DatabaseName) -> None:
        """The server fell: the connection broke, and that is news."""
        if name in self._proving:
            self._proving.discard(name)
            self.eyes.acted_on(name)
            self.poke(0.001)

    def _proved(self, name: DatabaseName, epoch: int, began: float, committed: bool) -> None:
        if committed:
            known = self.eyes.proofs.commits.get(name)
            self.eyes.proofs.committed(name, Epoch(epoch), Instant(began))
            if known is None or known[0] != epoch:
                self.poke(0.0)
            if name not in self._aged:
                self._aged[name] = 0
                self._grows_old(name)
        calm = PROOF_S if self.world.lively else CALM_PROOF_S
        pace = 0.05 if self.climbing() else calm
        self._prove_in(name, self.engine.draw(0.8, 1.1) * pace)

    def _grows_old(self, name: DatabaseName) -> None:
        """A turn comes when the newest proof crosses a limit that a rule knows."""
        known, timings = self.eyes.proofs.commits.get(name), self.spec.timings
        if known is None:
            del self._aged[name]
            return
        age = self.process.clock.now() - known[1]
        limits = (timings.commit_stale_s, timings.report_fresh_s)
        crossed = sum(1 for limit in limits if age > limit)
        if crossed > self._aged[name]:
            self.poke(self.engine.draw(0.0005, self._lateness()))
        self._aged[name] = crossed
        if crossed < len(limits):
            self.process.after(limits[crossed] - age + 1e-4, self._grows_old, name)
        else:
            del self._aged[name]
