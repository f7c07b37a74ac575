"""A PostgreSQL keeper that has lost log comes back by itself, and votes once it truly holds it."""

import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from controller.core.model import Epoch
from controller.core.quorum import holds_nothing
from controller.hostagent import wal
from controller.ports import Refused
from tests.contract.postgres_world import DC1, DC2, EVERYTHING, SEAL_S, WITNESS, World, until, world
from tests.contract.test_postgres_keeper import caught_up
from witness.postgres_keeper import NOTHING, PostgresKeeper

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


async def segments(w: World, count: int) -> None:
    """The primary's log has gone through so many more files, and everybody has them."""
    for _ in range(count):
        await w.dc1.write_many("x", 1)
        await w.dc1.sql("truncate ledger")
        await w.dc1.sql("select pg_switch_wal()")
    await w.dc1.write("x0")
    await w.dc1.sql("truncate ledger")
    await caught_up(w)


async def votes(w: World) -> None:
    """It streams, and holds what it says it holds."""

    async def seen() -> bool:
        state = await w.keeper.observe(1)
        return state.streaming and state.whole and state.position != NOTHING

    await until("the keeper votes", seen)


async def proves_nothing(w: World) -> None:
    """No takeover would count it, now that it is sealed."""
    position = await w.keeper.seal(Epoch(3), SEAL_S)
    state = await w.keeper.observe(1)
    assert position == state.position == NOTHING
    assert (state.sealed, holds_nothing(state)) == (True, True)


def aside(w: World) -> set[str]:
    """What the keeper has put aside."""
    return {p.name for p in w.keeper_spec.directory.parent.glob("keeper.state/aside/*/*")}


def files(w: World) -> list[Path]:
    """The log files, oldest first."""
    return sorted(p for p in w.keeper_spec.directory.iterdir() if wal.parse_segment(p.name))


async def test_a_new_one_proves_nothing_before_it_holds_what_the_data_sites_hold() -> None:
    async with world() as w:
        w.keeper.all_hold(0)  # dc2 has not said how far it is
        await w.begin(epoch=2)
        await w.dc2.database.seal(Epoch(2), SEAL_S)
        await w.dc1.write("acknowledged by the keeper alone")
        state = await w.keeper.observe(1)
        assert (state.streaming, state.whole, state.position) == (True, False, NOTHING)
        assert any("it began without a log" in problem for problem in state.problems)
        w.keeper.all_hold(1)  # dc2 has less than the first record that is kept here
        await proves_nothing(w)
        await w.keeper.follow(DC1, Epoch(2), 10)
        w.keeper.all_hold(EVERYTHING)
        await votes(w)
        await caught_up(w)
        assert await w.keeper.seal(Epoch(3), SEAL_S) == (await w.dc1.state()).position


@pytest.mark.parametrize("what", ["the newest", "everything", "the directory"])
async def test_one_that_is_wiped_while_it_receives_begins_anew(what: str) -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await segments(w, 2)
        await votes(w)
        if what == "the directory":
            shutil.rmtree(w.keeper_spec.directory)
        else:
            for file in files(w)[-1:] if what == "the newest" else files(w):
                file.unlink()
        await w.dc2.database.seal(Epoch(2), SEAL_S)
        await w.dc1.begin_write("received into a file that has no name")
        await proves_nothing(w)
        await w.keeper.follow(DC1, Epoch(2), 10)
        await w.dc1.client.finish(10_000_000)
        await votes(w)
        await caught_up(w)
        written = (await w.dc1.state()).position
        assert await w.keeper.seal(Epoch(3), SEAL_S) == written
        # What it says it holds can be had from it.
        assert written is not None
        w.dc1.signal(signal.SIGKILL)
        await w.dc2.database.catch_up(WITNESS, written, 20)
        assert "received into a file that has no name" in await w.dc2.keys()


async def test_nobody_needs_to_seal_it_for_that() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await votes(w)
        for file in files(w):
            file.unlink()

        async def mended() -> bool:
            return bool(files(w)) and not w.keeper._receiver.lost(w.keeper_spec.directory)

        await until("it receives into a file that is there", mended)
        await votes(w)


async def test_one_that_is_wiped_while_nobody_runs_begins_anew_and_remembers_it() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await votes(w)
        await w.dc1.write("x")
        await caught_up(w)
        await w.keeper.seal(Epoch(2), SEAL_S)
        await w.keeper.aclose()
        files(w)[-1].write_bytes(bytes(wal.SEGMENT_BYTES))
        for _ in range(2):  # and again after a restart
            again = PostgresKeeper(w.keeper_spec)
            state = await again.observe(5)
            assert (state.whole, state.position) == (False, NOTHING)
            assert any("its log ended at" in problem for problem in state.problems)
        await w.keeper.follow(DC1, Epoch(2), 10)
        await votes(w)


