"""One short query on a kept session. A look that takes too long hangs up, and cancels nothing."""

import select
from pathlib import Path

import aiomysql
import psycopg
import pymysql.err
from psycopg.rows import TupleRow, tuple_row

from controller.adapters.probe_look import LookFailed, Probe, ProbeSpec, host_and_port


class _Session(psycopg.AsyncConnection[TupleRow]):
    """Hangs up where psycopg would ask the server to cancel and wait for the answer."""

    async def cancel_safe(self, *, timeout: float = 0) -> None:
        """The connection is closed."""
        self.pgconn.finish()


class PostgresProbe(Probe):
    """Well when the query (`SELECT 1`) is answered. Fact: `value`, the first field."""

    def __init__(self, spec: ProbeSpec) -> None:
        super().__init__(spec)
        self._place = host_and_port(spec.target)
        self._query = spec.options.get("query", "SELECT 1").encode()
        self._session: _Session | None = None

    async def look(self) -> tuple[str, dict[str, str]]:
        """The query's answer."""
        if self._session is not None and _hung_up(self._session):
            await self.aclose()
        try:
            return _answered(await self._ask())
        except psycopg.Error as error:
            await self.aclose()
            raise LookFailed(_first_line(error)) from error
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Hung up."""
        if self._session is not None:
            self._session.pgconn.finish()
            self._session = None

    async def _ask(self) -> object:
        if self._session is None:
            host, port = self._place
            options = self.spec.options
            self._session = await _Session.connect(
                host=host,
                port=port,
                user=options.get("user", "tricast"),
                dbname=options.get("database", "postgres"),
                password=_password(options.get("password_file")),
                application_name="tricast_probe",
                gssencmode="disable",
                autocommit=True,
                row_factory=tuple_row,
            )
        cursor = await self._session.execute(self._query)
        row = await cursor.fetchone()
        return row[0] if row else None


class MysqlProbe(Probe):
    """Well when the query (`SELECT 1`) is answered. Fact: `value`, the first field."""

    def __init__(self, spec: ProbeSpec) -> None:
        super().__init__(spec)
        self._place = host_and_port(spec.target)
        self._query = spec.options.get("query", "SELECT 1")
        self._session: aiomysql.Connection | None = None

    async def look(self) -> tuple[str, dict[str, str]]:
        """The query's answer."""
        reader = self._session._reader if self._session else None
        if reader is not None and (reader.at_eof() or reader.exception()):
            await self.aclose()
        try:
            return _answered(await self._ask())
        except pymysql.err.Error as error:
            await self.aclose()
            raise LookFailed(_first_line(error)) from error
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Hung up."""
        if self._session is not None:
            self._session.close()
            self._session = None

    async def _ask(self) -> object:
        if self._session is None:
            host, port = self._place
            options = self.spec.options
            self._session = await aiomysql.connect(
                host=host,
                port=port,
                user=options.get("user", "tricast"),
                db=options.get("database"),
                password=_password(options.get("password_file")) or "",
                autocommit=True,
            )
        async with self._session.cursor() as cursor:
            await cursor.execute(self._query)
            row = await cursor.fetchone()
        return row[0] if row else None


def _hung_up(session: _Session) -> bool:
    """An idle session says nothing, so anything to read is its end."""
    if session.closed:
        return True
    poll = select.poll()
    poll.register(session.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _answered(value: object) -> tuple[str, dict[str, str]]:
    return f"answered {value}", {"value": str(value)}


def _password(path: str | None) -> str | None:
    return Path(path).read_text().strip() if path else None


def _first_line(error: BaseException) -> str:
    words = " ".join(str(part) for part in error.args) or type(error).__name__
    return words.strip().splitlines()[0]
