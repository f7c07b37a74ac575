"""What waits for one target: bounded, in order, sent again with back-off until it is taken."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import structlog

from controller.core.model import Instant
from controller.notify.event import Event, EventKind, Severity
from controller.notify.notice import Notice
from controller.notify.template import PLAIN, Words
from controller.ports import Clock, Courier, PortError, Refused

log = structlog.get_logger()

WAITING_MAX: Final = 200
BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
REFUSED_MAX: Final = 3  # attempts, where the answer is no and not: later
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Somebody who is told."""

    name: str
    courier: Courier
    events: frozenset[EventKind] = frozenset()  # empty: all
    services: frozenset[str] = frozenset()  # empty: all
    min_severity: Severity = Severity.INFO
    words: Words = PLAIN
    as_text: bool = False
    deadline_s: float = 5.0

    def wants(self, event: Event) -> bool:
        """Whether it is told. What concerns no single service passes any filter of services."""
        return (
            (not self.events or event.kind in self.events)
            and (not self.services or not event.service or event.service in self.services)
            and event.severity.rank >= self.min_severity.rank
        )

    async def send(self, notice: Notice) -> str:
        """It was taken. Raises PortError."""
        if self.as_text:
            return await self.courier.deliver(notice.text.encode(), TEXT, self.deadline_s)
        body = notice.model_dump_json().encode()
        return await self.courier.deliver(body, JSON, self.deadline_s)


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A notice, and since when it waits."""

    notice: Notice
    since: Instant


@dataclass(slots=True, kw_only=True)
class Outbox:
    """The queue of one target, and what has come of it so far."""

    target: Target
    clock: Clock
    changed: asyncio.Event  # what waits is no longer what it was
    give_up_s: float = 3600.0
    waiting_max: int = WAITING_MAX
    backoff_s: float = BACKOFF_S
    waiting: deque[Waiting] = field(default_factory=deque)
    sent: int = 0
    failed: int = 0  # given up after all attempts
    dropped: int = 0  # found no room to wait
    untold: int = 0  # of those, not yet owned up to
    problem: str = ""  # of the last attempt; empty when it was well
    failing_since: Instant | None = None
    _come: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, notice: Notice) -> None:
        """It waits to be sent; what matters least and is oldest makes room. Returns at once."""
        text = self.target.words.render(notice)
        full = notice.model_copy(update={"text": text})
        self.waiting.append(Waiting(notice=full, since=self.clock.monotonic()))
        while len(self.waiting) > self.waiting_max:
            self.waiting.remove(min(self.waiting, key=lambda each: each.notice.severity.rank))
            self.dropped += 1
            self.untold += 1
        self.changed.set()
        self._come.set()

    def failing_s(self) -> float:
        """For how long nothing has been taken; 0 while it is well."""
        if self.failing_since is None:
            return 0.0
        return self.clock.monotonic() - self.failing_since

    async def run(self) -> None:
        """Sends what waits, the oldest first, for ever."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self.waiting:
                await self._send(self.waiting[0])

    async def _send(self, item: Waiting) -> None:
        """It is sent, given up, or has made room for others."""
        attempt = 0
        while any(each is item for each in self.waiting):
            attempt += 1
            try:
                await self.target.send(item.notice)
            except PortError as error:
                self._failed(item, error)
                age_s = self.clock.monotonic() - item.since
                refused = isinstance(error, Refused) and attempt >= REFUSED_MAX
                if refused or age_s >= self.give_up_s:
                    self.failed += 1
                    self._done(item)
                    return
                await asyncio.sleep(min(self.backoff_s * 2 ** min(attempt - 1, 16), BACKOFF_MAX_S))
            else:
                self.sent += 1
                self.problem, self.failing_since = "", None
                self._done(item)
                return

    def _failed(self, item: Waiting, error: PortError) -> None:
        if self.failing_since is None:
            self.failing_since = self.clock.monotonic()
        if str(error) != self.problem:
            log.warning(
                "notification", target=self.target.name, id=item.notice.id, error=str(error)
            )
        self.problem = str(error)

    def _done(self, item: Waiting) -> None:
        for place, each in enumerate(self.waiting):
            if each is item:
                del self.waiting[place]
                break
        self.changed.set()
