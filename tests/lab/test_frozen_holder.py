"""The holder stands still, is replaced, and wakes up: it acknowledges not one write more."""

import time

import pytest

from tests.lab.direct import direct_client
from tests.lab.system import System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


async def test_a_thawed_primary_acknowledges_nothing(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    local = f"{holder}-app2"  # its packets go in at the old holder's own haproxy
    database, front = f"{holder}-db", edge(holder)
    async with system.load("client2", local) as load, direct_client(system, holder) as direct:
        system.lab.freeze(database)
        system.lab.freeze(front, ["controller"])
        frozen_at = time.monotonic()
        await system.until_held_by(other, above=epoch)
        await load.of("client2").acked(20, after=frozen_at)

        thawed_at = time.monotonic()
        system.lab.thaw(database)

        async def silent() -> str:
            return "; ".join(
                f"{table} acknowledged {len(acks)} writes with its controller still frozen"
                for table in ("ledger", "journal")
                if len(acks := direct.acks(table, thawed_at)) > 1
            )

        await holds_for(1.5, silent)
        system.lab.thaw(front, ["controller"])
        await system.settled()
        await load.of(local).acked(20, after=thawed_at)  # forwarded to the new holder

    for writer in load.writers.values():
        stale = [a for a in writer.acks(frozen_at) if a.site == holder and a.sent_at > frozen_at]
        assert not stale, f"{holder} has acknowledged after it was deposed: {stale}"
    for table in ("ledger", "journal"):
        stale_too = [a for a in direct.acks(table, frozen_at) if a.sent_at > frozen_at]
        assert not stale_too, f"{table} at {holder} has acknowledged: {stale_too}"
        assert len(direct.acks(table, thawed_at)) <= 1  # the answer that was on its way
    await direct.nothing_lost(other)
    assert await system.intact(load) == (other, holder)