async def test_a_daemon_that_finds_a_receiver_on_probation_attaches_it_again() -> None:
    async with world() as w:
        w.keeper.all_hold(0)
        await w.begin(epoch=2)
        w.keeper._wanted = None  # as good as dead; its receiver goes on
        w.keeper._probation._goal = None
        w.keeper.all_hold(EVERYTHING)

        async def ended() -> bool:
            return (await w.keeper.observe(1)).sealed

        await until("the receiver, of which nobody knows when it may vote, is ended", ended)
        assert (await w.keeper.observe(1)).position == NOTHING
        await w.keeper.follow(DC1, Epoch(2), 10)
        await votes(w)


async def test_a_gap_that_everybody_is_beyond_is_left_behind() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await segments(w, 4)
        await votes(w)
        w.keeper.all_hold(0)
        full = [file for file in files(w) if not file.suffix][-3:]
        before = [file for file in files(w) if file < full[1]]
        gone = wal.parse_segment(full[1].name)
        assert gone is not None
        full[1].unlink()
        full[0].write_bytes(b"short")

        async def seen() -> bool:
            state = await w.keeper.observe(1)
            return not state.whole

        await until("the gap is seen", seen)
        w.keeper.all_hold(gone.end - 1)
        await w.dc1.write("a look later")
        await w.keeper._mend()
        assert aside(w) == set()
        w.keeper.all_hold(gone.end)
        await votes(w)
        assert aside(w) == {file.name for file in before}
        assert files(w)[0].name == full[2].name
        await caught_up(w)
        assert await w.keeper.seal(Epoch(3), SEAL_S) == (await w.dc1.state()).position


async def test_one_that_was_away_for_too_long_begins_anew() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await votes(w)
        held = await w.keeper.seal(Epoch(2), SEAL_S)
        w.keeper.all_hold(wal.to_bytes(held.text) - 1)  # it has what dc2 may still need
        await w.dc1.sql("alter system set wal_keep_size = 0")
        await w.dc1.sql("select pg_reload_conf()")
        await w.dc1.sql("select pg_drop_replication_slot('witness')")
        for _ in range(3):
            await w.dc1.write("x")
            await w.dc1.sql("truncate ledger")
            await w.dc1.sql("select pg_switch_wal()")
        name = wal.segment_of(2, wal.to_bytes(held.text)).name

        async def removed() -> bool:
            await w.dc1.sql("checkpoint")
            return not await w.dc1.sql(f"select 1 from pg_ls_waldir() where name = '{name}'")

        await until("the primary has removed it", removed)  # dc2 may still have to confirm more
        await w.dc1.database.admit(frozenset({DC2, WITNESS}), 5)
        with suppress(Refused):  # it is told so at once, or a moment after it has begun
            await w.keeper.follow(DC1, Epoch(2), 10)

        async def refused() -> bool:
            return "has already been removed" in w.keeper._receiver.complaint()

        await until("the primary is seen to have no more of it", refused)
        assert (await w.keeper.seal(Epoch(2), SEAL_S)) == held
        w.keeper.all_hold(wal.to_bytes(held.text))
        await w.keeper.follow(DC1, Epoch(2), 10)

        async def begun_anew() -> bool:
            state = await w.keeper.observe(1)
            why = any("dc1 no longer has the log that comes next" in p for p in state.problems)
            return why and (state.whole, state.position) == (False, NOTHING)

        await until("it is told that there is no more of it, and begins anew", begun_anew)
        assert aside(w)
        w.keeper.all_hold(EVERYTHING)
        await w.dc1.write("a record beyond where its log ended")
        await votes(w)
        await caught_up(w)
        assert await w.keeper.seal(Epoch(3), SEAL_S) == (await w.dc1.state()).position


async def test_one_whose_log_cannot_be_read_receives_it_again() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await votes(w)
        await w.keeper.seal(Epoch(2), SEAL_S)
        for file in files(w):  # one of the timeline before may be there, too
            file.write_bytes(file.read_bytes()[:24] + b"\xff" * 5000)
        with pytest.raises(Refused, match="no whole record can be read"):
            await w.keeper.seal(Epoch(2), SEAL_S)
        w.keeper.all_hold(0)
        await w.keeper.follow(DC1, Epoch(2), 10)

        async def readable() -> bool:
            problems = (await w.keeper.observe(1)).problems
            return not any("cannot be read" in problem for problem in problems)

        await until("it has received again what it could not read", readable)
        await proves_nothing(w)
        w.keeper.all_hold(EVERYTHING)
        await w.keeper.follow(DC1, Epoch(2), 10)
        await votes(w)
        await caught_up(w)
        assert await w.keeper.seal(Epoch(3), SEAL_S) == (await w.dc1.state()).position
