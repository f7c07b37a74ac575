"""One connection to PostgreSQL that never cancels a query and never outlives its deadline.

A cancelled commit is reported as done, so nothing here may send a cancel request, which is what
the library does when a waiting task is cancelled. A connection whose answer does not come in time
is dropped instead; its session finds out by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

from psycopg import Error as PsycopgError
from psycopg import OperationalError, pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGconn, PGresult

from controller.ports import Refused, TimedOut, Unreachable

Row = tuple[str | None, ...]
_CANCELLED_WAIT: Final = b"canceling wait for synchronous replication"
_GOOD: Final = frozenset(
    {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY}
)


class SqlRefused(Refused):
    """The server answered with an error."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class NotReady(Unreachable):
    """The server is there and lets nobody in, yet or any more; `starting` tells which."""

    def __init__(self, message: str, *, starting: bool) -> None:
        super().__init__(message)
        self.starting = starting


class Lost(TimedOut):
    """The connection broke; what was asked last may or may not have been done."""


def literal(text: str) -> str:
    """`text` as an SQL literal, for the statements that take no parameters."""
    if "\\" in text or "\0" in text:
        raise Refused(f"cannot be written into SQL: {text!r}")
    return "'" + text.replace("'", "''") + "'"


def conninfo(fields: Mapping[str, str]) -> str:
    """A connection string; values are quoted."""
    quoted = {k: v.replace("\\", "\\\\").replace("'", "\\'") for k, v in fields.items()}
    return " ".join(f"{key}='{value}'" for key, value in quoted.items())


def parse_conninfo(text: str) -> dict[str, str]:
    """The fields of a connection string; none of one that cannot be read."""
    try:
        return {key: str(value) for key, value in conninfo_to_dict(text).items()}
    except PsycopgError:
        return {}


def same_server(first: str, second: str) -> bool:
    """Both connection strings lead to one server."""
    one, other = parse_conninfo(first), parse_conninfo(second)
    return bool(one) and all(one.get(key) == other.get(key) for key in ("host", "port"))


