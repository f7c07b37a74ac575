"""Real databases once for all tests of the wallet; emptied and healthy before each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from lab.wallet.app import Databases, build_app
from lab.wallet.journal import Journal, MysqlDriver
from lab.wallet.ledger import Ledger, PostgresDriver
from lab.wallet.pool import Pool
from lab.wallet.transfer import Origin
from tests.wallet.servers import PASSWORD, Server, running_mariadb, running_postgres

DEADLINE_S = 0.6


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    with running_mariadb() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server) -> Server:
    postgres_server.postgres_admin("TRUNCATE ledger")
    return postgres_server


@pytest.fixture
def mariadb(mariadb_server: Server) -> Server:
    mariadb_server.mysql_run("DELETE FROM wallet.journal")
    return mariadb_server


class Caller:
    """What a client of the wallet can do."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    async def transfer(self, key: str, amount: int = 5) -> tuple[int, dict[str, object]]:
        async with self.client.post(
            "/transfer",
            json={"from": "alice", "to": "bob", "amount": amount},
            headers={"Idempotency-Key": key},
        ) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, str]:
        async with self.client.get(path) as response:
            return response.status, await response.text()


@pytest_asyncio.fixture
async def wallet(postgres: Server, mariadb: Server) -> AsyncIterator[Caller]:
    ledger = PostgresDriver(postgres.conninfo(), None, 0.5)
    settings = {
        "host": "127.0.0.1",
        "port": str(mariadb.port),
        "user": "wallet",
        "dbname": "wallet",
    }
    journal = MysqlDriver(settings, PASSWORD, 0.5)
    ledger_pool, journal_pool = Pool(ledger, 4, 0.5), Pool(journal, 4, 0.5)
    ledger_health, journal_health = Pool(ledger, 1, 0.5), Pool(journal, 1, 0.5)
    app = build_app(
        Origin(site="dc1", server="app1"),
        "wallet",
        Databases(
            ledger=Ledger(ledger_pool, DEADLINE_S),
            journal=Journal(journal_pool, DEADLINE_S),
            ledger_health=Ledger(ledger_health, DEADLINE_S),
            journal_health=Journal(journal_health, DEADLINE_S),
        ),
    )
    async with TestClient(TestServer(app)) as client:
        yield Caller(client)
    for pool in (ledger_pool, journal_pool, ledger_health, journal_health):
        pool.drop_idle()
