"""A last survivor commits without any other voter, and waits for one again, on real servers."""

import asyncio

import pytest

from controller.core.model import Epoch
from controller.ports import Refused, TimedOut
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    keys_at,
    write,
)
from tests.contract.postgres_world import now, world
from tests.contract.test_mysql_takeover import unanswered

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]


async def test_postgres_alone_and_back() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), 5)
        await w.dc2.database.seal(Epoch(2), 5)
        await w.dc1.begin_write("waited")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 0.4)
        assert not (await w.dc1.state()).alone

        await w.dc1.database.commit_alone(alone=True, deadline_s=5)
        await w.dc1.client.finish(now() + 5)
        assert (await w.dc1.state()).alone
        await w.dc1.write("alone")

        await w.dc1.database.commit_alone(alone=False, deadline_s=5)
        state = await w.dc1.state()
        assert (state.alone, state.problems) == (False, ())
        await w.dc1.begin_write("waits again")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 0.4)
        with pytest.raises(Refused, match="not a primary"):
            await w.dc2.database.commit_alone(alone=True, deadline_s=5)


async def test_postgres_that_was_alone_waits_for_voters_after_it_was_closed() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.database.commit_alone(alone=True, deadline_s=5)
        await w.dc1.database.close(deadline_s=15)
        await w.dc1.database.promote(Epoch(3), 5)
        state = await w.dc1.state()
        assert (state.writable, state.epoch, state.alone) == (True, 3, False)


async def test_mariadb_alone_and_back(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    primary = three.databases[DC1]
    await three.databases[DC2].seal(Epoch(2), LONG_S)
    await three.keeper.seal(Epoch(2), LONG_S)
    async with unanswered(three.servers[DC1], "waited") as task:
        assert not (await three.look(DC1)).alone
        await primary.commit_alone(alone=True, deadline_s=LONG_S)
        async with asyncio.timeout(5):
            assert await task == "acknowledged"
    assert (await three.look(DC1)).alone
    session = three.servers[DC1].session()
    await write(session, "alone")
    session.drop()
    assert "alone" in keys_at(three.servers[DC1])

    await primary.commit_alone(alone=False, deadline_s=LONG_S)
    state = await three.look(DC1)
    assert (state.alone, state.problems) == (False, ())
    async with unanswered(three.servers[DC1], "waits again") as task:
        await asyncio.wait([task], timeout=0.5)
        assert not task.done()
    with pytest.raises(Refused, match="not writable"):
        await three.databases[DC2].commit_alone(alone=True, deadline_s=LONG_S)
