"""Taking over a PostgreSQL database: seal, catch up, promote, with real servers."""

import asyncio
import signal
import socket

import pytest

from controller.core.model import Epoch, Liveness
from controller.core.position import LogFormat, Position
from controller.hostagent import wal
from controller.ports import Refused, TimedOut
from tests.contract.postgres_world import DC1, DC2, WITNESS, Site, now, until, world

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


async def test_a_commit_waits_until_any_one_voter_has_it() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), 5)
        await w.dc1.write("by-dc2-alone")
        await w.dc2.database.seal(Epoch(2), 5)

        await w.dc1.begin_write("by-nobody")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 0.4)
        assert (await w.dc1.state()).waiting_commits == 1
        assert "by-nobody" not in await w.dc1.keys()

        await w.keeper.follow(DC1, Epoch(2), 10)
        await w.dc1.client.finish(now() + 5)
        assert "by-nobody" in await w.dc1.keys()


async def test_the_timeline_is_the_epoch_however_far_it_jumps() -> None:
    async with world() as w:
        await w.begin(epoch=7)
        first = await w.dc1.state()
        assert (first.writable, first.epoch, first.gate_open) == (True, 7, True)
        assert first.problems == ()

        async def received() -> bool:
            return (await w.dc2.state()).epoch == 7

        await until("dc2 has a record of epoch 7", received)
        acked = await w.dc1.write_many("seven", 20)

        await w.dc1.database.close(deadline_s=15)
        await w.keeper.seal(Epoch(12), 5)
        await w.dc2.database.seal(Epoch(12), 5)
        await w.dc2.database.promote(Epoch(12), 5)
        second = await w.dc2.state()
        assert (second.writable, second.epoch, second.gate_open) == (True, 12, False)
        assert acked <= await w.dc2.keys()

        history = (w.dc2.server.wal_dir / wal.history_name(12)).read_text()
        assert [timeline for timeline, _ in wal.parse_history(history)][:2] == [1, 7]
        for number in range(2, 13):
            assert (w.dc2.server.wal_dir / wal.history_name(number)).exists()


async def test_promotion_is_refused_where_it_proves_nothing() -> None:
    async with world() as w:
        await w.begin(epoch=3)
        with pytest.raises(Refused, match="not sealed"):
            await w.dc2.database.promote(Epoch(4), 5)
        with pytest.raises(Refused, match="writable on timeline 3"):
            await w.dc1.database.promote(Epoch(4), 5)
        with pytest.raises(Refused, match="is writable: close it"):
            await w.dc1.database.seal(Epoch(4), 5)
        await w.dc1.database.promote(Epoch(3), 5)  # it is that already
        await w.dc2.database.seal(Epoch(4), 5)
        with pytest.raises(Refused, match="timeline 3, not below 3"):
            await w.dc2.database.promote(Epoch(3), 5)
        assert not (await w.dc2.state()).writable


async def test_what_only_the_keeper_has_is_fetched_before_promotion() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("both", 10)
        await w.dc2.database.seal(Epoch(2), 5)
        await w.dc1.sql("select pg_switch_wal()")
        acked |= await w.dc1.write_many("keeper", 50)
        w.dc1.signal(signal.SIGSTOP)

        sealed = await w.keeper.seal(Epoch(3), 5)
        before = (await w.dc2.state()).position
        assert before is not None
        assert wal.to_bytes(sealed.text) > wal.to_bytes(before.text)
        await w.dc2.database.catch_up(WITNESS, sealed, 20)
        after = await w.dc2.state()
        assert (after.position, after.applied) == (sealed, sealed)
        await w.dc2.database.promote(Epoch(3), 5)
        assert acked <= await w.dc2.keys()
        assert (await w.dc2.sql("show restore_command"))[0][0] == ""

        # The frozen primary wakes up: it can acknowledge nothing any more.
        await w.dc1.client.begin("select 1", deadline=now() + 1)
        w.dc1.signal(signal.SIGCONT)
        await w.dc1.client.finish(now() + 5)
        await w.dc1.begin_write("too-late")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 0.5)


async def test_catching_up_crosses_timelines_with_unused_numbers() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.database.seal(Epoch(2), 5)
        acked = await w.dc1.write_many("two", 20)
        await w.keeper.seal(Epoch(6), 5)
        await w.dc1.database.close(deadline_s=15)
        await w.dc1.database.promote(Epoch(6), 5)
        await w.dc1.database.admit(frozenset({WITNESS}), 5)
        await w.keeper.follow(DC1, Epoch(6), 10)
        await w.dc1.database.set_gate(opened=True, deadline_s=5)
        acked |= await w.dc1.write_many("six", 20)
        w.dc1.signal(signal.SIGSTOP)

        sealed = await w.keeper.seal(Epoch(9), 5)
        assert sealed.epoch == 6
        await w.dc2.database.catch_up(WITNESS, sealed, 20)
        assert (await w.dc2.state()).position == sealed
        await w.dc2.database.promote(Epoch(9), 5)
        assert acked <= await w.dc2.keys()


async def test_a_target_nobody_holds_is_not_reached() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.database.seal(Epoch(3), 5)
        beyond = Position(epoch=2, format=LogFormat.LSN, text="0/F0000000")
        with pytest.raises(Refused, match="still receives"):
            await w.dc2.database.catch_up(WITNESS, beyond, 10)
        await w.keeper.seal(Epoch(3), 5)
        with pytest.raises(Refused, match="asked for 0/F0000000"):
            await w.dc2.database.catch_up(WITNESS, beyond, 10)
        assert (await w.dc2.sql("show restore_command"))[0][0] == ""


