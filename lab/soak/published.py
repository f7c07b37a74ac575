"""What the sites say of themselves, heard at the store as it is put there."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from lab.netns.error import LabError
from lab.netns.inside import Running
from lab.netns.lab import Lab
from lab.scenario.arguments import WITNESS
from lab.scenario.hands import PREFIX
from lab.soak.calm_figures import yielding

WATCH: Final = ("env", "ETCDCTL_API=3", "etcdctl", "watch", "--prefix", f"{PREFIX}sites/")


@dataclass(slots=True)
class Reports:
    """What the sites put into the store, as it is put there."""

    running: Running
    rest: bytes = b""
    heard: int = 0  # so many of them

    async def listen(self, seconds: float) -> list[str]:
        """So much time has passed; every plea for relief that was published in it."""
        stream = self.running.process.stdout
        assert stream is not None
        pleas: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while chunk := await stream.read(1 << 16):
                    *lines, self.rest = (self.rest + chunk).split(b"\n")
                    for report in lines:
                        self.heard += report.startswith(b"{")
                        pleas += yielding(report.decode(errors="replace"))
                raise LabError(f"{self.running.words} has ended: the store is not heard any more")
        return pleas


@asynccontextmanager
async def published(lab: Lab) -> AsyncIterator[Reports]:
    """Meanwhile they can be listened to."""
    running = await lab.start_process(WITNESS, WATCH)
    try:
        yield Reports(running)
    finally:
        running.signal(signal.SIGKILL)
        with contextlib.suppress(LabError):
            await running.finish(10)
