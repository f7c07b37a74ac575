"""The log in several files: one chain, whatever dies when, and whatever somebody takes away."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.audit.chain import Why, readable
from controller.audit.entry import Event, Head, Note
from controller.audit.files import Closed
from controller.runtime.audit_folder import (
    first_entry,
    last_entry,
)
from tests.audit.disk import FrailDisk, PowerLoss, SmallDisk
from tests.audit.rotating import (
    SMALL,
    anchor,
    archive,
    asked,
    entries,
    everything,
    judged,
    log_in,
    note,
    written,
)

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

# --- rotation -------------------------------------------------------------------------------------


def test_a_file_that_is_big_enough_is_closed_and_the_next_names_it(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    closed = log.closed()
    assert len(closed) > 2
    assert closed[0].first == 1
    for one, next_name in zip(closed, [*(c.name for c in closed[1:]), "dc1.jsonl"], strict=True):
        end, begin = last_entry(tmp_path / one.name), first_entry(tmp_path / next_name)
        assert end is not None
        assert begin is not None
        assert (end.seq, begin.event, begin.seq) == (one.last, "rotated", one.last + 1)
        assert begin.prev == end.hash
        told = (begin.facts["file"], begin.facts["last"], begin.facts["last_hash"])
        assert told == (one.name, str(end.seq), end.hash)
        assert (tmp_path / one.name).stat().st_size >= SMALL
    assert judged(tmp_path, anchor(log.head)).whole
    assert asked(entries(tmp_path)) == [f"note {n + 1}" for n in range(9)]
    assert (log.path.stat().st_mode & 0o777) & 0o007 == 0
    assert log.check(()).whole


def test_nothing_is_renamed_before_what_it_names_is_synced(tmp_path: Path) -> None:
    disk = FrailDisk()
    log = log_in(tmp_path, disk)
    log.open(())
    log.append([note("x" * SMALL)])
    disk.trace.clear()
    log.append([note("y")])
    assert disk.trace == [
        "write", "sync", "rename", "sync folder", "rename", "sync folder", "write", "sync",
    ]  # fmt: skip


def steps() -> int:
    """How much is asked of the disk in all of `lived`."""
    with tempfile.TemporaryDirectory() as name:
        disk = FrailDisk()
        lived(Path(name), disk, retries=False)
        return disk.done


def lived(folder: Path, disk: FrailDisk, *, retries: bool) -> list[str]:
    """What was acknowledged by a daemon that appends and archives until the disk ends it."""
    done: list[str] = []
    log = log_in(folder / "audit", disk)

    def tried(work: Callable[[], object], error: type[Exception] = OSError) -> bool:
        for _ in range(2):
            try:
                work()
                return True
            except error:
                assert retries
        return False

    try:
        assert tried(lambda: log.open(()))
        for number in range(7):
            wanted = [note(f"note {number}a"), note(f"note {number}b")]
            assert tried(lambda wanted=wanted: log.append(wanted))  # type: ignore[misc]
            done += [each.reason for each in wanted]
        for _ in range(2):
            tried(lambda: archive(log, folder / "out"))
        assert tried(lambda: log.append([note("last")]))
        done.append("last")
    except PowerLoss:
        pass
    return done


@pytest.mark.parametrize("undoes", [False, True])
@pytest.mark.parametrize("at", range(1, steps() + 1))
def test_a_power_loss_at_any_step_loses_nothing_that_was_acknowledged(
    tmp_path: Path, at: int, undoes: bool
) -> None:
    done = lived(tmp_path, FrailDisk(fails_at=at, undoes=undoes), retries=False)
    again = log_in(tmp_path / "audit")
    head = again.head
    again.open([])
    again.append([note("after")])
    assert again.head.seq > head.seq
    found = everything(tmp_path)
    reasons = asked(found)
    assert reasons[: len(done)] == done
    assert reasons[-1] == "after"
    assert len(reasons) == len(set(reasons))
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    verdict = judged(tmp_path / "audit", anchor(again.head))
    assert verdict.whole, verdict.breaks
    assert not (tmp_path / "audit" / "dc1.new").exists()
    assert all("no entry" in e.reason for e in found if e.event == "damaged")  # a torn end


@pytest.mark.parametrize("at", range(1, steps() + 1))
def test_a_disk_that_is_full_at_any_step_leaves_all_of_an_append_or_nothing(
    tmp_path: Path, at: int
) -> None:
    done = lived(tmp_path, FrailDisk(fails_at=at, error=FULL), retries=True)
    found = everything(tmp_path)
    assert asked(found) == done
    assert "last" in done
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    verdict = judged(tmp_path / "audit")
    assert verdict.whole, verdict.breaks
    assert not [entry for entry in found if entry.event == "damaged"]


def test_a_disk_without_room_for_the_new_file_keeps_the_old_one_current(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.open(())
    log.append([note("x" * SMALL)])
    before, disk = log.raw(), SmallDisk(room=100)
    log.write = disk.write
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            log.append([note("y")])
        assert (log.raw(), log.closed()) == (before, ())
    disk.room = 10**6
    log.append([note("y")])
    assert asked(entries(tmp_path)) == ["x" * SMALL, "y"]
    assert judged(tmp_path).whole


def test_the_start_goes_on_with_the_new_file_that_a_crash_left(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.open(())
    log.append([note("x" * SMALL)])
    disk = FrailDisk(fails_at=5)  # write, sync, rename, sync folder, and the second rename
    log.write, log.sync, log.rename = disk.write, disk.sync, disk.rename
    with pytest.raises(PowerLoss):
        log.append([note("y")])
    begun = (tmp_path / "dc1.new").read_bytes()
    assert not log.path.exists()
    assert judged(tmp_path, anchor(log.head)).whole  # as anybody may read it now
    again = log_in(tmp_path)
    again.open([anchor(log.head)])
    assert again.raw() == begun
    assert again.head.seq == log.head.seq + 1


def test_a_new_file_that_was_never_needed_is_gone_at_the_start(tmp_path: Path) -> None:
    log = written(tmp_path, 5)
    before = log.raw()
    (tmp_path / "dc1.new").write_bytes(b"half a li")
    again = log_in(tmp_path)
    again.open([anchor(log.head)])
    assert not (tmp_path / "dc1.new").exists()
    assert (again.raw(), again.head) == (before, log.head)


def test_at_the_start_no_closed_file_is_read_as_a_whole(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    for closed in log.closed():
        path = tmp_path / closed.name
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"#" * 50 + b"\n" + b"".join(lines[1:]))
    again = log_in(tmp_path)
    assert again.open(()).breaks == ()
    assert again.head == log.head
    first = judged(tmp_path).breaks[0]
    assert (first.seq, first.why) == (1, Why.CHANGED)


def test_what_is_told_once_and_the_configuration_outlive_a_rotation(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.open(())
    raised = Note(at="now", event=Event.RAISED, service="wallet", epoch=3)
    log.append([Note(at="now", event="started", facts={"configuration": "abc"}), raised])
    for number in range(9):
        log.append([note(f"{number}"), raised])
    assert [entry.event for entry in entries(tmp_path)].count("raised") == 1
    assert log_in(tmp_path).open(()).configuration == "abc"


def test_what_somebody_did_to_the_current_file_is_told_before_it_is_closed(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.open(())
    log.append([note("x" * SMALL)])
    with log.path.open("ab") as other:
        other.write(b"hello\n")
    log.append([note("y")])
    log.append([note("z")])
    assert [e.event for e in entries(tmp_path)] == ["asked", "damaged", "asked", "rotated", "asked"]
    assert judged(tmp_path).whole


def test_a_file_that_has_the_name_already_is_set_aside(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.open(())
    log.append([note("x" * SMALL)])
    squatter = tmp_path / Closed(site="dc1", first=1, last=1).name
    squatter.write_bytes(b"mine")
    log.append([note("y")])
    assert (tmp_path / "aside" / squatter.name).read_bytes() == b"mine"
    assert [e.event for e in entries(tmp_path)] == ["asked", "rotated", "damaged", "asked"]
    assert judged(tmp_path).whole


def test_a_current_file_that_is_gone_at_the_start_is_begun_anew(tmp_path: Path) -> None:
    log = written(tmp_path, 5)
    known = anchor(log.head)
    lost = len(list(readable(log.raw().split(b"\n"))))
    log.path.unlink()
    again = log_in(tmp_path)
    [gone] = again.open([known]).breaks
    assert (gone.why, gone.last - gone.seq + 1) == (Why.CUT, lost)
    assert [entry.event for entry in entries(tmp_path)][-2:] == ["rotated", "damaged"]
    first = judged(tmp_path, known).breaks[0]
    assert (first.seq, first.last, first.why) == (gone.seq, gone.last, Why.DELETED)


# --- any order of it all --------------------------------------------------------------------------

DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "archive", "restart"]),
        st.integers(1, 4),  # notes
        st.sampled_from([0, 0, 0, *range(1, 16)]),  # the step at which the disk fails
        st.sampled_from(["power", "undone", "full"]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=150)
@given(DEEDS, st.sampled_from([300, 700, 2000]))
def test_whatever_happens_in_whatever_order_it_is_one_chain(
    deeds: list[tuple[str, int, int, str]], rotate_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "audit").mkdir()
        (folder / "out").mkdir()
        log = log_in(folder / "audit", None, rotate_bytes)
        log.open(())
        known, done, count = Head(), list[str](), 0
        for what, size, fails_at, how in deeds:
            error: BaseException = FULL if how == "full" else PowerLoss()
            disk = FrailDisk(fails_at=fails_at, error=error, undoes=how == "undone")
            log.write, log.sync, log.rename, log.remove = (
                disk.write, disk.sync, disk.rename, disk.remove,
            )  # fmt: skip
            wanted = [f"note {count + place}" for place in range(size)]
            count += size
            try:
                if what == "append":
                    log.append([note(text) for text in wanted])
                    done += wanted
                elif what == "archive" and log.closed():
                    archive(log, folder / "out")
                elif what == "restart":
                    raise PowerLoss
                known = log.head
            except PowerLoss:
                log = log_in(folder / "audit", None, rotate_bytes)
                log.open([anchor(known)] if known.seq else [])
                known = log.head
            except OSError:
                assert how == "full"
            verdict = judged(folder / "audit", *([anchor(known)] if known.seq else []))
            assert verdict.whole, verdict.breaks
        found = everything(folder)
        kept = asked(found)
        assert [text for text in kept if text in set(done)] == done
        assert len(kept) == len(set(kept))
        assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
        assert not list((folder / "out").iterdir()) or judged(folder / "out").whole
