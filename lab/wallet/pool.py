"""A small pool that would rather have no connection than a dead one.

A connection goes back only when what was done with it ended well; otherwise it is closed, and
with it every idle one, because what broke one (a server that stopped, a role that changed) has
broken them all. Nothing is ever cancelled at the server: a session that waits for a commit is left.
Few are opened at the same time: who comes when there is none takes one that was given back sooner
than a new one, which costs a server more than what is done with it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Generic, Protocol, TypeVar

from lab.wallet.transfer import KeyReused, NotDone

C = TypeVar("C")
OPENED_AT_ONCE: Final = 2


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
        self._size = size
        self._patience_s = patience_s
        self._idle: list[C] = []
        self._lent = 0  # and those that are being opened
        self._opening = 0
        self._changed = asyncio.Event()  # of all who wait now: they look again, in their order

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[C]:
        """A live connection for the body alone; closed if the body fails."""
        connection = await self._take()
        try:
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
            self._lent -= 1
            self._stir()

    async def _take(self) -> C:
        """The first that there is: an idle connection, or a new one."""
        try:
            async with asyncio.timeout(self._patience_s):
                while (connection := self._pop_idle()) is None and not self._may_open():
                    await self._changed.wait()
        except TimeoutError:
            raise NotDone(self._driver.name, "every connection is busy") from None
        self._lent += 1
        return connection if connection is not None else await self._open()

    async def _open(self) -> C:
        self._opening += 1
        try:
            return await self._driver.open()
        except BaseException:
            self._lent -= 1
            raise
        finally:
            self._opening -= 1
            self._stir()

    def _may_open(self) -> bool:
        return self._lent < self._size and self._opening < OPENED_AT_ONCE

    def _stir(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

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
