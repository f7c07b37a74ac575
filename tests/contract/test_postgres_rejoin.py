"""A deposed PostgreSQL: never heard as a voter until its log is a prefix of the new primary's."""

import asyncio
import signal
from pathlib import Path

import pytest

from controller.core.model import Epoch
from controller.hostagent import pg_closed
from controller.hostagent.contract import only_one
from controller.ports import Refused, TimedOut
from tests.contract.postgres_world import DC1, DC2, WITNESS, Site, World, now, until, world

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


async def depose(w: World, *, phantoms: int, rows: int = 1) -> set[str]:
    """dc2 is primary of epoch 3; dc1 lies dead with records that nobody acknowledged.

    The acknowledged transfers.
    """
    await w.begin(epoch=2)
    acked = await w.dc1.write_many("before", 10)
    await w.dc2.database.seal(Epoch(3), 5)
    sealed = await w.keeper.seal(Epoch(3), 5)
    for number in range(phantoms):
        client = w.dc1.link("wallet", "wallet")
        await client.begin(
            "insert into ledger (transfer_key, from_account, to_account, amount, site, server)"
            " select $1 || n, 'a', 'b', 1, 'x', 'y' from generate_series(1, $2::int) as n",
            f"phantom{number}-",
            str(rows),
            deadline=now() + 5,
        )

        async def waits(wanted: int = number + 1) -> bool:
            return (await w.dc1.state()).waiting_commits == wanted

        await until("the phantom is written", waits)
        client.drop()
    w.dc1.signal(signal.SIGKILL)
    await w.dc2.database.catch_up(WITNESS, sealed, 20)
    await w.dc2.database.promote(Epoch(3), 5)
    await w.dc2.database.admit(frozenset({WITNESS}), 5)
    await w.keeper.follow(DC2, Epoch(3), 10)
    await w.dc2.database.canary("epoch 3", 10)
    await w.dc2.database.set_gate(opened=True, deadline_s=5)
    return acked | await w.dc2.write_many("after", 10)


async def checkpointed(w: World) -> None:
    """The new primary's control file says its timeline, so that a rewind is possible."""

    async def seen() -> bool:
        await w.dc2.state()
        found = await w.dc2.sql("select timeline_id from pg_control_checkpoint()")
        return found == [("3",)]

    await until("looking alone brings the checkpoint about", seen)


async def test_a_dead_primary_starts_closed() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        w.dc1.signal(signal.SIGKILL)
        await w.dc1.database.start(20)
        state = await w.dc1.state()
        assert (state.writable, state.gate_open, state.admitted) == (False, False, frozenset())
        with pytest.raises(Refused, match=r"no pg_hba\.conf entry"):
            await w.dc1.write("refused")
        with pytest.raises(Refused, match="not a primary"):
            await w.dc1.database.set_gate(opened=True, deadline_s=5)
        await w.dc1.replayed()


async def test_closing_cuts_waiting_sessions_unanswered() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.seal(Epoch(3), 5)
        await w.dc1.begin_write("phantom")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 0.3)
        began = now()
        await w.dc1.database.close(20)
        assert now() - began < 10
        with pytest.raises(TimedOut, match="effect unknown"):
            await w.dc1.client.finish(now() + 1)
        state = await w.dc1.state()
        assert (state.writable, state.gate_open, state.waiting_commits) == (False, False, 0)
        await w.dc1.database.close(5)  # it is closed: nothing happens
        assert "phantom" in await w.dc1.keys()  # durable here, and told to nobody


async def test_a_frozen_primary_can_be_closed() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        w.dc1.signal(signal.SIGSTOP)
        await w.dc1.database.close(20)
        assert not (await w.dc1.state()).writable


