"""This node's clocks, behind `ports.Clock`.

Deciding uses a clock that only rises and that counts the time the machine was suspended: after
a suspension everything others promised us is that much older, and we must know it. The wall clock
makes stamps for people and decides nothing.
"""

import time

from controller.core.model import Instant


class SystemClock:
    """The kernel's clocks."""

    def monotonic(self) -> Instant:
        """Seconds since the machine started, suspended time included."""
        return Instant(time.clock_gettime(time.CLOCK_BOOTTIME))

    def stamp(self) -> str:
        """UTC, RFC 3339 with milliseconds."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{date}.{nanoseconds // 1_000_000:03d}Z"
