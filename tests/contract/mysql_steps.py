"""What tests of returning servers do to dc1: it is left with records, falls, and starts closed."""

import asyncio

import pytest

from controller.core.model import Epoch
from controller.core.position import Position
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    Server,
    eventually,
    keys_at,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR


async def attempt(server: Server, key: str, within_s: float = 0.5) -> None:
    """A write that nobody acknowledges; its session goes on waiting at the server."""
    session = server.session()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(within_s):
            await write(session, key)
    session.drop()


async def seal_voters(three: Cluster) -> None:
    """dc2 and the keeper are sealed for epoch 3, and dc2 has what either of them acknowledged."""
    await three.databases[DC2].seal(Epoch(3), LONG_S)
    target = await three.keeper.seal(Epoch(3), LONG_S)
    await three.databases[DC2].catch_up(WITNESS, target, LONG_S)


async def restart(three: Cluster) -> Position:
    """dc1 fell and was started closed; the end of what it holds."""
    three.servers[DC1].kill()
    await three.databases[DC1].start(deadline_s=LONG_S)
    position = (await three.look(DC1)).position
    assert position is not None
    return position


async def caught_up(three: Cluster) -> bool:
    mine, theirs = await three.look(DC1), await three.look(DC2)
    return mine.position == theirs.position


async def diverged_dc1(three: Cluster) -> tuple[Position, str]:
    """dc1 has k1 and k2 like everybody, and a transaction that nobody else has; dc2 and the keeper
    are sealed for epoch 3. Where dc1 ends, and the GTID of what is too much.
    """
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2")
    session.drop()
    await seal_voters(three)
    return await phantom_at_dc1(three), three.servers[DC1].gtid(4)


async def phantom_at_dc1(three: Cluster) -> Position:
    """dc1 was restarted with a transaction that it has committed and nobody else has."""
    server = three.servers[DC1]
    await attempt(server, "phantom")
    if not FLAVOUR.mysql:  # whose recovery would take it back
        waiting = server.sql(
            "SELECT id FROM information_schema.processlist"
            " WHERE state LIKE 'Waiting for semi-sync%'"
        )
        server.sql(f"KILL CONNECTION {waiting[0][0]}")  # commits at this server, for nobody else
        await eventually(lambda: _committed(server), "the phantom to be committed")
        server.sql("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")  # else the crash would undo it after all
    held = await restart(three)
    assert "phantom" in keys_at(server)
    return held


async def _committed(server: Server) -> bool:
    return "phantom" in keys_at(server)
