"""Timelines whose numbers were planted, so that the timeline is the epoch: nobody believes them."""

import asyncio
from collections.abc import Awaitable

import pytest

from controller.adapters import postgres_sql as sql
from controller.core.model import Epoch
from controller.hostagent import wal
from tests.contract.postgres_world import DC2, WITNESS, until, world

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]
TRIES_S = 0.5  # the startup process looks for newer timelines every 100 ms


async def test_voters_that_begin_below_a_planted_number_are_served() -> None:
    """The daemon stood still between planting and promoting; followers start before the fork."""
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("two", 10)
        await w.dc1.database.close(deadline_s=15)
        await w.keeper.seal(Epoch(5), 5)
        await w.dc2.database.seal(Epoch(5), 5)
        await w.dc2.sql(sql.plant([3, 4], 5))
        await asyncio.sleep(TRIES_S)

        await w.dc2.database.promote(Epoch(5), 10)
        history = (w.dc2.server.wal_dir / wal.history_name(5)).read_text()
        assert [timeline for timeline, _ in wal.parse_history(history)] == [1, 2]
        await w.dc2.database.admit(frozenset({WITNESS}), 5)
        await w.keeper.follow(DC2, Epoch(5), 10)
        await w.dc2.database.set_gate(opened=True, deadline_s=5)
        acked |= await w.dc2.write_many("five", 5)  # acknowledged by the keeper alone

        async def checkpointed() -> bool:
            await w.dc2.state()  # a look at a new primary sees to its checkpoint
            found = await w.dc2.sql("select timeline_id from pg_control_checkpoint()")
            return found == [("5",)]

        await until("dc2 has a checkpoint on timeline 5", checkpointed)
        await w.dc1.database.seal(Epoch(5), 5)
        await w.dc1.database.rejoin(DC2, Epoch(5), 30)
        await w.dc2.database.admit(frozenset({WITNESS, w.dc1.name}), 5)
        await w.dc1.database.follow(DC2, Epoch(5), quarantine=False, deadline_s=5)

        async def follows() -> bool:
            state = await w.dc1.state()
            return state.streaming and state.epoch == 5 and not state.quarantined

        await until("dc1 follows as a voter", follows)
        await until("dc1 has every write", lambda: _has(w.dc1.keys(), acked))


async def _has(keys: Awaitable[set[str]], wanted: set[str]) -> bool:

    return wanted <= await keys
