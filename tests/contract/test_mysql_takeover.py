"""A takeover of MariaDB or MySQL, rung by rung, on three real servers: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from controller.core.model import Epoch, Liveness, SiteName
from controller.core.position import Order, compare, holds
from controller.ports import PortError, Refused, TimedOut
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    NAME,
    WITNESS,
    Cluster,
    Server,
    eventually,
    keys_at,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR, mariadb_only, mysql_only

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]


@asynccontextmanager
async def unanswered(server: Server, key: str) -> AsyncIterator["asyncio.Task[str]"]:
    """A client's write that waits for an acknowledgement inside the block."""
    session = server.session()

    async def attempt() -> str:
        try:
            await write(session, key)
        except PortError as error:
            return type(error).__name__
        return "acknowledged"

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(attempt())
            await eventually(waits(server, key), f"{key} to wait")
            yield task
            task.cancel()
    finally:
        session.drop()


def waits(server: Server, key: str) -> Callable[[], Awaitable[bool]]:
    """Whether the write of `key` waits for an acknowledgement, or in line behind one that does."""

    async def seen() -> bool:
        rows = server.sql("SELECT state, info FROM information_schema.processlist")
        return any(
            row[0].startswith((FLAVOUR.dialect.waiting, *FLAVOUR.dialect.queued)) and key in row[1]
            for row in rows
        )

    return seen


async def test_a_commit_waits_until_the_keeper_alone_acknowledges(three: Cluster) -> None:
    primary = three.databases[DC1]
    await primary.promote(Epoch(2), LONG_S)
    await primary.set_gate(opened=True, deadline_s=LONG_S)
    async with unanswered(three.servers[DC1], "k1") as task:
        state = await three.look(DC1)
        assert (state.waiting_commits, task.done()) == (2, False)  # the epoch's own, and this
        await primary.admit(frozenset({WITNESS}), LONG_S)
        await three.keeper.follow(DC1, Epoch(2), LONG_S)
        async with asyncio.timeout(5):
            assert await task == "acknowledged"
    assert keys_at(three.servers[WITNESS]) == {"k1"}
    assert keys_at(three.servers[DC2]) == set()


async def test_a_promoted_server_is_seen_under_its_epoch_before_anyone_follows(
    three: Cluster,
) -> None:
    await three.databases[DC1].promote(Epoch(7), LONG_S)
    state = await three.look(DC1)
    assert (state.writable, state.epoch, state.gate_open) == (True, 7, False)
    assert state.position is not None
    assert state.position.text == three.servers[DC1].gtid(1)
    assert state.problems == ()
    assert three.servers[DC1].sql("SELECT * FROM tricast.epoch") == []  # not acknowledged yet


