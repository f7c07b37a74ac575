"""The files that a chain is kept in, and what is on record of those that were archived.

The current file is `<site>.jsonl`. One that is closed is named by its first and last entry, and the
file after it begins with an entry that says so; the chain goes on across both. What was archived is
told in each such entry once more, so that the newest file alone says it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.audit.entry import Entry, Event, Head, Note

SPANS_MAX: Final = 20
_CLOSED: Final = re.compile(r"(.+)\.(\d{12,19})-(\d{12,19})\.jsonl", re.ASCII)
_SPAN: Final = re.compile(r"(\d{1,19})-(\d{1,19})=([0-9a-f]{64})", re.ASCII)
_ARCHIVED: Final = "archived"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Closed:
    """A file that nothing is added to any more, as its name tells."""

    first: int
    last: int
    site: str

    @property
    def name(self) -> str:
        """Of the file; names sort as the numbers do."""
        return f"{self.site}.{self.first:012}-{self.last:012}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """Entries `first` to `last`, moved away on record."""

    first: int
    last: int
    hash: str  # of the last
    at: str = ""
    who: str = ""


def current_name(site: str) -> str:
    """The file that is added to."""
    return f"{site}.jsonl"


def closed_from(name: str) -> Closed | None:
    """What a file's name says; None where it is no closed file's."""
    found = _CLOSED.fullmatch(name)
    if found is None:
        return None
    closed = Closed(site=found[1], first=int(found[2]), last=int(found[3]))
    return closed if closed.name == name and 1 <= closed.first <= closed.last else None


def closed_among(names: Iterable[str], site: str) -> tuple[Closed, ...]:
    """The closed files of the site, in their order."""
    known = (closed_from(name) for name in names)
    return tuple(sorted(found for found in known if found is not None and found.site == site))


def rotated(at: str, closed: Closed, end: Head, archived: tuple[Archived, ...], conf: str) -> Note:
    """The first entry of the file after `closed`."""
    return Note(
        at=at,
        event=Event.ROTATED,
        reason=f"{closed.name} is closed with entry {end.seq}",
        facts={
            "file": closed.name,
            "first": str(closed.first),
            "last": str(end.seq),
            "last_hash": end.hash,
            **({"configuration": conf} if conf else {}),
            **_told(archived),
        },
    )


def archival(note: Note, closed: Closed, end: Head, before: tuple[Archived, ...]) -> Note:
    """`note`, of an archived file, with what is archived since."""
    span = Archived(first=closed.first, last=end.seq, hash=end.hash, at=note.at, who=note.who)
    facts = {
        "file": closed.name,
        "first": str(closed.first),
        "last": str(end.seq),
        "last_hash": end.hash,
        **_told(joined(before, span)),
    }
    return replace(note, event=Event.ARCHIVED, facts={**note.facts, **facts})


def joined(known: tuple[Archived, ...], fresh: Archived) -> tuple[Archived, ...]:
    """What is archived; spans that follow on each other are one."""
    before = [span for span in known if span.last < fresh.first]
    after = [span for span in known if span.first > fresh.last]
    inside = [span for span in known if span not in before and span not in after]
    first = min([fresh.first, *(span.first for span in inside)])
    newest = max([fresh, *inside], key=lambda span: span.last)
    if before and before[-1].last + 1 == first:
        first = before.pop().first
    return (*before, replace(newest, first=first), *after)[-SPANS_MAX:]


def missing(first: int, last: int, archived: Iterable[Archived]) -> tuple[int, int] | None:
    """The entries from `first` to `last` that are not on record as archived; None: all are."""
    spans = sorted(archived, key=lambda span: span.last)
    for span in spans:
        if span.first <= first <= span.last:
            first = span.last + 1
    for span in reversed(spans):
        if span.first <= last <= span.last:
            last = span.first - 1
    return (first, last) if first <= last else None


def archived_in(entry: Entry) -> tuple[Archived, ...]:
    """What the entry says is archived; nothing that comes after itself."""
    if entry.event not in (Event.ROTATED, Event.ARCHIVED):
        return ()
    facts = entry.facts
    who, at = facts.get("archived_by", ""), facts.get("archived_at", "")
    spans = (_SPAN.fullmatch(text) for text in facts.get(_ARCHIVED, "").split())
    found = (
        Archived(first=int(span[1]), last=int(span[2]), hash=span[3], at=at, who=who)
        for span in spans
        if span is not None
    )
    return tuple(span for span in found if 1 <= span.first <= span.last < entry.seq)


def _told(archived: tuple[Archived, ...]) -> Mapping[str, str]:
    if not archived:
        return {}
    newest = archived[-1]
    spans = " ".join(f"{span.first}-{span.last}={span.hash}" for span in archived)
    return {_ARCHIVED: spans, "archived_at": newest.at, "archived_by": newest.who}
