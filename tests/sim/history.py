"""One history: a world, a plan's faults, every checker; then mending, settling and the end."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.core.intents import name
from tests.sim.checkers import Checker, Violation, every_checker
from tests.sim.plan import Fault, Plan
from tests.sim.shape import SHAPES
from tests.sim.truth import Decided, EpochChanged, Event, FaultBegan, IntentBegan, IntentEnded
from tests.sim.world import World

SETTLE_S = 45.0  # true seconds at most from the last mending to the end
STEP_S = 2.5  # the end is sooner when everything is as it should be twice so far apart
LONG_STEP_S = 10.0  # in one history of ten
LONG = 10
AHEAD_S = 0.6  # before a fault clients write at their full pace
CRASH = "no crash"


@dataclass(slots=True)
class Told:
    """What one history gave."""

    plan: Plan
    violation: Violation | None
    events: list[Event]
    sites: tuple[str, ...]
    seconds: float = 0.0  # simulated
    rules: frozenset[int] = field(default_factory=frozenset)
    faults: int = 0
    role_changes: int = 0


def play(plan: Plan, checkers: Callable[[float], tuple[Checker, ...]] = every_checker) -> Told:
    """The history of `plan`; what a checker found, or a crash of the deciding code, is in it."""
    shape = SHAPES[plan.shape]
    watchers = checkers(shape.flap_window_s)
    world = World(plan.seed, shape, watchers)
    violation = _lived(world, plan, watchers)
    events = world.truth.events
    return Told(
        plan=plan,
        violation=violation,
        events=events,
        sites=tuple(world.sites),
        seconds=world.now,
        rules=frozenset(event.rule for event in events if isinstance(event, Decided)),
        faults=sum(1 for event in events if isinstance(event, FaultBegan)),
        role_changes=sum(1 for event in events if isinstance(event, EpochChanged)),
    )


def _lived(world: World, plan: Plan, watchers: tuple[Checker, ...]) -> Violation | None:
    try:
        conductor = Conductor(world, plan.faults)
        world.run(plan.lasts_s)
        conductor.stop()
        world.heal_everything()
        _settle(world, watchers, STEP_S if plan.seed % LONG else LONG_STEP_S)
    except Violation as found:
        return found
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.name}, {where.filename}:{where.lineno})"
        return Violation(CRASH, world.now, text)
    return None


def _settle(world: World, watchers: tuple[Checker, ...], step_s: float) -> None:
    """The end comes when all checkers agree twice in a row; at the bound they have to."""
    until = world.now + SETTLE_S
    agreed = False
    while True:
        world.run(step_s)
        final = world.final()
        try:
            for checker in watchers:
                checker.end(final)
        except Violation:
            if world.now >= until:
                raise
            agreed = False
        else:
            if agreed:
                return
            agreed = True


class Conductor:
    """Calls the fault surface at the plan's times and moments."""

    def __init__(self, world: World, faults: tuple[Fault, ...]) -> None:
        self._world = world
        self._waiting: list[Fault] = []
        self._seen: dict[Fault, int] = {}
        for fault in faults:
            world.engine.at(fault.at - AHEAD_S, world.stir)
            world.engine.at(fault.at, self._due, fault)
        world.on_intent = self.intent

    def stop(self) -> None:
        """Whose moment has not come by now does not happen."""
        self._world.on_intent = None

    def _due(self, fault: Fault) -> None:
        if fault.on is None:
            self._break(fault)
        else:
            self._waiting.append(fault)

    def _break(self, fault: Fault) -> None:
        world, mend = self._world, fault.mend
        getattr(world, fault.name)(*fault.args)
        if mend is not None:
            world.engine.after(mend.after_s, getattr(world, mend.name), *mend.args)

    def intent(self, event: IntentBegan | IntentEnded) -> None:
        """An intent begins, or its effect is there: some fault may wait for just that."""
        after = isinstance(event, IntentEnded)
        what = (event.site, name(event.intent), after)
        for fault in [f for f in self._waiting if _moment(f) == what]:
            assert fault.on is not None
            self._seen[fault] = self._seen.get(fault, 0) + 1
            if self._seen[fault] >= fault.on.nth:
                self._waiting.remove(fault)
                self._break(fault)


def _moment(fault: Fault) -> tuple[str, str, bool]:
    assert fault.on is not None
    return (fault.on.site, fault.on.intent, fault.on.after)
