"""Carrying a scenario out, the same way in every world: what a stage must offer, and the course.

The time of a scenario begins when its `given` holds and its clients write. A deadline counts from
the end of the last act. `never` is looked at whenever time passes, and once more at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from lab.scenario.language import Head, Line, Scenario
from lab.scenario.matching import Phrase

Say = Callable[[str], None]

SHORTEST_S: Final = 1e-6  # less is no time


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a condition is true, and what was seen."""

    true: bool
    seen: str


class StageError(Exception):
    """The world could not do what it was asked for; the message says what."""


class NotDone(StageError):
    """Nothing was there to be broken, or an operator was refused: nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a scenario measured."""

    outage_s: dict[str, float] = field(default_factory=dict)  # by client
    acked: int = 0
    lost: int = 0
    served_by: str = ""
    redundancy_s: float | None = None  # from the last act until every copy votes


class Stage(Protocol):
    """A world that a scenario can be played in."""

    every_s: float  # how often it is looked at
    patience: float  # what every `expect within` is multiplied by

    async def begin(self, scenario: Scenario) -> None:
        """The givens hold, the clients write, and time begins."""

    def now(self) -> float:
        """Seconds since the beginning."""

    async def wait(self, seconds: float) -> None:
        """So much time has passed."""

    async def act(self, phrase: Phrase) -> None:
        """It has been done."""

    async def look(self, phrase: Phrase) -> Look:
        """How it is now; `negated` is not for the stage."""

    async def end(self) -> None:
        """Everything is mended and redundant again, the clients have stopped."""

    async def figures(self) -> Figures:
        """What was measured, however it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a scenario went."""

    scenario: Scenario
    failure: str  # "" when everything held
    took_s: float
    figures: Figures

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.failure


class _NotSo(Exception):
    """Something is not as the scenario says."""


async def play(scenario: Scenario, stage: Stage, say: Say) -> Verdict:
    """The scenario has been played to its end, or up to what did not hold."""
    failure = ""
    course = _Course(scenario, stage, say)
    try:
        await course.run()
    except (_NotSo, StageError) as error:
        failure = str(error)
        say(f"FAILED: {failure}")
    return Verdict(
        scenario=scenario,
        failure=failure,
        took_s=round(stage.now(), 3),
        figures=await stage.figures(),
    )


@dataclass(slots=True)
class _Course:
    scenario: Scenario
    stage: Stage
    say: Say
    acted_at: float = 0.0
    came_at: float = 0.0

    async def run(self) -> None:
        await self.stage.begin(self.scenario)
        for line in self.scenario.lines:
            await self._line(line)
            self.came_at = self.stage.now()
        await self._nevers()
        self.say("mending what is left, and waiting until everything is redundant again")
        await self.stage.end()
        await self._nevers()
        for phrase in self.scenario.finals:
            await self._require(phrase, f"finally {phrase}")

    async def _line(self, line: Line) -> None:
        match line.head:
            case Head.AT | Head.AFTER | Head.THEN:
                base = self.came_at if line.head is Head.AFTER else 0.0
                await self._until(base + line.seconds)
                await self.stage.act(line.phrase)
                self.acted_at = self.stage.now()
                self.say(f"{self.acted_at:7.2f} s  {line.text}")
            case Head.WITHIN:
                await self._within(line)
            case Head.FOR:
                end = self.stage.now() + line.seconds
                while (left := end - self.stage.now()) > SHORTEST_S:
                    await self._require(line.phrase, self._place(line))
                    await self._pass(min(self.stage.every_s, left))
                await self._require(line.phrase, self._place(line))
                self.say(f"{self.stage.now():7.2f} s  {line.text}: so it was")
            case Head.NOW:
                await self._require(line.phrase, self._place(line))
                self.say(f"{self.stage.now():7.2f} s  {line.text}: so it is")

    async def _within(self, line: Line) -> None:
        deadline = self.acted_at + line.seconds * self.stage.patience
        while True:
            found = await self.stage.look(line.phrase)
            if found.true is not line.phrase.negated:
                took = self.stage.now() - self.acted_at
                self.say(f"{self.stage.now():7.2f} s  {line.text}: after {took:.2f} s")
                return
            left = deadline - self.stage.now()
            if left <= SHORTEST_S:
                raise _NotSo(f"{self._place(line)}: not in time; seen: {found.seen}")
            await self._pass(min(self.stage.every_s, left))

    async def _until(self, time: float) -> None:
        while (left := time - self.stage.now()) > SHORTEST_S:
            await self._pass(min(self.stage.every_s, left))

    async def _pass(self, seconds: float) -> None:
        await self.stage.wait(seconds)
        await self._nevers()

    async def _nevers(self) -> None:
        for phrase in self.scenario.nevers:
            found = await self.stage.look(phrase)
            if found.true is not phrase.negated:
                raise _NotSo(f"never {phrase}: {found.seen} (at {self.stage.now():.2f} s)")

    async def _require(self, phrase: Phrase, place: str) -> None:
        found = await self.stage.look(phrase)
        if found.true is phrase.negated:
            raise _NotSo(f"{place}: not so at {self.stage.now():.2f} s; seen: {found.seen}")

    def _place(self, line: Line) -> str:
        return f"line {line.number}, {line.text!r}"
