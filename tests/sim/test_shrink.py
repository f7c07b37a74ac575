"""Shrinking keeps what matters, in order, and nothing else."""

import random

import pytest

from tests.sim.checkers import Violation
from tests.sim.plan import Fault, Moment, Plan
from tests.sim.shrink import SPARE_S, fewest, shrink

CRASH = Fault("kill", ("dc1", "controller"), 3.14159)
CUT = Fault("cut", ("dc1", "dc2"), 7.0, Moment("dc2", "Promote", 1, after=True))


@pytest.mark.parametrize("needed", [(0,), (39,), (3, 17), (0, 1, 2), (5, 20, 21, 38)])
def test_fewest_finds_exactly_what_is_needed(needed: tuple[int, ...]) -> None:
    found = fewest(range(40), lambda part: set(needed) <= set(part))
    assert found == needed


def test_fewest_is_one_minimal_when_several_causes_fail() -> None:
    dice = random.Random(4)
    for _ in range(50):
        causes = [set(dice.sample(range(20), dice.randint(1, 4))) for _ in range(3)]

        def fails(part: tuple[int, ...], causes: list[set[int]] = causes) -> bool:
            return any(cause <= set(part) for cause in causes)

        found = fewest(range(20), fails)
        assert fails(found)
        assert not any(fails(tuple(x for x in found if x != left)) for left in found)


def test_fewest_of_what_fails_by_itself_is_nothing() -> None:
    assert fewest(range(8), lambda part: True) == ()


def test_fewest_refuses_what_does_not_fail() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        fewest(range(3), lambda part: False)


def test_a_plan_is_shrunk_to_the_same_violation() -> None:
    noise = tuple(Fault("cut", ("dc1", "witness"), 1.0 + n) for n in range(10))
    plan = Plan(seed=5, shape="postgres", faults=(*noise[:5], CRASH, *noise[5:], CUT), lasts_s=60.0)

    def run(candidate: Plan) -> Violation | None:
        names = [fault.name for fault in candidate.faults]
        if "kill" in names and CUT in candidate.faults:
            return Violation("one writer", 9.0, "two")
        return Violation("heals", 9.0, "another matter") if names else None

    short = shrink(plan, Violation("one writer", 9.0, "two"), run)
    assert [fault.name for fault in short.faults] == ["kill", "cut"]
    assert short.faults[0].at == 3.0
    assert short.lasts_s == CUT.at + SPARE_S
    assert short.seed == 5


def test_shrinking_ends() -> None:
    plan = Plan(seed=1, shape="postgres", faults=(CRASH,) * 64)
    runs = 0

    def run(candidate: Plan) -> Violation | None:
        nonlocal runs
        runs += 1
        even = len(candidate.faults) % 2 == 0 and candidate.faults
        return Violation("heals", 1.0, "x") if even else None

    shrink(plan, Violation("heals", 1.0, "x"), run, most=50)
    assert runs <= 50


def test_plans_go_through_json() -> None:
    plan = Plan(seed=9, shape="mariadb", faults=(CRASH, CUT), lasts_s=12.5)
    assert Plan.from_json(plan.to_json()) == plan
