"""Every row of the table of faults has a scenario, or a written reason and the test that it has."""

from pathlib import Path

import pytest

from lab.scenario.language import LAST_ROW
from lab.scenario.suite import choose, read_all
from lab.scenario.words import World

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
ELSEWHERE = {
    45: (
        "somebody has to start the old server by hand under its voter's name, past every agent",
        "tests/lab/test_deposed_database.py",
    ),
    58: (
        "a configuration that is refused is never run, so there is nothing to play",
        "tests/config/test_wrong_files.py",
    ),
    65: (
        "records and files of an older version are read by tests of the codec and of the loader",
        "tests/core/test_wire.py",
    ),
    67: (
        "the forger speaks UDP by itself, with captured and altered datagrams of real daemons",
        "tests/lab/test_hostile_heartbeats.py",
    ),
    68: (
        "a host key is a file of one node, and is replaced there with the daemon restarted",
        "tests/lab/test_wrong_surroundings.py",
    ),
    71: (
        "connections that run out are a matter of one database server and its reserved ones",
        "tests/contract/test_mysql_load.py",
    ),
    72: (
        "the configuration takes addresses only, so there is no name that could fail to resolve",
        "tests/config/test_wrong_files.py",
    ),
}
NOT_YET: dict[int, str] = {}
SCENARIOS = read_all([FOLDER])


def test_every_row_has_a_scenario_or_a_reason() -> None:
    covered = {row for scenario in SCENARIOS for row in scenario.rows}
    excepted = {*ELSEWHERE, *NOT_YET}
    assert covered | excepted == set(range(1, LAST_ROW + 1))
    assert not covered & excepted, "these rows have scenarios and need no reason any more"


@pytest.mark.parametrize("row", ELSEWHERE)
def test_a_row_without_a_scenario_has_a_test(row: int) -> None:
    reason, test = ELSEWHERE[row]
    assert len(reason.split()) > 5
    assert (ROOT / test).exists()


def test_there_are_enough_for_each_world() -> None:
    assert len(choose(SCENARIOS, World.SIM)) >= 90
    assert len(choose(SCENARIOS, World.LAB)) >= 80