async def test_who_held_it_before_closes_nothing_of_who_holds_it_now() -> None:
    async with world() as w:
        await depose(w, phantoms=1)

        async def close(site: Site, epoch: int) -> None:
            asked = {"database": "ledger", "epoch": str(epoch)}
            await site.agent.call("postgres-close", asked, 20)

        with pytest.raises(Refused, match=r"knows epoch 3: .* in the name of epoch 2"):
            await close(w.dc2, 2)
        assert (await w.dc2.state()).writable
        assert await w.dc2.write_many("still", 2)
        await close(w.dc1, 3)
        await close(w.dc2, 3)
        assert not (await w.dc2.state()).writable


async def test_who_closes_it_from_elsewhere_waits_for_what_its_own_site_does() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        busy = asyncio.Event()

        async def own_site() -> None:
            with only_one(w.dc1.directory / "gate/agent.lock", "ledger"):
                busy.set()
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as group:
            group.create_task(own_site())
            await busy.wait()
            with pytest.raises(Refused, match="another call of the agent"):
                await w.dc1.agent.call("postgres-close", {"database": "ledger"}, 20)
        busy.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(own_site())
            await busy.wait()
            asked = {"database": "ledger", "epoch": "2"}
            await w.dc1.agent.call("postgres-close", asked, 20)
        assert not (await w.dc1.state()).writable


async def test_a_diverged_database_is_rewound_and_its_tail_is_kept() -> None:
    async with world() as w:
        acked = await depose(w, phantoms=3)
        await w.dc1.database.start(20)
        await checkpointed(w)
        discarded = await w.dc1.database.rejoin(DC2, Epoch(3), 60)
        assert discarded.startswith("3 transactions after")

        async def quarantined() -> bool:
            state = await w.dc1.state()
            return state.streaming and state.quarantined and state.epoch == 3

        await until("it follows in quarantine", quarantined)
        follower = next(f for f in (await w.dc2.state()).followers if f.site == DC1)
        assert (follower.quarantined, follower.name) == (True, "dc1_rejoin")
        assert await w.dc1.database.rejoin(DC2, Epoch(3), 60) == ""

        # In quarantine it releases no commit; as a voter it does.
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.begin_write("who hears it")
        with pytest.raises(TimedOut):
            await w.dc2.client.finish(now() + 0.5)
        await w.dc2.database.admit(frozenset({DC1, WITNESS}), 5)
        await w.dc1.database.follow(DC2, Epoch(3), quarantine=False, deadline_s=5)
        await w.dc2.client.finish(now() + 10)

        keys = await w.dc1.keys()
        assert acked <= keys
        assert not any(key.startswith("phantom") for key in keys)
        saved = list((w.dc1.directory / "gate/discarded").glob("*/transactions.txt"))
        assert len(saved) == 1
        assert saved[0].read_text().count("COMMIT") == 3
        assert (await w.dc2.state()).problems == ()


async def test_a_log_that_parted_is_not_led_past_the_fork() -> None:
    """It would replay another history on its own tail, and never start again."""
    async with world() as w:
        await depose(w, phantoms=3)
        await w.dc1.database.start(20)
        await w.dc1.database.seal(Epoch(4), 5)
        sealed = await w.keeper.seal(Epoch(4), 5)
        before = await w.dc1.replayed()
        assert not before.diverged
        with pytest.raises(Refused, match=r"parted from that of epoch 3 at 0/\w+: it must be"):
            await w.dc1.database.catch_up(WITNESS, sealed, 20)
        after = await w.dc1.state()
        assert (after.position, after.diverged) == (before.position, True)
        assert (await w.dc1.sql("show restore_command"))[0][0] == ""

        await w.keeper.follow(DC2, Epoch(3), 10)
        await checkpointed(w)
        assert (await w.dc1.database.rejoin(DC2, Epoch(3), 60)).startswith("3 transactions after")
        assert not (await w.dc1.state()).diverged


