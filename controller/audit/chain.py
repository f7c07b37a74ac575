"""Whether a chain is whole: what is wrong with it, the first bad entry first.

What a chain cannot show by itself, that its end was cut off or that it was written anew from some
entry on, its anchors show: heads of it that others have kept. Entries are looked at one by one: a
chain may be longer than memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from controller.audit.anchor import Anchor
from controller.audit.entry import BadEntry, Entry, Head, read_line, written_in
from controller.audit.files import Archived
from controller.audit.walk import BREAKS_MAX, Break, Walk, Why

__all__ = ["BREAKS_MAX", "Break", "Verdict", "Why", "entries_of", "lines_of", "readable"]
__all__ += ["resumed", "split", "verify", "verify_lines"]

BEGINNING = Head()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found."""

    head: Head  # the last readable entry
    entries: int
    breaks: tuple[Break, ...] = ()  # the first bad entry first
    anchors: int = 0  # that the chain was compared with
    begins: int = 1  # the first entry that is still here; those before are archived
    archived: tuple[Archived, ...] = ()  # what is on record as moved away
    other: str = ""  # the format that others of its entries are in, which is not known here

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.breaks

    @property
    def unverifiable(self) -> bool:
        """Nothing is wrong, as far as this version knows the entries."""
        return bool(self.breaks) and all(found.why is Why.OTHER for found in self.breaks)


def split(log: bytes) -> tuple[list[bytes], bytes]:
    """The complete lines of a log, and what comes after the last of them."""
    *lines, rest = log.split(b"\n")
    return lines, rest


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of one file, each with its end; the last one without, when the file has none."""
    rest: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if not others:
            continue
        yield b"".join(rest) + b"\n"
        for line in others[:-1]:
            yield line + b"\n"
        rest = [others[-1]]
    if last := b"".join(rest):
        yield last


def entries_of(log: bytes) -> tuple[Entry, ...]:
    """Every entry that can be read."""
    return tuple(readable(split(log)[0]))


def readable(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Those of the lines that are entries; each without its end."""
    for line in lines:
        try:
            yield read_line(line)
        except BadEntry:
            continue


def verify(log: bytes, site: str, anchors: Sequence[Anchor] = ()) -> Verdict:
    """What is wrong with the log of `site`, as far as it and the anchors show."""
    return verify_lines(lines_of([log]), site, anchors)


def verify_lines(
    lines: Iterable[bytes],
    site: str,
    anchors: Sequence[Anchor] = (),
    after: Head = BEGINNING,
    seen: Callable[[Entry], None] | None = None,
) -> Verdict:
    """The same of a log that comes line by line, each with its end; it goes on after `after`.
    `seen` is told of each entry that can be read.
    """
    mine = sorted((a for a in anchors if a.site == site), key=lambda a: (a.seq, a.place))
    walk = Walk(
        site=site,
        begin=after,
        expected=after.seq + 1,
        prev=after.hash or None,
        seen=seen,
        head=after,
        wanted=frozenset(anchor.seq for anchor in mine),
    )
    if after.hash and after.seq in walk.wanted:
        walk.hashes[after.seq] = after.hash
    walk.run(lines)
    walk.breaks += _against(walk, mine)
    breaks = sorted(walk.breaks, key=lambda found: found.seq)[:BREAKS_MAX]
    return Verdict(
        head=walk.head,
        entries=walk.entries,
        breaks=tuple(breaks),
        anchors=len(mine),
        begins=walk.begins,
        archived=walk.archived,
        other=_other(walk),
    )


def _other(walk: Walk) -> str:
    """As it is called; any of its entries may tell the version."""
    if not walk.others:
        return ""
    version = next((found.version for found in walk.others if found.version), "")
    return written_in(walk.others[0].number, version)


def resumed(verdict: Verdict, site: str, anchors: Sequence[Anchor]) -> Head:
    """Where the chain goes on, so that no entry that anybody has anchored gets a second version."""
    known = [anchor.head for anchor in anchors if anchor.site == site]
    return max([verdict.head, *known], key=lambda head: (head.seq, head != verdict.head))


def _against(walk: Walk, anchors: Sequence[Anchor]) -> Iterator[Break]:
    """What the anchors show beyond what the chain shows by itself."""
    good = walk.begin.seq
    broken = min((found.seq for found in walk.breaks if found.why is not Why.TORN), default=0)
    for anchor in anchors:
        if walk.hashes.get(anchor.seq) == anchor.hash:
            good = anchor.seq
        elif anchor.seq in walk.hashes and not 0 < broken <= anchor.seq:
            detail = f"{anchor.place} knows entry {anchor.seq} as {anchor.hash[:16]}"
            first = min(good + 1, anchor.seq)
            yield Break(seq=first, last=anchor.seq, why=Why.CHANGED, detail=detail)
            return
    end = max(anchors, key=lambda a: a.seq, default=None)
    if end is not None and end.seq >= walk.expected:
        detail = f"{end.place} knows entry {end.seq} as {end.hash[:16]}"
        yield Break(seq=walk.expected, last=end.seq, why=Why.CUT, detail=detail)
