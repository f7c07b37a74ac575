"""Drawn histories and a part of the exhaustive ones break no promise; one plan is one story."""

from pathlib import Path

import pytest

from tests.sim.checkers import Violation
from tests.sim.draw import drawn
from tests.sim.exhaust import part_of
from tests.sim.history import Told, play
from tests.sim.plan import Fault, Plan
from tests.sim.replay import page
from tests.sim.scenes import SCENES, Scene
from tests.sim.search import boundaries, crashes, subsets
from tests.sim.shape import SHAPES
from tests.sim.tally import Tally

BLOCK = 12
FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


def unbroken(plan: Plan) -> Told:
    told = play(plan)
    assert told.violation is None, page(told)
    return told


@pytest.mark.parametrize("block", range(6))
def test_drawn_histories_break_nothing(block: int) -> None:
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        unbroken(drawn(number))


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
def test_what_a_long_search_once_found_breaks_nothing(file: Path) -> None:
    unbroken(Plan.from_json(file.read_text()))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cluster_of_each_shape_serves_without_faults(shape: str) -> None:
    told = unbroken(Plan(seed=1, shape=shape, lasts_s=6.0))
    assert 401 in told.rules
    assert told.role_changes == len(SHAPES[shape].services)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_part_of_the_crashes_of_each_scene_breaks_nothing(scene: Scene) -> None:
    for plan in part_of(crashes(scene), 0.01, seed=2):
        unbroken(plan)


def test_boundaries_are_before_and_after_each_intent() -> None:
    found = boundaries(SCENES[0])
    promoted = [b.moment for b in found if b.moment.intent == "Promote" and b.moment.site == "dc2"]
    assert [moment.after for moment in promoted[:2]] == [False, True]


def test_every_set_of_links_but_the_empty_one() -> None:
    links = tuple(Fault("cut_link", (str(n),)) for n in range(4))
    assert len(set(subsets(links))) == 2**4 - 1


def test_the_same_plan_is_the_same_history() -> None:
    plan = drawn(3)
    assert page(play(plan)) == page(play(plan))


def test_a_fault_at_a_moment_comes_at_that_moment() -> None:
    told = play(SCENES[0].plan(1))
    begins = next(b for b in boundaries(SCENES[0]) if b.moment.intent == "Promote")
    fault = Fault("crash", ("controller", "dc2"), SCENES[0].begins_s, begins.moment)
    crashed = unbroken(SCENES[0].plan(1).with_faults((*SCENES[0].faults, fault)))
    assert crashed.faults > told.faults


def test_tallies_add_up_and_go_through_json() -> None:
    one, other = Tally(), Tally()
    one.add(play(drawn(1)))
    told = play(drawn(2))
    told.violation = Violation("heals", 1.0, "x")
    other.add(told)
    one.join(other)
    assert (one.histories, one.violations) == (2, 1)
    assert one.plans() == [drawn(2)]
    assert Tally.from_json(one.to_json()).found == one.found
