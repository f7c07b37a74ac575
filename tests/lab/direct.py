"""A client inside a site that is logged in at the site's databases, past haproxy and wallet."""

import json
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab.client.attempts import missing
from lab.netns.inside import Running
from tests.lab.system import PYTHON, System

DATABASE = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One acknowledgement, or one error."""

    table: str
    key: str
    sent_at: float
    at: float
    error: str


@dataclass(slots=True)
class DirectClient:
    """Writes straight into both databases of one site."""

    system: System
    site: str
    log_path: str
    running: Running

    def answers(self, after: float = 0.0) -> list[Answer]:
        """What it was told after `after`."""
        path = self.system.lab.path(f"{self.site}-app1", self.log_path)
        lines = path.read_text().splitlines() if path.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        return [found for found in (Answer(**line) for line in whole) if found.at > after]

    def acks(self, table: str, after: float = 0.0) -> list[Answer]:
        """What `table` acknowledged after `after`."""
        return [a for a in self.answers(after) if a.table == table and not a.error]

    async def writes(self, *, within_s: float = 15) -> None:
        """Both databases have acknowledged something."""

        async def look() -> str:
            counts = {table: len(self.acks(table)) for table in ("ledger", "journal")}
            return "" if min(counts.values()) > 5 else f"acknowledged: {counts}"

        await self.system.until("the direct client writes", look, within_s=within_s)

    async def nothing_lost(self, holder: str) -> None:
        """Everything it was told is written is there, at `holder`."""
        for table, keys in (
            ("ledger", await self.system.eyes.ledger_keys(holder)),
            ("journal", await self.system.eyes.journal_keys(holder)),
        ):
            lost = missing([a.key for a in self.acks(table)], keys)
            assert not lost, f"acknowledged to the direct client, not in {table}: {lost}"


@asynccontextmanager
async def direct_client(system: System, site: str) -> AsyncIterator[DirectClient]:
    """It writes at the databases of `site`; afterwards it has ended."""
    log_path = f"/tmp/direct-{secrets.token_hex(3)}.jsonl"
    module = ["-m", "tests.lab.direct_client", DATABASE[site], log_path]
    running = await system.lab.start_process(
        f"{site}-app1", ["env", "PYTHONPATH=/opt/tricast", PYTHON, *module]
    )
    client = DirectClient(system, site, log_path, running)
    try:
        await client.writes()
        yield client
    finally:
        running.signal(signal.SIGKILL)
        await running.finish(10)
