"""A clock that stands still until it is told."""

from controller.core.model import Instant


class HandClock:
    """Implements `Clock`."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def monotonic(self) -> Instant:
        return Instant(self.now)

    def stamp(self) -> str:
        return f"at {self.now}"
