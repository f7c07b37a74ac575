"""The keeper's files after a change of primary, and the copy that is prepared for it."""

from pathlib import Path

import pytest

from controller.hostagent import wal
from controller.hostagent.wal_end import LogEnd
from witness.wal_directory import WalDirectory

BEFORE, TAIL = b"acknowledged" * 1000, b"unknown" * 100
START = 5 * wal.SEGMENT_BYTES
END = START + len(BEFORE)
OLD, NEW = "000000020000000000000005.partial", "000000040000000000000005.partial"


@pytest.fixture
def keeper(tmp_path: Path) -> WalDirectory:
    """It has received `BEFORE` and `TAIL` on timeline 2."""
    files = WalDirectory(tmp_path / "keeper")
    files.create()
    file = files.path / OLD
    file.write_bytes(BEFORE + TAIL)
    with file.open("r+b") as grown:
        grown.truncate(wal.SEGMENT_BYTES)
    return files


def end(position: int) -> LogEnd:
    return LogEnd(timeline=2, position=position, file_timeline=2, last_record=position - 8)


def names(files: WalDirectory) -> list[str]:
    return sorted(path.name for path in files.path.iterdir())


def whole(content: bytes) -> bytes:
    return content + bytes(wal.SEGMENT_BYTES - len(content))


def test_what_was_prepared_becomes_the_next_timelines_file(keeper: WalDirectory) -> None:
    keeper.prepare(end(END))
    assert len(names(keeper)) == 2
    prepared = next(path for path in keeper.path.iterdir() if path.name != OLD)
    inode = prepared.stat().st_ino
    assert keeper.make_ready(4, ((1, 100), (2, END)), end(END)) == []
    assert names(keeper) == [OLD, NEW]
    assert (keeper.path / NEW).stat().st_ino == inode
    assert (keeper.path / NEW).read_bytes() == whole(BEFORE)


@pytest.mark.parametrize("prepared", [END + 8, END - 8])
def test_a_copy_that_ends_elsewhere_than_the_fork_is_thrown_away(
    keeper: WalDirectory, prepared: int
) -> None:
    keeper.prepare(end(prepared))
    keeper.make_ready(4, ((2, END),), end(END + len(TAIL)))
    assert names(keeper) == [OLD, NEW]
    assert (keeper.path / NEW).read_bytes() == whole(BEFORE)


def test_it_is_the_same_file_without_any_preparation(keeper: WalDirectory) -> None:
    keeper.make_ready(4, ((2, END),), end(END))
    assert names(keeper) == [OLD, NEW]
    assert (keeper.path / NEW).read_bytes() == whole(BEFORE)


def test_a_copy_that_a_crash_cut_off_is_not_used(keeper: WalDirectory) -> None:
    keeper.prepare(end(END))
    prepared = next(path for path in keeper.path.iterdir() if path.name != OLD)
    prepared.write_bytes(b"half")
    prepared.rename(f"{prepared}.new")
    keeper.make_ready(4, ((2, END),), end(END))
    assert names(keeper) == [OLD, NEW]
    assert (keeper.path / NEW).read_bytes() == whole(BEFORE)


def test_a_keeper_without_a_log_prepares_nothing(tmp_path: Path) -> None:
    files = WalDirectory(tmp_path / "keeper")
    files.create()
    files.prepare(end(END))
    assert names(files) == []
