"""Files of the log that are taken away, on record or not; their names, their lines."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.audit.anchor import Anchor
from controller.audit.chain import Why, verify_lines
from controller.audit.entry import Event, Head, Note, head_of, line_of, sealed
from controller.audit.files import Archived, Closed, closed_from, joined, missing, rotated
from controller.runtime.audit_file import NotArchived
from controller.runtime.audit_folder import (
    backwards,
    chunks,
    closed_in,
    last_entry,
    lines_in,
    sites_in,
)
from controller.runtime.audit_reader import AuditReader
from tests.audit.rotating import anchor, archive, entries, judged, log_in, note, written

# --- tampering ------------------------------------------------------------------------------------


def closed_paths(folder: Path) -> list[Path]:
    return [folder / closed.name for closed in closed_in(folder, "dc1")]


def found_by_all(folder: Path, *anchors: Anchor) -> tuple[int, int, str]:
    """By who reads everything; the daemon's own look at each file says it too."""
    verdict = judged(folder, *anchors)
    assert not verdict.whole
    reader = AuditReader(directory=folder, site="dc1")
    quick = [*log_in(folder).check(anchors).breaks]
    while (seen := reader.look_at_one())[0]:
        quick += seen[1]
    first = verdict.breaks[0]
    assert any(each.seq <= first.last and first.seq <= each.last for each in quick), quick
    return first.seq, first.last, first.why


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_closed_file_that_is_taken_away_by_hand_is_named(tmp_path: Path, which: int) -> None:
    log = written(tmp_path, 9)
    gone = log.closed()[which]
    (tmp_path / gone.name).unlink()
    assert found_by_all(tmp_path) == (gone.first, gone.last, Why.DELETED)
    opened = log_in(tmp_path).open(())
    assert (opened.breaks[0].seq, opened.breaks[0].last) == (gone.first, gone.last)
    assert entries(tmp_path)[-1].event == "damaged"


