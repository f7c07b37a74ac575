"""One port, looked at without ever holding up the turn for long.

A hung server makes its own look late, not everybody's: a turn takes the newest finished look, and
the look itself says so (UNKNOWN) when its deadline runs out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from controller.core.model import Instant
from controller.ports import Clock

T = TypeVar("T")
NEVER = Instant(float("-inf"))
FIRST_PATIENCE_S = 1.0


class Sampled(Generic[T]):
    """The newest finished look at one thing."""

    def __init__(
        self,
        look: Callable[[], Awaitable[T]],
        *,
        first: T,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._look = look
        self._clock = clock
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._started = NEVER
        self._looked = NEVER
        self.value = first

    @property
    def age_s(self) -> float:
        """Since the newest finished look began."""
        return self._clock.monotonic() - self._looked

    def shows(self, instant: Instant) -> bool:
        """The newest finished look was begun after `instant`."""
        return self._looked >= instant

    @property
    def late(self) -> bool:
        """A look has begun and has not ended."""
        return self._task is not None

    def fresh(self, max_age_s: float, after: Instant | None = None) -> bool:
        """The newest look is younger than `max_age_s`, and was begun after `after`."""
        return self.age_s < max_age_s and (after is None or self._looked >= after)

    async def refresh(
        self, patience_s: float, *, after: Instant | None = None, max_age_s: float = 0.0
    ) -> T:
        """The newest look that finished within `patience_s`, begun after `after` if it can be.

        One that is younger than `max_age_s`, and was begun after `after`, is good enough. The very
        first look is waited for: what was never seen must not be taken for what is not there.
        """
        if self._looked == NEVER:
            patience_s = max(patience_s, FIRST_PATIENCE_S)
        if self.fresh(max_age_s, after):
            return self.value
        if self._task is not None and after is not None and self._started < after:
            await self._wait(patience_s)
        if self._task is None:
            self._started = self._clock.monotonic()
            self._task = self._tasks.create_task(self._run(self._started))
        await self._wait(patience_s)
        return self.value

    async def _wait(self, patience_s: float) -> None:
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience_s)

    async def _run(self, started: Instant) -> None:
        try:
            self.value = await self._look()
            self._looked = started
        finally:
            self._task = None
