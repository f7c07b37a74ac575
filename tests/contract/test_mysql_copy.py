"""A MariaDB that becomes a copy of its primary: cut short, under load, without room, too old."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from controller.core.model import Epoch
from controller.ports import PortError, Refused
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    NAME,
    WITNESS,
    Cluster,
    eventually,
    holds,
    keys_at,
    write,
)
from tests.contract.mysql_flavour import mariadb_only
from tests.contract.mysql_steps import attempt, caught_up, phantom_at_dc1, restart, seal_voters

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90), mariadb_only]


async def diverge(three: Cluster) -> None:
    """dc1 has "k1" and, alone, "phantom"; dc2 is primary of epoch 3 and serves."""
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1")
    session.drop()
    await seal_voters(three)
    await phantom_at_dc1(three)
    await prove(three, 3)


async def prove(three: Cluster, epoch: int) -> None:
    """dc2 is primary of `epoch`, and a voter has acknowledged that it is."""
    await three.serve(DC2, epoch, WITNESS)
    await three.databases[DC2].canary(f"epoch {epoch}", LONG_S)


async def vote(three: Cluster) -> None:
    """dc1 votes for dc2, and has all that dc2 has."""
    await three.databases[DC2].admit(frozenset({DC1, WITNESS}), LONG_S)
    await three.databases[DC1].follow(DC2, Epoch(3), quarantine=False, deadline_s=LONG_S)
    await eventually(lambda: caught_up(three), "dc1 to catch up")


def reach_by(three: Cluster, script: str) -> None:
    """dc1's agent gets to dc2's through a shell script; its own command is "$@"."""
    settings = three.servers[DC1].directory / "hostagent.json"
    found = json.loads(settings.read_text())
    found["reach"][DC2] = ["sh", "-c", script, "sh", *found["reach"][DC2]]
    settings.write_text(json.dumps(found))


async def test_a_copy_that_is_cut_short_leaves_the_old_data_and_is_made_again(
    three: Cluster,
) -> None:
    await diverge(three)
    server = three.servers[DC1]
    settings = server.directory / "hostagent.json"
    whole = settings.read_text()
    reach_by(three, '"$@" | head -c 5000000')
    with pytest.raises(PortError, match="ended inside a piece"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    state = await three.look(DC1)
    assert (state.diverged, state.receiving, state.writable) == (True, False, False)
    assert keys_at(server) == {"k1", "phantom"}
    copy_room = server.data_dir.with_name("data.copy")
    assert not copy_room.exists()
    args = {"database": NAME, "source": DC2, "epoch": "3"}
    with pytest.raises(PortError, match="no whole copy"):
        await server.agent.call("mysql-adopt", args, LONG_S)
    settings.write_text(whole)
    (copy_room / "data/mysql").mkdir(parents=True)  # as of a call that was killed
    told = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert "0-1-3 thrown away" in told
    assert not copy_room.exists()
    await vote(three)
    assert keys_at(server) == {"k1"}


async def test_one_that_acknowledged_alone_becomes_a_copy(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await seal_voters(three)
    await three.databases[DC1].commit_alone(alone=True, deadline_s=LONG_S)
    session = three.servers[DC1].session()
    await write(session, "alone1", "alone2", "alone3")
    session.drop()
    await prove(three, 3)
    await three.databases[DC1].close(LONG_S)
    told = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert "0-1-2 to 0-1-4 (3) thrown away" in told
    await vote(three)
    assert keys_at(three.servers[DC1]) == set()
    text = shown(Path(told.rpartition(" saved in ")[2]))
    assert all(f"'alone{number}'" in text for number in (1, 2, 3)), text


def shown(kept: Path) -> str:
    """What an operator reads in logs that were kept, those in tail/ on their own: what recovery has
    cut may stand in both.
    """
    program = ["mariadb-binlog", "--no-defaults", "--verbose", "--base64-output=decode-rows"]
    found = [sorted(folder.glob("binlog.[0-9]*")) for folder in (kept, kept / "tail")]
    done = [
        subprocess.run([*program, *map(str, logs)], capture_output=True, text=True, check=False)
        for logs in found
        if logs
    ]
    assert all(each.returncode == 0 for each in done), [each.stderr for each in done]
    return "".join(each.stdout for each in done)


async def test_a_primary_that_is_killed_meanwhile_leaves_the_old_data(three: Cluster) -> None:
    await diverge(three)
    pid = three.servers[DC2].pid()
    reach_by(three, f'"$@" | {{ head -c 3000000; kill -9 {pid}; cat; }}')
    with pytest.raises(PortError, match="mysql-fetch"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    state = await three.look(DC1)
    assert (state.diverged, state.receiving) == (True, False)
    assert keys_at(three.servers[DC1]) == {"k1", "phantom"}


async def test_what_is_written_meanwhile_is_in_the_copy_once_and_waits_only_a_moment(
    three: Cluster,
) -> None:
    await diverge(three)
    session = three.servers[DC2].session()
    session_sql = "CREATE USER late@'127.%' IDENTIFIED BY 'late-secret'"
    three.servers[DC2].sql(session_sql)
    longest = 0.0
    keys: list[str] = []
    async with asyncio.TaskGroup() as group:
        rejoin = group.create_task(three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S))
        while not rejoin.done():
            began = time.monotonic()
            await write(session, f"m{len(keys)}")
            longest = max(longest, time.monotonic() - began)
            keys.append(f"m{len(keys)}")
    session.drop()
    assert longest < 0.9  # a backup by its defaults holds them up for a second
    await vote(three)
    assert keys_at(three.servers[DC1]) == {"k1", *keys}
    sums = "CHECKSUM TABLE wallet.journal, tricast.epoch, tricast.canary EXTENDED"
    assert three.servers[DC1].sql(sums) == three.servers[DC2].sql(sums)
    state = "SELECT @@global.gtid_binlog_state"
    mine, theirs = (set(three.servers[s].sql(state)[0][0].split(",")) for s in (DC1, DC2))
    assert mine == theirs
    own = "SELECT @@server_id, @@rpl_semi_sync_slave_enabled, @@gtid_slave_pos = @@gtid_binlog_pos"
    assert three.servers[DC1].sql(own) == [["1", "1", "1"]]
    # Accounts are the primary's; those of clients are locked here, and let in when the gate opens.
    locked = "SELECT JSON_VALUE(priv, '$.account_locked') FROM mysql.global_priv WHERE user='{}'"
    assert three.servers[DC1].sql(locked.format("late")) == [["1"]]
    assert three.servers[DC1].sql(locked.format("wallet")) == [["1"]]
    assert three.servers[DC2].sql(locked.format("wallet")) != [["1"]]


async def test_a_backup_gives_way_to_those_that_wait_for_it(three: Cluster) -> None:
    await diverge(three)
    three.servers[WITNESS].freeze()
    try:
        session, other = (three.servers[DC2].session() for _ in range(2))
        async with asyncio.TaskGroup() as group:
            group.create_task(write(session, "waits"))
            await eventually(lambda: waits(three, "Waiting for semi-sync%"), "the commit to wait")
            refused = group.create_task(refusal(three))
            # The backup waits for that commit, and whoever commits next for the backup.
            await eventually(lambda: waits(three, "Waiting for backup lock"), "the backup")
            group.create_task(write(other, "behind"))
            assert "gave way" in await refused
            assert not await waits(three, "Waiting for backup lock")
            three.servers[WITNESS].thaw()
        session.drop()
        other.drop()
    finally:
        three.servers[WITNESS].thaw()
    await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    await vote(three)
    assert keys_at(three.servers[DC1]) == {"k1", "waits", "behind"}


async def refusal(three: Cluster) -> str:
    with pytest.raises(PortError) as told:
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    return str(told.value)


async def waits(three: Cluster, state: str) -> bool:
    looked = f"SELECT id FROM information_schema.processlist WHERE state LIKE '{state}'"
    return bool(three.servers[DC2].sql(looked))


async def test_one_that_was_away_for_too_long_becomes_a_copy(three: Cluster) -> None:
    await three.serve(DC2, 3, WITNESS)
    session = three.servers[DC2].session()
    await write(session, "k1")
    await three.databases[DC1].seal(Epoch(3), LONG_S)
    three.servers[DC2].sql("FLUSH BINARY LOGS")
    await write(session, "k2")
    session.drop()
    await eventually(lambda: purged(three), "the primary's first log to be gone")
    told = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert "have been purged" in told
    assert "nothing thrown away" in told
    await vote(three)
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}


async def test_an_empty_one_in_the_place_of_lost_data_becomes_a_copy(
    three: Cluster, source: Path
) -> None:
    await three.serve(DC2, 3, WITNESS)
    session = three.servers[DC2].session()
    await write(session, "k1")
    three.servers[DC2].sql("FLUSH BINARY LOGS")
    await write(session, "k2")
    session.drop()
    await eventually(lambda: purged(three), "the primary's first log to be gone")
    three.servers[DC1].kill()
    shutil.rmtree(three.servers[DC1].data_dir)
    three.provision(source)
    await three.databases[DC1].start(LONG_S)
    assert "have been purged" in await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    await vote(three)
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}


async def purged(three: Cluster) -> bool:
    """Logs that a voter's connection still reads from are kept until it has moved on."""
    logs = three.servers[DC2].sql("SHOW BINARY LOGS")
    three.servers[DC2].sql(f"PURGE BINARY LOGS TO '{logs[-1][0]}'")
    return len(three.servers[DC2].sql("SHOW BINARY LOGS")) == 1


