"""A soak goes on in a new lab after a phase that failed, keeps to its time, and forgets no key."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.client.attempts import Attempt, Outcome
from lab.netns.inside import Running
from lab.netns.lab import Lab
from lab.rehearsal.writer import Writer
from lab.scenario import real
from lab.scenario.acts import do
from lab.scenario.crowd import Client
from lab.scenario.hands import Hands, Refused
from lab.scenario.language import Scenario
from lab.scenario.matching import Phrase, Token, match
from lab.scenario.play import Figures, NotDone, Say, StageError, Verdict
from lab.scenario.real import LabStage
from lab.scenario.words import Kind
from lab.soak import run as soaking
from lab.soak.crowd import StandingCrowd
from lab.soak.draw import phase, phases
from lab.soak.report import Played, entry, line, report, save, table
from lab.soak.run import Soak


def verdict(scenario: Scenario, failure: str = "") -> Verdict:
    figures = Figures(outage_s={"client1": 0.5, "client2": 1.25}, acked=40, redundancy_s=2.5)
    return Verdict(scenario=scenario, failure=failure, took_s=9.0, figures=figures)


@dataclass
class World:
    """What stands for the lab, its stages and the clock."""

    failing: Sequence[int] = ()
    last: str = ""  # what is wrong at the last look
    lost: tuple[str, ...] = ()
    phase_s: float = 40.0
    now: float = 0.0
    did: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def ready(self, _lab: object, _say: object) -> None:
        self.did.append("ready")

    async def down(self) -> None:
        self.did.append("down")

    async def keep_logs(self, _lab: object, title: str) -> Path:
        self.did.append(f"kept {title}")
        return Path("kept")

    async def play(self, scenario: Scenario, _stage: object, say: Say) -> Verdict:
        number = int(scenario.title.rpartition(" ")[2])
        self.did.append(f"phase {number}")
        say("done")
        self.now += self.phase_s
        return verdict(scenario, "not whole again" if number in self.failing else "")

    def stage(self, _lab: object, _say: object, **words: Any) -> SimpleNamespace:
        async def record(_service: str) -> tuple[str, int]:
            return "dc2", 4

        async def end() -> None:
            self.did.append("looked")
            if self.last:
                raise StageError(self.last)

        crowd: StandingCrowd = words["crowd"]
        if not crowd.clients:
            crowd.clients["client1"] = cast("Client", Told(self))
        sight = SimpleNamespace(first={"wallet": ("dc1", 3)}, record=record, lost=self.lost)
        return SimpleNamespace(sight=sight, end=end)


@dataclass
class Told:
    """A client whose log stands still."""

    world: World
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def writer(self) -> SimpleNamespace:
        async def stop() -> None:
            self.world.did.append("stopped")

        return SimpleNamespace(stop=stop)

    def catch_up(self) -> None:
        return


@pytest.fixture
def soak_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Soak]:
    def made(world: World, seconds: float, on_entry: Callable[[], None] = lambda: None) -> Soak:
        for name, stands in (
            ("ready", world.ready),
            ("keep_logs", world.keep_logs),
            ("play", world.play),
            ("LabStage", world.stage),
            ("time", SimpleNamespace(monotonic=lambda: world.now)),
        ):
            monkeypatch.setattr(soaking, name, stands)
        lab = cast("Lab", SimpleNamespace(down=world.down, state_dir=Path("state")))
        return Soak(lab, world.said.append, 1, seconds, on_entry)

    return made


async def test_no_phase_begins_that_would_end_too_late(soak_in: Callable[..., Soak]) -> None:
    world = World()
    soak = soak_in(world, 130)
    await soak.run(phases(1))
    assert world.did == ["ready", "phase 1", "phase 2", "phase 3", "stopped", "looked"]
    assert soak.ended == ""
    assert report(1, soak.entries, soak.ended)["passed"]
    assert len(world.said) == 3


async def test_one_phase_is_played_however_short_the_time(soak_in: Callable[..., Soak]) -> None:
    world = World()
    await soak_in(world, 1).run(phases(1))
    assert "phase 1" in world.did
    assert "phase 2" not in world.did


async def test_a_phase_that_failed_is_followed_by_a_new_lab(soak_in: Callable[..., Soak]) -> None:
    world = World(failing=[2])
    soak = soak_in(world, 130)
    await soak.run(islice(phases(1), 3))
    assert world.did == [
        *("ready", "phase 1", "phase 2", "kept soak of seed 1, phase 2"),
        *("stopped", "down", "ready", "phase 3", "stopped", "looked"),
    ]
    told = report(1, soak.entries, soak.ended)
    assert not told["passed"]
    assert told["failed_phases"] == [2]
    assert told["phases"][1]["logs"] == "kept"
    assert "FAILED: not whole again (logs: kept)" in line(1, told["phases"][1])
    assert "python -m lab soak --seed 1 --phase 2 --holder dc1" in table(told)
    assert table(told).endswith("2 of 3 phases passed, 0 writes lost")


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (World(last="it is not whole again: nobody holds it"), "nobody holds it"),
        (World(lost=("ledger: k-1",)), "missing once the clients had stopped: ['ledger: k-1']"),
    ],
)
async def test_the_last_look_can_fail_the_soak(
    soak_in: Callable[..., Soak], world: World, words: str
) -> None:
    soak = soak_in(world, 1)
    await soak.run(phases(1))
    told = report(1, soak.entries, soak.ended)
    assert not told["passed"]
    assert words in told["phases"][0]["failure"]
    assert words in world.said[-1]


async def test_what_ends_it_before_its_time_is_in_the_report(
    soak_in: Callable[..., Soak], tmp_path: Path
) -> None:
    world, file = World(), tmp_path / "soak" / "report.json"

    soak: Soak = soak_in(world, 130, lambda: save(report(1, soak.entries, soak.ended), file))

    def two_and_an_end() -> Any:
        yield phase(1, 1)
        yield phase(1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await soak.run(two_and_an_end())
    told = json.loads(file.read_text())
    assert [found["phase"] for found in told["phases"]] == [1, 2]
    assert told["ended"] == "during phase 2"
    assert not told["passed"]
    assert "ended early: during phase 2" in table(told)


def test_nothing_played_is_nothing_shown() -> None:
    assert not report(1, [], "")["passed"]


def test_a_table_fits_a_terminal() -> None:
    entries = [
        entry(
            Played(
                phase=found,
                verdict=verdict(found.scenario()),
                began_at="dc1",
                holder="dc2",
                known=40,
                course=(),
            )
        )
        for found in (phase(1, number) for number in range(1, 60))
    ]
    lines = table(report(1, entries, "")).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 62


class Log:
    """The log of a client, as its program writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lab = SimpleNamespace(path=lambda _node, _inside: path)
        self.client = Client(Writer(cast("Lab", lab), "client1", "log", cast("Running", None)))

    def add(self, name: str, since: float, outcome: Outcome = Outcome.OK) -> None:
        with self.path.open("a") as log:
            for number in range(12):
                at = since + number
                told = Attempt(
                    sent_at=at, at=at, key=f"{name}-{number}", attempt=1, outcome=outcome
                )
                log.write(json.dumps({"event": "attempt", **asdict(told)}) + "\n")


