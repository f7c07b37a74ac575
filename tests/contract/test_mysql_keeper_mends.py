"""A MariaDB or MySQL keeper that was wiped or put back proves nothing until it holds everything."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.adapters.mysql_replica import Replica
from controller.core.model import Epoch
from controller.core.position import holds
from controller.core.quorum import holds_nothing
from controller.ports import PortError
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    NAME,
    WITNESS,
    Cluster,
    eventually,
    keys_at,
    write,
)
from witness.mysql_keeper import MysqlKeeper

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]


async def written(three: Cluster, *keys: str) -> None:
    session = three.servers[DC1].session()
    await write(session, *keys)
    session.drop()


async def begin_again(three: Cluster) -> None:
    """The keeper's server runs with what is in its directory now."""
    await three.servers[WITNESS].agent.call("mysql-start", {"database": NAME}, LONG_S)


async def proves_nothing(keeper: MysqlKeeper) -> None:
    """It is sealed, and no takeover would count it."""
    position = await keeper.seal(Epoch(3), LONG_S)
    state = await keeper.observe(2)
    assert position == state.position
    assert (position.epoch, position.text) == (0, "")
    assert (state.sealed, state.whole, holds_nothing(state)) == (True, False, True)
    assert any("it does not vote" in problem for problem in state.problems)


async def proves_all(three: Cluster) -> None:
    """Sealed, it ends where the primary ends."""
    whole = (await three.look(DC1)).position
    assert whole is not None
    position = await three.keeper.seal(Epoch(3), LONG_S)
    assert position.epoch == 2
    assert holds(position, whole)


@asynccontextmanager
async def another(three: Cluster) -> AsyncIterator[MysqlKeeper]:
    """A daemon that has just started: it remembers nothing."""
    keeper = MysqlKeeper(three.keeper_spec())
    try:
        yield keeper
    finally:
        await keeper.aclose()


async def test_a_new_one_proves_nothing_before_it_holds_what_its_primary_held(
    three: Cluster,
) -> None:
    await proves_nothing(three.keeper)
    await three.serve(DC1, 2, DC2, WITNESS)
    await written(three, "k1")
    await proves_all(three)
    async with another(three) as keeper:
        assert (await keeper.observe(2)).whole


async def test_a_wiped_one_proves_nothing_before_it_holds_everything_again(
    three: Cluster, source: Path
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await written(three, "k1", "k2")
    server = three.servers[WITNESS]
    server.kill()
    shutil.rmtree(server.data_dir)
    three.provision(source)
    await begin_again(three)
    async with another(three) as keeper:
        await proves_nothing(keeper)
    await proves_nothing(three.keeper)
    await written(three, "k3")
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await eventually(three.keeper_votes, "the wiped keeper to hold everything again")
    assert keys_at(server) == {"k1", "k2", "k3"}
    await proves_all(three)
    async with another(three) as keeper:
        assert (await keeper.observe(2)).whole


async def test_one_that_is_put_back_to_an_older_state_is_noticed(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await written(three, "k1")
    server = three.servers[WITNESS]
    await three.keeper.seal(Epoch(2), LONG_S)
    server.kill()
    older = server.directory / "older"
    shutil.copytree(server.data_dir, older, copy_function=shutil.copy2)
    await begin_again(three)
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await written(three, "k2")
    await proves_all(three)
    server.kill()
    for path in sorted(server.data_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    shutil.copytree(older, server.data_dir, dirs_exist_ok=True, copy_function=shutil.copy2)
    shutil.chown(server.data_dir, "mysql", "mysql")
    for path in server.data_dir.rglob("*"):
        shutil.chown(path, "mysql", "mysql")
    await begin_again(three)
    await proves_nothing(three.keeper)

    async def noted() -> bool:
        return server.sql("SELECT level FROM tricast.start") == [["0"]]

    await eventually(noted, "the server itself to know it")
    async with another(three) as keeper:
        await proves_nothing(keeper)
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await eventually(three.keeper_votes, "the keeper to hold everything again")
    assert keys_at(server) == {"k1", "k2"}
    await proves_all(three)


async def test_one_whose_primary_has_no_more_of_its_log_stays_without_a_vote(
    three: Cluster, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await written(three, "k1")
    three.servers[WITNESS].kill()
    shutil.rmtree(three.servers[WITNESS].data_dir)
    three.provision(source)
    await begin_again(three)
    newest = three.servers[DC1].sql("FLUSH BINARY LOGS; SHOW BINARY LOGS")[-1][0]

    async def purged() -> bool:
        three.servers[DC1].sql(f"PURGE BINARY LOGS TO '{newest}'")
        return three.servers[DC1].sql("SHOW BINARY LOGS")[0][0] == newest

    await eventually(purged, "the primary to have only its newest log")
    with pytest.raises(PortError, match="1236"):
        await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await proves_nothing(three.keeper)

    async def seen_to_stream(*_: object) -> None:
        """As it looks for the instant between the connection and the refusal."""

    with monkeypatch.context() as patched:
        patched.setattr(Replica, "_until_streaming", seen_to_stream)
        with pytest.raises(PortError, match="1236"):
            await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await proves_nothing(three.keeper)
