"""What a lane may do again, and when: it rests after failures, and repeats successes ever slower.

Pure: every instant is an argument. The lanes and the simulated daemons keep the same book.
"""

from dataclasses import dataclass, field

from controller.core.intents import Intent
from controller.core.model import Instant

FIRST_REST_S = 0.05
FREE_REPEATS = 2
LONGEST_PAUSE_S = 0.5
FRESH_S = 2.0  # asked for again after longer than this, it is a new matter
TRIES = 8  # so often without success in between, and nobody waits for it any more
ELSEWHERE = "another call of the agent is working"  # a daemon before this one asked for it
FORGET_S = 10.0  # a failure that nobody has asked to repeat for this long is no news any more


@dataclass(slots=True)
class Rest:
    """A lane after failures."""

    until: Instant
    failures: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """An intent that succeeded, and is asked for again because its goal is not seen yet."""

    intent: Intent
    times: int
    not_before: Instant


@dataclass(slots=True)
class Restraint:
    """The book of all lanes of one service."""

    longest_rest_s: float
    _rests: dict[str, Rest] = field(default_factory=dict)
    _repeats: dict[str, Repeat] = field(default_factory=dict)

    def resting(self, now: Instant) -> set[str]:
        """Lanes that rest after a failure."""
        return {key for key, rest in self._rests.items() if rest.until > now}

    def failures(self, now: Instant) -> dict[str, str]:
        """The last failure of each lane that has not succeeded, or been left alone, since."""
        return {key: r.detail for key, r in self._rests.items() if now - r.until < FORGET_S}

    def failed_for_good(self) -> dict[str, str]:
        """The last failure of each lane that has failed again and again; none where somebody is
        still at work.
        """
        found = self._rests.items()
        return {k: r.detail for k, r in found if r.failures >= TRIES and ELSEWHERE not in r.detail}

    def try_again(self, keys: frozenset[str]) -> None:
        """Nothing of these lanes has to rest for what was before."""
        for key in keys:
            self._rests.pop(key, None)
            self._repeats.pop(key, None)

    def wakes_at(self, now: Instant) -> Instant | None:
        """When the next lane has rested enough; None when none rests."""
        later = [r.until for r in self._rests.values() if r.until > now]
        later += [r.not_before for r in self._repeats.values() if r.not_before > now]
        return min(later, default=None)

    def allows(self, key: str, intent: Intent, now: Instant) -> bool:
        """Not if it was done just now and what it brings about takes time."""
        repeat = self._repeats.get(key)
        if repeat is not None and repeat.intent == intent:
            return now >= repeat.not_before
        self._repeats.pop(key, None)
        return True

    def succeeded(self, key: str, intent: Intent, now: Instant) -> None:
        """The same again is allowed at once twice, then ever more seldom."""
        self._rests.pop(key, None)
        before = self._repeats.get(key)
        again = before is not None and before.intent == intent and now < before.not_before + FRESH_S
        times = before.times + 1 if before is not None and again else 1
        pause = 0.0 if times <= FREE_REPEATS else FIRST_REST_S * 2.0 ** (times - FREE_REPEATS - 1)
        not_before = Instant(now + min(pause, LONGEST_PAUSE_S))
        self._repeats[key] = Repeat(intent=intent, times=times, not_before=not_before)

    def failed(self, key: str, detail: str, now: Instant) -> None:
        """It rests, longer each time."""
        failures = self._rests[key].failures + 1 if key in self._rests else 1
        rest = min(FIRST_REST_S * 2.0 ** (failures - 1), self.longest_rest_s)
        self._rests[key] = Rest(Instant(now + rest), failures, detail)

    def new_epoch(self) -> None:
        """Nothing has to rest for a failure of before."""
        self._rests.clear()
