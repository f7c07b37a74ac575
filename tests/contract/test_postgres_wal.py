"""Names, ancestries and ends of log files; no server needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.hostagent import wal


@given(timeline=st.integers(1, 2**32 - 1), number=st.integers(0, 2**40 - 1), part=st.booleans())
def test_a_segments_name_says_which_it_is(timeline: int, number: int, part: bool) -> None:
    segment = wal.Segment(timeline, number, part)
    assert wal.parse_segment(segment.file_name) == segment
    assert wal.parse_history_name(segment.file_name) is None


def test_names_are_those_of_postgresql() -> None:
    assert wal.segment_of(5, wal.to_bytes("2/A06A360")).name == "00000005000000020000000A"
    assert wal.history_name(0x1F) == "0000001F.history"
    assert wal.parse_segment("00000005000000020000000A.gz") is None
    assert wal.parse_segment("wal-123") is None


def test_the_history_decides_the_timeline_of_a_record() -> None:
    ancestry = wal.parse_history(
        "1\t0/3000060\tno recovery target specified\n\n6\t0/3000060\tplanted\n"
    )
    assert ancestry == ((1, 0x3000060), (6, 0x3000060))
    assert wal.timeline_at(7, ancestry, 0x3000060) == 1
    assert wal.timeline_at(7, ancestry, 0x3000061) == 7
    assert wal.parse_history(wal.history_text(ancestry, "x")) == ancestry


@pytest.mark.parametrize(
    ("mine", "theirs", "end", "fork"),
    [
        # the same timeline; an ancestor, not beyond the fork; exactly at it
        ((1, ()), (1, ()), 500, None),
        ((1, ()), (7, ((1, 900),)), 500, None),
        ((1, ()), (7, ((1, 500),)), 500, None),
        # beyond the fork; a branch of its own; numbers planted on either side
        ((1, ()), (7, ((1, 400),)), 500, wal.Fork(1, 400)),
        ((3, ((1, 300),)), (7, ((1, 400),)), 500, wal.Fork(1, 300)),
        ((3, ((1, 300),)), (7, ((1, 300), (6, 300))), 500, wal.Fork(1, 300)),
        ((3, ((1, 300), (2, 300))), (7, ((1, 300), (2, 400))), 500, wal.Fork(2, 300)),
        # they are behind us; nothing in common
        ((7, ((1, 300),)), (1, ()), 500, wal.Fork(1, 300)),
        ((7, ()), (9, ((1, 300),)), 500, wal.Fork(0, 0)),
    ],
)
def test_where_two_logs_part(
    mine: tuple[int, wal.Ancestry],
    theirs: tuple[int, wal.Ancestry],
    end: int,
    fork: wal.Fork | None,
) -> None:
    assert wal.fork_of(*mine, *theirs, end) == fork


def test_the_end_of_a_record_counts_page_headers() -> None:
    page, segment = wal.PAGE_BYTES, wal.SEGMENT_BYTES
    assert wal.record_end(1000, 53) == 1056
    assert wal.record_end(page - 56, 53) == page
    assert wal.record_end(page - 48, 53) == page + wal.SHORT_HEADER + 8
    assert wal.record_end(segment - 48, 53) == segment + wal.LONG_HEADER + 8
    assert wal.record_end(page - 8, page) == 2 * page + wal.SHORT_HEADER + 16


def test_holdings_know_gaps_and_partial_twins() -> None:
    one, two, four = (wal.Segment(1, n) for n in (1, 2, 4))
    held = wal.holdings([one.name, two.name, two.name + ".partial", four.name, "junk"])
    assert held.of(1) == [one, two, four]
    gap = held.gap()
    assert gap is not None
    assert gap.number == 3
    assert wal.holdings([one.name, two.name]).gap() is None
    # A timeline without its history is nobody's: a promotion that did not come to its end.
    assert wal.holdings([one.name, wal.Segment(7, 1).name]).timelines == [1]
