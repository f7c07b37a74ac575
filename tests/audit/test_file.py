"""The log on a disk: durable, whole after a crash at any byte, and never in two versions."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.audit.anchor import Anchor
from controller.audit.chain import Why, entries_of, verify
from controller.audit.entry import Head, Note
from controller.runtime.audit_file import AuditFile
from tests.audit.disk import SmallDisk

PLENTY = 10**9


def file_in(folder: Path, disk: SmallDisk | None = None) -> AuditFile:
    disk = disk or SmallDisk(PLENTY)
    return AuditFile(
        directory=folder, site="dc1", stamp=lambda: "now", write=disk.write, sync=disk.sync
    )


def note(text: str) -> Note:
    return Note(at="now", event="asked", reason=text)


def opened(folder: Path, *anchors: Anchor) -> AuditFile:
    found = file_in(folder)
    found.open(anchors)
    return found


def written(folder: Path, count: int) -> AuditFile:
    found = opened(folder)
    for number in range(count):
        found.append([note(f"note {number + 1}")])
    return found


def anchor(head: Head) -> Anchor:
    return Anchor(site="dc1", seq=head.seq, hash=head.hash, place="etcd")


def reasons(file: AuditFile) -> list[str]:
    return [entry.reason for entry in entries_of(file.raw())]


def test_notes_are_entries_in_order_and_go_on_after_a_restart(tmp_path: Path) -> None:
    head = written(tmp_path, 2).head
    again = opened(tmp_path)
    assert again.head == head
    again.append([note("note 3"), note("note 4")])
    assert reasons(again) == ["note 1", "note 2", "note 3", "note 4"]
    assert verify(again.raw(), "dc1", [anchor(head), anchor(again.head)]).whole
    assert (again.path.stat().st_mode & 0o777) & 0o007 == 0


def test_every_append_is_synced_before_it_counts(tmp_path: Path) -> None:
    disk = SmallDisk(PLENTY)
    file = file_in(tmp_path, disk)
    file.open(())
    before = disk.syncs
    file.append([note("x")])
    assert disk.syncs > before


def test_a_crash_at_any_byte_of_the_last_entry_costs_that_entry_alone(tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    log = file.raw()
    third = log.rfind(b"\n", 0, len(log) - 1) + 1
    for length in range(third, len(log)):
        file.path.write_bytes(log[:length])
        again = opened(tmp_path)
        again.append([note("after")])
        found = verify(again.raw(), "dc1")
        assert found.whole, (length, found.breaks)
        if length == third:  # nothing of it was there
            assert reasons(again) == ["note 1", "note 2", "after"]
            continue
        entry = entries_of(again.raw())[2]
        assert (entry.event, entry.facts["bytes"]) == ("damaged", str(length - third))
        kept = tmp_path / entry.facts["kept"]
        assert kept.read_bytes() == log[third:length]
        assert reasons(again)[3:] == ["after"]


@given(room=st.integers(0, 1500), count=st.integers(1, 4))
def test_a_full_disk_leaves_all_of_an_append_or_nothing(room: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = SmallDisk(PLENTY)
        file = file_in(folder, disk)
        file.open(())
        file.append([note("before")])
        whole, head = file.raw(), file.head
        disk.room = room
        notes = [note(f"during {number}") for number in range(count)]
        try:
            file.append(notes)
            assert len(reasons(file)) == 1 + count
        except OSError:
            assert (file.raw(), file.head) == (whole, head)
            disk.room = PLENTY
            file.append(notes)
        assert reasons(file) == ["before", *(n.reason for n in notes)]
        assert verify(file.raw(), "dc1").whole


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_tail_that_was_cut_is_named_and_its_numbers_are_not_used_again(
    tmp_path: Path, cut: int
) -> None:
    file = written(tmp_path, 3)
    known = anchor(file.head)
    lines = file.raw().splitlines(keepends=True)
    file.path.write_bytes(b"".join(lines[: 3 - cut]))
    again = file_in(tmp_path)
    found = again.open([known])
    assert (found.breaks[0].seq, found.breaks[0].why) == (4 - cut, Why.CUT)
    again.append([note("after")])
    after = entries_of(again.raw())
    assert [entry.seq for entry in after][-2:] == [4, 5]
    assert after[-2].event == "damaged"
    assert after[-2].prev == known.hash
    first = verify(again.raw(), "dc1").breaks[0]
    assert (first.seq, first.last, first.why) == (4 - cut, 3, Why.DELETED)


def test_a_log_that_is_gone_goes_on_after_its_anchor(tmp_path: Path) -> None:
    file = written(tmp_path, 5)
    known = anchor(file.head)
    file.path.unlink()
    again = opened(tmp_path, known)
    again.append([note("after")])
    assert again.head.seq == 7


def test_an_edited_entry_is_named_once_however_often_it_starts(tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    file.path.write_bytes(file.raw().replace(b"note 2", b"nothin"))
    for _ in range(3):
        again = opened(tmp_path)
    damaged = [e for e in entries_of(again.raw()) if e.event == "damaged"]
    assert [e.facts["break"] for e in damaged] == ["changed 2"]
    assert [str(b) for b in again.check(()).breaks] == [
        "entry 2: changed: its hash is not that of its text"
    ]


def test_what_is_cut_while_it_runs_is_named_at_the_next_entry(tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    lines = file.raw().splitlines(keepends=True)
    os.truncate(file.path, len(lines[0]) + 10)
    file.append([note("after")])
    found = entries_of(file.raw())
    assert [e.seq for e in found] == [1, 4, 5]
    assert "was found with" in found[1].reason
    first = file.check(()).breaks[0]
    assert (first.seq, first.last, first.why) == (2, 3, Why.DELETED)


def test_a_file_that_is_taken_away_while_it_runs_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, 2)
    file.path.rename(tmp_path / "elsewhere")
    file.append([note("after")])
    assert [e.seq for e in entries_of(file.raw())] == [3, 4]


def test_what_somebody_else_writes_behind_the_end_is_set_aside(tmp_path: Path) -> None:
    file = written(tmp_path, 2)
    with file.path.open("ab") as other:
        other.write(b"hello\n")
    file.append([note("after")])
    found = entries_of(file.raw())
    assert [e.event for e in found] == ["asked", "asked", "damaged", "asked"]
    assert (tmp_path / found[2].facts["kept"]).read_bytes() == b"hello\n"
    assert file.check(()).whole


def test_a_full_disk_at_the_start_forgets_nothing_of_what_it_found(tmp_path: Path) -> None:
    file = written(tmp_path, 2)
    with file.path.open("ab") as other:
        other.write(b"torn")
    again = file_in(tmp_path, SmallDisk(0))
    with pytest.raises(OSError, match="No space left"):
        again.open(())
    again.write = os.write
    again.open(())
    assert [e.event for e in entries_of(again.raw())] == ["asked", "asked", "damaged"]
    assert again.check(()).whole


def test_the_configuration_of_the_start_before_is_found(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([Note(at="now", event="started", facts={"configuration": "abc"}), note("x")])
    assert file_in(tmp_path).open(()).configuration == "abc"
