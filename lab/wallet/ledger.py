"""The ledger: one row per transfer in PostgreSQL.

A retry of a row that is already there writes again (`attempts`), so that its own commit waits for
the quorum: finding the row proves only that it was written here, not that another voter has it.
"""

import asyncio
import select
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow, tuple_row

from lab.wallet.pool import Pool
from lab.wallet.transfer import KeyReused, NotDone, Origin, Transfer, Unknown

_RECORD: Final = """
    INSERT INTO ledger (transfer_key, from_account, to_account, amount, site, server)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (transfer_key) DO UPDATE SET attempts = ledger.attempts + 1
    RETURNING id, from_account, to_account, amount
"""
_SUMMARY: Final = "SELECT count(*), coalesce(sum(amount), 0), max(id) FROM ledger WHERE id > %s"
_KEYS: Final = "SELECT id, transfer_key FROM ledger WHERE id > %s ORDER BY id LIMIT %s"

# Classes of SQLSTATE with which a statement is refused before it has any effect: data, constraint,
# transaction state (read-only included), authorisation, syntax and missing objects.
_NO_EFFECT: Final = ("22", "23", "25", "28", "42")


class Session(psycopg.AsyncConnection[TupleRow]):
    """A connection that hangs up where psycopg would ask the server to cancel.

    A cancelled wait for a synchronous standby reports a commit that no other voter has.
    """

    async def cancel_safe(self, *, timeout: float = 0) -> None:
        """The connection is closed; the server's session goes on waiting."""
        self.pgconn.finish()


class PostgresDriver:
    """Sessions at the ledger's server."""

    name = "postgres"

    def __init__(self, conninfo: str, password: str | None, connect_s: float) -> None:
        self._conninfo = conninfo
        self._password = password
        self._connect_s = connect_s

    async def open(self) -> Session:
        """A session in which every statement is its own transaction."""
        settings: dict[str, Any] = {"application_name": "wallet", "gssencmode": "disable"}
        if self._password is not None:
            settings["password"] = self._password
        try:
            async with asyncio.timeout(self._connect_s):
                return await Session.connect(
                    self._conninfo, autocommit=True, row_factory=tuple_row, **settings
                )
        except TimeoutError:
            raise NotDone(self.name, f"no session within {self._connect_s:g} s") from None
        except psycopg.Error as error:
            raise NotDone(self.name, _first_line(error)) from error

    def alive(self, connection: Session) -> bool:
        """An idle session says nothing, so anything to read means that the server hung up."""
        if connection.closed:
            return False
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    def drop(self, connection: Session) -> None:
        """Hung up."""
        connection.pgconn.finish()


class Ledger:
    """The ledger, with a deadline on every statement."""

    def __init__(self, pool: Pool[Session], deadline_s: float) -> None:
        self._pool = pool
        self._deadline_s = deadline_s

    async def record(self, transfer: Transfer, origin: Origin) -> int:
        """The id of the transfer's one row, whose commit the quorum has."""
        async with self._pool.lend() as session:
            rows, warnings = await self._run(session, _RECORD, _values(transfer, origin))
            if warnings:
                # The server warns inside a statement of ours for one thing only: it gave up
                # waiting for another voter. The connection goes with the doubt.
                raise Unknown("postgres", warnings[0])
            found = rows[0]
            if found[1:] != (transfer.source, transfer.target, transfer.amount):
                raise KeyReused(f"{transfer.key} stands for another transfer, id {found[0]}")
        return int(found[0])

    async def ping(self, deadline_s: float) -> None:
        """The server has answered."""
        async with self._pool.lend() as session, asyncio.timeout(deadline_s):
            await session.execute("SELECT 1")

    async def summary(self, after: int) -> tuple[int, int, int]:
        """How many rows follow id `after`, their sum, and the last id."""
        async with self._pool.lend() as session:
            rows, _ = await self._run(session, _SUMMARY, (after,))
        count, total, last = rows[0]
        return int(count), int(total), int(last or after)

    async def keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        """The next rows after id `after`: id and key."""
        async with self._pool.lend() as session:
            rows, _ = await self._run(session, _KEYS, (after, limit))
        return [(int(row[0]), str(row[1])) for row in rows]

    async def _run(
        self, session: Session, statement: str, values: tuple[object, ...]
    ) -> tuple[list[TupleRow], list[str]]:
        warnings: list[str] = []

        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                warnings.append(diagnostic.message_primary or "a warning without words")

        session.add_notice_handler(note)
        try:
            async with asyncio.timeout(self._deadline_s):
                cursor = await session.execute(statement.encode(), values)
                return await cursor.fetchall(), warnings
        except TimeoutError:
            raise Unknown("postgres", f"no answer within {self._deadline_s:g} s") from None
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] in _NO_EFFECT:
                raise NotDone("postgres", _first_line(error)) from error
            raise Unknown("postgres", _first_line(error)) from error
        finally:
            session.remove_notice_handler(note)


def _values(transfer: Transfer, origin: Origin) -> tuple[object, ...]:
    return (
        transfer.key,
        transfer.source,
        transfer.target,
        transfer.amount,
        origin.site,
        origin.server,
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
