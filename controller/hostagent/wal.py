"""What a directory of PostgreSQL log files says: names, ancestry of timelines, ends of records.

The timeline of a record is decided by the history file, never by the name of the file the record
was read from: the first segment of a new timeline repeats the old one up to the fork.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from controller.hostagent.contract import Refused

SEGMENT_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 8192
SHORT_HEADER, LONG_HEADER = 24, 40
RECORD_HEADER = 24
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})000000([0-9A-F]{2})(\.partial)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_HISTORY_LINE = re.compile(r"\s*([0-9]{1,10})\s+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(?:\s|$)")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")

# Ancestors of a timeline, oldest first: (timeline, where it was left).
Ancestry: TypeAlias = tuple[tuple[int, int], ...]


def to_bytes(lsn: str) -> int:
    """Bytes from the start of the log."""
    found = _LSN.fullmatch(lsn)
    if found is None:
        raise Refused(f"not a position in the log: {lsn[:60]!r}")
    return (int(found[1], 16) << 32) | int(found[2], 16)


def to_lsn(position: int) -> str:
    """The inverse of `to_bytes`, as PostgreSQL prints it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One log file, by its name."""

    timeline: int
    number: int
    partial: bool = False

    @property
    def name(self) -> str:
        """The name under which PostgreSQL asks for it."""
        per_id = (1 << 32) // SEGMENT_BYTES
        return f"{self.timeline:08X}{self.number // per_id:08X}{self.number % per_id:08X}"

    @property
    def file_name(self) -> str:
        """Its name in the directory of a keeper."""
        return self.name + (".partial" if self.partial else "")

    @property
    def start(self) -> int:
        """The first byte of the log that it holds."""
        return self.number * SEGMENT_BYTES

    @property
    def end(self) -> int:
        """The first byte beyond it."""
        return self.start + SEGMENT_BYTES


def segment_of(timeline: int, position: int) -> Segment:
    """The segment that holds the byte at `position`."""
    return Segment(timeline, position // SEGMENT_BYTES)


def parse_segment(name: str) -> Segment | None:
    """The segment a file name stands for; None for every other file."""
    match = _SEGMENT.fullmatch(name)
    if match is None:
        return None
    per_id = (1 << 32) // SEGMENT_BYTES
    number = int(match[2], 16) * per_id + int(match[3], 16)
    return Segment(int(match[1], 16), number, match[4] is not None)


def parse_history_name(name: str) -> int | None:
    """The timeline whose history a file holds; None for every other file."""
    match = _HISTORY.fullmatch(name)
    return int(match[1], 16) if match else None


def history_name(timeline: int) -> str:
    """The file that holds the ancestry of `timeline`."""
    return f"{timeline:08X}.history"


def parse_history(text: str) -> Ancestry:
    """The ancestry in a history file."""
    lines = (_HISTORY_LINE.match(line) for line in text.splitlines())
    return tuple((int(m[1]), to_bytes(m[2])) for m in lines if m)


def history_text(ancestry: Ancestry, reason: str) -> str:
    """A history file that says `ancestry`."""
    return "".join(f"{timeline}\t{to_lsn(end)}\t{reason}\n" for timeline, end in ancestry)


def timeline_at(timeline: int, ancestry: Ancestry, position: int) -> int:
    """The timeline of the record that ends at `position` of the log of `timeline`."""
    return next((parent for parent, end in ancestry if position <= end), timeline)


@dataclass(frozen=True, slots=True)
class Fork:
    """Where two logs part, and the timeline both have up to there."""

    timeline: int
    position: int


def fork_of(
    mine: int, my_ancestry: Ancestry, theirs: int, their_ancestry: Ancestry, end: int
) -> Fork | None:
    """Where the log of timeline `mine`, which ends at `end`, parts from theirs; None: nowhere."""
    own: list[tuple[int, int]] = [*my_ancestry, (mine, end)]
    other: list[tuple[int, int | None]] = [*their_ancestry, (theirs, None)]
    common = Fork(0, 0)  # nothing in common: not the same database
    for (timeline, left), (their_timeline, their_left) in zip(own, other, strict=False):
        if timeline != their_timeline:
            break
        if their_left is None:
            return None if timeline == mine else Fork(timeline, left)
        common = Fork(timeline, min(left, their_left))
        if left != their_left:
            break
    return None if common == Fork(mine, end) else common


def record_start(position: int) -> int:
    """Where the record that follows `position` starts: behind the header of a page that begins."""
    if position % PAGE_BYTES:
        return position
    return position + (LONG_HEADER if position % SEGMENT_BYTES == 0 else SHORT_HEADER)


def record_end(start: int, length: int) -> int:
    """Where a record of `length` bytes that starts at `start` ends, page headers counted."""
    left = (length + 7) & ~7
    position = start
    while True:
        room = PAGE_BYTES - position % PAGE_BYTES
        if left <= room:
            return position + left
        left -= room
        position = record_start(position + room)


@dataclass(frozen=True, slots=True)
class Holdings:
    """The log files of one directory."""

    segments: tuple[Segment, ...] = ()
    histories: frozenset[int] = frozenset()

    def of(self, timeline: int) -> list[Segment]:
        """The segments named for `timeline`, in order; a full one hides its partial twin."""
        found: dict[int, Segment] = {}
        for segment in self.segments:
            if segment.timeline == timeline:
                known = found.get(segment.number)
                if known is None or known.partial:
                    found[segment.number] = segment
        return [found[number] for number in sorted(found)]

    @property
    def timelines(self) -> list[int]:
        """Timelines with a segment and, but for the first, a history; newest first."""
        named = {s.timeline for s in self.segments}
        return sorted((t for t in named if t == 1 or t in self.histories), reverse=True)

    def gap(self) -> Segment | None:
        """The first segment that is missing between the oldest and the newest."""
        numbers = {s.number for s in self.segments}
        if not numbers:
            return None
        for number in range(min(numbers), max(numbers)):
            if number not in numbers:
                return Segment(max(s.timeline for s in self.segments), number)
        return None


def holdings(names: Iterable[str]) -> Holdings:
    """What the file names of a directory stand for."""
    segments, histories = [], set()
    for name in names:
        segment = parse_segment(name)
        history = parse_history_name(name)
        if segment is not None:
            segments.append(segment)
        elif history is not None:
            histories.add(history)
    return Holdings(tuple(sorted(segments)), frozenset(histories))


def read_ancestry(directory: Path, timeline: int) -> Ancestry:
    """The ancestry of `timeline` as the directory's history file says; empty without one."""
    try:
        text = (directory / history_name(timeline)).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    return parse_history(text)
