"""What we lean on in MySQL 9, and what we guard against, pinned. Run where LAB_MYSQL=mysql."""

import asyncio
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from controller.adapters.mysql_gtid import owned_by
from controller.core.model import Epoch
from controller.ports import PortError
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    Server,
    ended,
    eventually,
    keys_at,
    relay,
    wait_for,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR, mysql_only
from tests.foreign.test_mariadb import (
    answers,
    one_waits,
    outcome,
    stands,
    started_by_hand,
    waiting,
)

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(90), mysql_only]


def own_socket(server: Server, owner: str) -> None:
    """The lock of the server's socket names a process; for "" there is no lock."""
    lock = Path(f"{server.socket}.lock")
    lock.unlink(missing_ok=True)
    if owner:
        lock.write_text(f"{owner}\n")


async def stranded(three: Cluster) -> Server:
    """dc1, a primary whose only voter has gone, with nothing that waits."""
    await three.serve(DC1, 2, WITNESS)
    await eventually(partial(epochs, three.servers[DC1], ["2"]), "the epoch to be acknowledged")
    await three.keeper.seal(Epoch(2), LONG_S)
    return three.servers[DC1]


async def epochs(server: Server, wanted: list[str]) -> bool:
    return [row[0] for row in server.sql("SELECT epoch FROM tricast.epoch")] == wanted


async def test_recovery_shows_what_nobody_acknowledged(three: Cluster) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "phantom"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        assert keys_at(server) == set()
        server.kill()
        assert await attempt != "OK"
    own_socket(server, "")
    with started_by_hand(server):
        assert keys_at(server) == {"phantom"}


@pytest.mark.parametrize(("kill", "told"), [("KILL QUERY", "OK"), ("KILL CONNECTION", "2013")])
async def test_a_killed_waiter_leaves_its_commit_waiting(
    three: Cluster, kill: str, told: str
) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "k"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        server.sql(f"{kill} {waiting(server)[0]}")
        await asyncio.wait([attempt], timeout=0.5)
        assert attempt.done() == (told != "OK")  # nobody is told "OK" before it is acknowledged
        assert len(waiting(server)) == 1
        assert keys_at(server) == set()
        await three.keeper.follow(DC1, Epoch(2), LONG_S)
        await eventually(lambda: stands(server, "k"), "the commit to be acknowledged")
        assert told in await attempt


async def test_what_waits_is_owned_and_not_executed(three: Cluster) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "k"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        executed, owned = server.sql("SELECT @@global.gtid_executed, @@global.gtid_owned")[0]
        assert executed == server.gtid(1)
        assert owned_by(owned, {int(waiting(server)[0])}) == server.gtid(2)
        await three.keeper.follow(DC1, Epoch(2), LONG_S)
        assert await attempt == "OK"


async def test_a_replica_that_asks_by_gtid_acknowledges_nothing_it_has_already(
    three: Cluster,
) -> None:
    await three.databases[DC1].promote(Epoch(2), LONG_S)
    await three.databases[DC2].follow(DC1, Epoch(2), quarantine=True, deadline_s=LONG_S)
    await eventually(partial(epochs, three.servers[DC2], ["2"]), "dc2 to have the epoch")
    server, words = three.servers[DC2], FLAVOUR.dialect
    server.sql(f"{words.stop}; SET GLOBAL {words.replica_side}=1; {words.start}")
    await eventually(partial(acknowledging, three.servers[DC1]), "the source to see a replica")
    await asyncio.sleep(0.5)
    assert await epochs(three.servers[DC1], [])  # it waits on, and would for ever
    file, offset = three.servers[DC1].sql(words.log_place)[0][:2]
    change = words.change_to_exact.format(file=f"'{file}'", offset=offset)
    server.sql(f"{words.stop}; {change}; {words.start}")
    await eventually(partial(epochs, three.servers[DC1], ["2"]), "the epoch to be acknowledged")


async def acknowledging(server: Server) -> bool:
    clients = f"SHOW GLOBAL STATUS LIKE '{FLAVOUR.dialect.source_clients}'"
    return server.sql(clients)[0][1] == "1"


