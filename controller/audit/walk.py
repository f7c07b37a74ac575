"""One way along the lines of a chain, from the first to the last, each looked at once.

Memory is needed for what is wrong and for the entries that somebody has anchored, not for the rest.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.audit.entry import BadEntry, Entry, Event, Head, OtherFormat, head_of, read_line
from controller.audit.files import Archived, archived_in, missing

BREAKS_MAX: Final = 20
KEPT_MAX: Final = 1000  # of breaks, before the first ones of them are told
BEGINNINGS: Final = frozenset(  # with which a daemon goes on after lines of another version
    {Event.STARTED, Event.CONFIGURED, Event.DAMAGED, Event.LOST, Event.ROTATED}
)


class Why(StrEnum):
    """What happened to an entry."""

    CHANGED = "changed"
    DELETED = "deleted"
    REORDERED = "reordered"
    ADDED = "added"
    CUT = "tail cut"
    TORN = "torn"
    OTHER = "of another version"  # whether it is whole, only that version can tell


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


@dataclass(slots=True, kw_only=True)
class _Gap:
    """Entries that were not in their place; some may come later."""

    first: int
    last: int
    before: str | None  # the hash that the entry after it was made after
    came: dict[int, str] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)  # what was expected there, and came


@dataclass(slots=True, kw_only=True)
class Walk:
    """What has been seen so far."""

    site: str
    begin: Head
    expected: int
    prev: str | None  # None: not known
    head: Head
    wanted: frozenset[int]
    seen: Callable[[Entry], None] | None = None  # told of each entry that can be read
    entries: int = 0
    begins: int = 1
    hashes: dict[int, str] = field(default_factory=dict)  # of those that are wanted
    breaks: list[Break] = field(default_factory=list)
    archived: tuple[Archived, ...] = ()
    others: list[OtherFormat] = field(default_factory=list)
    _records: dict[tuple[int, int], Archived] = field(default_factory=dict)
    _openings: dict[int, str] = field(default_factory=dict)  # hash before each file's first entry
    _gaps: list[_Gap] = field(default_factory=list)
    _unread: list[BadEntry] = field(default_factory=list)
    _more_unread: int = 0  # beyond those whose problem is kept

    def run(self, lines: Iterable[bytes]) -> None:
        """Every line has been looked at."""
        torn = b""
        for line in lines:
            if torn:
                self._bad(BadEntry(f"{len(torn)} bytes without an end"))
                torn = b""
            if not line.endswith(b"\n"):
                torn = line
                continue
            try:
                entry = read_line(line[:-1])
            except BadEntry as error:
                self._bad(error)
                continue
            self._unreadable(entry)
            if self.seen is not None:
                self.seen(entry)
            if entry.seq == self.expected:
                self._in_place(entry)
            else:
                self._out_of_place(entry)
        self._unreadable(None)
        expected = self.expected
        self._close()
        if torn:
            detail = f"{len(torn)} bytes without an end"
            self._break(Why.TORN, detail, seq=expected)

    def _bad(self, problem: BadEntry) -> None:
        if len(self._unread) < KEPT_MAX:
            self._unread.append(problem)
        else:
            self._more_unread += 1

    def _unreadable(self, following: Entry | None) -> None:
        """What could not be read is judged by the entry after it; None at the end."""
        next_seq = following.seq if following is not None else 0
        other = following is None or following.event in BEGINNINGS
        for problem in self._unread:
            if next_seq == self.expected:
                self._break(Why.ADDED, f"before it is a line that is no entry: {problem}")
                continue
            if other and isinstance(problem, OtherFormat):
                self._of_another_version(problem)
            else:
                self._break(Why.CHANGED, str(problem))
            self.expected, self.prev = self.expected + 1, None
        if self._more_unread and next_seq != self.expected:
            room = next_seq - self.expected if next_seq > self.expected else self._more_unread
            self.expected += min(room, self._more_unread)
        self._unread.clear()
        self._more_unread = 0

    def _of_another_version(self, found: OtherFormat) -> None:
        """Entries of it that follow on each other are told once."""
        self.others.append(found)
        last = self.breaks[-1] if self.breaks else None
        if last is not None and last.why is Why.OTHER and last.last == self.expected - 1:
            self.breaks[-1] = replace(last, last=self.expected)
        else:
            self._break(Why.OTHER, str(found))

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

    def _out_of_place(self, entry: Entry) -> None:
        gap = self._gap_of(entry.seq)
        if gap is not None:
            gap.came.setdefault(entry.seq, entry.hash)
            gap.places.append((self.expected, entry.seq))
        elif entry.seq < self.expected:
            self._break(Why.ADDED, f"in its place is entry {entry.seq}, once more")
        else:
            last = entry.seq - 1
            self._gaps.append(_Gap(first=self.expected, last=last, before=entry.prev))
            self._take(entry)

    def _gap_of(self, seq: int) -> _Gap | None:
        place = bisect_right(self._gaps, seq, key=lambda gap: gap.first) - 1
        return self._gaps[place] if place >= 0 and seq <= self._gaps[place].last else None

    def _take(self, entry: Entry) -> None:
        self.entries += 1
        if entry.seq in self.wanted:
            self.hashes[entry.seq] = entry.hash
        if entry.event == Event.ROTATED:
            self._openings[entry.seq] = entry.prev
        for span in archived_in(entry):
            self._records[span.first, span.last] = span
        self.expected, self.prev, self.head = entry.seq + 1, entry.hash, head_of(entry)

    # --- at the end -----------------------------------------------------------------------------

    def _close(self) -> None:
        """What is missing has been judged: it is somewhere else, on record, or deleted."""
        self.archived = tuple(sorted(self._records.values(), key=lambda span: span.last))
        for span in self.archived:
            self._join(span)
        self.archived = tuple(
            span
            for span in self.archived
            if not any(o.first <= span.first and span.last < o.last for o in self.archived)
        )
        for gap in self._gaps:
            if gap.first in gap.came:
                self.entries += len(gap.came)
                self.hashes |= {s: h for s, h in gap.came.items() if s in self.wanted}
                self._break(Why.REORDERED, f"in its place is entry {gap.last + 1}", seq=gap.first)
                continue
            self._missing(gap)
            for expected, seq in gap.places:
                self._break(Why.ADDED, f"in its place is entry {seq}, once more", seq=expected)

    def _join(self, span: Archived) -> None:
        """What was archived ends with what the entry after it was made after."""
        before = self._openings.get(span.last + 1)
        if before not in (None, span.hash):
            detail = f"it was archived as {span.hash[:16]}, but the next was made after {before}"
            self._break(Why.CHANGED, detail[:120], seq=span.last)
        if span.last in self.wanted:
            self.hashes.setdefault(span.last, span.hash)

    def _missing(self, gap: _Gap) -> None:
        found = missing(gap.first, gap.last, self.archived)
        if found is None:
            self.begins = max(self.begins, gap.last + 1)
            ends = {span.last: span.hash for span in self.archived}
            if ends.get(gap.last) in (None, gap.before):
                return
            found = gap.last, gap.last
        first, last = found
        gone = f"after entry {first - 1} comes entry {gap.last + 1}"
        self._break(Why.DELETED, gone, seq=first, last=last)

    def _break(self, why: Why, detail: str, *, seq: int = 0, last: int = 0) -> None:
        if len(self.breaks) < KEPT_MAX:
            first = seq or self.expected
            found = Break(seq=first, last=max(first, last), why=why, detail=detail)
            self.breaks.append(found)
