"""What we lean on in MariaDB 10.11, and what we guard against, pinned."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from controller.core.model import Epoch
from controller.hostagent.mysql_log import log_files, position_text, scan
from controller.ports import PortError
from tests.contract.mysql_cluster import (
    DC1,
    LONG_S,
    NAME,
    WITNESS,
    Cluster,
    Server,
    eventually,
    keys_at,
    wait_for,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR, mariadb_only

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(90), mariadb_only]


@contextmanager
def started_by_hand(server: Server, *options: str) -> Iterator[None]:
    """The server answers, with our option file and `options`, without the host agent."""
    process = subprocess.Popen(
        [FLAVOUR.program, f"--defaults-file={server.directory / 'my.cnf'}", *options],
        user="mysql",
        group="mysql",
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        wait_for(lambda: answers(server), "the server to answer")
        yield
    finally:
        process.kill()
        process.wait()


def answers(server: Server) -> bool:
    done = subprocess.run(
        ["mariadb", "--no-defaults", "-uroot", f"-S{server.socket}", "-e", "SELECT 1"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def waiting(server: Server) -> list[str]:
    rows = server.sql(
        "SELECT id FROM information_schema.processlist"
        " WHERE state LIKE 'Waiting for semi-sync ACK%'"
    )
    return [row[0] for row in rows]


async def one_waits(server: Server) -> bool:
    return len(waiting(server)) == 1


async def outcome(server: Server, key: str) -> str:
    session = server.session()
    try:
        await write(session, key)
    except PortError as error:
        return str(error)
    else:
        return "OK"
    finally:
        session.drop()


async def stranded(three: Cluster) -> Server:
    """dc1, a primary whose only voter has gone."""
    await three.serve(DC1, 2, WITNESS)
    await three.keeper.seal(Epoch(2), LONG_S)
    return three.servers[DC1]


async def test_recovery_as_a_replica_cuts_an_acknowledged_transaction(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    server = three.servers[DC1]
    assert await outcome(server, "told") == "OK"
    server.kill()
    with started_by_hand(server, "--init-rpl-role=SLAVE"):
        assert keys_at(server) == set()
        assert "Successfully truncated binlog file" in server.log_text()


async def test_recovery_as_a_primary_shows_what_nobody_acknowledged(three: Cluster) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "phantom"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        server.kill()
        assert await attempt != "OK"
    with started_by_hand(server, "--init-rpl-role=MASTER"):
        assert keys_at(server) == {"phantom"}


@pytest.mark.parametrize(
    ("kill", "told"),
    [("KILL QUERY", "OK"), ("KILL CONNECTION", "2013"), ("KILL SOFT CONNECTION", "2013")],
)
async def test_what_a_killed_waiter_is_told(three: Cluster, kill: str, told: str) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "k"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        server.sql(f"{kill} {waiting(server)[0]}")
        async with asyncio.timeout(5):
            assert told in await attempt
    await asyncio.sleep(0.2)
    assert len(waiting(server)) == ("SOFT" in kill)  # only a soft kill leaves the wait alone


async def test_its_newest_file_is_not_named_while_two_commits_wait(three: Cluster) -> None:
    """To whom asks for it by its proper name; `mysql_place` asks another way."""
    server = await stranded(three)
    asking = server.session("tricast")
    try:
        async with asyncio.TaskGroup() as group:
            attempts = [group.create_task(outcome(server, "first"))]
            await eventually(lambda: one_waits(server), "the first commit to wait")
            attempts.append(group.create_task(outcome(server, "second")))
            await eventually(lambda: queued(server, 1), "the second to stand behind it")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asking.rows("SHOW MASTER STATUS")
            server.kill()
            assert "OK" not in await asyncio.gather(*attempts)
    finally:
        asking.drop()


async def test_a_hard_killed_waiter_ends_the_wait_of_its_whole_group(three: Cluster) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempts = [group.create_task(outcome(server, "first"))]
        await eventually(lambda: one_waits(server), "the first commit to wait")
        attempts.append(group.create_task(outcome(server, "second")))
        await eventually(lambda: queued(server, 1), "the second to stand behind it")
        attempts += [group.create_task(outcome(server, f"group{n}")) for n in range(3)]
        await eventually(lambda: queued(server, 4), "the others to stand in line")
        for _ in range(3):
            await eventually(lambda: one_waits(server), "the next to wait first")
            server.sql(f"KILL CONNECTION {waiting(server)[0]}")
        async with asyncio.timeout(5):
            told = [await attempt for attempt in attempts]
    assert told.count("OK") == 2  # nobody has acknowledged anything


async def queued(server: Server, count: int) -> bool:
    rows = server.sql("SELECT 1 FROM information_schema.processlist WHERE state = 'Commit'")
    return len(rows) == count


async def test_a_client_that_goes_away_leaves_its_commit_waiting(three: Cluster) -> None:
    server = await stranded(three)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(outcome(server, "k"))
        await eventually(lambda: one_waits(server), "the commit to wait")
        attempt.cancel()
    await asyncio.sleep(0.5)
    assert len(waiting(server)) == 1
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await eventually(lambda: stands(server, "k"), "the commit to be acknowledged")


async def stands(server: Server, key: str) -> bool:
    return key in keys_at(server)


async def test_relay_logs_survive_a_restart_but_not_the_next_start_of_the_replica(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, WITNESS)
    keeper = three.servers[WITNESS]
    keeper.sql("STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID=slave_pos; START SLAVE IO_THREAD")
    assert await outcome(three.servers[DC1], "told") == "OK"  # out of the relay log alone
    keeper.kill()
    with started_by_hand(keeper):
        kept = scan(log_files(keeper.data_dir, "relay"))
        assert [str(gtid) for gtid in kept.groups[-1:]] == ["0-1-2"]
        keeper.sql("START SLAVE SQL_THREAD")
        wait_for(lambda: not log_holds(keeper, "0-1-2"), "the relay logs to be thrown away")
        assert keys_at(keeper) == set()


def log_holds(server: Server, gtid: str) -> bool:
    return gtid in [str(g) for g in scan(log_files(server.data_dir, "relay")).groups]


async def test_a_failed_statement_ends_the_init_file(three: Cluster) -> None:
    server = three.servers[DC1]
    server.kill()
    script = server.state_dir / "broken.sql"
    script.write_text(
        "SET sql_log_bin=0;\nSELECT 1 FROM nowhere.x;\nCREATE DATABASE after_the_error;\n"
    )
    shutil.chown(script, "mysql")
    with started_by_hand(server, f"--init-file={script}"):
        assert ["after_the_error"] not in server.sql("SHOW DATABASES")


async def test_a_killed_receiver_ends_at_once_where_a_stopped_one_takes_a_second(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, WITNESS)
    keeper = three.servers[WITNESS]
    three.servers[DC1].freeze()
    (receiver,) = keeper.sql(
        "SELECT id FROM information_schema.processlist WHERE command = 'Slave_IO'"
    )
    began = time.monotonic()
    keeper.sql(f"KILL CONNECTION {receiver[0]}")
    wait_for(lambda: not receivers(keeper), "the receiver to be gone")
    assert time.monotonic() - began < 0.9
    three.servers[DC1].thaw()
    keeper.sql("START SLAVE IO_THREAD")
    wait_for(lambda: streaming(keeper), "the receiver to stream again")
    three.servers[DC1].freeze()
    began = time.monotonic()
    keeper.sql("STOP SLAVE IO_THREAD")
    assert time.monotonic() - began > 0.9
    three.servers[DC1].thaw()


def receivers(server: Server) -> bool:
    return bool(
        server.sql("SELECT 1 FROM information_schema.processlist WHERE command = 'Slave_IO'")
    )


def streaming(server: Server) -> bool:
    rows = server.sql("SELECT state FROM information_schema.processlist WHERE command='Slave_IO'")
    return rows == [["Waiting for master to send event"]]


async def test_our_reading_of_the_binary_log_is_the_servers(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    server = three.servers[DC1]
    for key in ("a", "b", "c"):
        assert await outcome(server, key) == "OK"
    client = server.session()
    await client.rows("CREATE TABLE wallet.other (id INT)")
    client.drop()
    found = scan(log_files(server.data_dir, "binlog"))
    assert position_text(found.end) == server.sql("SELECT @@gtid_binlog_pos")[0][0]
    assert (found.server_id, found.last_writer, found.in_use, found.epoch) == (1, 1, True, 2)
    last = log_files(server.data_dir, "binlog")[-1]
    torn = server.state_dir / last.name
    torn.write_bytes(last.read_bytes()[:-3])
    assert [str(gtid) for gtid in scan([torn]).groups] == [str(g) for g in found.groups[:-1]]


async def test_a_whole_start_needs_only_the_agent(three: Cluster) -> None:
    answer = await three.servers[DC1].agent.call("mysql-start", {"database": NAME}, LONG_S)
    assert answer == {"state": "ready before"}