async def test_the_epoch_row_is_the_first_record(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1")
    session.drop()
    events = three.servers[WITNESS].sql("SHOW BINLOG EVENTS IN 'binlog.000001'")
    statement = "Rows_query" if FLAVOUR.mysql else "Annotate_rows"
    records = [row for row in events if row[2] in ("Gtid", statement)]
    assert [row[2] for row in records[:2]] == ["Gtid", statement]
    assert "INSERT INTO tricast.epoch (epoch, holder) VALUES (2, 'dc1')" in records[1][5]


async def test_once_two_voters_are_sealed_the_old_primary_acknowledges_nothing(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await three.databases[DC2].seal(Epoch(3), LONG_S)
    sealed = await three.keeper.seal(Epoch(3), LONG_S)
    async with unanswered(three.servers[DC1], "late") as task:
        await asyncio.wait([task], timeout=1)
        assert not task.done()
    standby, keeper = await three.look(DC2), await three.keeper.observe(2)
    assert (standby.receiving, standby.upstream) == (False, None)
    assert (keeper.sealed, keeper.position) == (True, sealed)
    assert "late" not in keys_at(three.servers[DC2]) | keys_at(three.servers[WITNESS])


async def test_a_frozen_primary_does_not_delay_a_seal(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    three.servers[DC1].freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await three.databases[DC2].seal(Epoch(3), LONG_S)
    await three.keeper.seal(Epoch(3), LONG_S)
    assert loop.time() - began < 0.9  # one receiver's own farewell takes a second
    three.servers[DC1].thaw()
    assert not (await three.look(DC2)).receiving


async def test_what_only_the_keeper_has_is_fetched_before_the_promotion(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, *(f"both{n}" for n in range(10)))
    await three.databases[DC2].seal(Epoch(2), LONG_S)
    acknowledged = [f"keeper{n}" for n in range(200)]
    await write(session, *acknowledged)
    session.drop()
    three.servers[DC1].freeze()
    target = await three.keeper.seal(Epoch(3), LONG_S)
    mine = (await three.look(DC2)).position
    assert mine is not None
    assert compare(mine, target) is Order.BEHIND
    await three.databases[DC2].catch_up(WITNESS, target, LONG_S)
    state = await three.look(DC2)
    assert (state.position, state.receiving, state.upstream) == (target, False, None)
    await three.serve(DC2, 3, WITNESS)
    assert set(acknowledged) <= keys_at(three.servers[DC2])
    three.servers[DC1].thaw()


async def test_a_seal_waits_until_all_that_was_received_is_applied(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2)
    blocker = three.servers[DC2].session("tricast")
    three.servers[DC2].sql(
        "SET sql_log_bin=0; GRANT LOCK TABLES, SELECT, INSERT ON wallet.* TO tricast@'127.%'"
    )
    await blocker.rows("LOCK TABLES wallet.journal WRITE")
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")  # acknowledged out of dc2's relay log
    session.drop()
    with pytest.raises(TimedOut):
        await three.databases[DC2].seal(Epoch(3), 0.5)
    state = await three.look(DC2)
    assert (state.receiving, state.position) == (False, None)
    blocker.drop()
    await three.databases[DC2].seal(Epoch(3), LONG_S)
    assert keys_at(three.servers[DC2]) == {"k1", "k2", "k3"}


async def test_close_gives_waiting_sessions_no_answer_and_keeps_their_records(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.keeper.seal(Epoch(3), LONG_S)
    async with unanswered(three.servers[DC1], "never") as task:
        whole = (await three.look(DC1)).position
        await three.databases[DC1].close(deadline_s=LONG_S)
        async with asyncio.timeout(5):
            assert await task == "TimedOut"  # unknown to the client: neither done nor refused
    state = await three.look(DC1)
    assert state.liveness is Liveness.RUNNING, state.problems
    assert (state.writable, state.gate_open, state.admitted) == (False, False, frozenset())
    assert (state.position, state.epoch, state.waiting_commits) == (whole, 2, 0)
    # MySQL has no way to hold it back; the gate does.
    assert ("never" in keys_at(three.servers[DC1])) == FLAVOUR.mysql
    await three.databases[DC1].promote(Epoch(4), LONG_S)
    assert "never" in keys_at(three.servers[DC1])


async def test_who_held_it_before_closes_nothing_of_who_holds_it_now(three: Cluster) -> None:
    await three.serve(DC1, 3, WITNESS)

    async def close(epoch: int) -> None:
        asked = {"database": NAME, "epoch": str(epoch)}
        await three.servers[DC1].agent.call("mysql-close", asked, LONG_S)

    with pytest.raises(Refused, match=r"knows epoch 3: .* in the name of epoch 2"):
        await close(2)
    assert (await three.look(DC1)).writable
    await close(3)
    assert not (await three.look(DC1)).writable
    three.servers[DC1].freeze()
    try:
        await close(2)  # it says nothing, and is closed
    finally:
        three.servers[DC1].thaw()
    assert (await three.look(DC1)).liveness is Liveness.RUNNING


async def test_a_crash_right_after_an_acknowledgement_loses_nothing(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")
    three.servers[DC1].kill()
    session.drop()
    assert (await three.look(DC1)).liveness is Liveness.DOWN
    await three.databases[DC1].start(deadline_s=LONG_S)
    at_keeper = await three.keeper.seal(Epoch(3), LONG_S)
    state = await three.look(DC1)
    assert state.position is not None
    assert holds(state.position, at_keeper)
    await three.databases[DC1].promote(Epoch(3), LONG_S)
    assert keys_at(three.servers[DC1]) == {"k1", "k2", "k3"}


async def test_a_fall_is_told_at_once(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    told = asyncio.Event()
    three.databases[DC1].tell_of_loss(told.set)
    await three.databases[DC1].aclose()
    assert (await three.look(DC1)).liveness is Liveness.RUNNING
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await told.wait()
    three.servers[DC1].kill()
    async with asyncio.timeout(2):
        await told.wait()
    assert (await three.look(DC1)).liveness is Liveness.DOWN


async def test_a_keeper_that_falls_keeps_what_it_acknowledged(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    keeper = three.servers[WITNESS]
    keeper.sql(
        "SET sql_log_bin=0; GRANT LOCK TABLES, SELECT, INSERT ON wallet.* TO tricast@'127.%'"
    )
    blocker = keeper.session("tricast")
    await blocker.rows("LOCK TABLES wallet.journal WRITE")
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")
    session.drop()
    keeper.kill()
    blocker.drop()
    whole = (await three.look(DC1)).position
    await keeper.agent.call("mysql-start", {"database": NAME}, LONG_S)
    state = await three.keeper.observe(2)
    assert (state.sealed, state.following) == (True, None)
    assert state.position == whole
    assert keys_at(keeper) == {"k1", "k2", "k3"}
    await three.keeper.follow(DC1, Epoch(2), LONG_S)


async def test_every_start_is_closed(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    for server in three.servers.values():
        server.kill()
    await three.start()
    for site in (DC1, DC2):
        state = await three.look(site)
        assert (state.writable, state.gate_open, state.admitted) == (False, False, frozenset())
        assert (state.receiving, state.upstream) == (False, None)
    client = three.servers[DC1].session()
    with pytest.raises(Refused, match="locked"):
        await client.rows("SELECT 1")


async def test_a_server_writable_under_an_older_epoch_must_close_first(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    with pytest.raises(Refused, match="must be closed first"):
        await three.databases[DC1].promote(Epoch(3), LONG_S)
    with pytest.raises(Refused, match="must be closed"):
        await three.databases[DC1].seal(Epoch(3), LONG_S)
    await three.databases[DC1].promote(Epoch(2), LONG_S)  # already so
    await three.databases[DC1].close(deadline_s=LONG_S)
    with pytest.raises(Refused, match="records of epoch 2"):
        await three.databases[DC1].promote(Epoch(1), LONG_S)


@pytest.mark.parametrize("epoch", [2, 3])
async def test_a_promotion_cut_after_its_epoch_row_is_finished_by_the_next(
    three: Cluster, epoch: int
) -> None:
    server = three.servers[DC1]
    session = server.session("tricast")
    await session.rows(f"SET GLOBAL {FLAVOUR.dialect.source_side}=1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await session.rows("INSERT INTO tricast.epoch (epoch, holder) VALUES (2, 'dc1')")
    assert (await three.look(DC1)).epoch == 2  # its session waits on, though nobody listens
    await three.serve(DC1, epoch, WITNESS)
    assert (await three.look(DC1)).epoch == epoch

    async def applied() -> bool:  # it confirms what it has received, and applies it a moment later
        rows = three.servers[WITNESS].sql("SELECT epoch FROM tricast.epoch")
        return sorted(int(row[0]) for row in rows) == list(range(2, epoch + 1))

    await eventually(applied, "the keeper to have the row of every epoch once")


@mariadb_only
async def test_an_unwritten_epoch_row_does_not_outlive_a_fall(three: Cluster) -> None:
    await three.databases[DC1].promote(Epoch(2), LONG_S)
    three.servers[DC1].kill()
    await three.databases[DC1].start(deadline_s=LONG_S)
    assert three.servers[DC1].sql("SELECT epoch FROM tricast.epoch") == []
    assert (await three.look(DC1)).epoch == 2  # still held, in case somebody has it
    await three.serve(DC2, 3, WITNESS)
    dropped = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert dropped.startswith("transactions 0-1-1; saved in ")
    await eventually(lambda: under(three, DC1, 3), "dc1 to have the new epoch")


@mysql_only
async def test_an_unwritten_epoch_row_makes_a_fallen_primary_a_copy_of_the_next(
    three: Cluster,
) -> None:
    await three.databases[DC1].promote(Epoch(2), LONG_S)
    errant = three.servers[DC1].gtid(1)
    three.servers[DC1].kill()
    await three.databases[DC1].start(deadline_s=LONG_S)
    assert three.servers[DC1].sql("SELECT epoch FROM tricast.epoch") == [["2"]]
    await three.serve(DC2, 3, WITNESS)
    told = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert errant in told
    await eventually(lambda: under(three, DC1, 3), "dc1 to have the new epoch")
    assert three.servers[DC1].sql("SELECT epoch FROM tricast.epoch") == [["3"]]


async def under(three: Cluster, site: SiteName, epoch: int) -> bool:
    return (await three.look(site)).epoch == epoch


async def test_closing_the_gate_answers_nobody_whose_commit_waits(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.keeper.seal(Epoch(2), LONG_S)
    server = three.servers[DC1]
    async with AsyncExitStack() as stack:
        # The first waits alone; the others are one group behind it, and would be told OK if the
        # one that speaks for the group were killed in its wait.
        tasks = [
            await stack.enter_async_context(unanswered(server, f"waiting{n}")) for n in range(4)
        ]
        with pytest.raises(TimedOut):
            await three.databases[DC1].set_gate(opened=False, deadline_s=1)
        assert not (await three.look(DC1)).gate_open
        await three.databases[DC1].close(LONG_S)
        async with asyncio.timeout(5):
            assert {await task for task in tasks} == {"TimedOut"}
    assert len(keys_at(server)) == (4 if FLAVOUR.mysql else 0)  # MySQL keeps what nobody was told


async def test_the_gate_opens_for_clients_only_and_cuts_them_when_it_closes(
    three: Cluster,
) -> None:
    server, database = three.servers[DC1], three.databases[DC1]
    server.sql(
        "SET sql_log_bin=0; CREATE USER barred@'127.%' IDENTIFIED BY 'barred-secret' ACCOUNT LOCK"
    )
    await three.serve(DC1, 2, WITNESS)
    client = server.session()
    await client.rows("SELECT 1")
    with pytest.raises(Refused, match="locked"):
        await server.session("barred").rows("SELECT 1")
    number = client.last_id
    await database.set_gate(opened=False, deadline_s=LONG_S)
    assert not (await three.look(DC1)).gate_open
    listed = server.sql("SELECT id FROM information_schema.processlist")
    assert [str(number)] not in listed
    with pytest.raises(PortError):
        await client.rows("SELECT 1")
    await database.set_gate(opened=True, deadline_s=LONG_S)
    assert (await three.look(DC1)).gate_open
    client.drop()


async def test_a_canary_that_waits_is_never_joined_by_another(three: Cluster) -> None:
    database = three.databases[DC1]
    await database.promote(Epoch(2), LONG_S)
    for token in ("a", "b", "c"):
        with pytest.raises(TimedOut):
            await database.canary(token, 0.3)
    assert (await three.look(DC1)).waiting_commits == 2  # the epoch row, and the first of them
    await database.admit(frozenset({WITNESS}), LONG_S)
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await database.canary("d", LONG_S)
    assert three.servers[DC1].sql("SELECT token FROM tricast.canary") == [["d"]]


async def test_a_canary_does_not_wait_for_a_stranger_with_the_number_of_the_last_one(
    three: Cluster,
) -> None:
    """A restarted server numbers its sessions anew; this one is a voter's, and stays for ever."""
    database = three.databases[DC1]
    await database.promote(Epoch(2), LONG_S)
    await database.admit(frozenset({WITNESS}), LONG_S)
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await database.canary("d", LONG_S)
    dumps = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    database._canary_id = int(three.servers[DC1].sql(dumps)[0][0])
    await database.canary("e", LONG_S)
    assert three.servers[DC1].sql("SELECT token FROM tricast.canary") == [["e"]]


async def test_a_canary_writes_nothing_on_a_server_that_was_closed_meanwhile(
    three: Cluster,
) -> None:
    database = three.databases[DC1]
    await database.promote(Epoch(2), LONG_S)
    await database.admit(frozenset({WITNESS}), LONG_S)
    await three.keeper.follow(DC1, Epoch(2), LONG_S)
    await database.canary("open", LONG_S)
    await database.close(LONG_S)
    log_end = f"SELECT {FLAVOUR.dialect.log_end}"
    end = three.servers[DC1].sql(log_end)
    with pytest.raises(Refused, match="read-only"):
        await database.canary("closed", LONG_S)
    assert three.servers[DC1].sql(log_end) == end


async def test_a_hung_server_is_unknown_and_a_stopped_one_down(three: Cluster) -> None:
    assert (await three.look(DC1)).liveness is Liveness.RUNNING
    three.servers[DC1].freeze()
    assert (await three.databases[DC1].observe(0.2)).liveness is Liveness.UNKNOWN
    three.servers[DC1].thaw()
    await eventually(lambda: is_running(three), "dc1 to answer again")
    three.servers[DC1].kill()
    assert (await three.databases[DC1].observe(0.5)).liveness is Liveness.DOWN


async def is_running(three: Cluster) -> bool:
    return (await three.look(DC1)).liveness is Liveness.RUNNING


async def test_weakened_settings_are_named(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    source_side = FLAVOUR.dialect.source_side
    timeout = source_side.replace("enabled", "timeout")
    three.servers[DC1].sql(
        f"SET GLOBAL sync_binlog=0; SET GLOBAL {timeout}=10000;"
        "SET GLOBAL innodb_flush_log_at_trx_commit=2"
    )
    said = "\n".join((await three.look(DC1)).problems)
    for name in ("sync_binlog is 0", "timeout is 10000", "flush_log_at_trx_commit is 2"):
        assert name in said
    three.servers[DC1].sql(f"SET GLOBAL {source_side}=0")
    assert "commits do not wait" in "\n".join((await three.look(DC1)).problems)
