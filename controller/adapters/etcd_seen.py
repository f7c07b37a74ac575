"""What was read of etcd before, so that a read brings over only what has changed since.

A range is asked for the keys that were changed after the revision that was read last
(`min_mod_revision`); the answer still says how many keys there are (`count`), which gives away one
that is gone: then everything is read again. Nothing is remembered of a store that may have been
put back to an older snapshot meanwhile. One whose revision or term went back was, or that is
another cluster; and whoever has not read for `KEPT_S` may have missed it, for it takes longer
than that to stop a majority, restore it and start it. Source: etcd's `rpc.proto`, and
`tests/contract/test_store.py` for what it does.

Between reads the events of a watch tell what has changed: every one, in the order of their
revisions, from the revision on at which the watch began (etcd, "API guarantees"). They bring what
was read up to their own revision as long as none was missed in between; they do not say that a
majority is there, so only a read is a proof of that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from controller.adapters.etcd_api import Message
from controller.ports import Entry, Snapshot

KEPT_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Seen:
    """Every key of one range, as they were at `revision`."""

    entries: Mapping[str, Entry]
    revision: int
    term: int
    cluster: int
    at: float  # when the read began

    @classmethod
    def whole(cls, answer: Message, cut: int, at: float) -> Self:
        """From an answer that has every key; `cut` is what is left out of their names."""
        header = answer.header
        return cls(_entries(answer, cut), header.revision, header.raft_term, header.cluster_id, at)

    def precedes(self, other: Self) -> bool:
        """`other` is a later state of the same store."""
        return self.cluster == other.cluster and self.revision < other.revision

    def since(self, now: float) -> int:
        """The revision from which on changes are asked for; 0: everything."""
        return self.revision + 1 if now - self.at < KEPT_S else 0

    def with_news(self, answer: Message, cut: int, at: float) -> Self | None:
        """As it is now, by an answer that has what changed since; None: everything is needed."""
        header = answer.header
        if header.cluster_id != self.cluster or header.raft_term < self.term:
            return None
        if header.revision < self.revision:
            return None
        news = _entries(answer, cut)
        entries = {**self.entries, **news} if news else self.entries
        if answer.count != len(entries):
            return None
        return type(self)(entries, header.revision, header.raft_term, self.cluster, at)

    def with_events(self, events: Sequence[Message], cut: int) -> Self:
        """As it is after `events`, which are all that happened since; old ones change nothing."""
        entries = dict(self.entries)
        for event in events:
            if event.kv.mod_revision <= self.revision:
                continue
            key = event.kv.key.decode()[cut:]
            if event.type == event.DELETE:
                entries.pop(key, None)
            else:
                entries[key] = Entry(value=event.kv.value, revision=event.kv.mod_revision)
        return replace(self, entries=entries, revision=_last(events, self.revision))


class Range:
    """What one end knows of a range of keys, by its reads and by the events of its watch."""

    def __init__(self, prefix: str, cut: int) -> None:
        """`prefix` is what all keys begin with; `cut` of it is left out of their names."""
        self.first, self.end = _bounds(prefix.encode())
        self.cut = cut
        self.seen: Seen | None = None
        self._missed = 0  # events up to this revision may not have come

    def took(self, found: Seen, known: Seen | None) -> Snapshot:
        """What a read has `found`, with what events told while it was on its way; `known` is what
        was seen when it began.
        """
        newer = self.seen
        put_back = known is not None and found.revision < known.revision
        if newer is not None and newer is not known and not put_back and found.precedes(newer):
            found = replace(newer, term=found.term, at=max(newer.at, found.at))
        self.seen = found
        return Snapshot(revision=found.revision, entries=found.entries)

    def watched(self, revision: int) -> None:
        """A watch has begun that tells of everything after `revision`."""
        self._missed = revision

    def told(self, events: Sequence[Message], now: float) -> Snapshot | None:
        """What is there after `events` of the watch; None if that takes a read."""
        seen = self.seen
        if seen is None or seen.revision < self._missed or not seen.since(now):
            self._missed = _last(events, self._missed)
            return None
        self.seen = seen.with_events(events, self.cut)
        return Snapshot(revision=self.seen.revision, entries=self.seen.entries)


def _bounds(first: bytes) -> tuple[bytes, bytes]:
    """First of the keys that begin with `first`, and the first after them (0: there is none)."""
    stem = first.rstrip(b"\xff")
    return first or b"\0", stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def _last(events: Sequence[Message], least: int) -> int:
    return max([least, *(int(event.kv.mod_revision) for event in events)])


def _entries(answer: Message, cut: int) -> dict[str, Entry]:
    return {
        pair.key.decode()[cut:]: Entry(value=pair.value, revision=pair.mod_revision)
        for pair in answer.kvs
    }