async def test_what_has_not_diverged_is_not_rewound() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("before", 5)
        await w.dc1.database.close(20)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.seal(Epoch(3), 5)
        mine, theirs = (await w.dc1.state()).position, (await w.dc2.state()).position
        assert mine is not None
        await w.dc2.database.catch_up(DC1, mine, 20)  # from the other database: the same way
        assert theirs is not None
        await w.dc2.database.promote(Epoch(3), 5)
        await w.dc2.database.admit(frozenset({WITNESS}), 5)
        await w.keeper.follow(DC2, Epoch(3), 10)
        await checkpointed(w)
        assert await w.dc1.database.rejoin(DC2, Epoch(3), 60) == ""

        async def follows() -> bool:
            state = await w.dc1.state()
            return state.streaming and state.epoch == 3

        await until("it follows", follows)
        assert acked <= await w.dc1.keys()


async def test_a_log_that_is_kept_no_more_is_replaced_by_a_copy() -> None:
    async with world() as w:
        acked = await depose(w, phantoms=0)
        await w.dc2.sql("alter system set wal_keep_size = 0")
        await w.dc2.sql("select pg_reload_conf()")
        await w.dc2.sql("select pg_drop_replication_slot('dc1')")
        for _ in range(4):
            await w.dc2.write_many("x", 1)
            await w.dc2.sql("delete from ledger where transfer_key = 'x0'")
            await w.dc2.sql("select pg_switch_wal()")
        await caught_up(w)
        await w.dc2.sql("checkpoint")
        assert await w.dc1.database.rejoin(DC2, Epoch(3), 60) == ""
        await w.streaming(w.dc1)
        assert acked <= await w.dc1.keys()
        assert aside(w.dc1.server.data_dir).exists()


async def caught_up(w: World) -> None:
    """The keeper has confirmed everything the new primary has written."""

    async def seen() -> bool:
        state = await w.dc2.state()
        return any(f.site == WITNESS and f.flushed == state.position for f in state.followers)

    await until("the keeper has everything", seen)


async def test_a_rewind_waits_for_the_new_primarys_checkpoint() -> None:
    async with world() as w:
        await depose(w, phantoms=1)
        await w.dc1.database.start(20)
        before = (await w.dc1.replayed()).position
        with pytest.raises(Refused, match="not yet 9"):
            await w.dc1.database.rejoin(DC2, Epoch(9), 60)
        assert (await w.dc1.state()).position == before


async def test_an_interrupted_rewind_ends_in_a_fresh_copy() -> None:
    async with world() as w:
        acked = await depose(w, phantoms=1)
        await checkpointed(w)
        mark = pg_closed.rebuilding_mark(w.dc1.server)
        mark.write_text("a rewind did not finish\n")
        with pytest.raises(Refused, match="half rebuilt"):
            await w.dc1.database.start(20)
        with pytest.raises(Refused, match="run rejoin"):
            await w.dc1.agent.call("postgres-start", {"database": "ledger"}, 20)
        assert "unusable" in await w.dc1.database.rejoin(DC2, Epoch(3), 60)

        async def follows() -> bool:
            return (await w.dc1.state()).streaming

        await until("the copy follows", follows)
        assert not mark.exists()
        assert acked <= await w.dc1.keys()
        assert aside(w.dc1.server.data_dir).exists()


def aside(data_dir: Path) -> Path:
    """Where the old files are kept."""
    return data_dir.with_name(data_dir.name + ".aside")


async def test_an_old_primary_is_refused_under_its_voters_name() -> None:
    async with world() as w:
        await depose(w, phantoms=2)
        await w.dc1.database.start(20)
        # Somebody points it at the new primary, un-rewound, under its old name and credential.
        await w.dc1.database.follow(DC2, Epoch(3), quarantine=False, deadline_s=5)

        async def refused() -> bool:
            log = (w.dc1.directory / "server.log").read_text()
            return 'no pg_hba.conf entry for replication connection from host "127.0.0.1"' in log

        await until("the new primary turns it away", refused)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.begin_write("nobody")
        with pytest.raises(TimedOut):
            await w.dc2.client.finish(now() + 1.0)
        assert DC1 not in {f.site for f in (await w.dc2.state()).followers}


