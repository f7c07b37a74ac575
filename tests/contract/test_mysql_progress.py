"""How far a MariaDB or MySQL is that becomes a copy of its primary, read while that works."""

import asyncio
import contextlib
import json

import pytest

from controller.adapters.agent_work import AgentWork
from controller.adapters.mysql_clone import CloneWork
from controller.core.model import Epoch
from controller.ports import PortError, Work
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    NAME,
    WITNESS,
    Cluster,
    keys_at,
    write,
)
from tests.contract.mysql_flavour import mariadb_only, mysql_only
from tests.contract.mysql_steps import phantom_at_dc1, seal_voters

pytestmark = [pytest.mark.contract, pytest.mark.timeout(180)]

BULK_MB = 48
COPY_S = 120.0


async def diverge(three: Cluster) -> None:
    """dc1 holds what nobody else has; dc2 is a proven primary, with files to copy."""
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1")
    session.drop()
    await seal_voters(three)
    await phantom_at_dc1(three)
    await three.serve(DC2, 3, WITNESS)
    await three.databases[DC2].canary("epoch 3", COPY_S)
    pad = "REPEAT(SHA2(RAND(), 256), 2048)"
    three.servers[DC2].sql(
        "CREATE TABLE wallet.bulk (n INT AUTO_INCREMENT PRIMARY KEY, pad MEDIUMTEXT)"
    )
    for _ in range(BULK_MB // 8):
        rows = ", ".join([f"({pad})"] * 64)
        three.servers[DC2].sql(f"INSERT INTO wallet.bulk (pad) VALUES {rows}")


async def rejoin(three: Cluster, *workers: AgentWork | CloneWork) -> tuple[str, list[Work]]:
    """What the rejoin answered, and what was told of it meanwhile, as it changed."""
    seen = list[Work]()
    async with asyncio.TaskGroup() as group:
        work = group.create_task(three.databases[DC1].rejoin(DC2, Epoch(3), COPY_S))
        while not work.done():
            for worker in workers:
                found = None
                with contextlib.suppress(PortError):  # the server is replaced in the end
                    found = await worker.look(5)
                if found is not None and (not seen or differs(seen[-1], found)):
                    seen.append(found)
            await asyncio.sleep(0.01)
    for worker in workers:
        assert await worker.look(5) is None  # nobody works any more
        await worker.aclose()
    return work.result(), seen


def differs(one: Work, other: Work) -> bool:
    return (one.phase, one.done) != (other.phase, other.done)


def grown(seen: list[Work]) -> None:
    done = [work.done or 0 for work in seen]
    assert len([bytes_ for bytes_ in done if bytes_]) >= 2, seen
    assert done == sorted(done), seen
    assert all((work.done or 0) <= (work.total or 0) for work in seen), seen


def told_by(three: Cluster) -> AgentWork:
    return AgentWork(three.servers[DC1].agent, "mysql-progress", NAME)


@mariadb_only
async def test_a_copy_of_a_mariadb_tells_its_phases_and_how_far_it_is(three: Cluster) -> None:
    await diverge(three)
    settings = three.servers[DC1].directory / "hostagent.json"
    found = json.loads(settings.read_text())
    slowly = "import sys,time\nwhile d := sys.stdin.buffer.read1(1 << 20):\n"
    slowly += " sys.stdout.buffer.write(d); time.sleep(len(d) / 2e7)"
    way = ["sh", "-c", f"\"$@\" | python3 -uc '{slowly}'", "sh", *found["reach"][DC2]]
    settings.write_text(json.dumps({**found, "reach": {DC2: way}}))
    told, seen = await rejoin(three, told_by(three))
    assert "it is now a copy" in told
    phases = list(dict.fromkeys(work.phase for work in seen))
    assert phases[0] == "copy"
    assert {"copy", "prepare"} <= set(phases) <= {"copy", "prepare", "put in place", "start"}
    copying = [work for work in seen if work.phase == "copy" and work.done is not None]
    grown(copying)
    assert (copying[-1].total or 0) >= BULK_MB << 20
    assert keys_at(three.servers[DC1]) == {"k1"}


@mysql_only
async def test_a_clone_of_a_mysql_tells_how_far_it_is(three: Cluster) -> None:
    await diverge(three)
    three.servers[DC1].sql(
        "SET GLOBAL clone_max_data_bandwidth=20, GLOBAL clone_autotune_concurrency=0"
    )
    clone = CloneWork(three.spec(DC1).login())
    told, seen = await rejoin(three, told_by(three), clone)
    assert "it is now a copy" in told
    cloning = [work for work in seen if work.phase.startswith("clone: ")]
    grown(cloning)
    assert (cloning[-1].total or 0) >= BULK_MB << 20
