"""The log keeper of a witness site, with a real pg_receivewal and real servers."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.local_agent import LocalAgent
from controller.core.model import Epoch
from controller.core.position import LogFormat, Position
from controller.hostagent import wal
from controller.ports import PortError, Refused
from tests.contract.postgres_world import (
    DC1,
    DC2,
    EVERYTHING,
    SEAL_S,
    WITNESS,
    World,
    now,
    place,
    until,
    world,
)
from witness.postgres_keeper import PostgresKeeper
from witness.wal_receiver import Receiver

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


async def caught_up(w: World) -> None:
    """The keeper has confirmed everything the primary has written."""

    async def seen() -> bool:
        state = await w.dc1.state()
        return any(f.site == WITNESS and f.flushed == state.position for f in state.followers)

    await until("the keeper has everything", seen)


async def test_the_seal_tells_the_end_of_the_log() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 5)
        await w.dc1.sql("select pg_switch_wal()")
        await w.dc1.write_many("b", 5)
        await caught_up(w)
        written = (await w.dc1.state()).position
        began = now()
        assert await w.keeper.seal(Epoch(3), SEAL_S) == written
        assert now() - began < 1.0  # some 20 ms on an idle machine
        state = await w.keeper.observe(1)
        assert (state.sealed, state.streaming, state.whole) == (True, False, True)
        assert (state.position, state.following) == (written, None)
        await w.dc1.write("more")  # acknowledged by dc2
        assert await w.keeper.seal(Epoch(3), SEAL_S) == written


async def test_a_log_that_ends_with_a_whole_segment_is_sealed_as_fast() -> None:
    """pg_waldump would wait five seconds for the segment that comes next, twice."""
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 5)
        await w.dc1.sql("select pg_switch_wal()")
        await caught_up(w)
        began = now()
        end = await w.keeper.seal(Epoch(3), 15)
        assert now() - began < 2.0
        assert end == (await w.dc1.state()).position


async def test_a_torn_tail_is_no_record() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 5)
        await caught_up(w)
        end = await w.keeper.seal(Epoch(3), SEAL_S)
        await w.keeper.aclose()
        newest = max(w.keeper_spec.directory.glob("*.partial"))
        position = wal.to_bytes(end.text)
        with newest.open("r+b") as file:
            file.seek(position % wal.SEGMENT_BYTES)
            file.write(b"\x40\0\0\0garbage that looks like the head of a record" * 20)
        again = PostgresKeeper(w.keeper_spec)
        assert (await again.observe(5)).position == end
        with newest.open("r+b") as file:
            file.seek(position % wal.SEGMENT_BYTES - 24)
            file.write(b"\xff" * 24)
        torn = (await PostgresKeeper(w.keeper_spec).observe(5)).position
        assert torn is not None
        assert wal.to_bytes(torn.text) < position


async def test_files_made_in_advance_or_reused_do_not_hide_the_end() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 5)
        await caught_up(w)
        end = await w.keeper.seal(Epoch(3), SEAL_S)
        newest = max(w.keeper_spec.directory.glob("*.partial"))
        segment = wal.parse_segment(newest.name)
        assert segment is not None
        for ahead in range(1, 12):
            later = wal.Segment(segment.timeline, segment.number + ahead, partial=True)
            content = b"" if ahead == 1 else newest.read_bytes() if ahead > 2 else bytes(16 << 20)
            (w.keeper_spec.directory / later.file_name).write_bytes(content)
        assert await w.keeper.seal(Epoch(3), SEAL_S) == end
        assert (await PostgresKeeper(w.keeper_spec).observe(5)).position == end
        # Unreadable is not empty.
        newest.write_bytes(newest.read_bytes()[:24] + b"\xff" * 5000)
        for other in w.keeper_spec.directory.iterdir():
            if other != newest and other.suffix != ".history":
                other.unlink()
        with pytest.raises(Refused, match="no whole record can be read"):
            await PostgresKeeper(w.keeper_spec).seal(Epoch(3), SEAL_S)


async def test_a_receiver_outlives_its_daemon_and_the_next_one_can_seal_it() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.database.seal(Epoch(2), SEAL_S)

        async def whole() -> bool:
            return (await w.keeper.observe(1)).whole

        await until("the keeper, which is new, is known to hold everything", whole)
        w.keeper._wanted = None  # as good as dead: it starts nothing any more
        # The next daemon knows only what is on disk, not even the process it was told of.
        (w.keeper_spec.directory.parent / "keeper.state/receiver.json").write_text("{}")
        next_daemon = PostgresKeeper(w.keeper_spec)
        state = await next_daemon.observe(5)
        assert (state.sealed, state.streaming) == (False, True)
        await w.dc1.write("heard by the orphan")
        await caught_up(w)
        written = (await w.dc1.state()).position
        assert await next_daemon.seal(Epoch(3), SEAL_S) == written
        assert (await next_daemon.observe(5)).sealed


async def test_a_frozen_receiver_is_gone_after_the_seal() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        receiver = Receiver(w.keeper_spec.directory.parent / "keeper.state")
        os.kill(int(receiver.about()["pid"]), signal.SIGSTOP)
        await w.keeper.seal(Epoch(3), SEAL_S)
        assert not receiver.alive()


async def test_only_the_primary_of_its_epoch_is_followed() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(5), SEAL_S)
        with pytest.raises(Refused, match="on timeline 2, not 5"):
            await w.keeper.follow(DC1, Epoch(5), 5)
        state = await w.keeper.observe(1)
        assert not state.streaming
        w.dc1.signal(signal.SIGKILL)
        with pytest.raises(PortError):
            await w.keeper.follow(DC1, Epoch(2), 5)


async def test_a_seal_does_not_wait_for_a_primary_that_does_not_answer() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), SEAL_S)
        w.dc1.signal(signal.SIGSTOP)
        began = now()
        async with asyncio.TaskGroup() as group:
            attempt = group.create_task(refusal(w.keeper.follow(DC1, Epoch(2), 5)))
            await asyncio.sleep(0.2)
            assert not attempt.done()
            await w.keeper.seal(Epoch(3), SEAL_S)
        assert now() - began < 2.0
        assert "sealed before ledger at dc1 answered" in attempt.result()
        assert (await w.keeper.observe(1)).sealed
        w.dc1.signal(signal.SIGCONT)


async def refusal(attempt: Coroutine[None, None, None]) -> str:
    """Why it was refused."""
    with pytest.raises(Refused) as refused:
        await attempt
    return str(refused.value)


async def test_it_is_started_again_when_it_ends() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        before = Receiver(w.keeper_spec.directory.parent / "keeper.state").about()["pid"]
        os.kill(int(before), signal.SIGKILL)

        async def back() -> bool:
            about = Receiver(w.keeper_spec.directory.parent / "keeper.state").about()
            return about["pid"] != before and (await w.keeper.observe(1)).streaming

        await until("another receiver streams", back)
        await w.dc2.database.seal(Epoch(2), SEAL_S)
        await w.dc1.write("by the keeper alone")


async def test_files_beyond_a_fork_do_not_stop_it() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 5)
        await w.dc2.database.seal(Epoch(3), SEAL_S)
        # The keeper alone gets more of epoch 2, over the end of a segment; then dc2, which could
        # not ask it, is made primary by force. Those records never were in anybody's quorum count.
        for _ in range(2):
            await w.dc1.sql("select pg_switch_wal()")
            await w.dc1.write("keeper only")
            await w.dc1.sql("truncate ledger")
        await caught_up(w)
        await w.keeper.seal(Epoch(3), SEAL_S)
        w.dc1.signal(signal.SIGKILL)
        await w.dc2.database.promote(Epoch(3), 5)
        await w.dc2.database.admit(frozenset({WITNESS}), 5)
        await w.keeper.follow(DC2, Epoch(3), 10)
        await w.dc2.database.canary("three", 10)
        state = await w.keeper.observe(1)
        assert (state.streaming, state.following_epoch) == (True, 3)
        assert (await w.keeper.seal(Epoch(4), SEAL_S)).epoch == 3
        assert list(w.keeper_spec.directory.parent.glob("keeper.state/aside/*/*"))


async def test_a_gap_is_said_and_not_served() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        for _ in range(3):
            await w.dc1.write_many("x", 1)
            await w.dc1.sql("truncate ledger")
            await w.dc1.sql("select pg_switch_wal()")
        await w.dc1.write("last")
        await caught_up(w)
        end = await w.keeper.seal(Epoch(3), SEAL_S)
        full = sorted(p for p in w.keeper_spec.directory.iterdir() if p.suffix == "")
        full[1].unlink()
        await w.keeper.seal(Epoch(3), SEAL_S)
        state = await w.keeper.observe(1)
        assert not state.whole
        assert any("is missing between" in problem for problem in state.problems)
        agent = LocalAgent(w.directory / DC2 / "hostagent.json")
        first = wal.parse_segment(full[0].name)
        assert first is not None
        with pytest.raises(Refused, match="has a gap"):
            await agent.call(
                "wal-fetch",
                {
                    "database": "ledger",
                    "source": WITNESS,
                    "start": wal.to_lsn(first.start + 100),
                    "timeline": str(first.timeline),
                    "target": end.text,
                    "epoch": str(end.epoch),
                },
                10,
            )


async def test_what_every_standby_has_is_pruned() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        for _ in range(3):
            await w.dc1.write_many("x", 1)
            await w.dc1.sql("truncate ledger")
            await w.dc1.sql("select pg_switch_wal()")
        await w.dc1.write("last")
        await caught_up(w)
        position = (await w.dc2.state()).position
        assert position is not None
        gone = w.keeper.prune(position)
        assert len(gone) >= 3
        far = Position(epoch=2, format=LogFormat.LSN, text="F/0")
        w.keeper.prune(far)
        end = await w.keeper.seal(Epoch(3), SEAL_S)
        assert wal.to_bytes(end.text) >= wal.to_bytes(position.text)
        assert (await w.keeper.observe(1)).whole


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own."""
    directory = place()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tricast", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        directory.rmdir()
        pytest.skip("a file system cannot be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
        directory.rmdir()


def make_room(disk: Path) -> None:
    """The file system has grown."""
    subprocess.run(["mount", "-o", "remount,size=96m", str(disk)], check=True)


async def test_a_full_disk_acknowledges_nothing_it_does_not_hold() -> None:
    with small_disk(24) as disk:
        async with world() as w:
            await w.keeper.aclose()
            w.keeper = PostgresKeeper(replace(w.keeper_spec, directory=disk / "log"))
            w.keeper.all_hold(EVERYTHING)
            running = asyncio.TaskGroup()
            async with running:
                supervisor = running.create_task(w.keeper.run())
                try:
                    await fill_and_make_room(w, disk)
                finally:
                    await w.keeper.aclose()
                    supervisor.cancel()


async def fill_and_make_room(w: World, disk: Path) -> None:
    """The keeper stops when its disk is full, says so, and goes on when there is room."""
    await w.begin(epoch=2)
    acked = await w.dc1.write_many("before", 3)
    await w.dc1.sql("select pg_switch_wal()")
    await w.dc1.write("dc2 acknowledges")

    async def full() -> bool:
        state = await w.keeper.observe(1)
        return not state.streaming and any("disk is full" in p for p in state.problems)

    await until("the keeper says that its disk is full", full)
    acked |= await w.dc1.write_many("full", 3)
    sealed = await w.keeper.seal(Epoch(2), SEAL_S)
    position = (await w.dc1.state()).position
    assert position is not None
    # Nothing at all, where it is new and had no room for the log of this epoch.
    assert wal.to_bytes(sealed.text) < wal.to_bytes(position.text)

    await asyncio.to_thread(make_room, disk)
    await w.keeper.follow(DC1, Epoch(2), 15)
    await caught_up(w)

    async def whole() -> bool:
        state = await w.keeper.observe(1)
        return (state.streaming, state.whole) == (True, True)

    await until("the keeper is known to hold everything", whole)
    await w.dc2.database.seal(Epoch(2), SEAL_S)
    await w.dc1.write("by the keeper alone")


async def test_what_the_next_timeline_needs_is_copied_before_its_primary_is_promoted() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.write_many("a", 20)
        await caught_up(w)
        await w.dc1.database.close(deadline_s=15)
        await w.dc2.database.seal(Epoch(3), SEAL_S)
        await w.keeper.seal(Epoch(3), SEAL_S)
        directory = w.keeper_spec.directory

        async def prepared() -> bool:
            return len(list(directory.glob("*.fork"))) == 1

        await until("the copy is prepared", prepared)
        copy = next(directory.glob("*.fork")).stat().st_ino
        await w.dc2.database.promote(Epoch(3), 5)
        await w.dc2.database.admit(frozenset({WITNESS}), 5)
        await w.keeper.follow(DC2, Epoch(3), 10)
        received = next(path for path in directory.glob("00000003*.partial"))
        assert received.stat().st_ino == copy
        assert list(directory.glob("*.fork*")) == []
        await w.dc2.database.canary("on it", 10)
