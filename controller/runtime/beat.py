"""Waits that end together, on tenths of a second of the wall clock.

A host at rest is woken once for many things instead of once for each; and where the sites' clocks
agree, their heartbeats arrive together. A clock that jumps shifts the phase and nothing else.
"""

import asyncio
import time
from typing import Final

BEAT_S: Final = 0.1


def to_the_beat(seconds: float, now: float) -> float:
    """At most `seconds`, until the last beat in that time; without one, `seconds`."""
    waits = seconds - (now + seconds) % BEAT_S
    return waits if waits > 0 else seconds


def left_s(seconds: float) -> float:
    """The same from now on."""
    return to_the_beat(seconds, time.time())  # noqa: TID251 - a phase, which decides nothing


async def rest(seconds: float) -> None:
    """At most so long, until a beat."""
    await asyncio.sleep(left_s(seconds))
