"""A question that is asked over and over, and what a promotion does beside promoting."""

import pytest

from controller.adapters.postgres_link import SqlRefused
from controller.core.model import Epoch
from controller.ports import Refused
from tests.contract.postgres_world import WITNESS, now, until, world

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

COUNT = "select count(*) from pg_prepared_statements"
ME = "select pg_backend_pid()"
FILL = """
select pg_create_physical_replication_slot('full_' || number)
from generate_series(1, current_setting('max_replication_slots')::int
    - (select count(*)::int from pg_replication_slots)) as number
"""


async def test_a_connection_plans_a_question_once_and_a_new_one_plans_it_anew() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        link = w.dc1.link("tricast", "database")
        for _ in range(3):
            ((pid,),) = await link.often(ME, deadline=now() + 5)
            assert await link.query(COUNT, deadline=now() + 5) == [("1",)]
        await link.often("select 1", deadline=now() + 5)
        assert await link.query(COUNT, deadline=now() + 5) == [("2",)]
        await w.dc1.sql(f"select pg_terminate_backend({pid})")
        ((again,),) = await link.often(ME, deadline=now() + 5)
        assert again != pid
        assert await link.query(COUNT, deadline=now() + 5) == [("1",)]
        link.drop()


async def test_a_question_that_is_refused_leaves_the_connection_of_use() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        link = w.dc1.link("tricast", "database")
        for wrong in ("select nothing_of_the_kind", "select 1 / 0"):
            for _ in range(2):
                with pytest.raises(SqlRefused):
                    await link.often(wrong, deadline=now() + 5)
        assert await link.often("select 7", deadline=now() + 5) == [("7",)]
        assert link.generation == 1
        link.drop()


async def test_a_promotion_lets_its_voters_in() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.database.close(20)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.seal(Epoch(3), 5)
        await w.dc2.database.promote(Epoch(3), 5, voters=frozenset({WITNESS}))
        state = await w.dc2.state()
        assert state.writable
        assert not state.gate_open
        assert state.admitted == {WITNESS}
        await w.keeper.follow(w.dc2.name, Epoch(3), 10)
        await w.dc2.database.canary("acknowledged by the keeper", 5)
        await w.dc2.database.promote(Epoch(3), 5)
        assert not (await w.dc2.state()).admitted

        async def cut() -> bool:
            return not (await w.dc2.state()).followers

        await until("the keeper was cut", cut)


async def test_a_server_that_has_no_slot_left_is_promoted_and_says_so() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.database.close(20)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.seal(Epoch(3), 5)
        await w.dc2.sql(FILL)
        with pytest.raises(Refused, match="all replication slots are in use"):
            await w.dc2.database.promote(Epoch(3), 10, voters=frozenset({WITNESS}))

        async def writable() -> bool:
            return (await w.dc2.state()).writable

        await until("it is promoted", writable)
        state = await w.dc2.state()
        assert (state.gate_open, state.admitted) == (False, frozenset())
