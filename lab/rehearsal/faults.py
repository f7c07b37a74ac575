"""What is done to a stack, and how it is undone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.rehearsal.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of run."""

    name: str
    title: str
    strike: Callable[[Stack, str], Awaitable[float]]  # the monotonic time of the blow
    mend: Callable[[Stack, str], Awaitable[None]]
    lasts_s: float = 0.0  # it is not mended before
    goal_median_s: float | None = None
    goal_worst_s: float | None = None


async def _cut(stack: Stack, holder: str) -> float:
    return await stack.lab.cut(holder)


async def _heal(stack: Stack, holder: str) -> None:
    await stack.lab.heal(holder)


async def _kill_postgres(stack: Stack, holder: str) -> float:
    at = time.monotonic()
    await asyncio.to_thread(stack.lab.kill, f"{holder}-db", "postgres")
    return at


async def _switch(stack: Stack, holder: str) -> float:
    at = time.monotonic()
    await stack.switch(holder)
    return at


async def _freeze(stack: Stack, holder: str) -> float:
    at = time.monotonic()
    await asyncio.to_thread(stack.lab.freeze, holder)
    return at


async def _thaw(stack: Stack, holder: str) -> None:
    await asyncio.to_thread(stack.lab.thaw, holder)


async def _nothing(stack: Stack, holder: str) -> None:
    return


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            name="site_loss",
            title="silent site loss",
            strike=_cut,
            mend=_heal,
            goal_median_s=1.0,
            goal_worst_s=1.5,
        ),
        Fault(
            name="database_crash",
            title="PostgreSQL killed",
            strike=_kill_postgres,
            mend=_nothing,
            goal_median_s=0.6,
        ),
        Fault(
            name="switchover",
            title="planned switchover",
            strike=_switch,
            mend=_nothing,
            goal_median_s=0.3,
        ),
        Fault(name="frozen_site", title="site frozen", strike=_freeze, mend=_thaw, lasts_s=20),
    )
}
