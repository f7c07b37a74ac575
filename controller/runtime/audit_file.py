"""The audit log of a site on its disk: appended to, synced, rotated. Blocks: for a thread.

After `append` has returned its notes are entries, durably; after it has raised none of them is.
What a crash left of a last line, and bytes that somebody else has put behind the end, are set
aside and named by an entry. The chain goes on after the last entry that anybody has anchored, so
that no number is ever used for two.

A file that has grown beyond its bound is closed: `<site>.new` is complete and synced, then the file
gets its closed name, then the new one takes its place, with the folder synced after each. Wherever
that ends, the next append or the next start goes on from there.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from controller.audit.anchor import Anchor
from controller.audit.chain import Break, Verdict, Why, resumed, verify_lines
from controller.audit.chain import lines_of as lines_in
from controller.audit.entry import Entry, Event, Head, Note, head_of, line_of, sealed
from controller.audit.files import (
    Archived,
    Closed,
    archival,
    archived_in,
    current_name,
    missing,
    rotated,
)
from controller.runtime.audit_folder import closed_in, first_entry, last_entry

ASIDE: Final = "aside"
ROTATE_BYTES: Final = 8 * 1024 * 1024


class NotArchived(Exception):
    """Nothing was removed; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found when the log was opened."""

    configuration: str = ""  # the fingerprint in the newest entry that has one
    breaks: tuple[Break, ...] = ()


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the entries of a file say together."""

    first: int = 0  # of the entries
    tail: Head = field(default_factory=Head)  # the last of them
    told: set[str] = field(default_factory=set)  # of what is told once: what has an entry
    configuration: str = ""
    archived: tuple[Archived, ...] = ()

    def see(self, entry: Entry) -> None:
        """One more."""
        self.first, self.tail = self.first or entry.seq, head_of(entry)
        self.told |= {_once(entry)} - {""}
        self.configuration = entry.facts.get("configuration", "") or self.configuration
        self.archived = archived_in(entry) or self.archived


