"""Phase after phase in one lab; after each, all is mended and looked at while clients write on.

A quiet point is the end of a scenario: one holder, every copy votes, routes as they should be, all
within the bound; every write that was acknowledged since the lab came up is in both databases of
the holder, each once. A lab in which that does not come about is made anew, and the soak goes on.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.netns.lab import Lab
from lab.scenario.play import Say, StageError, play
from lab.scenario.real import LabStage
from lab.scenario.upkeep import keep_logs, ready
from lab.soak.crowd import StandingCrowd
from lab.soak.draw import Phase
from lab.soak.report import Played, entry, line


@dataclass(slots=True)
class Soak:
    """One soak, as far as it has come."""

    lab: Lab
    say: Say
    seed: int
    seconds: float  # no phase begins that would end later, by how long the slowest one took
    on_entry: Callable[[], None] = lambda: None  # after each phase
    entries: list[dict[str, Any]] = field(default_factory=list)
    crowd: StandingCrowd = field(default_factory=StandingCrowd)
    ended: str = "before the first phase"

    async def run(self, phases: Iterable[Phase]) -> None:
        """As many have been played as there was time for; the clients have stopped."""
        await ready(self.lab, self.say)
        began, slowest = time.monotonic(), 0.0
        for phase in phases:
            at = time.monotonic()
            if self.entries and at - began + slowest > self.seconds:
                break
            self.ended = f"during phase {phase.number}"
            await self._play(phase)
            slowest = max(slowest, time.monotonic() - at)
        self.ended = "while the last writes were looked for"
        await self._last_look()
        self.ended = ""

    async def _play(self, phase: Phase) -> None:
        course: list[str] = []
        stage = LabStage(self.lab, course.append, crowd=self.crowd, lenient=True)
        verdict = await play(phase.scenario(), stage, course.append)
        began_at = stage.sight.first.get("wallet", ("", 0))[0]
        holder, _ = await stage.sight.record("wallet")
        known = len(self.crowd.acked_keys())
        logs = "" if verdict.passed else str(await keep_logs(self.lab, phase.scenario().title))
        self._add(
            Played(
                phase=phase,
                verdict=verdict,
                began_at=began_at,
                holder=holder,
                known=known,
                course=tuple(course),
                logs=logs,
            )
        )
        if not verdict.passed:
            await self._anew()

    def _add(self, played: Played) -> None:
        self.entries.append(entry(played))
        self.say(line(self.seed, self.entries[-1]))
        self.on_entry()

    async def _anew(self) -> None:
        """A whole lab, and clients that begin afresh: its databases are empty."""
        await self.crowd.stop()
        self.crowd = StandingCrowd()
        self.say("a new lab")
        await self.lab.down()
        await ready(self.lab, self.say)

    async def _last_look(self) -> None:
        """The clients have stopped, and everything they were told is there."""
        if not self.crowd.clients:
            return
        await self.crowd.stop()
        stage = LabStage(self.lab, self.say, crowd=self.crowd)
        try:
            await stage.end()
        except StageError as error:
            self._fail_last(str(error))
            return
        if stage.sight.lost:
            self._fail_last(f"missing once the clients had stopped: {list(stage.sight.lost)[:5]}")

    def _fail_last(self, failure: str) -> None:
        """The last phase has not ended well after all."""
        last = self.entries[-1]
        last |= {"passed": False, "failure": failure, "logs": str(self.lab.state_dir / "logs")}
        self.say(line(self.seed, last))
