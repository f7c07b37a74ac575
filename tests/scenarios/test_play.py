"""A scenario is carried out in order and in time; what does not hold ends it, with the sight."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.scenario.language import Scenario, parse
from lab.scenario.matching import Phrase
from lab.scenario.play import Figures, Look, StageError, Verdict, play
from lab.scenario.suite import entry, table, write_report

BEGINNING = 'scenario "x"\nrows: 4, 6\ngiven a healthy cluster\n'
Truth = Callable[[float], bool]


@dataclass
class Told:
    """A stage whose conditions are functions of time."""

    truths: dict[str, Truth]
    every_s: float = 0.1
    patience: float = 1.0
    time: float = 0.0
    act_takes_s: float = 0.0
    did: list[tuple[float, str]] = field(default_factory=list)
    ended: bool = False

    async def begin(self, scenario: Scenario) -> None:
        assert scenario.givens

    def now(self) -> float:
        return self.time

    async def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.time = round(self.time + seconds, 6)

    async def act(self, phrase: Phrase) -> None:
        if phrase.key == "pause":
            raise StageError("nobody answers")
        self.did.append((round(self.time, 3), str(phrase)))
        self.time += self.act_takes_s

    async def look(self, phrase: Phrase) -> Look:
        return Look(self.truths[phrase.key](self.time), f"it is {self.time:.1f} s")

    async def end(self) -> None:
        self.ended = True

    async def figures(self) -> Figures:
        return Figures(outage_s={"client1": 0.5, "client2": 0.25}, acked=7, served_by="dc2")


async def played(text: str, **settings: object) -> tuple[Told, Verdict, list[str]]:
    """What came of a scenario on a stage that says what it is told."""
    never: Truth = lambda _: False  # noqa: E731
    truths: dict[str, Truth] = {
        "serves": lambda t: t >= 3.0,
        "holds": lambda t: t < 5.0,
        "two_ack": never,
        "fails": never,
        "lost": never,
    }
    stage = Told(truths=truths)
    for name, value in settings.items():
        if name in truths:
            assert callable(value)
            truths[name] = value
        else:
            setattr(stage, name, value)
    (scenario,) = parse(BEGINNING + text)
    said: list[str] = []
    return stage, await play(scenario, stage, said.append), said


async def test_acts_are_done_at_their_times() -> None:
    stage, verdict, _ = await played(
        "at 1s cut dc1 silently\nthen cut dc2 silently\nafter 500ms heal dc1\n"
        "at 1200ms heal dc2\nat 4s heal everything\n"
    )
    assert stage.did == [
        (1.0, "cut dc1 silently"),
        (1.0, "cut dc2 silently"),
        (1.5, "heal dc1"),
        (1.5, "heal dc2"),  # it is later than 1.2 s already
        (4.0, "heal everything"),
    ]
    assert verdict.passed
    assert stage.ended


async def test_a_deadline_counts_from_the_end_of_the_last_act() -> None:
    text = "at 1s cut dc1 silently\nexpect within 1900ms dc2 serves wallet\n"
    _, verdict, _ = await played(text)
    assert "line 5" in verdict.failure
    assert "not in time; seen: it is 2.9 s" in verdict.failure
    assert (await played(text, patience=2.0))[1].passed
    assert (await played(text, act_takes_s=0.5))[1].passed


async def test_what_is_expected_for_a_time_must_hold_all_the_time() -> None:
    assert (await played("at 1s cut dc1 silently\nexpect for 3s dc1 holds wallet\n"))[1].passed
    _, verdict, _ = await played("at 1s cut dc1 silently\nexpect for 6s dc1 holds wallet\n")
    assert "not so at 5.0" in verdict.failure


async def test_no_is_the_opposite() -> None:
    _, verdict, said = await played("expect within 9s no dc1 holds wallet\n")
    assert verdict.passed
    assert "after 5.0" in said[0]
    assert not (await played("expect dc2 serves wallet\n"))[1].passed
    assert (await played("expect no dc2 serves wallet\n"))[1].passed


async def test_never_is_looked_at_whenever_time_passes() -> None:
    for text in ("at 3s heal dc1\n", "expect within 9s dc2 serves wallet\n"):
        _, verdict, _ = await played(
            text + "never a request fails\n", fails=lambda t: 1.0 < t < 1.15
        )
        assert "never request fails: it is 1.1 s" in verdict.failure


async def test_finally_is_looked_at_when_all_is_over() -> None:
    stage, verdict, _ = await played(
        "at 1s heal dc1\nfinally no acknowledged write is missing\n", lost=lambda _: True
    )
    assert stage.ended
    assert "finally no acknowledged write is missing" in verdict.failure


async def test_an_act_that_cannot_be_done_ends_it() -> None:
    stage, verdict, said = await played("at 1s pause wallet\nat 2s heal dc1\n")
    assert verdict.failure == "nobody answers"
    assert not stage.did
    assert said == ["FAILED: nobody answers"]


async def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    _, good, _ = await played("at 1s heal dc1\n")
    _, bad, _ = await played("at 1s pause wallet\n")
    write_report([good, bad], tmp_path / "a" / "report.json")
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert report["passed"] is False
    assert report["scenarios"] == [entry(good), entry(bad)]
    first = report["scenarios"][0]
    assert (first["row"], first["outage_s"], first["served_by"]) == (4, 0.5, "dc2")
    assert (first["lost"], first["passed"], first["redundancy_s"]) == (0, True, None)
    shown = table([good, bad])
    assert "4, 6" in shown
    assert "x: nobody answers" in shown
    assert shown.endswith("1 of 2 scenarios passed")