async def test_an_applier_cut_off_inside_a_transaction_stops_only_when_it_is_killed(
    three: Cluster,
) -> None:
    async with relay(three.servers[DC1].port) as wire:
        keeper = three.keeper_through(wire.port)
        await three.databases[DC1].promote(Epoch(2), LONG_S)
        await three.databases[DC1].admit(frozenset({WITNESS}), LONG_S)
        await keeper.follow(DC1, Epoch(2), LONG_S)
        await three.databases[DC1].set_gate(opened=True, deadline_s=LONG_S)
        session = three.servers[DC1].session()
        many = ",".join(f"('big{n}', 'a', 'b', 1, 's', 's')" for n in range(5000))
        columns = "transfer_key, from_account, to_account, amount, site, server"
        wire.left = 100_000
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await session.rows(f"INSERT INTO wallet.journal ({columns}) VALUES {many}")
        session.drop()
        server = three.servers[WITNESS]
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(asyncio.to_thread(server.sql, FLAVOUR.dialect.stop))
            await asyncio.wait([stopping], timeout=1)
            assert not stopping.done()
            (applier,) = server.sql(FLAVOUR.dialect.appliers)
            server.sql(f"KILL CONNECTION {applier[0]}")
            async with asyncio.timeout(5):
                await asyncio.wait([stopping])
        assert keys_at(server) == set()
        await keeper.aclose()


async def test_relay_logs_do_not_survive_a_restart(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    keeper = three.servers[WITNESS]
    keeper.sql("STOP REPLICA SQL_THREAD")
    assert await outcome(three.servers[DC1], "told") == "OK"  # out of the relay log alone
    keeper.kill()
    own_socket(keeper, "")
    with started_by_hand(keeper):
        keeper.sql("START REPLICA SQL_THREAD")
        wait_for(lambda: has_read_all(keeper), "the applier to have read all there is")
        assert keys_at(keeper) == set()


def has_read_all(server: Server) -> bool:
    states = server.sql("SELECT state FROM information_schema.processlist")
    return any(row[0].startswith("Replica has read all relay log") for row in states)


async def test_a_failed_statement_ends_the_init_file_and_not_the_start(three: Cluster) -> None:
    server = three.servers[DC1]
    server.kill()
    own_socket(server, "")
    script = server.state_dir / "broken.sql"
    script.write_text(
        "SET sql_log_bin=0;\nSELECT 1 FROM nowhere.x;\nCREATE DATABASE after_the_error;\n"
    )
    shutil.chown(script, "mysql")
    with started_by_hand(server, f"--init-file={script}"):
        assert ["after_the_error"] not in server.sql("SHOW DATABASES")


async def test_a_server_whose_init_file_fails_locks_everybody_out_and_is_stopped(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, WITNESS)
    server = three.servers[DC1]
    server.sql("SET sql_log_bin=0; RENAME TABLE tricast.start TO tricast.gone")
    server.kill()
    with pytest.raises(PortError, match="start"):
        await three.databases[DC1].start(LONG_S)
    own_socket(server, "")
    locked = "SELECT account_locked FROM mysql.user WHERE user = 'wallet'"
    with started_by_hand(server):
        assert server.sql(locked) == [["Y"]]
        server.sql("SET sql_log_bin=0; RENAME TABLE tricast.gone TO tricast.start")
    await three.databases[DC1].start(LONG_S)
    assert server.sql("SELECT user FROM tricast.gated") == [["wallet"]]


async def test_a_socket_whose_last_owner_has_a_living_number_ends_the_start(
    three: Cluster,
) -> None:
    """Numbers are given out again: any process will do."""
    server = three.servers[DC1]
    server.kill()
    own_socket(server, str(three.servers[DC2].pid()))
    assert not starts(server)
    assert "is using unix socket file" in server.log_text()
    await three.databases[DC1].start(LONG_S)  # the host agent knows better
    assert answers(server)


def starts(server: Server, *options: str) -> bool:
    """Whether the server answers; if not, it has ended by itself."""
    process = subprocess.Popen(
        [FLAVOUR.program, f"--defaults-file={server.directory / 'my.cnf'}", *options],
        user="mysql",
        group="mysql",
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: ended(process.pid) or answers(server), "the start", within_s=20)
        return process.poll() is None
    finally:
        process.kill()
        process.wait()


async def test_a_copy_beside_the_data_leaves_the_server_as_it_was(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1")
    session.drop()
    target = three.servers[DC2]
    room = target.directory / "room"
    room.mkdir()
    shutil.chown(room, "mysql")
    port = three.servers[DC1].port
    donor = f"'rejoin_dc2'@'127.0.0.1':{port} IDENTIFIED BY 'rejoin_dc2-secret'"
    target.sql(
        f"SET GLOBAL clone_valid_donor_list='127.0.0.1:{port}';"
        f"CLONE INSTANCE FROM {donor} DATA DIRECTORY = '{room}/data'"
    )
    assert keys_at(target) == set()
    assert target.sql("SELECT @@global.gtid_executed") == [[""]]
    assert (room / "data/mysql.ibd").is_file()
    assert not (room / "data/auto.cnf").exists()  # the copy gets an identity of its own
