"""Clients of every kind, each asking at its own pace, whatever it meets; and what they met."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
import psycopg

from lab.client.attempts import Attempt, Outcome, longest_gap

TIMEOUT_S: Final = 4.0  # longer than any stall that is looked for
_INSERT: Final = "insert into taken (key) values (%s)"

Session = psycopg.AsyncConnection[tuple[object, ...]]


class Client(Protocol):
    """One client, which has one request under way at a time."""

    async def use(self, key: str) -> None:
        """It was answered; OSError, aiohttp.ClientError or psycopg.Error when not."""

    async def drop(self) -> None:
        """Whatever it kept is gone."""


class Http:
    """Requests over HTTP, each on a connection of its own or all on one."""

    def __init__(self, url: str, *, kept: bool) -> None:
        connector = aiohttp.TCPConnector(limit=1, force_close=not kept)
        self._url = url
        self._session = aiohttp.ClientSession(connector=connector)

    async def use(self, key: str) -> None:
        """Answered with 200. A POST: aiohttp sends no such request twice by itself."""
        async with self._session.post(self._url, data=key) as answer:
            await answer.read()
            answer.raise_for_status()

    async def drop(self) -> None:
        """No connection is open."""
        await self._session.close()


class _OneByOne:
    """Requests on a connection each, or all on one; after a failure on a new one."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept

    async def use(self, key: str) -> None:
        """It was answered."""
        try:
            await self._ask(key)
        except BaseException:
            await self.drop()
            raise
        if not self._kept:
            await self.drop()

    async def _ask(self, key: str) -> None:
        raise NotImplementedError

    async def drop(self) -> None:
        """No connection is open."""
        raise NotImplementedError


class Lines(_OneByOne):
    """Lines over TCP, which come back."""

    def __init__(self, port: int, *, kept: bool) -> None:
        super().__init__(kept=kept)
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _ask(self, key: str) -> None:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._ends
        writer.write(key.encode() + b"\n")
        if await reader.readline() != key.encode() + b"\n":
            raise ConnectionResetError("closed before the answer")

    async def drop(self) -> None:
        """No connection is open."""
        if self._ends is not None:
            self._ends[1].close()
        self._ends = None


class Sql(_OneByOne):
    """Rows, each in a transaction of its own."""

    def __init__(self, conninfo: str, *, kept: bool) -> None:
        super().__init__(kept=kept)
        self._conninfo = conninfo
        self._session: Session | None = None

    async def _ask(self, key: str) -> None:
        if self._session is None:
            self._session = await connect(self._conninfo)
        await self._session.execute(_INSERT, (key,))

    async def drop(self) -> None:
        """No session is open."""
        if self._session is not None:
            await self._session.close()
        self._session = None


class Pooled:
    """Rows by sessions of a pool, which looks whether a session lives before it lends it."""

    def __init__(self, conninfo: str, pool: list[Session]) -> None:
        self._conninfo = conninfo
        self._pool = pool

    async def use(self, key: str) -> None:
        """The row is committed, and the session back in the pool."""
        session = await self._lent()
        try:
            await session.execute(_INSERT, (key,))
        except BaseException:
            await session.close()
            raise
        self._pool.append(session)

    async def drop(self) -> None:
        """The pool is empty."""
        while self._pool:
            await self._pool.pop().close()

    async def _lent(self) -> Session:
        while self._pool:
            session = self._pool.pop()
            try:
                await session.execute("select 1")
            except psycopg.Error:
                await session.close()
            except BaseException:
                await session.close()
                raise
            else:
                return session
        return await connect(self._conninfo)


async def connect(conninfo: str) -> Session:
    """A session whose statements commit by themselves; nothing is prepared at the server, since
    behind PgBouncer the next statement may meet another one.
    """
    return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)


@dataclass(slots=True)
class Asking:
    """Clients of several kinds under way."""

    clients: Sequence[tuple[str, Client]]
    every_s: float
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)

    async def run(self) -> None:
        """All have stopped, and have dropped what they kept."""
        async with asyncio.TaskGroup() as group:
            for number, (kind, client) in enumerate(self.clients):
                self.attempts.setdefault(kind, [])
                group.create_task(self._keep_asking(kind, client, number))

    async def _keep_asking(self, kind: str, client: Client, number: int) -> None:
        due = time.monotonic() + self.every_s * number / len(self.clients)
        count = 0
        try:
            while not self.stop.is_set():
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                count += 1
                self.attempts[kind].append(await _ask(client, f"{number}-{count}"))
                due = max(due + self.every_s, time.monotonic())
        finally:
            await client.drop()

    def acked(self) -> list[str]:
        """The keys of everything that was answered."""
        every = (attempt for attempts in self.attempts.values() for attempt in attempts)
        return [attempt.key for attempt in every if attempt.outcome is Outcome.OK]

    def seen(self, since: float, until: float) -> dict[str, dict[str, Any]]:
        """What each kind met between two moments of the monotonic clock."""
        return {kind: _seen(found, since, until) for kind, found in self.attempts.items()}


async def _ask(client: Client, key: str) -> Attempt:
    sent_at, error = time.monotonic(), ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await client.use(key)
    except (OSError, TimeoutError, aiohttp.ClientError, psycopg.Error) as found:
        error = " ".join(str(found).split()) or type(found).__name__
    at = time.monotonic()
    return Attempt(
        sent_at=sent_at,
        at=at,
        key=key,
        attempt=1,
        outcome=Outcome.FAIL if error else Outcome.OK,
        latency_s=at - sent_at,
        detail=error,
    )


def _seen(attempts: Sequence[Attempt], since: float, until: float) -> dict[str, Any]:
    mine = [attempt for attempt in attempts if since <= attempt.at <= until]
    answered = [attempt for attempt in mine if attempt.outcome is Outcome.OK]
    start, end = longest_gap((attempt.at for attempt in answered), since, until)
    return {
        "requests": len(mine),
        "failed": len(mine) - len(answered),
        "stall_s": round(end - start, 4),
        "slowest_s": round(max((attempt.latency_s for attempt in answered), default=0.0), 4),
        "errors": dict(Counter(attempt.detail[:80] for attempt in mine if attempt.detail)),
    }
