"""What was read of etcd before, so that a read brings over only what has changed since.

A range is asked for the keys that were changed after the revision that was read last
(`min_mod_revision`); the answer still says how many keys there are (`count`), which gives away one
that is gone: then everything is read again. Nothing is remembered of a store that may have been
put back to an older snapshot meanwhile. One whose revision or term went back was, or that is
another cluster; and whoever has not read for `KEPT_S` may have missed it, for it takes longer
than that to stop a majority, restore it and start it. Source: etcd's `rpc.proto`, and
`tests/contract/test_store.py` for what it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from controller.adapters.etcd_api import Message
from controller.ports import Entry

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


def _entries(answer: Message, cut: int) -> dict[str, Entry]:
    return {
        pair.key.decode()[cut:]: Entry(value=pair.value, revision=pair.mod_revision)
        for pair in answer.kvs
    }
