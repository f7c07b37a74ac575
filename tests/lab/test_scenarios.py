"""A few of the scenarios with real processes; `make lab-test` plays every one of them."""

from pathlib import Path

import pytest

from lab.netns.lab import Lab
from lab.scenario.play import play
from lab.scenario.real import LabStage
from lab.scenario.suite import choose, read_all
from lab.scenario.words import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

FOLDER = Path(__file__).parents[1] / "scenarios"
SHORT = (
    "the ledger of the holder is killed",
    "the keeper of the journal is killed",
    "the speaker of the holder is killed",
)


@pytest.mark.parametrize("title", SHORT)
async def test_a_scenario_holds_with_real_processes(system_lab: Lab, title: str) -> None:
    (scenario,) = choose(read_all([FOLDER]), World.LAB, title=title)
    verdict = await play(scenario, LabStage(system_lab, print, patience=2.0), print)
    assert verdict.passed, verdict.failure