@dataclass(slots=True, kw_only=True)
class AuditFile:
    """`<directory>/<site>.jsonl`, the closed files before it, and what was set aside."""

    directory: Path
    site: str
    stamp: Callable[[], str]
    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = os.fsync
    rename: Callable[[Path, Path], None] = os.replace
    remove: Callable[[Path], None] = os.unlink
    rotate_bytes: int = ROTATE_BYTES
    head: Head = field(default_factory=Head)
    _end: int = 0  # bytes that are known to be entries of ours
    _seen: Seen = field(default_factory=Seen)
    _owed: list[Note] = field(default_factory=list)  # what was found and has no entry so far
    _closing: Closed | None = None  # a closed file that no other has come after
    _unsynced: bool = False  # the folder

    @property
    def path(self) -> Path:
        """The current file."""
        return self.directory / current_name(self.site)

    def raw(self) -> bytes:
        """Every byte of the current file. Raises OSError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def open(self, anchors: Sequence[Anchor]) -> Opened:
        """It can be appended to; whatever is wrong with it is named by an entry. Raises OSError."""
        self._go_on()
        self._closing = None
        log = self.raw()
        self._end = log.rfind(b"\n") + 1
        self._seen = Seen(told=self._seen.told)
        verdict = self._judged(log[: self._end], anchors, self._seen)
        if not self._end and (closed := closed_in(self.directory, self.site)):
            self._closing = closed[-1]
        self.head = resumed(verdict, self.site, anchors)
        if self._end < len(log):
            self._set_aside(log[self._end :])
        self.append(self.damage(verdict.breaks))
        return Opened(configuration=self._seen.configuration, breaks=verdict.breaks)

    def append(self, notes: Sequence[Note]) -> Head:
        """All of them are entries, durably, but for what is told once and has been. Raises
        OSError; then none of them is.
        """
        (self.directory / ASIDE).mkdir(parents=True, exist_ok=True)
        if notes or self._owed:
            self._rotate()
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            self._strange(file)
            entries = self._fresh([*self._owed, *notes])
            self._put(file, b"".join(line_of(entry) + b"\n" for entry in entries))
        finally:
            os.close(file)
        self._took(entries)
        self._owed.clear()
        return self.head

    def _fresh(self, notes: Sequence[Note]) -> list[Entry]:
        """The entries that they will be."""
        told: set[str] = set()
        head, entries = self.head, list[Entry]()
        for note in notes:
            mark = _once(note)
            if mark and mark in self._seen.told | told:
                continue
            told.add(mark)
            entries.append(sealed(note, self.site, head))
            head = head_of(entries[-1])
        return entries

    def _took(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._seen.see(entry)
            self.head, self._closing = head_of(entry), None

    def check(self, anchors: Sequence[Anchor]) -> Verdict:
        """The current file as it is now, and that nothing is missing before it. Raises OSError."""
        return self._judged(self.raw(), anchors, Seen())

    def closed(self) -> tuple[Closed, ...]:
        """The closed files that are here, in their order. Raises OSError."""
        return closed_in(self.directory, self.site)

    def archive(self, name: str, end: str, note: Note, *, damaged: bool = False) -> Head:
        """The oldest closed file is gone, and `note` says so; it is on record before it goes. One
        that is damaged goes when that is said. Raises NotArchived, and OSError: then it is here,
        or on record.
        """
        closed = next(iter(self.closed()), None)
        if closed is None or closed.name != name:
            oldest = "there is no closed file" if closed is None else f"the oldest is {closed.name}"
            raise NotArchived(f"{name} is not the oldest closed file here: {oldest}")
        first = first_entry(self.directory / name)
        last = last_entry(self.directory / name)
        said = (first and first.seq, last and last.seq) == (closed.first, closed.last)
        if last is None or not (said or damaged):
            raise NotArchived(f"{name} does not hold the entries that its name says")
        if last.hash != end:
            raise NotArchived(f"{name} ends with {last.hash[:16]}, the copy with {end[:16]}")
        self.append([archival(note, closed, head_of(last), self._seen.archived)])
        self.remove(self.directory / name)
        self._sync_directory()
        return self.head

    def go_on_after(self, anchor: Anchor) -> None:
        """Somebody knows a later entry than this file holds: numbers go on after that."""
        if anchor.site == self.site and anchor.seq > self.head.seq:
            self.head = anchor.head

    def damage(self, breaks: Iterable[Break]) -> list[Note]:
        """A note for each break; one that an entry names already makes no other."""
        return [
            Note(
                at=self.stamp(),
                event=Event.DAMAGED,
                reason=str(found),
                facts={"break": _mark(found), "site": self.site},
            )
            for found in breaks
        ]

    def _judged(self, log: bytes, anchors: Sequence[Anchor], seen: Seen) -> Verdict:
        """What is wrong with the current file, and which files are missing before it."""
        closed = self.closed()
        base = Head()
        if closed:
            end = last_entry(self.directory / closed[-1].name)
            base = Head(seq=closed[-1].last, hash="") if end is None else head_of(end)
        verdict = verify_lines(lines_in([log]), self.site, anchors, base, seen.see)
        if closed and not seen.first:  # then the newest closed file says what was archived
            with (self.directory / closed[-1].name).open("rb") as file:
                before = Seen()
                verify_lines(lines_in(file), self.site, (), base, before.see)
            seen.archived, seen.configuration = before.archived, before.configuration
            seen.told |= before.told
        return replace(verdict, breaks=(*_between(closed, seen.archived), *verdict.breaks))

    # --- rotation -------------------------------------------------------------------------------

    def _rotate(self) -> None:
        """The current file is not beyond its bound, and comes after the one that was closed."""
        if self._unsynced:
            self._sync_directory()
        if self._closing is None and self._end >= self.rotate_bytes and self._is_ours():
            found = Closed(site=self.site, first=self._seen.first, last=self._seen.tail.seq)
            self._write_new(found)
            self._make_way(self.directory / found.name)
            self.rename(self.path, self.directory / found.name)
            self._closing, self._end = found, 0
            self._sync_directory()
            self._enter()
        elif self._closing is not None:
            self._write_new(self._closing)
            self._sync_directory()
            self._enter()

    def _is_ours(self) -> bool:
        """Whether nobody has been at the file since we last wrote; else that is told first."""
        try:
            return self._seen.first > 0 and self.path.stat().st_size == self._end
        except FileNotFoundError:
            return False

    def _write_new(self, closed: Closed) -> None:
        """The file that comes after `closed` is complete, under a name of its own."""
        seen = self._seen
        note = rotated(self.stamp(), closed, seen.tail, seen.archived, seen.configuration)
        line = line_of(sealed(note, self.site, self.head)) + b"\n"
        file = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            left = memoryview(line)
            while left:
                left = left[self.write(file, bytes(left)) :]
            self.sync(file)
        finally:
            os.close(file)

    def _enter(self) -> None:
        """The new file is the current one."""
        entry = first_entry(self._new)
        assert entry is not None
        self.rename(self._new, self.path)
        self._unsynced = True
        self._end = self.path.stat().st_size
        self._seen.first = 0
        self._took([entry])
        self._sync_directory()

    def _go_on(self) -> None:
        """What a crash has left of a rotation is done; or never was begun."""
        if not self._new.exists():
            return
        closed, entry = self.closed(), first_entry(self._new)
        follows = bool(closed) and entry is not None and entry.facts.get("file") == closed[-1].name
        if follows and not self.path.exists():
            self._sync_directory()
            self.rename(self._new, self.path)
        else:
            self.remove(self._new)
        self._sync_directory()

    @property
    def _new(self) -> Path:
        return self.directory / f"{self.site}.new"

    def _make_way(self, path: Path) -> None:
        """No file of somebody else has the name that a closed file gets."""
        if path.exists():
            self.rename(path, self.directory / ASIDE / path.name)
            self._sync_directory()
            self._owe(f"{path.name} was there before its time", {"kept": f"{ASIDE}/{path.name}"})

    def _put(self, file: int, lines: bytes) -> None:
        """The lines are at the end of the file, durably, or nothing of them is."""
        left = memoryview(lines)
        try:
            while left:
                left = left[self.write(file, bytes(left)) :]
            self.sync(file)
            if self._end == 0:
                self._sync_directory()
        except Exception:
            os.ftruncate(file, self._end)
            raise
        self._end += len(lines)

    def _strange(self, file: int) -> None:
        """What has happened to the file since we last wrote is put right, so that it can go on."""
        size = os.fstat(file).st_size
        if size > self._end:
            self._set_aside(os.pread(file, size - self._end, self._end))
        elif size < self._end:
            text = f"the file had {self._end} bytes and was found with {size}"
            self._end = os.pread(file, size, 0).rfind(b"\n") + 1
            self._seen.first = self._seen.first if self._end else 0
            os.ftruncate(file, self._end)
            self._owe(text, {})

    def _set_aside(self, rest: bytes) -> None:
        """The bytes after the end are in a file of their own, and no longer in the log."""
        name = f"{self.site}.{hashlib.sha256(rest).hexdigest()[:16]}"
        try:
            (self.directory / ASIDE / name).write_bytes(rest)
            kept = f"{ASIDE}/{name}"
        except OSError as error:  # the log must go on; its entry still has their hash
            kept = f"not kept ({error.strerror})"
        os.truncate(self.path, self._end)
        self._owe(
            f"{len(rest)} bytes after entry {self.head.seq} are no entry",
            {"bytes": str(len(rest)), "sha256": hashlib.sha256(rest).hexdigest(), "kept": kept},
        )

    def _owe(self, text: str, facts: dict[str, str]) -> None:
        facts = {**facts, "site": self.site}
        self._owed.append(Note(at=self.stamp(), event=Event.DAMAGED, reason=text, facts=facts))

    def _sync_directory(self) -> None:
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(directory)
        finally:
            os.close(directory)
        self._unsynced = False


def _mark(found: Break) -> str:
    """What makes a break this one, however far its chain has grown since."""
    return f"{found.why} {found.seq}"


def _once(note: Note) -> str:
    """What is told in one entry alone, however often a daemon starts; "" for anything else."""
    if note.event in (Event.RAISED, Event.MOVED):
        return f"{note.event} {note.service} {note.epoch}"
    return note.facts.get("break", "")


def _between(closed: Sequence[Closed], archived: Sequence[Archived]) -> tuple[Break, ...]:
    """The entries whose files are missing before and between those that are here."""
    found: list[Break] = []
    end = 0
    for file in closed:
        gone = missing(end + 1, file.first - 1, archived) if file.first > end + 1 else None
        if gone is not None:
            text = f"no file holds them; after them comes {file.name}"
            found.append(Break(seq=gone[0], last=gone[1], why=Why.DELETED, detail=text))
        end = max(end, file.last)
    return tuple(found)
