"""The last acknowledged commits exist at the holder and the witness only; then the holder dies."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lab.client.attempts import missing
from lab.netns.lab import Lab
from tests.lab.system import System, edge

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


@asynccontextmanager
async def replication_dropped(lab: Lab, site: str, source: str) -> AsyncIterator[None]:
    """Nothing that the database server `source` sends to the databases of `site` arrives."""
    rules = (
        "table ip test_lag {\nchain forward {\ntype filter hook forward priority -10;\n"
        f"ip saddr {source} tcp sport {{ 5432, 3306 }} drop\n}}\n}}\n"
    )
    await lab.run(edge(site), ["nft", "-f", "-"], stdin=rules)
    try:
        yield
    finally:
        await lab.run(edge(site), ["nft", "delete table ip test_lag"])


async def test_the_tail_is_fetched_from_the_keeper_before_the_promotion(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    database = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}[holder]
    async with system.load("client2") as load:
        async with replication_dropped(system.lab, other, database):
            dropped_at = time.monotonic()
            await load.acked(80, after=dropped_at)
            cut_at = await system.lab.cut(holder)
            late = [a.key for a in load.of("client2").acks(dropped_at)]
            for name, keys in (
                ("PostgreSQL", await system.eyes.ledger_keys(other)),
                ("MariaDB", await system.eyes.journal_keys(other)),
            ):
                behind = len(missing(late, keys))
                assert behind > 40, f"{name} at {other} lacks only {behind}: nothing is shown"
            await system.until_held_by(other, above=epoch, within_s=30)
            await load.acked(20, after=cut_at)
        change = await system.change(other, await system.epoch(other))
        intents = [step["name"] for step in change["steps"]]
        assert intents.count("intent CatchUp") >= 2, f"both databases had to catch up: {intents}"
        await system.lab.heal(holder)
        await system.settled()
    assert await system.intact(load) == (other, holder)
