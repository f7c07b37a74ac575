"""Scenarios are shared out among labs: each is played once, and no lab plays two at a time."""

import asyncio

import pytest

from lab.netns.error import LabError
from lab.scenario.crew import Crew, share
from lab.scenario.language import Scenario, parse
from lab.scenario.play import Figures, Verdict

PLOT = "given a healthy cluster\nat 1s cut dc1 silently\nexpect within 5s dc2 serves wallet\n"
TEXT = "\n".join(f'scenario "s{n}"\nrows: {n}\n{PLOT}' for n in range(1, 8))


def verdict(scenario: Scenario, failure: str = "") -> Verdict:
    return Verdict(scenario=scenario, figures=Figures(), took_s=1.0, failure=failure)


class Lab:
    """Takes as many turns of the loop as its pace for each scenario."""

    def __init__(self, pace: int, fails: str = "") -> None:
        self.pace, self.fails = pace, fails
        self.playing, self.took = 0, list[str]()

    async def take(self, scenario: Scenario) -> Verdict:
        self.playing += 1
        assert self.playing == 1
        self.took.append(scenario.title)
        for _ in range(self.pace):
            await asyncio.sleep(0)
        self.playing -= 1
        if scenario.title == self.fails:
            raise LabError("no room for another namespace")
        return verdict(scenario)


async def test_each_is_played_once_by_who_is_free_and_told_in_order() -> None:
    quick, slow, said = Lab(1), Lab(10), list[str]()
    crew = Crew([slow.take, quick.take], said.append)
    await crew.play(parse(TEXT))
    assert sorted(quick.took + slow.took) == [f"s{n}" for n in range(1, 8)]
    assert slow.took == ["s1"]
    assert [found.scenario.title for found in crew.verdicts] == [f"s{n}" for n in range(1, 8)]
    assert crew.passed
    assert said[:2] == ["=== 1 of 7: s1 (rows 1)", "=== 2 of 7: s2 (rows 2)"]


async def test_a_lab_that_fails_ends_it_and_what_was_played_is_known() -> None:
    crew = Crew([Lab(1).take, Lab(1, fails="s4").take], lambda _: None)
    with pytest.raises(LabError, match="no room"):
        await crew.play(parse(TEXT))
    assert [found.scenario.title for found in crew.verdicts][:3] == ["s1", "s2", "s3"]
    assert len(crew.verdicts) < 7


async def test_one_that_does_not_hold_fails_all_and_ends_nothing() -> None:
    async def take(scenario: Scenario) -> Verdict:
        return verdict(scenario, "not in time" if scenario.title == "s2" else "")

    crew = Crew([take], lambda _: None)
    await crew.play(parse(TEXT))
    assert (crew.passed, len(crew.verdicts)) == (False, 7)


def test_a_lab_wants_two_cores() -> None:
    assert [share(cores) for cores in (1, 2, 3, 4, 16)] == [1, 1, 1, 2, 8]
