"""One kept connection to a MariaDB or MySQL server; every error is a PortError at this wall.

A call that ran out of time has closed its connection: whatever it had sent may still happen on
the server, so the caller reads again. aiomysql is imported nowhere else.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import aiomysql
import pymysql.err
from pymysql.constants import CLIENT
from pymysql.converters import escape_string

from controller.ports import PortError, Refused, TimedOut, Unreachable

Row: TypeAlias = Mapping[str, Any]

_NEVER_SENT: Final = frozenset({1040, 1053, 1129, 1158, 1159, 1160, 1161, 2002, 2003, 2005})
_CONNECT_S: Final = 5.0
_CUT: Final = frozenset({1927, 2006, 2013, 2014, 2055})


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where a server listens, and who logs in."""

    address: str
    port: int
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


class _QuietCursor(aiomysql.DictCursor):  # type: ignore[misc]
    """Rows as dicts; server notes ("replica is already stopped") are not Python warnings."""

    async def _show_warnings(self, conn: object) -> None:
        return None


class Session:
    """Connects when needed, and once more when a kept connection turns out to be gone.

    What is sent a second time then must be harmless twice; whatever is not uses a new session.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._connection: Any = None
        self.last_id = 0  # what the server called the last connection; 0: there was none
        self._turn = asyncio.Lock()
        self._told: Callable[[], None] | None = None

    def tell_of_loss(self, told: Callable[[], None]) -> None:
        """`told` is called at once when the server ends the connection."""
        self._told = told

    async def rows(self, sql: str) -> list[Row]:
        """What `sql` answers; no rows for a statement. The deadline is the caller's timeout."""
        return (await self.many((sql,)))[0]

    async def many(self, statements: Iterable[str]) -> list[list[Row]]:
        """What each statement answers, in one round trip; the first failure ends it."""
        batch = ";\n".join(statements)
        async with self._turn:
            fresh = self._connection is None
            try:
                return await self._ask(batch)
            except Unreachable:
                if fresh:
                    raise
            return await self._ask(batch)

    async def row(self, sql: str) -> Row:
        """The only row of the answer."""
        found = await self.rows(sql)
        if len(found) != 1:
            raise Refused(f"{self._login}: {len(found)} rows where one was expected: {sql[:60]}")
        return found[0]

    async def run(self, statements: Iterable[str]) -> None:
        """Each statement in order; the first failure ends it."""
        await self.many(statements)

    async def _ask(self, batch: str) -> list[list[Row]]:
        unused = self._connection is not None
        try:
            if self._connection is None:
                # However long the caller may wait: a server that does not even let in has failed.
                async with asyncio.timeout(_CONNECT_S):
                    self._connection = await self._connect()
                    self.last_id = int(self._connection.thread_id())
            async with self._connection.cursor(_QuietCursor) as cursor:
                await cursor.execute(batch)
                answers = [list(await cursor.fetchall() or ())]
                while await cursor.nextset():
                    answers.append(list(await cursor.fetchall() or ()))
                return answers
        except asyncio.CancelledError:
            self.drop()
            raise
        except (pymysql.err.MySQLError, OSError, EOFError, RuntimeError) as error:
            raise self._translated(error, reused=unused) from None

    async def _connect(self) -> Any:  # noqa: ANN401 - aiomysql has no types
        connection = await aiomysql.connect(
            host=self._login.address,
            port=self._login.port,
            user=self._login.user,
            password=self._login.password,
            autocommit=True,
            charset="utf8mb4",
            client_flag=CLIENT.MULTI_STATEMENTS,
            init_command="SET SESSION sql_mode='', lock_wait_timeout=5",
        )
        self._watch(connection)
        return connection

    def _watch(self, connection: Any) -> None:  # noqa: ANN401 - aiomysql has no types
        """The library reads only while somebody asks; the end of the stream is heard at once."""
        reader: asyncio.StreamReader = connection._reader
        end = reader.feed_eof

        def ended() -> None:
            end()
            if self._told is not None and self._connection is connection:
                self._told()

        if self._told is not None:
            reader.feed_eof = ended  # type: ignore[method-assign]

    def _translated(self, error: Exception, *, reused: bool) -> PortError:
        """The port's error for a library's; the connection is kept only after a plain refusal."""
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
        unsent = self._connection is None or code in _NEVER_SENT
        if isinstance(error, pymysql.err.MySQLError) and code and code not in _CUT and not unsent:
            return Refused(f"{self._login} refused: {text} ({code})")
        self.drop()
        if unsent and code not in (1045, 1130, 3118, 4151):
            return Unreachable(f"{self._login} is not reached: {text} ({code})")
        if code in (1045, 1130, 3118, 4151):
            return Refused(f"{self._login} was not let in: {text} ({code})")
        if reused and code in (0, 2006, 2013):
            return Unreachable(f"{self._login}: the kept connection was gone: {text}")
        return TimedOut(f"{self._login}: the connection broke before the answer: {text} ({code})")

    def drop(self) -> None:
        """The connection is closed at once, without a farewell."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def quoted(value: str) -> str:
    """A string literal that holds exactly `value` (no NO_BACKSLASH_ESCAPES in our sessions)."""
    return f"'{escape_string(value)}'"


def by_deadline(what: str, deadline_s: float) -> "Deadline":
    """A scope that ends with TimedOut, naming `what`, when `deadline_s` have passed."""
    return Deadline(what, deadline_s)


class Deadline:
    """asyncio.timeout, with the port's own error."""

    def __init__(self, what: str, deadline_s: float) -> None:
        self._what = what
        self._deadline_s = deadline_s
        self._timeout = asyncio.timeout(deadline_s)

    async def __aenter__(self) -> "Deadline":
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:  # noqa: ANN401
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            message = f"{self._what}: no end of it within {self._deadline_s:g} s"
            raise TimedOut(message) from None

    @property
    def left_s(self) -> float:
        """Seconds until this scope ends."""
        when = self._timeout.when()
        return max(0.0, (when or 0.0) - asyncio.get_running_loop().time())
