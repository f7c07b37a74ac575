"""A server that comes back: what it may keep, what it must drop, whom it may not answer."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from controller.core.model import Epoch
from controller.core.position import Order, compare
from controller.ports import Refused, TimedOut
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    eventually,
    holds,
    keys_at,
    relay,
    until_it_votes,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR, mariadb_only
from tests.contract.mysql_steps import attempt, caught_up, diverged_dc1, restart, seal_voters

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]


async def test_a_prefix_rejoins_in_quarantine_and_then_votes(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2")
    session.drop()
    await seal_voters(three)
    await restart(three)
    await three.serve(DC2, 3, WITNESS)
    assert await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S) == ""
    state = await three.look(DC1)
    assert (state.upstream, state.quarantined, state.streaming) == (DC2, True, True)
    followers = {f.site: f for f in (await three.look(DC2)).followers}
    assert followers[DC1].quarantined
    assert not followers[WITNESS].quarantined
    await three.databases[DC2].admit(frozenset({DC1, WITNESS}), LONG_S)
    await three.databases[DC1].follow(DC2, Epoch(3), quarantine=False, deadline_s=LONG_S)
    await eventually(lambda: caught_up(three), "dc1 to catch up")
    state = await three.look(DC1)
    assert (state.quarantined, state.epoch, state.problems) == (False, 3, ())
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}


@mariadb_only
async def test_of_its_tail_it_keeps_what_the_new_primary_has_and_drops_the_rest(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await three.databases[DC2].seal(Epoch(2), LONG_S)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")
    session.drop()
    target = await three.keeper.seal(Epoch(3), LONG_S)
    await attempt(three.servers[DC1], "phantom")
    held = await restart(three)
    assert compare(held, target) is Order.AHEAD
    await three.databases[DC2].catch_up(WITNESS, target, LONG_S)
    await three.serve(DC2, 3, WITNESS)
    dropped = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    at = three.servers[DC1].state_dir / "discarded" / "1"
    assert dropped == f"transactions {held.text}; saved in {at}"
    await eventually(lambda: caught_up(three), "dc1 to catch up")
    assert keys_at(three.servers[DC1]) == {"k1", "k2", "k3"}
    assert (await three.look(DC1)).problems == ()
    kept_aside = three.servers[DC1].state_dir / "discarded"
    assert [path.name for path in kept_aside.iterdir()] == ["1"]


async def test_with_records_nobody_else_has_it_becomes_a_copy_of_the_proven_primary(
    three: Cluster,
) -> None:
    held, errant = await diverged_dc1(three)
    await three.databases[DC2].promote(Epoch(3), LONG_S)
    # No voter has acknowledged the epoch: what is here may still be wanted.
    with pytest.raises(Refused, match="not proven to be primary of epoch 3"):
        await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    state = await three.look(DC1)
    assert (state.diverged, state.receiving, state.position) == (True, False, held)
    if not FLAVOUR.mysql:
        with pytest.raises(Refused):  # the primary itself refuses the connection as well
            await three.databases[DC1].follow(DC2, Epoch(3), quarantine=True, deadline_s=LONG_S)
    await three.databases[DC2].admit(frozenset({WITNESS}), LONG_S)
    await three.keeper.follow(DC2, Epoch(3), LONG_S)
    await three.databases[DC2].set_gate(opened=True, deadline_s=LONG_S)
    if not FLAVOUR.mysql:
        # The same sequence number at the new primary, by another writer: counting is not enough.
        theirs = (await three.look(DC2)).applied
        assert theirs is not None
        assert held.text.split("-")[2] == theirs.text.split("-")[2]
    await three.databases[DC2].canary("acknowledged", LONG_S)
    told = await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    assert errant in told
    state = await three.look(DC1)
    assert (state.upstream, state.quarantined, state.diverged) == (DC2, True, False)
    assert (state.writable, state.gate_open, state.admitted) == (False, False, frozenset())
    assert holds(three.servers[DC1].state_dir / "discarded/1", "phantom")
    await three.databases[DC2].admit(frozenset({DC1, WITNESS}), LONG_S)
    await three.databases[DC1].follow(DC2, Epoch(3), quarantine=False, deadline_s=LONG_S)
    await eventually(lambda: caught_up(three), "dc1 to catch up")
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}
    state = await three.look(DC1)
    assert (state.quarantined, state.epoch, state.problems) == (False, 3, ())
    # It is a voter like any other: it takes over, with everything.
    await three.databases[DC2].close(LONG_S)
    await three.databases[DC1].seal(Epoch(4), LONG_S)
    await three.keeper.seal(Epoch(4), LONG_S)
    await three.serve(DC1, 4, WITNESS)
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}
    # And the one that was primary comes back to it as it is: the copy knows every writer.
    assert await three.databases[DC2].rejoin(DC1, Epoch(4), LONG_S) == ""


async def test_where_nobody_else_votes_it_becomes_a_copy_of_a_primary_that_waits_for_nobody(
    three: Cluster,
) -> None:
    _, errant = await diverged_dc1(three)
    # The keeper only learns: but for dc1 there is nobody who could acknowledge the epoch.
    await three.databases[DC2].promote(Epoch(3), LONG_S, waits=False)
    state = await three.look(DC2)
    assert (state.writable, state.epoch, state.waiting_commits) == (True, 3, 0)
    assert errant in await three.databases[DC1].rejoin(DC2, Epoch(3), LONG_S)
    with pytest.raises(TimedOut):  # only the row did not wait
        await three.databases[DC2].canary("unseen", 0.7)
    await three.databases[DC2].admit(frozenset({DC1}), LONG_S)
    await three.databases[DC1].follow(DC2, Epoch(3), quarantine=False, deadline_s=LONG_S)
    await three.databases[DC2].canary("acknowledged", LONG_S)
    await eventually(lambda: caught_up(three), "dc1 to catch up")
    assert keys_at(three.servers[DC1]) == {"k1", "k2"}


async def test_an_epoch_row_that_waited_waits_no_more_when_the_promotion_is_asked_so(
    three: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = three.databases[DC1]
    with monkeypatch.context() as patch:
        patch.setattr(primary, "_dialect", replace(FLAVOUR.dialect, open_writes=("DO 0",)))
        with pytest.raises(Refused, match="not writable"):
            await primary.promote(Epoch(2), LONG_S)
    assert (await three.look(DC1)).waiting_commits == 1
    await primary.promote(Epoch(2), LONG_S, waits=False)
    state = await three.look(DC1)
    assert (state.writable, state.epoch, state.waiting_commits) == (True, 2, 0)
    with pytest.raises(TimedOut):
        await primary.canary("waits", 0.7)


async def test_a_longer_log_of_an_older_epoch_is_behind(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await seal_voters(three)
    for number in range(3):
        await attempt(three.servers[DC1], f"phantom{number}", within_s=0.3)
    old = await restart(three)
    await three.serve(DC2, 3, WITNESS)
    new = (await three.look(DC2)).position
    assert new is not None
    if not FLAVOUR.mysql:
        assert int(old.text.split("-")[2]) > int(new.text.split("-")[2]) - 1
    assert compare(old, new) is Order.BEHIND


async def test_in_quarantine_nothing_is_acknowledged(three: Cluster) -> None:
    primary = three.databases[DC1]
    await primary.promote(Epoch(2), LONG_S)
    await three.databases[DC2].follow(DC1, Epoch(2), quarantine=True, deadline_s=LONG_S)
    await eventually(lambda: received(three), "dc2 to receive the epoch")
    with pytest.raises(TimedOut):
        await primary.canary("early", 0.7)
    state = await three.look(DC1)
    assert [f.quarantined for f in state.followers] == [True]
    assert state.problems == ()
    await primary.admit(frozenset({DC2}), LONG_S)
    await three.databases[DC2].follow(DC1, Epoch(2), quarantine=False, deadline_s=LONG_S)
    await primary.canary("late", LONG_S)


async def received(three: Cluster) -> bool:
    return (await three.look(DC2)).epoch == 2


async def test_a_returning_replica_that_acknowledges_all_the_same_is_an_alarm(
    three: Cluster,
) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.databases[DC2].follow(DC1, Epoch(2), quarantine=True, deadline_s=LONG_S)
    words = FLAVOUR.dialect
    acknowledging = f"SET GLOBAL {words.replica_side}=1"
    three.servers[DC2].sql(f"{words.stop}; {acknowledging}; {words.start}")

    async def said() -> bool:
        return "2 replicas acknowledge, only 1 of them" in "".join((await three.look(DC1)).problems)

    await eventually(said, "the alarm")


async def test_a_voter_follows_the_moment_it_is_admitted_and_is_cut_when_it_is_not(
    three: Cluster,
) -> None:
    primary = three.databases[DC1]
    await primary.promote(Epoch(2), LONG_S)
    with pytest.raises(TimedOut):
        await three.keeper.follow(DC1, Epoch(2), 0.5)
    assert not (await three.keeper.observe(2)).streaming
    async with asyncio.TaskGroup() as group:
        following = group.create_task(three.keeper.follow(DC1, Epoch(2), LONG_S))
        await asyncio.wait([following], timeout=0.3)
        await primary.admit(frozenset({WITNESS}), LONG_S)
        async with asyncio.timeout(0.9):  # the server's own retry comes only every second
            await following
    await primary.canary("seen", LONG_S)
    await primary.admit(frozenset(), LONG_S)
    state = await three.look(DC1)
    assert (state.admitted, state.followers) == (frozenset(), ())
    with pytest.raises(TimedOut):
        await primary.canary("unseen", 1.5)


async def test_acknowledgements_lost_on_the_way_are_made_up_at_the_next_connection(
    three: Cluster,
) -> None:
    async with relay(three.servers[DC1].port) as wire:
        keeper = three.keeper_through(wire.port)
        await three.databases[DC1].promote(Epoch(2), LONG_S)
        await three.databases[DC1].admit(frozenset({WITNESS}), LONG_S)
        await keeper.follow(DC1, Epoch(2), LONG_S)
        await three.databases[DC1].set_gate(opened=True, deadline_s=LONG_S)
        await until_it_votes(keeper)
        sessions = [three.servers[DC1].session() for _ in range(2)]
        wire.mute = True
        async with asyncio.TaskGroup() as group:
            for number, session in enumerate(sessions):
                group.create_task(write(session, f"k{number}"))
                await eventually(partial(at_keeper, three, number + 1), "the keeper to have it")
            assert (await three.look(DC1)).waiting_commits == 2
            # No third commit can get into the log: there is nothing left to acknowledge.
            wire.cut()
            wire.mute = False
            async with asyncio.timeout(10):
                await three.databases[DC1].canary("flows", 8)
        for session in sessions:
            session.drop()
        await keeper.aclose()


async def test_a_receiver_cut_inside_a_transaction_seals_at_the_one_before(
    three: Cluster,
) -> None:
    async with relay(three.servers[DC1].port) as wire:
        keeper = three.keeper_through(wire.port)
        await three.databases[DC1].promote(Epoch(2), LONG_S)
        await three.databases[DC1].admit(frozenset({WITNESS}), LONG_S)
        await keeper.follow(DC1, Epoch(2), LONG_S)
        await three.databases[DC1].set_gate(opened=True, deadline_s=LONG_S)
        await until_it_votes(keeper)
        session = three.servers[DC1].session()
        await write(session, "before")
        whole = (await three.look(DC1)).position
        many = ",".join(f"('big{n}', 'a', 'b', 1, 's', 's')" for n in range(5000))
        columns = "transfer_key, from_account, to_account, amount, site, server"
        wire.left = 100_000
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await session.rows(f"INSERT INTO wallet.journal ({columns}) VALUES {many}")
        session.drop()
        source = three.servers[WITNESS].sql(FLAVOUR.dialect.replica_status)[0]
        assert source[6] != source[21]  # read further than applied, and so it stays
        assert await keeper.seal(Epoch(3), LONG_S) == whole
        await keeper.aclose()
    assert keys_at(three.servers[WITNESS]) == {"before"}


async def at_keeper(three: Cluster, count: int) -> bool:
    return len(keys_at(three.servers[WITNESS])) == count


async def test_a_tail_is_fetched_from_the_site_that_holds_it(three: Cluster) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await three.databases[DC2].seal(Epoch(2), LONG_S)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")  # dc1 and the keeper have them; then the keeper dies
    session.drop()
    three.servers[WITNESS].kill()
    held = await restart(three)
    assert ("k3" in keys_at(three.servers[DC1])) == FLAVOUR.mysql  # MariaDB has it in its tail
    await three.databases[DC1].seal(Epoch(3), LONG_S)
    await three.databases[DC2].catch_up(DC1, held, LONG_S)
    assert (await three.look(DC2)).position == held
    await three.databases[DC2].promote(Epoch(3), LONG_S)
    assert keys_at(three.servers[DC2]) == {"k1", "k2", "k3"}


@mariadb_only
async def test_a_tail_that_cannot_be_cut_is_kept_whole(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.keeper.seal(Epoch(3), LONG_S)
    session = three.servers[DC1].session()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await session.rows("CREATE TABLE wallet.later (id INT)")
    session.drop()
    held = await restart(three)
    state = await three.look(DC1)
    assert (state.position, state.applied, state.problems) == (held, held, ())
    await three.databases[DC1].promote(Epoch(3), LONG_S)
    assert three.servers[DC1].sql("SHOW TABLES IN wallet LIKE 'later'") == [["later"]]


async def test_a_server_started_behind_the_agents_back_is_not_believed(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    server = three.servers[DC1]
    state_file = server.state_dir / "start.cnf"
    wanted = (
        "read-only=1" if FLAVOUR.mysql else "init-rpl-role=MASTER"
    )  # a plain start cuts nothing
    assert wanted in state_file.read_text()
    server.sql("SET sql_log_bin=0; UPDATE tricast.start SET pending=1")
    await three.databases[DC1].close(deadline_s=LONG_S)
    server.sql("SET sql_log_bin=0; UPDATE tricast.start SET pending=1")
    state = await three.look(DC1)
    assert state.position is None
    assert "has not finished this start" in state.problems[0]
    with pytest.raises(Refused, match="has not finished"):
        await three.databases[DC1].promote(Epoch(3), LONG_S)
    await three.databases[DC1].start(deadline_s=LONG_S)
    assert (await three.look(DC1)).position is not None


@pytest.mark.parametrize("falls", [False, True], ids=["it runs", "it has fallen"])
async def test_a_copy_that_is_well_is_made_anew_when_it_is_asked_for(
    three: Cluster, falls: bool
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2")
    session.drop()
    await three.databases[DC1].canary("acknowledged", LONG_S)
    server = three.servers[DC2]
    planted = server.data_dir / "planted"
    planted.write_text("of the old copy\n")
    with pytest.raises(Refused, match="is writable"):
        await three.databases[DC1].rejoin(DC2, Epoch(2), LONG_S, fresh=True)
    await three.databases[DC1].admit(frozenset({WITNESS}), LONG_S)
    if falls:
        server.kill()
    told = await three.databases[DC2].rejoin(DC1, Epoch(2), LONG_S, fresh=True)
    assert told.startswith("an operator wants it made anew; it is now a copy of that server")
    state = await three.look(DC2)
    assert (state.upstream, state.quarantined, state.epoch) == (DC1, True, 2)
    assert not planted.exists()
    assert (server.state_dir / "discarded/1").is_dir()
    await three.databases[DC1].admit(frozenset({DC2, WITNESS}), LONG_S)
    await three.databases[DC2].follow(DC1, Epoch(2), quarantine=False, deadline_s=LONG_S)
    await eventually(lambda: caught_up(three), "dc2 to catch up")
    assert keys_at(server) == {"k1", "k2"}
