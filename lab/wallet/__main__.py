"""`python -m lab.wallet`: one game server's wallet, at one site.

It stands for a program whose logic nobody will change for the sake of failover: it knows the
database hosts of its own site, and reconnects.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from psycopg.conninfo import conninfo_to_dict

from lab.wallet.app import Databases, build_app
from lab.wallet.journal import Journal, MysqlDriver
from lab.wallet.ledger import Ledger, PostgresDriver
from lab.wallet.pool import Pool
from lab.wallet.transfer import Origin


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is told to stop."""
    options = _parser().parse_args(arguments)
    # psycopg reports every session that is hung up on; the answer to the client says it already.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    host, _, port = options.listen.rpartition(":")
    app = build_app(
        Origin(site=options.site, server=options.name),
        options.service,
        None if options.no_database else _databases(options),
    )
    web.run_app(
        app,
        host=host.strip("[]") or None,
        port=int(port),
        access_log=None,
        print=None,
        shutdown_timeout=1.0,
        reuse_address=True,
    )


def _databases(options: argparse.Namespace) -> Databases:
    password = options.password_file.read_text().strip() if options.password_file else None
    settings = {name: str(value) for name, value in conninfo_to_dict(options.mysql).items()}
    deadline_s = options.deadline

    def ledger(size: int, patience_s: float) -> Ledger:
        driver = PostgresDriver(options.postgres, password, patience_s)
        return Ledger(Pool(driver, size, patience_s), deadline_s)

    def journal(size: int, patience_s: float) -> Journal:
        driver = MysqlDriver(settings, password, patience_s)
        return Journal(Pool(driver, size, patience_s), deadline_s)

    return Databases(
        ledger=ledger(options.pool, options.connect_timeout),
        journal=journal(options.pool, options.connect_timeout),
        ledger_health=ledger(1, options.health_timeout),
        journal_health=journal(1, options.health_timeout),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.wallet", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--site", required=True)
    parser.add_argument("--name", required=True, help="this server's name, such as app1")
    parser.add_argument("--service", default="wallet", help="what / and /whoami call it")
    parser.add_argument(
        "--postgres",
        default="host=127.0.0.1 dbname=wallet user=wallet",
        metavar="CONNINFO",
        help="the ledger: host, port, dbname, user as libpq writes them; no password",
    )
    parser.add_argument(
        "--mysql",
        default="host=127.0.0.1 dbname=wallet user=wallet",
        metavar="CONNINFO",
        help="the journal, in the same notation",
    )
    parser.add_argument("--password-file", type=Path, help="the password for both databases")
    parser.add_argument("--no-database", action="store_true", help="only whoami and healthz")
    parser.add_argument("--pool", type=int, default=16, help="connections to each database")
    # After a move every program opens all its sessions at once: short, and some fail for no reason.
    parser.add_argument(
        "--connect-timeout", type=float, default=1.5, metavar="S", help="for a session to use"
    )
    parser.add_argument(
        "--health-timeout", type=float, default=0.3, metavar="S", help="the same, in /healthz"
    )
    parser.add_argument(
        "--deadline", type=float, default=2.0, metavar="S", help="for one statement's answer"
    )
    return parser


if __name__ == "__main__":
    main()
