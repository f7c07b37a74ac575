"""`python -m tests.lab.direct_client HOST LOG`: a client that is logged in at the databases itself.

One session at each database, one insert after another, and the answer is waited for however long
it takes. Every acknowledgement and every error is a line of the log.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psycopg
import pymysql

INSERT = (
    "insert into {table} (transfer_key, from_account, to_account, amount, site, server)"
    " values (%s, 'direct', 'house', 1, 'direct', 'direct')"
)
PAUSE_S = 0.02


def main() -> None:
    """Writes until it is killed."""
    host, path = sys.argv[1], Path(sys.argv[2])
    password = Path("/etc/tricast/secrets/wallet").read_text().strip()
    log = path.open("w", buffering=1)

    def postgres() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=host,
            dbname="wallet",
            user="wallet",
            password=password,
            autocommit=True,
            connect_timeout=2,
        )

    def mariadb() -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host=host,
            user="wallet",
            password=password,
            database="wallet",
            autocommit=True,
            connect_timeout=2,
        )

    for name, connect in (("ledger", postgres), ("journal", mariadb)):
        threading.Thread(target=write, args=(name, connect, log, path.stem), daemon=True).start()
    threading.Event().wait()


def write(name: str, connect: Callable[[], Any], log: TextIO, stem: str) -> None:
    """Inserts into the table `name` for ever, over new connections when one breaks."""
    number = 0
    while True:
        try:
            with connect() as session, session.cursor() as cursor:
                while True:
                    number += 1
                    key, sent_at = f"{stem}-{name}-{number}", time.monotonic()
                    cursor.execute(INSERT.format(table=name), (key,))
                    note(log, table=name, key=key, sent_at=sent_at, error="")
                    time.sleep(PAUSE_S)
        except (psycopg.Error, pymysql.err.Error, OSError) as error:
            note(log, table=name, key="", sent_at=0.0, error=str(error))
            time.sleep(PAUSE_S)


def note(log: TextIO, **words: object) -> None:
    """A line of the log, whole."""
    log.write(json.dumps({**words, "at": time.monotonic()}) + "\n")


if __name__ == "__main__":
    main()
