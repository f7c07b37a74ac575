"""How far a rejoin of PostgreSQL is, read by a second call while the first works."""

import asyncio

import pytest

from controller.adapters.agent_work import AgentWork
from controller.ports import Work
from tests.contract.postgres_world import LEDGER, World, world
from tests.contract.slow_wire import slow_wire
from tests.contract.test_postgres_rejoin import checkpointed, depose

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

BULK_MB = 24
BYTES_S = 12e6  # PostgreSQL's programs tell once a second how far they are


async def fill(w: World) -> None:
    """The new primary has files that take a while to copy."""
    await w.dc2.sql("create table bulk (n int, pad text)", 20)
    await w.dc2.sql("alter table bulk alter pad set storage plain", 20)
    rows = f"select n, repeat('x', 8000) from generate_series(1, {BULK_MB * 128}) n"
    await w.dc2.sql(f"insert into bulk {rows}", 60)
    await w.dc2.sql("checkpoint", 60)


async def rejoin_slowly(w: World, phase: str) -> tuple[dict[str, str], list[Work]]:
    """What the agent at dc1 answered, and what it told of `phase` meanwhile, as it changed."""
    worker, seen = AgentWork(w.dc1.agent, "postgres-progress", LEDGER), list[Work]()
    asked = {"database": LEDGER, "site": "dc1", "epoch": "3", "host": "127.0.0.1"}
    async with slow_wire(w.dc2.port, bytes_s=BYTES_S) as port, asyncio.TaskGroup() as group:
        more = {"port": str(port), "user": "rejoin_dc1"}
        work = group.create_task(w.dc1.agent.call("postgres-rejoin", {**asked, **more}, 90))
        while not work.done():
            found = await worker.look(5)
            if found is not None and found.phase == phase and found.done:
                seen += [found] if not seen or seen[-1].done != found.done else []
    assert await worker.look(5) is None  # nobody works any more
    return work.result(), seen


def check(seen: list[Work]) -> None:
    """At least two readings, each further than the one before, towards a known end."""
    done = [work.done or 0 for work in seen]
    assert len(done) >= 2, seen
    assert done == sorted(set(done)), seen
    assert all(BULK_MB << 20 <= (work.total or 0) >= (work.done or 0) for work in seen), seen
    assert [work.for_s for work in seen] == sorted(work.for_s for work in seen)


async def test_a_base_backup_tells_how_far_it_is() -> None:
    async with world() as w:
        await depose(w, phantoms=0)
        await fill(w)
        await checkpointed(w)
        (w.dc1.directory / "gate/rebuilding").write_text("a rewind did not finish\n")
        assert await AgentWork(w.dc1.agent, "postgres-progress", LEDGER).look(5) is None
        answer, seen = await rejoin_slowly(w, "base backup")
        assert answer["method"].startswith("base backup in ")
        check(seen)


async def test_a_rewind_tells_how_far_it_is() -> None:
    async with world() as w:
        await depose(w, phantoms=2)
        await fill(w)
        await w.dc1.database.start(20)
        await checkpointed(w)
        answer, seen = await rejoin_slowly(w, "rewind")
        assert (answer["method"], answer["discarded"][:14]) == ("rewind", "2 transactions")
        check(seen)