class Link:
    """A connection that is made when needed, used by one task at a time, and dropped when late.

    Deadlines are instants of the event loop's clock.
    """

    def __init__(self, name: str, target: Mapping[str, str]) -> None:
        self._name = name
        self._conninfo = conninfo(target).encode()
        self._pg: PGconn | None = None
        self._turn = asyncio.Lock()
        self._owed = False  # an answer is still to come for what was begun
        self._cancelled_wait = False
        self._plans: dict[str, bytes] = {}  # of this connection: prepared statements, by their text
        self._told: Callable[[], None] | None = None
        self._watched: tuple[asyncio.AbstractEventLoop, int] | None = None
        self.generation = 0  # rises with each new connection

    def tell_of_loss(self, told: Callable[[], None]) -> None:
        """`told` is called at once when the server ends the connection while it is idle."""
        self._told = told

    async def query(self, sql: str, *params: str | None, deadline: float) -> list[Row]:
        """The rows of one statement."""
        async with self._held(deadline):
            pg = await self._ready()
            self._send(pg, sql, params)
            return await self._answer(pg)

    async def again(self, sql: str, *params: str | None, deadline: float) -> list[Row]:
        """As `query`, of a statement that may be done twice: a lost connection is made anew."""
        try:
            return await self.query(sql, *params, deadline=deadline)
        except Lost:
            return await self.query(sql, *params, deadline=deadline)

    async def often(self, sql: str, *, deadline: float) -> list[Row]:
        """As `again`, of a question that is asked over and over: a connection plans it once."""
        try:
            return await self._planned(sql, deadline)
        except Lost:
            return await self._planned(sql, deadline)

    async def _planned(self, sql: str, deadline: float) -> list[Row]:
        async with self._held(deadline):
            pg = await self._ready()
            self._cancelled_wait = False
            name = self._plans.get(sql)
            try:
                if name is None:
                    name = f"tricast_{len(self._plans)}".encode()
                    pg.send_prepare(name, sql.encode())
                    pg.flush()
                    await self._answer(pg)
                    self._plans[sql] = name
                pg.send_query_prepared(name, [])
                pg.flush()
            except OperationalError as error:
                self._lost(error)
            return await self._answer(pg)

    async def begin(self, sql: str, *params: str | None, deadline: float) -> bool:
        """A statement is on its way; `finish` waits for it. False: an earlier one still is."""
        if self._owed and self._pg is not None:
            return False
        async with self._held(deadline):
            pg = await self._ready()
            self._send(pg, sql, params)
            self._owed = True
            return True

    async def finish(self, deadline: float) -> None:
        """What was begun is done. When it is late, the connection is kept for a later question."""
        async with self._turn:
            if not self._owed or self._pg is None:
                raise TimedOut(f"{self._name}: the connection was lost before the answer")
            try:
                async with asyncio.timeout_at(deadline):
                    await self._answer(self._pg)
            except TimeoutError:
                raise TimedOut(f"{self._name}: no answer yet") from None
            except Refused:
                self._owed = False
                raise
            self._owed = False

    @property
    def owed(self) -> bool:
        """What was begun has not been collected."""
        return self._owed and self._pg is not None

    async def collect(self) -> None:
        """The answer to what was begun, if it is there, has been read, whatever it says."""
        with suppress(TimedOut, Refused):
            await self.finish(asyncio.get_running_loop().time() + 0.001)

    def drop(self) -> None:
        """No connection; its session is not waited for."""
        self._look_away()
        pg, self._pg, self._owed = self._pg, None, False
        if pg is not None:
            pg.finish()

    def _watch(self) -> None:
        if self._told is not None and self._pg is not None and self._watched is None:
            loop, fd = asyncio.get_running_loop(), self._pg.socket
            loop.add_reader(fd, self._stirred)
            self._watched = loop, fd

    def _look_away(self) -> None:
        if self._watched is not None:
            loop, fd = self._watched
            loop.remove_reader(fd)
            self._watched = None

    def _stirred(self) -> None:
        if self._told is not None and self._pg is not None and not _alive(self._pg):
            self.drop()
            self._told()

    @asynccontextmanager
    async def _held(self, deadline: float) -> AsyncIterator[None]:
        """Inside, the connection is ours; it is dropped when we are late or called off."""
        try:
            async with asyncio.timeout_at(deadline), self._turn:
                self._look_away()
                try:
                    yield
                except asyncio.CancelledError:
                    self.drop()
                    raise
                finally:
                    self._watch()
        except TimeoutError:
            raise TimedOut(f"{self._name} did not answer in time") from None

    async def _ready(self) -> PGconn:
        if self._pg is not None and self._owed:
            await self._answer(self._pg)
            self._owed = False
        if self._pg is not None and _alive(self._pg):
            return self._pg
        self.drop()
        self._pg = pg = pq.PGconn.connect_start(self._conninfo)
        while (state := self._poll(pg)) != pq.PollingStatus.OK:
            await _readiness(pg, write=state == pq.PollingStatus.WRITING)
        pg.nonblocking = 1
        pg.notice_handler = self._notice
        self.generation += 1
        self._plans.clear()
        return pg

    def _poll(self, pg: PGconn) -> pq.PollingStatus:
        if pg.status != pq.ConnStatus.BAD:
            state = pq.PollingStatus(pg.connect_poll())
            if state != pq.PollingStatus.FAILED:
                return state
        said = " ".join(pg.get_error_message("utf-8").split())
        self.drop()
        message = f"{self._name}: {said}"
        if "starting up" in said or "not yet accepting" in said or "recovery mode" in said:
            raise NotReady(message, starting=True)
        if "shutting down" in said:
            raise NotReady(message, starting=False)
        if "FATAL" in said:
            raise Refused(message)
        raise Unreachable(message)

    def _notice(self, result: PGresult) -> None:
        said = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
        self._cancelled_wait = self._cancelled_wait or _CANCELLED_WAIT in said

    def _send(self, pg: PGconn, sql: str, params: tuple[str | None, ...]) -> None:
        self._cancelled_wait = False
        try:
            if params:
                values = [None if p is None else p.encode() for p in params]
                pg.send_query_params(sql.encode(), values)
            else:
                pg.send_query(sql.encode())
            pg.flush()
        except OperationalError as error:
            self._lost(error)

    async def _answer(self, pg: PGconn) -> list[Row]:
        rows: list[Row] = []
        refusal: SqlRefused | None = None
        try:
            while True:
                while pg.is_busy():
                    await _readiness(pg, write=pg.flush() == 1)
                    pg.consume_input()
                result = pg.get_result()
                if result is None:
                    break
                if result.status in _GOOD:
                    rows = _rows(result)
                else:
                    refusal = self._refusal(result)
        except OperationalError as error:
            self._lost(error)
        if pg.status != pq.ConnStatus.OK:
            self._lost(refusal or OperationalError("the connection was closed"))
        if refusal is not None:
            raise refusal
        if self._cancelled_wait:
            raise TimedOut(f"{self._name}: somebody cancelled the wait for the quorum")
        return rows

    def _refusal(self, result: PGresult) -> SqlRefused:
        said = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no message"
        state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
        return SqlRefused(f"{self._name}: {said.decode('utf-8', 'replace')}", state.decode())

    def _lost(self, error: Exception) -> NoReturn:
        self.drop()
        raise Lost(f"{self._name}: connection lost, effect unknown: {error}") from None


def _alive(pg: PGconn) -> bool:
    """The server has not closed an idle connection, as far as can be seen without asking."""
    try:
        pg.consume_input()
        pg.consume_input()  # the first may have read a last message, the second meets the end
    except OperationalError:
        return False
    return pg.status == pq.ConnStatus.OK


def _rows(result: PGresult) -> list[Row]:
    def text(row: int, column: int) -> str | None:
        value = result.get_value(row, column)
        return None if value is None else bytes(value).decode("utf-8", "replace")

    return [tuple(text(r, c) for c in range(result.nfields)) for r in range(result.ntuples)]


async def _readiness(pg: PGconn, *, write: bool) -> None:
    """The socket can be read, or (when asked for) written."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    fd = pg.socket
    loop.add_reader(fd, wake)
    if write:
        loop.add_writer(fd, wake)
    try:
        await done
    finally:
        loop.remove_reader(fd)
        if write:
            loop.remove_writer(fd)
