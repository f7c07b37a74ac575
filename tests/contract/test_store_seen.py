"""What is known of a store by reads and by a watch, and when it is not believed any more."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from controller.adapters.etcd_seen import KEPT_S, Range, Seen


@dataclass(frozen=True)
class Header:
    revision: int
    raft_term: int = 3
    cluster_id: int = 7


@dataclass(frozen=True)
class Pair:
    key: bytes
    value: bytes
    mod_revision: int


@dataclass(frozen=True)
class Answer:
    header: Header
    kvs: tuple[Pair, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Known:
    seen: Seen = field(
        default_factory=lambda: Seen.whole(
            cast("Any", Answer(Header(10), (Pair(b"/t/a", b"1", 4), Pair(b"/t/b", b"1", 9)), 2)),
            3,
            100.0,
        )
    )


def after(*kvs: Pair, count: int, **header: int) -> Seen | None:
    answer = Answer(replace(Header(12), **header), kvs, count)
    return Known().seen.with_news(cast("Any", answer), 3, 101.0)


def test_names_are_without_the_prefix() -> None:
    assert set(Known().seen.entries) == {"a", "b"}


def test_what_changed_is_taken_over() -> None:
    found = after(Pair(b"/t/b", b"2", 11), Pair(b"/t/c", b"3", 12), count=3)
    assert found is not None
    assert {key: entry.value for key, entry in found.entries.items()} == {
        "a": b"1", "b": b"2", "c": b"3",
    }  # fmt: skip
    assert (found.revision, found.at) == (12, 101.0)
    assert set(Known().seen.entries) == {"a", "b"}, "what others still hold does not change"


def test_nothing_new_is_no_work() -> None:
    found = after(count=2)
    assert found is not None
    assert (set(found.entries), found.revision) == ({"a", "b"}, 12)


def test_a_key_that_is_gone_is_noticed() -> None:
    assert after(count=1) is None
    assert after(Pair(b"/t/c", b"3", 12), count=2) is None


@pytest.mark.parametrize("header", [{"revision": 9}, {"raft_term": 2}, {"cluster_id": 8}])
def test_a_store_that_was_put_back_is_read_anew(header: dict[str, int]) -> None:
    assert after(count=2, **header) is None


def test_the_same_revision_and_a_later_term_are_good() -> None:
    assert after(count=2, revision=10, raft_term=4) is not None


def test_who_has_not_read_for_a_while_reads_everything() -> None:
    assert Known().seen.since(100.0 + KEPT_S - 0.1) == 11
    assert Known().seen.since(100.0 + KEPT_S) == 0


# --- between reads, by the events of a watch -----------------------------------------------------


@dataclass(frozen=True)
class Event:
    kv: Pair
    type: int = 0
    DELETE: int = 1


def put(revision: int, key: str = "a", value: bytes = b"x") -> Any:
    return Event(Pair(b"/t/" + key.encode(), value, revision))


def gone(revision: int, key: str) -> Any:
    return Event(Pair(b"/t/" + key.encode(), b"", revision), type=1)


@pytest.fixture
def known() -> Range:
    """Read at revision 10, watched from 8 on."""
    known = Range("/t/", 3)
    known.took(Known().seen, None)
    known.watched(8)
    return known


def read(revision: int, **values: bytes) -> Seen:
    pairs = tuple(Pair(b"/t/" + key.encode(), value, 5) for key, value in values.items())
    return Seen.whole(cast("Any", Answer(Header(revision), pairs, len(pairs))), 3, 100.5)


def values(known: Range) -> dict[str, bytes]:
    assert known.seen is not None
    return {key: entry.value for key, entry in known.seen.entries.items()}


def test_events_bring_what_was_read_up_to_their_own_revision(known: Range) -> None:
    before = known.seen
    found = known.told([put(11, "c", b"3"), gone(12, "a")], 100.1)
    assert found is not None
    assert (found.revision, set(found.entries)) == (12, {"b", "c"})
    assert found.entries["c"].revision == 11
    assert before is not None
    assert set(before.entries) == {"a", "b"}, "what others still hold does not change"


def test_events_that_a_read_has_shown_already_change_nothing(known: Range) -> None:
    found = known.told([gone(9, "a"), put(10, "b", b"old")], 100.1)
    assert found is not None
    assert (found.revision, values(known)) == (10, {"a": b"1", "b": b"1"})


def test_nothing_is_told_before_a_read_nor_long_after_one(known: Range) -> None:
    assert Range("/t/", 3).told([put(11)], 100.0) is None
    assert known.told([put(11)], 100.0 + KEPT_S) is None


def test_a_watch_that_began_after_the_read_cannot_tell(known: Range) -> None:
    known.watched(11)
    assert known.told([put(12)], 100.1) is None
    known.took(read(12, a=b"2"), known.seen)
    assert known.told([put(13)], 100.6) is not None


def test_an_event_that_came_to_nothing_is_missed_until_a_read_has_shown_it(known: Range) -> None:
    known.watched(11)
    assert known.told([put(13, "d")], 100.1) is None
    known.took(read(12, a=b"2"), known.seen)
    assert known.told([put(14)], 100.6) is None, "13 is neither read nor told"
    known.took(read(14, a=b"2", d=b"1"), known.seen)
    assert known.told([put(15)], 100.7) is not None


def test_a_read_does_not_forget_what_events_told_while_it_was_on_its_way(known: Range) -> None:
    asked = known.seen
    known.told([put(12, "c", b"3")], 100.1)
    shown = known.took(read(11, a=b"2", b=b"1"), asked)
    assert (shown.revision, values(known)) == (12, {"a": b"1", "b": b"1", "c": b"3"})
    assert known.seen is not None
    assert known.seen.at == 100.5, "it is as fresh as that read"


def test_a_read_that_is_ahead_of_the_events_is_taken_as_it_is(known: Range) -> None:
    asked = known.seen
    known.told([put(12, "c", b"3")], 100.1)
    assert known.took(read(13, a=b"2"), asked).revision == 13
    assert values(known) == {"a": b"2"}


def test_a_store_that_was_put_back_takes_what_was_told_with_it(known: Range) -> None:
    asked = known.seen
    known.told([put(12, "c", b"3")], 100.1)
    assert known.took(read(9, a=b"0"), asked).revision == 9
    assert values(known) == {"a": b"0"}


def test_another_cluster_takes_what_was_told_with_it(known: Range) -> None:
    asked = known.seen
    known.told([put(12, "c", b"3")], 100.1)
    other = replace(read(11, a=b"0"), cluster=8)
    assert known.took(other, asked).revision == 11
    assert values(known) == {"a": b"0"}


@pytest.mark.parametrize(
    ("prefix", "bounds"),
    [
        ("/t/", (b"/t/", b"/t0")),
        ("", (b"\0", b"\0")),
    ],
)
def test_a_range_is_all_keys_that_begin_with_its_prefix(
    prefix: str, bounds: tuple[bytes, bytes]
) -> None:
    known = Range(prefix, 0)
    assert (known.first, known.end) == bounds
