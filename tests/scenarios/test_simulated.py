"""Every scenario holds in the simulated world, under every checker; together they reach every rule.

A scenario that does not hold is seen again, with its history, by
`python -m tests.sim.scenario tests/scenarios --only TITLE --trace`.
"""

from functools import cache
from pathlib import Path

import pytest

from controller.core.rules import RULES
from lab.scenario.play import Verdict
from lab.scenario.suite import choose, read_all
from lab.scenario.words import Kind, World, forms_of
from tests.sim.scenario import simulate
from tests.sim.scenario_people import ACTS
from tests.sim.scenario_sight import CONDITIONS

SEED = 1
EVERY = read_all([Path(__file__).parent])
SCENARIOS = {scenario.title: scenario for scenario in choose(EVERY, World.SIM)}
UNREACHED = {
    901: "the last row fits what no other row fits; every view that there is has a row above it",
}

# A rule that is reached when two sites happen to be in that order: one of some seeds shows it.
RACES = {322: "dc2 dies while dc1 is rejoining"}


@cache
def played(title: str, seed: int = SEED) -> tuple[Verdict, frozenset[int]]:
    """How it went, and every rule that was reached from the first second on."""
    verdict, stage = simulate(SCENARIOS[title], seed)
    return verdict, frozenset(event.rule for event in stage.chronicle.decided)


@pytest.mark.parametrize("title", SCENARIOS)
def test_it_holds(title: str) -> None:
    verdict, _ = played(title)
    assert verdict.passed, verdict.failure
    assert verdict.figures.acked
    assert not verdict.figures.lost


def test_every_rule_is_reached_by_a_scenario() -> None:
    reached = frozenset[int]().union(*(played(title)[1] for title in SCENARIOS))
    raced = {
        number
        for number, title in RACES.items()
        if any(number in played(title, seed)[1] for seed in range(1, 9))
    }
    numbers = {rule.number for rule in RULES}
    assert numbers - reached - raced == set(UNREACHED)
    assert all(len(reason.split()) > 5 for reason in UNREACHED.values())


def test_one_seed_is_one_history() -> None:
    scenario = SCENARIOS["the ledger of the holder is killed"]
    first, second = (simulate(scenario, 7)[1].world.trace() for _ in range(2))
    assert first == second


def test_the_simulator_does_what_it_is_said_to_do() -> None:
    for kind, table in ((Kind.ACT, ACTS), (Kind.CONDITION, CONDITIONS)):
        promised = {form.key for form in forms_of(kind) if World.SIM in form.worlds()}
        assert promised == set(table)


def test_every_form_is_said_by_a_scenario() -> None:
    phrases = (phrase for scenario in EVERY for phrase in scenario.phrases())
    said = {(phrase.form.kind, phrase.key) for phrase in phrases}
    unsaid = {(form.kind, form.key) for kind in Kind for form in forms_of(kind)} - said
    assert not unsaid, f"no scenario says {sorted(unsaid)}: say it, or take it out of the words"
