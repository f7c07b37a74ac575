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
    postgres = PostgresDriver(options.postgres, password, options.connect_timeout)
    settings = {name: str(value) for name, value in conninfo_to_dict(options.mysql).items()}
    mysql = MysqlDriver(settings, password, options.connect_timeout)
    size, deadline_s, patience_s = options.pool, options.deadline, options.connect_timeout
    return Databases(
        ledger=Ledger(Pool(postgres, size, patience_s), deadline_s),
        journal=Journal(Pool(mysql, size, patience_s), deadline_s),
        ledger_health=Ledger(Pool(postgres, 1, patience_s), deadline_s),
        journal_health=Journal(Pool(mysql, 1, patience_s), deadline_s),
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
    parser.add_argument("--connect-timeout", type=float, default=0.3, metavar="S")
    parser.add_argument(
        "--deadline", type=float, default=2.0, metavar="S", help="for one statement's answer"
    )
    return parser


if __name__ == "__main__":
    main()
