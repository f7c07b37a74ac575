"""Lanes: queues of one. Intents of different lanes run side by side, never two of one lane.

After a failure a lane rests, longer each time, so that a refusal is not asked for again at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.core.intents import Follow, Intent, Rejoin, lane, name
from controller.core.model import Epoch, Instant, Outcome
from controller.ports import Clock
from controller.runtime.act import Result

FIRST_REST_S = 0.05
FREE_REPEATS = 2
LONGEST_PAUSE_S = 0.5
FRESH_S = 2.0  # asked for again after longer than this, it is a new matter
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One intent that has been carried out."""

    intent: Intent
    result: Result
    began: Instant
    took_s: float


class Lanes:
    """Runs intents as tasks; tells when one is done."""

    def __init__(
        self,
        *,
        carry_out: Callable[[Intent], Awaitable[Result]],
        on_done: Callable[[Done], None],
        tasks: asyncio.TaskGroup,
        clock: Clock,
        longest_rest_s: float,
    ) -> None:
        self._carry_out = carry_out
        self._on_done = on_done
        self._tasks = tasks
        self._clock = clock
        self._longest_rest_s = longest_rest_s
        self._running: dict[str, Intent] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()
        self._rests: dict[str, Rest] = {}
        self._repeats: dict[str, Repeat] = {}

    def busy(self) -> frozenset[str]:
        """Lanes at work, or resting after a failure."""
        now = self._clock.monotonic()
        resting = {key for key, rest in self._rests.items() if rest.until > now}
        return frozenset(self._running.keys() | resting)

    def running(self) -> dict[str, str]:
        """What is at work, by lane."""
        return {key: name(intent) for key, intent in self._running.items()}

    def failures(self) -> dict[str, str]:
        """The last failure of each lane that has not succeeded, or been left alone, since."""
        now = self._clock.monotonic()
        return {key: r.detail for key, r in self._rests.items() if now - r.until < FORGET_S}

    def start(self, intent: Intent) -> bool:
        """`intent` is at work, unless it was done just now and what it brings about takes time."""
        key = lane(intent)
        assert key not in self._running
        repeat = self._repeats.get(key)
        if repeat is not None and repeat.intent == intent:
            if self._clock.monotonic() < repeat.not_before:
                return False
        else:
            self._repeats.pop(key, None)
        self._running[key] = intent
        self._work[key] = self._tasks.create_task(self._run(key, intent))
        return True

    def new_epoch(self, epoch: Epoch) -> None:
        """What was begun under an older epoch and may wait long for another site is given up.

        And nothing has to rest for a failure of before.
        """
        self._rests.clear()
        for key, intent in self._running.items():
            if isinstance(intent, Follow | Rejoin) and intent.epoch < epoch:
                self._given_up.add(key)
                self._work[key].cancel()

    async def _run(self, key: str, intent: Intent) -> None:
        began = self._clock.monotonic()
        try:
            result = await self._carry_out(intent)
        except asyncio.CancelledError:
            if key not in self._given_up:
                raise
            result = Result(outcome=Outcome.UNKNOWN, detail="given up for a newer epoch")
        finally:
            given_up = key in self._given_up
            self._given_up.discard(key)
            del self._running[key], self._work[key]
        now = self._clock.monotonic()
        if result.outcome is Outcome.OK:
            self._rests.pop(key, None)
            self._note_repeat(key, intent, now)
        elif not given_up:
            failures = self._rests[key].failures + 1 if key in self._rests else 1
            rest = min(FIRST_REST_S * 2.0 ** (failures - 1), self._longest_rest_s)
            self._rests[key] = Rest(Instant(now + rest), failures, result.detail)
        self._on_done(Done(intent=intent, result=result, began=began, took_s=now - began))

    def _note_repeat(self, key: str, intent: Intent, now: Instant) -> None:
        """The same again is asked for at once twice, then ever more seldom."""
        before = self._repeats.get(key)
        again = before is not None and before.intent == intent and now < before.not_before + FRESH_S
        times = before.times + 1 if before is not None and again else 1
        pause = 0.0 if times <= FREE_REPEATS else FIRST_REST_S * 2.0 ** (times - FREE_REPEATS - 1)
        not_before = Instant(now + min(pause, LONGEST_PAUSE_S))
        self._repeats[key] = Repeat(intent=intent, times=times, not_before=not_before)
