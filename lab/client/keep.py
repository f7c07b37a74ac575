"""`python -m lab.client.keep http|sql`: one connection that is kept, and used now and then.

Each use is a line of the log: when, how it ended, and on which connection. A connection that the
other side ended in order is made anew before the next use; one that broke in use is an error.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, TextIO

import psycopg

_TIMEOUT_S: Final = 4.0
_ADD: Final = (
    "insert into ledger (transfer_key, from_account, to_account, amount, site, server)"
    " values (%s, 'keep', 'house', 1, 'keep', 'keep')"
)


class Kept(Protocol):
    """A connection that is made when there is none."""

    number: int  # of the connection, from 1

    async def use(self, key: str) -> None:
        """It was used once; OSError or psycopg.Error when not."""

    def drop(self) -> None:
        """There is none."""


class Http:
    """One HTTP/1.1 connection."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.number = 0
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def use(self, key: str) -> None:
        """A request was answered with 200."""
        if self._ends is None or self._ends[0].at_eof():
            self.drop()
            self._ends = await asyncio.open_connection(self._host, 80)
            self.number += 1
        reader, writer = self._ends
        writer.write(f"GET /whoami?{key} HTTP/1.1\r\nHost: wallet\r\n\r\n".encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.split("content-length:")[1].split()[0]))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("closed before the answer") from error
        if "connection: close" in head:
            self.drop()
        if " 200 " not in head.splitlines()[0]:
            raise ConnectionRefusedError(head.splitlines()[0])

    def drop(self) -> None:
        """The next use begins with a new connection."""
        if self._ends is not None:
            self._ends[1].close()
        self._ends = None


class Sql:
    """One session at a PostgreSQL server."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self.number = 0
        self._session: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def use(self, key: str) -> None:
        """A row was committed."""
        if self._session is None:
            self._session = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
            self.number += 1
        await self._session.execute(_ADD, (key,))

    def drop(self) -> None:
        """The next use begins with a new session; the old one's answer is not waited for."""
        if self._session is not None:
            self._session.pgconn.finish()
        self._session = None


async def use_for_ever(kept: Kept, every_s: float, log: TextIO, name: str) -> None:
    """A use every `every_s`, each noted as it ended."""
    number = 0
    while True:
        number += 1
        sent_at, error = time.monotonic(), ""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await kept.use(f"{name}-{number}")
        except (OSError, TimeoutError, psycopg.Error) as found:
            error = " ".join(str(found).split()) or type(found).__name__
            kept.drop()
        at = time.monotonic()
        line = {"sent_at": sent_at, "at": at, "connection": kept.number, "error": error}
        log.write(json.dumps(line) + "\n")
        await asyncio.sleep(max(0.0, sent_at + every_s - at))


def main(arguments: Sequence[str] | None = None) -> None:
    """Uses its connection until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m lab.client.keep", description=__doc__)
    parser.add_argument("kind", choices=["http", "sql"])
    parser.add_argument("target", help="a host, or a conninfo without a password")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--every", type=float, default=1.0, metavar="S")
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args(arguments)
    target = options.target
    if options.password_file is not None:
        target += f" password={options.password_file.read_text().strip()}"
    kept: Kept = Http(target) if options.kind == "http" else Sql(target)
    with options.log.open("w", buffering=1) as log:
        asyncio.run(use_for_ever(kept, options.every, log, options.log.stem))


if __name__ == "__main__":
    main()
