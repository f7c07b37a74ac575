"""Deadlines as instants of the event loop."""

import asyncio


def within(seconds: float) -> float:
    """The deadline so many seconds from now."""
    return asyncio.get_running_loop().time() + seconds


def left(deadline: float) -> float:
    """Seconds until `deadline`; never quite none."""
    return max(0.001, deadline - asyncio.get_running_loop().time())