def test_the_newest_closed_file_that_is_taken_away_by_hand_is_named(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    gone = log.closed()[-1]
    (tmp_path / gone.name).unlink()
    assert found_by_all(tmp_path) == (gone.first, gone.last, Why.DELETED)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_an_edit_in_a_closed_file_is_named(tmp_path: Path, which: int) -> None:
    log = written(tmp_path, 9)
    closed = log.closed()[which]
    path = tmp_path / closed.name
    path.write_bytes(path.read_bytes().replace(b"note", b"nose", 1))
    seq, _, why = found_by_all(tmp_path)
    assert why == Why.CHANGED
    assert closed.first <= seq <= closed.last


def test_the_end_of_a_closed_file_that_is_cut_is_named(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    closed = log.closed()[1]
    path = tmp_path / closed.name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert found_by_all(tmp_path) == (closed.last, closed.last, Why.DELETED)
    path.write_bytes(b"".join(lines)[:-1])  # the last byte of a whole line
    assert judged(tmp_path).breaks[0].seq == closed.last


def test_files_that_change_places_are_named(tmp_path: Path) -> None:
    one, two, *_ = closed_paths(written(tmp_path, 9).directory)
    text = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(text)
    assert found_by_all(tmp_path)[::2] == (1, Why.REORDERED)


def test_a_tail_that_is_cut_by_whole_files_is_known_by_its_anchor(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    known = anchor(log.head)
    log.path.unlink()
    *_, last = closed_paths(tmp_path)
    last.unlink()
    seq, end, why = found_by_all(tmp_path, known)
    assert (end, why) == (known.seq, Why.CUT)
    assert seq == log.closed()[-1].last + 1


def test_a_history_that_is_written_anew_is_known_by_its_anchor(tmp_path: Path) -> None:
    log = written(tmp_path / "one", 9)
    known = [anchor(head_of(entry)) for entry in entries(tmp_path / "one")]
    other = log_in(tmp_path / "two")
    other.open(())
    for number in range(9):
        other.append([note(f"note {number + 1}", by="mallory")])
    end = last_entry(tmp_path / "two" / other.closed()[-1].name)
    assert end is not None
    shown = next(a for a in known if a.seq == end.seq)
    verdict = other.check([shown])  # by the last line of the newest closed file alone
    assert (verdict.breaks[0].seq, verdict.breaks[0].why) == (end.seq, Why.CHANGED)
    assert judged(tmp_path / "two", *known).breaks[0].seq == 1
    assert log.head != other.head


# --- archives -------------------------------------------------------------------------------------


def test_what_is_archived_on_record_is_no_error_and_is_said(tmp_path: Path) -> None:
    live, out = tmp_path / "live", tmp_path / "out"
    log = written(live, 9)
    before = [anchor(head_of(entry)) for entry in entries(live)]
    gone = [archive(log, out) for _ in range(3)]
    verdict = judged(live, *before, anchor(log.head))
    assert verdict.whole, verdict.breaks
    assert verdict.begins == gone[-1].last + 1
    [span] = verdict.archived[-1:]
    assert (span.first, span.last, span.at, span.who) == (1, gone[-1].last, "then", "alice")
    assert judged(out).whole
    assert judged(out).head == Head(seq=span.last, hash=span.hash)
    assert log_in(live).open(()).breaks == ()
    assert log.check(before).whole


def test_a_record_of_an_archive_outlives_its_own_archive(tmp_path: Path) -> None:
    live, out = tmp_path / "live", tmp_path / "out"
    log = written(live, 9)
    for _ in range(12):
        for _ in log.closed()[1:]:  # each record of it may close another
            archive(log, out)
        log.append([note("more" * 90)])
        log.append([note("and more" * 90)])
        again = log_in(live)
        assert again.open(()).breaks == ()
        assert judged(live, anchor(again.head)).whole
        log = again
    assert judged(live).begins > 20
    assert judged(out).whole


@pytest.mark.parametrize("which", [0, -1])
def test_beyond_what_is_on_record_a_missing_file_is_an_error(tmp_path: Path, which: int) -> None:
    live = tmp_path / "live"
    log = written(live, 9)
    gone = archive(log, tmp_path / "out")
    taken = log.closed()[which]
    (live / taken.name).unlink()
    verdict = judged(live)
    assert (verdict.breaks[0].seq, verdict.breaks[0].last) == (taken.first, taken.last)
    assert verdict.breaks[0].why is Why.DELETED
    assert taken.first > gone.last


def test_what_was_taken_away_by_hand_does_not_become_archived(tmp_path: Path) -> None:
    live = tmp_path / "live"
    log = written(live, 9)
    taken = log.closed()[0]
    (live / taken.name).unlink()
    archive(log, tmp_path / "out")
    verdict = judged(live)
    assert (verdict.breaks[0].seq, verdict.breaks[0].last) == (1, taken.last)
    second = log.closed()[0]
    wrong = Closed(site="dc1", first=1, last=second.last)
    (live / second.name).rename(live / wrong.name)  # a name that would cover it
    with pytest.raises(NotArchived, match="does not hold the entries that its name says"):
        archive(log, tmp_path / "out")


def test_a_record_of_other_entries_than_those_that_follow_is_named(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    gone = log.closed()[0]
    (tmp_path / gone.name).unlink()
    spans = f"1-{gone.last}={'0' * 64}"
    log.append([Note(at="now", event=Event.ARCHIVED, facts={"archived": spans})])
    first = judged(tmp_path).breaks[0]
    assert first.seq == gone.last
    ahead = f"1-{log.head.seq + 9}={'0' * 64}"
    log.append([Note(at="now", event=Event.ARCHIVED, facts={"archived": ahead})])
    assert not judged(tmp_path).whole


def test_a_file_that_is_on_record_and_still_here_is_no_error(tmp_path: Path) -> None:
    live, out = tmp_path / "live", tmp_path / "out"
    log = written(live, 9)
    gone = [archive(log, out), archive(log, out)]
    shutil.copy(out / gone[1].name, live / gone[1].name)
    verdict = judged(live)
    assert verdict.whole, verdict.breaks
    assert verdict.begins == gone[1].first
    archive(log, out)
    assert judged(live).whole
    assert judged(live).begins == gone[1].last + 1


def test_only_the_oldest_closed_file_and_only_as_it_was_copied(tmp_path: Path) -> None:
    log = written(tmp_path, 9)
    one, two, *_ = log.closed()
    end = last_entry(tmp_path / one.name)
    assert end is not None
    for name, known, why in (
        (two.name, end.hash, f"the oldest is {one.name}"),
        ("dc1.jsonl", end.hash, "is not the oldest closed file"),
        ("../../etc/passwd", end.hash, "is not the oldest closed file"),
        (one.name, "0" * 64, "the copy with 0000000000000000"),
    ):
        before = log.head
        with pytest.raises(NotArchived, match=why):
            log.archive(name, known, note("x"))
        assert (log.head, log.closed()[0]) == (before, one)
    with pytest.raises(NotArchived, match="there is no closed file"):
        written(tmp_path / "short", 1).archive(one.name, end.hash, note("x"))


def test_a_damaged_file_is_archived_only_when_it_is_said(tmp_path: Path) -> None:
    live, out = tmp_path / "live", tmp_path / "out"
    log = written(live, 9)
    one = live / log.closed()[0].name
    one.write_bytes(b"#\n" + one.read_bytes().partition(b"\n")[2])
    with pytest.raises(NotArchived):
        archive(log, out)
    end = last_entry(one)
    assert end is not None
    log.archive(one.name, end.hash, note("x"), damaged=True)
    assert judged(live).whole


# --- names, lines, spans --------------------------------------------------------------------------


@given(st.integers(1, 2**48), st.integers(0, 2**20))
def test_a_name_says_what_is_in_the_file(first: int, more: int) -> None:
    closed = Closed(site="dc-1.x", first=first, last=first + more)
    assert closed_from(closed.name) == closed


@pytest.mark.parametrize(
    "name",
    ["dc1.jsonl", "dc1.1-2.jsonl", "dc1.000000000003-000000000002.jsonl", "x", "",
     "dc1.000000000000-000000000002.jsonl", "dc1.0000000000001-000000000002.jsonl"],
)  # fmt: skip
def test_other_names_are_not_those_of_closed_files(name: str) -> None:
    assert closed_from(name) is None


@given(st.lists(st.binary(max_size=9), max_size=8), st.integers(1, 9))
def test_a_file_is_read_from_both_ends(parts: list[bytes], size: int) -> None:
    text = b"\n".join(parts)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("controller.runtime.audit_folder.CHUNK", size)
        path = Path(name) / "dc1.jsonl"
        path.write_bytes(text)
        assert list(backwards(path)) == text.split(b"\n")[:-1][::-1]
        with path.open("rb") as file:
            assert b"".join(chunks(file)) == text
        assert b"".join(lines_in(Path(name), "dc1")) == text
        assert sites_in(Path(name)) == ("dc1",)


def span(first: int, last: int) -> Archived:
    return Archived(first=first, last=last, hash="0" * 64)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=6), st.data())
def test_what_is_not_on_record_is_missing(runs: list[tuple[int, int]], data: st.DataObject) -> None:
    known: tuple[Archived, ...] = ()
    covered: set[int] = set()
    for first, more in sorted(runs):
        known = joined(known, span(first, first + more))
        covered |= set(range(first, first + more + 1))
    first = data.draw(st.integers(1, 30))
    last = data.draw(st.integers(first, 36))
    gone = missing(first, last, known)
    left = set(range(first, last + 1)) - covered
    assert (gone is None) == (not left)
    if gone is not None:
        assert gone == (min(left), max(left))


def test_a_forged_first_entry_says_nothing_of_what_comes_after_it() -> None:
    told = rotated("now", Closed(site="dc1", first=1, last=3), Head(seq=3), (span(1, 9),), "")
    line = line_of(sealed(told, "dc1", Head(seq=3))) + b"\n"
    assert verify_lines([line], "dc1").breaks[0].why is Why.DELETED