async def test_a_tail_that_was_cut_is_named_and_kept_as_well(three: Cluster) -> None:
    await diverge(three)
    # dc1 has "phantom" in its log; now one more that it waits for, which recovery cuts.
    server = three.servers[DC1]
    await three.databases[DC2].close(LONG_S)
    await three.databases[DC1].promote(Epoch(4), LONG_S)
    await three.databases[DC1].set_gate(opened=True, deadline_s=LONG_S)
    await attempt(server, "later")
    held = await restart(three)
    await prove(three, 5)
    told = await three.databases[DC1].rejoin(DC2, Epoch(5), LONG_S)
    assert f"0-1-3 to {held.text} (3) thrown away" in told
    kept = Path(told.rpartition(" saved in ")[2])
    assert kept.parent == server.state_dir / "discarded"
    assert holds(kept, "phantom")
    assert (kept / "tail/tail.json").is_file()
    assert (await three.look(DC1)).problems == ()


async def test_a_copy_without_room_or_a_way_is_refused(three: Cluster) -> None:
    await diverge(three)
    settings = three.servers[DC1].directory / "hostagent.json"
    whole = settings.read_text()
    reach_by(three, '"$@" | sed -u \'1s/"size": "/"size": "999999999/\'')
    with pytest.raises(Refused, match="MiB are free: make room there"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    settings.write_text(whole)
    reach_by(three, '"$@" | sed -u \'1s/"version": "/"version": "9./\'')
    with pytest.raises(Refused, match="upgrade one of them"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    settings.write_text(json.dumps({**json.loads(whole), "reach": {}}))
    with pytest.raises(Refused, match="no way to dc2 under 'reach'"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert keys_at(three.servers[DC1]) == {"k1", "phantom"}
