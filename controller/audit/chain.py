"""Whether a chain is whole: what is wrong with it, the first bad entry first.

What a chain cannot show by itself, that its end was cut off or that it was written anew from some
entry on, its anchors show: heads of it that others have kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from controller.audit.anchor import Anchor
from controller.audit.entry import GENESIS, BadEntry, Entry, Head, head_of, read_line

BREAKS_MAX: Final = 20


class Why(StrEnum):
    """What happened to an entry."""

    CHANGED = "changed"
    DELETED = "deleted"
    REORDERED = "reordered"
    ADDED = "added"
    CUT = "tail cut"
    TORN = "torn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Something is wrong with entries `seq` to `last`."""

    seq: int
    last: int
    why: Why
    detail: str

    def __str__(self) -> str:
        which = f"entry {self.seq}" if self.seq == self.last else f"entries {self.seq}-{self.last}"
        return f"{which}: {self.why}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found."""

    head: Head  # the last readable entry
    entries: int
    breaks: tuple[Break, ...] = ()  # the first bad entry first
    anchors: int = 0  # that the chain was compared with

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.breaks


def split(log: bytes) -> tuple[list[bytes], bytes]:
    """The complete lines of a log, and what comes after the last of them."""
    *lines, rest = log.split(b"\n")
    return lines, rest


def entries_of(log: bytes) -> tuple[Entry, ...]:
    """Every entry that can be read."""
    return tuple(found for found in _read(split(log)[0]) if isinstance(found, Entry))


def verify(log: bytes, site: str, anchors: Sequence[Anchor] = ()) -> Verdict:
    """What is wrong with the log of `site`, as far as it and the anchors show."""
    lines, rest = split(log)
    walk = _Walk(site=site, found=_read(lines))
    walk.run()
    if rest:
        detail = f"{len(rest)} bytes without an end"
        walk.breaks.append(
            Break(seq=walk.expected, last=walk.expected, why=Why.TORN, detail=detail)
        )
    mine = sorted((a for a in anchors if a.site == site), key=lambda a: (a.seq, a.place))
    walk.breaks += _against(walk, mine)
    breaks = sorted(walk.breaks, key=lambda found: found.seq)[:BREAKS_MAX]
    return Verdict(
        head=walk.head, entries=len(walk.hashes), breaks=tuple(breaks), anchors=len(mine)
    )


def resumed(verdict: Verdict, site: str, anchors: Sequence[Anchor]) -> Head:
    """Where the chain goes on, so that no entry that anybody has anchored gets a second version."""
    known = [anchor.head for anchor in anchors if anchor.site == site]
    return max([verdict.head, *known], key=lambda head: (head.seq, head != verdict.head))


def _read(lines: Sequence[bytes]) -> list[Entry | str]:
    """Each line as an entry, or what is wrong with it."""
    found: list[Entry | str] = []
    for line in lines:
        try:
            found.append(read_line(line))
        except BadEntry as error:
            found.append(str(error))
    return found


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One way along the lines."""

    site: str
    found: Sequence[Entry | str]
    expected: int = 1
    prev: str | None = GENESIS  # None: not known
    head: Head = field(default_factory=Head)
    hashes: dict[int, str] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)  # found out of their place already

    def run(self) -> None:
        """Every line has been looked at."""
        last_place = {f.seq: place for place, f in enumerate(self.found) if isinstance(f, Entry)}
        following = self._following()
        for place, found in enumerate(self.found):
            if isinstance(found, str):
                self._unreadable(found, following[place])
            elif found.seq == self.expected:
                self._in_place(found)
            else:
                self._out_of_place(found, place, last_place)

    def _following(self) -> list[int]:
        """For each line the number of the next one that can be read; 0 for none."""
        numbers, newest = [0] * len(self.found), 0
        for place in range(len(self.found) - 1, -1, -1):
            numbers[place] = newest
            found = self.found[place]
            newest = found.seq if isinstance(found, Entry) else newest
        return numbers

    def _unreadable(self, problem: str, next_seq: int) -> None:
        if next_seq == self.expected:
            self._break(Why.ADDED, f"before it is a line that is no entry: {problem}")
            return
        self._break(Why.CHANGED, problem)
        self.expected, self.prev = self.expected + 1, None

    def _in_place(self, entry: Entry) -> None:
        if entry.site != self.site:
            self._break(Why.CHANGED, f"it is of {entry.site}, not of {self.site}")
        elif self.prev is not None and entry.prev != self.prev:
            if entry.seq == 1:
                self._break(Why.CHANGED, "it does not begin a chain")
            else:
                detail = (
                    f"entry {entry.seq} was made after {entry.prev[:16]}, "
                    f"this one is {self.prev[:16]}"
                )
                self._break(Why.CHANGED, detail, seq=entry.seq - 1)
        self._take(entry)

    def _out_of_place(self, entry: Entry, place: int, last_place: dict[int, int]) -> None:
        if entry.seq in self.moved:
            self.hashes.setdefault(entry.seq, entry.hash)
        elif entry.seq < self.expected:
            self._break(Why.ADDED, f"in its place is entry {entry.seq}, once more")
        elif last_place.get(self.expected, -1) > place:
            self._break(Why.REORDERED, f"in its place is entry {entry.seq}")
            self.moved |= {
                seq
                for seq, found_at in last_place.items()
                if self.expected <= seq < entry.seq and found_at > place
            }
            self._take(entry)
        else:
            gone = f"after entry {self.expected - 1} comes entry {entry.seq}"
            self._break(Why.DELETED, gone, last=entry.seq - 1)
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        self.hashes.setdefault(entry.seq, entry.hash)
        self.expected, self.prev, self.head = entry.seq + 1, entry.hash, head_of(entry)

    def _break(self, why: Why, detail: str, *, seq: int = 0, last: int = 0) -> None:
        first = seq or self.expected
        self.breaks.append(Break(seq=first, last=max(first, last), why=why, detail=detail))


def _against(walk: _Walk, anchors: Sequence[Anchor]) -> Iterator[Break]:
    """What the anchors show beyond what the chain shows by itself."""
    good = 0
    broken = min((found.seq for found in walk.breaks if found.why is not Why.TORN), default=0)
    for anchor in anchors:
        if walk.hashes.get(anchor.seq) == anchor.hash:
            good = anchor.seq
        elif anchor.seq in walk.hashes and not 0 < broken <= anchor.seq:
            detail = f"{anchor.place} knows entry {anchor.seq} as {anchor.hash[:16]}"
            yield Break(
                seq=min(good + 1, anchor.seq), last=anchor.seq, why=Why.CHANGED, detail=detail
            )
            return
    end = max(anchors, key=lambda a: a.seq, default=None)
    if end is not None and end.seq >= walk.expected:
        detail = f"{end.place} knows entry {end.seq} as {end.hash[:16]}"
        yield Break(seq=walk.expected, last=end.seq, why=Why.CUT, detail=detail)
