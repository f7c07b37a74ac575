"""Lanes: queues of one. Intents of different lanes run side by side, never two of one lane.

After a failure a lane rests, longer each time, so that a refusal is not asked for again at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.core.intents import Follow, Intent, Rejoin, lane, name
from controller.core.model import DatabaseName, Epoch, Instant, Outcome
from controller.ports import Clock
from controller.runtime.act import Result
from controller.runtime.restraint import Restraint


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
        self._restraint = Restraint(longest_rest_s)
        self._running: dict[str, Intent] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()

    def busy(self) -> frozenset[str]:
        """Lanes at work, or resting after a failure."""
        return frozenset(self._running.keys() | self._restraint.resting(self._clock.monotonic()))

    def resting(self) -> frozenset[str]:
        """Those of `busy` at which nothing is at work."""
        return self.busy() - self._running.keys()

    def running(self) -> dict[str, str]:
        """What is at work, by lane."""
        return {key: name(intent) for key, intent in self._running.items()}

    def rejoining(self) -> frozenset[DatabaseName]:
        """Databases that a host agent is at work on, to make them follow somebody."""
        running = self._running.values()
        return frozenset(found.database for found in running if isinstance(found, Rejoin))

    def failures(self) -> dict[str, str]:
        """The last failure of each lane that has not succeeded, or been left alone, since."""
        return self._restraint.failures(self._clock.monotonic())

    def failed_for_good(self) -> dict[str, str]:
        """The last failure of each lane that has failed again and again."""
        return self._restraint.failed_for_good()

    def try_again(self, keys: frozenset[str]) -> None:
        """Lanes that rest after failures rest no more."""
        self._restraint.try_again(keys)

    def start(self, intent: Intent) -> bool:
        """`intent` is at work, unless it was done just now and what it brings about takes time."""
        key = lane(intent)
        assert key not in self._running
        if not self._restraint.allows(key, intent, self._clock.monotonic()):
            return False
        self._running[key] = intent
        self._work[key] = self._tasks.create_task(self._run(key, intent))
        return True

    def new_epoch(self, epoch: Epoch) -> None:
        """What was begun under an older epoch and may wait long for another site is given up.

        Not a rejoin: the host agent would go on, and rebuild what looks like a sealed copy by then.
        And nothing has to rest for a failure of before.
        """
        self._restraint.new_epoch()
        for key, intent in self._running.items():
            if isinstance(intent, Follow) and intent.epoch < epoch:
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
            self._restraint.succeeded(key, intent, now)
        elif not given_up:
            self._restraint.failed(key, result.detail, now)
        self._on_done(Done(intent=intent, result=result, began=began, took_s=now - began))
