"""When this daemon itself stood still: time in which nothing it did not see is evidence.

A daemon that is asked at every heartbeat, and was not asked for longer, got no processor, or its
host was frozen.
"""

from collections import deque
from collections.abc import Callable, Set

from controller.core.model import Instant

KEPT = 64  # what is older than so many standstills is a state, no news


class Standstill:
    """The last times without us, by our own clock."""

    def __init__(self, now: Instant, *, hitch_s: float) -> None:
        self._hitch_s = hitch_s
        self._asked = now
        self._kept: deque[tuple[Instant, Instant]] = deque(maxlen=KEPT)

    def awake(self, now: Instant) -> float:
        """We are awake; how long we have stood still until now, or 0.0 if it was no hitch."""
        began, self._asked = self._asked, now
        if now - began <= self._hitch_s:
            return 0.0
        self._kept.append((began, now))
        return now - began

    def since(self, instant: Instant) -> float:
        """How much of the time since then we stood still."""
        lasted = 0.0
        for began, ended in reversed(self._kept):
            if ended <= instant:
                break
            lasted += ended - max(began, instant)
        return lasted


def lasted(
    since: dict[str, Instant],
    kinds: Set[str],
    now: Instant,
    asleep: Callable[[Instant], float],
) -> dict[str, float]:
    """How long each of `kinds` has lasted while we were awake; `since` is brought up to date."""
    for kind in since.keys() - kinds:
        del since[kind]
    for kind in kinds:
        since.setdefault(kind, now)
    return {kind: max(0.0, now - at - asleep(at)) for kind, at in since.items()}