async def test_the_seal_holds_against_a_black_hole_and_over_a_restart() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen(0)
            fillers = [connecting(hole.getsockname()) for _ in range(4)]
            port = hole.getsockname()[1]
            await w.dc2.sql(f"alter system set primary_conninfo = 'host=127.0.0.1 port={port}'")
            await w.dc2.sql("select pg_reload_conf()")

            async def stuck() -> bool:
                waits = await w.dc2.sql(
                    "select wait_event from pg_stat_activity where backend_type = 'walreceiver'"
                )
                return waits == [("LibPQWalReceiverConnect",)]

            await until("the receiver is stuck in its connection", stuck)
            began = now()
            await w.dc2.database.seal(Epoch(3), 5)
            assert now() - began < 1.0  # some 10 ms on an idle machine
            for filler in fillers:
                filler.close()
        sealed = await w.dc2.state()
        assert (sealed.receiving, sealed.upstream) == (False, None)
        await w.dc2.database.seal(Epoch(3), 5)
        w.dc2.signal(signal.SIGKILL)
        await w.dc2.database.start(deadline_s=20)
        again = await w.dc2.state()
        assert (again.receiving, again.upstream, again.writable) == (False, None, False)


def connecting(address: tuple[str, int]) -> socket.socket:
    """A connection that takes a place in the queue of a listener that accepts nobody."""
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(address)
    return filler


async def test_a_receiver_ends_though_the_startup_process_is_paused() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.sql("select pg_wal_replay_pause()")
        acked = await w.dc1.write_many("paused", 30)
        await w.dc2.database.seal(Epoch(3), 10)
        held = (await w.dc2.state()).position
        await w.dc1.begin_write("after the seal")
        await w.dc2.sql("select pg_wal_replay_resume()")
        await w.dc1.database.close(deadline_s=15)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.promote(Epoch(3), 10)
        assert acked <= await w.dc2.keys()
        assert held is not None


async def test_a_hung_server_is_unknown_and_a_dead_one_is_down() -> None:
    async with world() as w:
        assert (await w.dc1.state()).liveness is Liveness.DOWN
        await w.dc1.database.start(deadline_s=20)
        assert (await w.dc1.state()).liveness is Liveness.RUNNING
        w.dc1.signal(signal.SIGSTOP)
        began = now()
        assert (await w.dc1.database.observe(0.3)).liveness is Liveness.UNKNOWN
        assert now() - began < 1.0
        assert (await w.dc1.database.observe(0.3)).liveness is Liveness.UNKNOWN
        w.dc1.signal(signal.SIGCONT)
        await until("it is seen again", lambda: running(w.dc1))
        w.dc1.signal(signal.SIGKILL)

        async def down() -> bool:
            return (await w.dc1.state()).liveness is Liveness.DOWN

        await until("it is seen to be down", down)


async def running(site: Site) -> bool:
    """The server answers."""
    return (await site.state()).liveness is Liveness.RUNNING


async def test_a_fall_is_told_at_once_and_a_server_that_stands_still_is_no_fall() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        told = asyncio.Event()
        w.dc1.database.tell_of_loss(told.set)
        assert (await w.dc1.state()).liveness is Liveness.RUNNING
        await w.dc1.sql("select pg_reload_conf()")  # its notices are no fall
        assert (await w.dc1.state()).liveness is Liveness.RUNNING
        w.dc1.signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await told.wait()
        w.dc1.signal(signal.SIGCONT)
        assert (await w.dc1.state()).liveness is Liveness.RUNNING
        began = now()
        w.dc1.signal(signal.SIGKILL)
        async with asyncio.timeout(2):
            await told.wait()
        assert now() - began < 1.0
        assert (await w.dc1.state()).liveness is Liveness.DOWN


async def test_a_canary_that_waits_is_not_cancelled() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), 5)
        await w.dc2.database.seal(Epoch(2), 5)
        for _ in range(3):
            with pytest.raises(TimedOut):
                await w.dc1.database.canary("alone", 0.2)
        task_cut = asyncio.timeout(0.2)
        with pytest.raises(TimeoutError):
            async with task_cut:
                await w.dc1.database.canary("alone", 30)
        assert (await w.dc1.state()).waiting_commits == 1
        assert (await w.dc1.sql("select token from tricast.canary")) == [("epoch 2",)]
        await w.dc2.database.follow(DC1, Epoch(2), quarantine=False, deadline_s=5)
        await w.dc1.database.canary("heard", 10)
        assert (await w.dc1.sql("select token from tricast.canary")) == [("heard",)]


async def test_a_history_that_was_never_reached_is_not_followed() -> None:
    async with world() as w:
        await asyncio.gather(*(s.database.start(deadline_s=20) for s in (w.dc1, w.dc2)))
        # dc2 climbs half-way to epoch 5 and stops: the numbers are planted, nothing is promoted.
        planted = w.dc2.server.wal_dir
        end = (await w.dc2.replayed()).position
        assert end is not None
        for number in range(2, 5):
            text = f"1\t{end.text}\tplanted for epoch 5\n"
            (planted / wal.history_name(number)).write_text(text)
            (planted / wal.history_name(number)).chmod(0o644)

        async def targets_four() -> bool:
            return "new target timeline is 4" in (w.dc2.directory / "server.log").read_text()

        await until("the standby believes in the planted numbers", targets_four)
        await w.take_over(w.dc1, w.dc2, 6)
        acked = await w.dc1.write_many("six", 5)
        assert (await w.dc2.state()).epoch == 6
        assert acked <= await w.dc2.keys()
        assert DC2 in {f.site for f in (await w.dc1.state()).followers}
