"""Every row of the table of faults has a scenario, or a written reason and the test that it has."""

from pathlib import Path

import pytest

from lab.scenario.language import LAST_ROW
from lab.scenario.suite import choose, read_all
from lab.scenario.words import World

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
ELSEWHERE = {
    26: (
        "shared probes are judged in pure code; a move is a question of the health verdict alone",
        "tests/core/test_health.py",
    ),
}
SCENARIOS = read_all([FOLDER])


def test_every_row_has_a_scenario_or_a_reason() -> None:
    covered = {row for scenario in SCENARIOS for row in scenario.rows}
    assert covered | set(ELSEWHERE) == set(range(1, LAST_ROW + 1))
    assert not covered & set(ELSEWHERE), "these rows have scenarios and need no reason any more"


@pytest.mark.parametrize("row", ELSEWHERE)
def test_a_row_without_a_scenario_has_a_test(row: int) -> None:
    reason, test = ELSEWHERE[row]
    assert len(reason.split()) > 5
    assert (ROOT / test).exists()


def test_there_are_enough_for_each_world() -> None:
    assert len(choose(SCENARIOS, World.SIM)) >= 40
    assert len(choose(SCENARIOS, World.LAB)) >= 40
