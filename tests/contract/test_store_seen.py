"""What is remembered of a store, and when it is not believed any more."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from controller.adapters.etcd_seen import KEPT_S, Seen


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