async def test_a_false_acknowledgement_is_an_alarm_and_shuts_the_gate() -> None:
    async with world() as w:
        await depose(w, phantoms=1, rows=5000)
        await w.dc1.database.start(20)
        await w.dc2.database.set_gate(opened=False, deadline_s=5)
        # Worse: it is even admitted. Its records reach beyond everything the new primary has.
        await w.dc2.database.admit(frozenset({DC1, WITNESS}), 5)
        await w.dc1.database.follow(DC2, Epoch(3), quarantine=False, deadline_s=5)

        async def alarmed() -> bool:
            problems = (await w.dc2.state()).problems
            return any("may not be safe" in p for p in problems)

        await until("the alarm is raised", alarmed)
        with pytest.raises(Refused, match="the gate stays closed"):
            await w.dc2.database.set_gate(opened=True, deadline_s=5)
        assert (await w.dc1.state()).diverged or not (await w.dc1.state()).streaming
        # Once it is cut and our own log has passed what it claimed, the alarm is over.
        await w.dc2.database.admit(frozenset({WITNESS}), 5)
        await w.dc2.sql("select pg_switch_wal()")
        await w.dc2.database.canary("past it", 10)

        async def over() -> bool:
            return not any("may not be safe" in p for p in (await w.dc2.state()).problems)

        await until("the alarm is over", over)
        await w.dc2.database.set_gate(opened=True, deadline_s=5)


async def comes_back(old: Site, primary: Site, epoch: int) -> None:
    """The deposed database is a voter of the new primary's."""
    await old.database.start(20)

    async def rejoined() -> bool:
        try:
            await old.database.rejoin(primary.name, Epoch(epoch), 60)
        except Refused:
            await primary.state()
            return False
        return True

    async def voter() -> bool:
        followers = (await primary.state()).followers
        return any(f.site == old.name and not f.quarantined for f in followers)

    await until("it may rejoin", rejoined)
    await old.database.follow(primary.name, Epoch(epoch), quarantine=False, deadline_s=5)
    await until("it is a voter", voter)


async def test_the_sites_change_places_again_and_again() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("start", 5)
        primary, standby = w.dc1, w.dc2
        for epoch in (3, 4, 7):
            primary.signal(signal.SIGKILL)
            sealed = await w.keeper.seal(Epoch(epoch), 5)
            await standby.database.seal(Epoch(epoch), 5)
            await standby.database.catch_up(WITNESS, sealed, 20)
            await standby.database.promote(Epoch(epoch), 5)
            await standby.database.admit(frozenset({WITNESS, primary.name}), 5)
            await w.keeper.follow(standby.name, Epoch(epoch), 10)
            await standby.database.set_gate(opened=True, deadline_s=5)
            acked |= await standby.write_many(f"epoch{epoch}-", 10)
            primary, standby = standby, primary
            await comes_back(standby, primary, epoch)
        assert acked <= await primary.keys()
        assert (await primary.state()).problems == ()


async def test_a_copy_that_is_well_is_made_anew_when_it_is_asked_for() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("before", 5)
        planted = w.dc2.server.data_dir / "planted"
        planted.write_text("of the old copy\n")
        with pytest.raises(Refused, match="is writable"):
            await w.dc1.database.rejoin(DC2, Epoch(2), 60, fresh=True)
        await w.dc1.database.admit(frozenset({WITNESS}), 5)
        told = await w.dc2.database.rejoin(DC1, Epoch(2), 60, fresh=True)
        assert told == "all of it: an operator wants it made anew"
        await w.streaming(w.dc2)
        state = await w.dc2.state()
        assert (state.upstream, state.quarantined, state.epoch) == (DC1, True, 2)
        assert (planted.exists(), (aside(w.dc2.server.data_dir) / "planted").exists()) == (
            False,
            True,
        )
        await w.dc1.database.admit(frozenset({DC2, WITNESS}), 5)
        await w.dc2.database.follow(DC1, Epoch(2), quarantine=False, deadline_s=10)
        acked |= await w.dc1.write_many("after", 5)

        async def holds_all() -> bool:
            return acked <= await w.dc2.keys() and not (await w.dc2.state()).quarantined

        await until("the new copy votes", holds_all)
