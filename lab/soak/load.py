"""A machine that has other things to do: one small process a core, ended by its own id."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.netns.error import LabError
from lab.netns.topology import REPOSITORY
from lab.rehearsal.rest import cpu_s

PERIOD_S: Final = 0.010
SPIN: Final = "lab.soak.spin"


def _ticks() -> dict[int, tuple[int, int]]:
    """Of each core: busy, and all."""
    found: dict[int, tuple[int, int]] = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:8]]
            idle = ticks[3] + ticks[4]
            found[int(name.removeprefix("cpu"))] = sum(ticks) - idle, sum(ticks)
    return found


@dataclass(slots=True)
class Load:
    """What runs beside the lab, and how much of the processor it has had."""

    spinners: dict[int, asyncio.subprocess.Process]  # by core
    began: float = field(default_factory=time.monotonic)
    ticks: dict[int, tuple[int, int]] = field(default_factory=_ticks)

    def shares(self) -> dict[int, float]:
        """Of each core, how much its spinner has had; LabError when one has ended."""
        took = max(time.monotonic() - self.began, PERIOD_S)
        for core, spinner in self.spinners.items():
            if spinner.returncode is not None:
                raise LabError(
                    f"the load on core {core}, process {spinner.pid},"
                    f" has ended with {spinner.returncode}: nothing more is shown"
                )
        return {core: round(cpu_s(found.pid) / took, 3) for core, found in self.spinners.items()}

    def cores(self) -> dict[int, float]:
        """How busy each core was since the load began, with everything that ran on it.

        The kernel's counter of waiting for disks may go back (proc_stat(5)), and all with it.
        """
        now = _ticks()
        spent = {
            core: [new - old for new, old in zip(now[core], self.ticks[core], strict=True)]
            for core in self.spinners
        }
        return {core: round(busy / max(whole, busy, 1), 3) for core, (busy, whole) in spent.items()}


@asynccontextmanager
async def busy(share: float) -> AsyncIterator[Load]:
    """Meanwhile every core that we may use is busy for this share of each period."""
    spinners: dict[int, asyncio.subprocess.Process] = {}
    try:
        for core in sorted(os.sched_getaffinity(0)):
            spinners[core] = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", SPIN),
                *(str(core), str(share), str(PERIOD_S)),
                cwd=REPOSITORY,
                stdin=asyncio.subprocess.DEVNULL,
            )
        yield Load(spinners)
    finally:
        for spinner in spinners.values():
            if spinner.returncode is None:
                spinner.kill()
        for spinner in spinners.values():
            await spinner.wait()
