"""The session journal: one row per transfer in MariaDB or MySQL.

As in the ledger, a retry writes again, so that its own commit waits for another voter.
"""

import asyncio
from typing import Any, Final

import aiomysql
import pymysql.err

from lab.wallet.pool import Pool
from lab.wallet.transfer import KeyReused, NotDone, Origin, Transfer, Unknown

_RECORD: Final = """
    INSERT INTO journal (transfer_key, from_account, to_account, amount, site, server)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE attempts = attempts + 1
"""
_FIND: Final = "SELECT from_account, to_account, amount FROM journal WHERE transfer_key = %s"
_KEYS: Final = "SELECT id, transfer_key FROM journal WHERE id > %s ORDER BY id LIMIT %s"
_INSERTED: Final = 1  # rows affected; 2 says that the row was there and has been updated

# Refused before any effect: denied (1044, 1045, 1142), unknown (1049, 1146), bad data (1054, 1064,
# 1264, 1406), read-only (1290, 1792, 1836), deadlock and lock wait, which roll back (1213, 1205).
_NO_EFFECT: Final = frozenset(
    {1044, 1045, 1049, 1054, 1064, 1142, 1146, 1205, 1213, 1264, 1290, 1406, 1792, 1836}
)


class MysqlDriver:
    """Sessions at the journal's server."""

    name = "mysql"

    def __init__(self, settings: dict[str, str], password: str | None, connect_s: float) -> None:
        self._settings: dict[str, Any] = {
            "host": settings.get("host", "127.0.0.1"),
            "port": int(settings.get("port", "3306")),
            "user": settings.get("user", "wallet"),
            "db": settings.get("dbname", "wallet"),
            "password": password or "",
        }
        self._connect_s = connect_s

    async def open(self) -> aiomysql.Connection:
        """A session in which every statement is its own transaction."""
        try:
            async with asyncio.timeout(self._connect_s):
                return await aiomysql.connect(autocommit=True, charset="utf8mb4", **self._settings)
        except TimeoutError:
            raise NotDone(self.name, f"no session within {self._connect_s:g} s") from None
        except (pymysql.err.Error, OSError) as error:
            raise NotDone(self.name, _words(error)) from error

    def alive(self, connection: aiomysql.Connection) -> bool:
        """The server has not hung up."""
        reader = connection._reader
        return not (connection.closed or reader.at_eof() or reader.exception())

    def drop(self, connection: aiomysql.Connection) -> None:
        """Hung up."""
        connection.close()


class Journal:
    """The journal, with a deadline on every statement."""

    def __init__(self, pool: Pool[aiomysql.Connection], deadline_s: float) -> None:
        self._pool = pool
        self._deadline_s = deadline_s

    async def record(self, transfer: Transfer, origin: Origin) -> None:
        """The transfer has its one row, and another voter has it too."""
        wanted = (transfer.source, transfer.target, transfer.amount)
        async with self._pool.lend() as session:
            values = (transfer.key, *wanted, origin.site, origin.server)
            affected, _ = await self._run(session, _RECORD, values)
            if affected == _INSERTED:
                return
            _, rows = await self._run(session, _FIND, (transfer.key,))
            if rows != [wanted]:
                raise KeyReused(f"{transfer.key} stands for another transfer")

    async def ping(self, deadline_s: float) -> None:
        """The server has answered."""
        async with self._pool.lend() as session, asyncio.timeout(deadline_s):
            await session.ping(reconnect=False)

    async def keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        """The next rows after id `after`: id and key."""
        async with self._pool.lend() as session:
            _, rows = await self._run(session, _KEYS, (after, limit))
        return [(int(row[0]), str(row[1])) for row in rows]

    async def _run(
        self, session: aiomysql.Connection, statement: str, values: tuple[object, ...]
    ) -> tuple[int, list[tuple[Any, ...]]]:
        try:
            async with asyncio.timeout(self._deadline_s), session.cursor() as cursor:
                affected = await cursor.execute(statement, values)
                return int(affected), list(await cursor.fetchall())
        except TimeoutError:
            raise Unknown("mysql", f"no answer within {self._deadline_s:g} s") from None
        except (pymysql.err.Error, OSError, asyncio.IncompleteReadError) as error:
            if isinstance(error, pymysql.err.Error) and error.args[:1][0] in _NO_EFFECT:
                raise NotDone("mysql", _words(error)) from error
            raise Unknown("mysql", _words(error)) from error


def _words(error: BaseException) -> str:
    parts = [str(part) for part in error.args] or [type(error).__name__]
    return " ".join(parts).strip().splitlines()[0]
