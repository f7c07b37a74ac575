"""A small pool that would rather have no connection than a dead one.

A connection goes back only when what was done with it ended well; otherwise it is closed, and
with it every idle one, because what broke one (a server that stopped, a role that changed) has
broken them all. Nothing is ever cancelled at the server: a session that waits for a commit is left.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from lab.wallet.transfer import KeyReused, NotDone

C = TypeVar("C")


class Driver(Protocol[C]):
    """How to open, judge and drop connections to one server."""

    name: str

    async def open(self) -> C:
        """A fresh connection; raises NotDone when there is none to be had."""

    def alive(self, connection: C) -> bool:
        """False once the server has hung up on an idle connection."""

    def drop(self, connection: C) -> None:
        """Closed at once, without waiting for the server."""


class Pool(Generic[C]):
    """At most `size` connections to one server."""

    def __init__(self, driver: Driver[C], size: int, patience_s: float) -> None:
        self._driver = driver
        self._slots = asyncio.Semaphore(size)
        self._patience_s = patience_s
        self._idle: list[C] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[C]:
        """A live connection for the body alone; closed if the body fails."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._slots.acquire()
        except TimeoutError:
            raise NotDone(self._driver.name, "every connection is busy") from None
        try:
            connection = self._pop_idle() or await self._driver.open()
            try:
                yield connection
            except KeyReused:
                self._idle.append(connection)
                raise
            except BaseException:
                self._driver.drop(connection)
                self.drop_idle()
                raise
            self._idle.append(connection)
        finally:
            self._slots.release()

    def drop_idle(self) -> None:
        """No idle connection is left."""
        while self._idle:
            self._driver.drop(self._idle.pop())

    def _pop_idle(self) -> C | None:
        while self._idle:
            connection = self._idle.pop()
            if self._driver.alive(connection):
                return connection
            self._driver.drop(connection)
        return None
