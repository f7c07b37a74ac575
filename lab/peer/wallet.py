"""`python -m lab.peer.wallet`: the wallet of lab/wallet with its ledger alone.

Patroni keeps PostgreSQL only, so there is no journal to write first: the peer has less to do.
"""

import argparse

from aiohttp import web

from lab.wallet.app import Databases, build_app
from lab.wallet.journal import Journal
from lab.wallet.ledger import Ledger, PostgresDriver
from lab.wallet.pool import Pool
from lab.wallet.transfer import Origin, Transfer

SESSIONS = 16
CONNECT_S = 0.3
DEADLINE_S = 2.0


class NoJournal(Journal):
    """A journal in which nothing is written."""

    def __init__(self) -> None:
        return

    async def record(self, transfer: Transfer, origin: Origin) -> None:
        """Nothing was written."""

    async def ping(self, deadline_s: float) -> None:
        """Nobody was asked."""

    async def keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        """None."""
        return []


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m lab.peer.wallet", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--site", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--postgres", required=True, metavar="CONNINFO")
    options = parser.parse_args()
    driver = PostgresDriver(options.postgres, None, CONNECT_S)
    databases = Databases(
        ledger=Ledger(Pool(driver, SESSIONS, CONNECT_S), DEADLINE_S),
        ledger_health=Ledger(Pool(driver, 1, CONNECT_S), DEADLINE_S),
        journal=NoJournal(),
        journal_health=NoJournal(),
    )
    host, _, port = options.listen.rpartition(":")
    web.run_app(
        build_app(Origin(site=options.site, server=options.name), "wallet", databases),
        host=host,
        port=int(port),
        access_log=None,
        print=None,
        shutdown_timeout=1.0,
        reuse_address=True,
    )


if __name__ == "__main__":
    main()
