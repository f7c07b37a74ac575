"""The lab at rest with both clients writing, on a machine that is kept busy: nothing may move.

What daemons publish is heard at the store as it is put there, so that no short plea for relief is
missed; what they decide is read in their logs, and how old heartbeats grow is asked all the time.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import EDGE
from lab.scenario.arguments import SERVICES, SITES
from lab.scenario.language import Scenario, parse
from lab.scenario.places import DAEMON
from lab.scenario.play import Say, StageError
from lab.scenario.real import LabStage
from lab.scenario.upkeep import ready
from lab.soak.calm_figures import Calm, Window, line, requests_of, said
from lab.soak.crowd import StandingCrowd
from lab.soak.load import Load, busy
from lab.soak.published import Reports, published

SETTLE_S: Final = 3.0  # under load, before anything counts
LOOK_S: Final = 0.25
TEXT: Final = """\
scenario "calm"
rows: 57
worlds: lab because the simulated world has no processor
given a healthy cluster, patient clients
finally no acknowledged write is missing
"""


def scenario() -> Scenario:
    """How it begins: patient clients, for a slow answer is a stall and no failure."""
    (found,) = parse(TEXT, "(calm)")
    return found


@dataclass(slots=True)
class CalmSoak:
    """One such soak, as far as it has come."""

    lab: Lab
    say: Say
    seconds: float
    share: float  # of each core
    part_s: float = 60.0
    windows: list[Window] = field(default_factory=list)
    shares: dict[int, float] = field(default_factory=dict)
    cores: dict[int, float] = field(default_factory=dict)
    lost: int = 0
    ended: str = "before it began"
    crowd: StandingCrowd = field(default_factory=StandingCrowd)
    _offsets: dict[str, int] = field(default_factory=dict)  # of the daemons' logs
    _acked_at: dict[str, float] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)

    def calm(self) -> Calm:
        """Everything seen so far."""
        return Calm(
            windows=tuple(self.windows),
            wanted_share=self.share,
            shares=self.shares,
            cores=self.cores,
            lost=self.lost,
            ended=self.ended,
        )

    async def run(self) -> None:
        """The time is over, the clients have stopped, and their writes were looked for."""
        await ready(self.lab, self.say)
        stage = LabStage(self.lab, self.say, crowd=self.crowd)
        try:
            await stage.begin(scenario())
            async with busy(self.share) as load, published(self.lab) as reports:
                await reports.listen(SETTLE_S)
                self.ended = "before its time was over"
                await self._watch(stage, load, reports)
            self.ended = "before its writes were looked for"
            await stage.end()
        except StageError as error:
            raise LabError(str(error)) from error
        self.lost = len(stage.sight.lost or ())
        self.ended = ""

    async def _watch(self, stage: LabStage, load: Load, reports: Reports) -> None:
        await self._begin(stage)
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            await self._part(stage, reports, min(left, self.part_s), last=left <= self.part_s)
            self.shares, self.cores = load.shares(), load.cores()
            self.say(line(len(self.windows), self.windows[-1]))

    async def _begin(self, stage: LabStage) -> None:
        """What was before does not count."""
        self.crowd.current()
        self.crowd.turn_the_page()
        self._log_lines()
        for service in SERVICES:
            _, self._epochs[service] = await stage.sight.record(service)

    async def _part(self, stage: LabStage, reports: Reports, seconds: float, *, last: bool) -> None:
        began, before = time.monotonic(), reports.heard
        ages, pleas, looks, unanswered = [0.0], list[str](), 0, 0
        while time.monotonic() - began < seconds:
            for site in SITES:
                status = await stage.eyes.status(site)
                looks, unanswered = looks + 1, unanswered + (not status)
                ages += _ages(status)
            pleas += await reports.listen(LOOK_S)
        if last:
            await self.crowd.stop()
        attempts = {name: client.attempts for name, client in self.crowd.current()}
        seen = requests_of(attempts, self._acked_at)
        self.crowd.turn_the_page()
        told = said(self._log_lines())
        self.windows.append(
            Window(
                seconds=round(time.monotonic() - began, 3),
                heartbeat_age_s=round(max(*ages, *told.late, 0.0), 3),
                looks=looks,
                unanswered=unanswered,
                late=len(told.late),
                reports=reports.heard - before,
                role_changes=await self._rises(stage),
                changes=told.changes,
                left_roles=told.left_roles,
                yields=(*told.yields, *pleas),
                **seen,
            )
        )

    async def _rises(self, stage: LabStage) -> int:
        """By how much the epochs have risen since the last time."""
        rises = 0
        for service in SERVICES:
            _, epoch = await stage.sight.record(service)
            if epoch > self._epochs[service]:
                rises += epoch - self._epochs[service]
                self._epochs[service] = epoch
        return rises

    def _log_lines(self) -> list[str]:
        """Every whole line that the daemons have logged since the last time."""
        lines: list[str] = []
        for site, node in EDGE.items():
            with self.lab.log(node, DAEMON[site]).open("rb") as log:
                log.seek(self._offsets.get(site, 0))
                whole, newline, _ = log.read().rpartition(b"\n")
            self._offsets[site] = self._offsets.get(site, 0) + len(whole) + len(newline)
            lines += whole.decode(errors="replace").splitlines()
        return lines


def _ages(status: dict[str, Any]) -> list[float]:
    """How old the last heartbeat of each other site is, as one daemon says."""
    sites = [site for service in status.get("services", []) for site in service["sites"]]
    return [float(site["heartbeat_age_s"]) for site in sites if site["heartbeat_age_s"] is not None]