async def test_a_standing_crowd_goes_on_and_forgets_no_key(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    crowd = StandingCrowd(clients={"client1": log.client})
    log.add("early", 10)
    log.add("unknown", 30, Outcome.UNKNOWN)
    await crowd.settle()
    assert not crowd.stopped
    assert len(crowd.everything()) == 24
    crowd.turn_the_page()
    assert crowd.everything() == []
    log.add("late", 50)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.start(cast("Lab", None), "client1", timeout_s=0.5))
        await asyncio.sleep(0)  # it has turned the page, and started nobody; it waits for answers
        assert crowd.clients["client1"].attempts == []
        log.add("later", 70)
    assert crowd.acked_keys() == [
        f"{name}-{number}" for name in ("early", "late", "later") for number in range(12)
    ]


@pytest.mark.parametrize("lenient", [True, False])
async def test_what_is_not_there_to_be_broken_is_left_out_of_a_soak(
    monkeypatch: pytest.MonkeyPatch, *, lenient: bool
) -> None:
    async def nothing(_hands: object, phrase: object) -> None:
        raise NotDone(f"{phrase}: there is nothing to kill")

    monkeypatch.setattr(real, "do", nothing)
    said: list[str] = []
    lab = cast("Lab", SimpleNamespace())
    stage = LabStage(lab, said.append, lenient=lenient)
    (fault,) = phase(7, 3).faults
    if lenient:
        await stage.act(fault.phrase)
        assert said == [f"left out: {fault.phrase}: there is nothing to kill"]
    else:
        with pytest.raises(NotDone):
            await stage.act(fault.phrase)


async def test_an_operator_who_is_refused_has_changed_nothing_and_an_order_stands_till_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agreed = False

    async def tricast(_hands: Hands, *words: str) -> None:
        if not agreed:
            raise Refused(f"tricast {words[0]}: the store does not answer")

    monkeypatch.setattr(Hands, "tricast", tricast)
    hands = Hands(cast("Lab", SimpleNamespace()), wait=None)  # type: ignore[arg-type]
    pause, resume = said_as("pause wallet"), said_as("resume wallet")
    for order in (pause, resume):
        with pytest.raises(NotDone):
            await do(hands, order)
    assert not hands.standing
    agreed = True
    await do(hands, pause)
    agreed = False
    with pytest.raises(NotDone, match="does not answer"):
        await do(hands, resume)
    assert list(hands.standing) == ["pause wallet"]
    agreed = True
    await do(hands, resume)
    assert not hands.standing


def said_as(text: str) -> Phrase:
    found = match(Kind.ACT, [Token(word, 1) for word in text.split()])
    assert isinstance(found, Phrase), found
    return found
