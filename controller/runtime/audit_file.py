"""The audit log of a site on its disk: one file, appended to and synced. Blocks: for a thread.

After `append` has returned its notes are entries, durably; after it has raised none of them is.
What a crash left of a last line, and bytes that somebody else has put behind the end, are set
aside and named by an entry. The chain goes on after the last entry that anybody has anchored, so
that no number is ever used for two.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.audit.anchor import Anchor
from controller.audit.chain import Break, Verdict, entries_of, resumed, verify
from controller.audit.entry import Entry, Event, Head, Note, head_of, line_of, sealed

ASIDE = "aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found when the log was opened."""

    configuration: str = ""  # the fingerprint in the newest entry that has one
    breaks: tuple[Break, ...] = ()


@dataclass(slots=True, kw_only=True)
class AuditFile:
    """`<directory>/<site>.jsonl`, and what was set aside beside it."""

    directory: Path
    site: str
    stamp: Callable[[], str]
    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = os.fsync
    head: Head = field(default_factory=Head)
    _end: int = 0  # bytes that are known to be entries of ours
    _told: set[str] = field(default_factory=set)  # of what is told once: what has an entry
    _owed: list[Note] = field(default_factory=list)  # what was found and has no entry so far

    @property
    def path(self) -> Path:
        """The log."""
        return self.directory / f"{self.site}.jsonl"

    def raw(self) -> bytes:
        """Every byte of the log. Raises OSError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def open(self, anchors: Sequence[Anchor]) -> Opened:
        """It can be appended to; whatever is wrong with it is named by an entry. Raises OSError."""
        log = self.raw()
        entries = entries_of(log)
        self._told |= {mark for entry in entries if (mark := _once(entry))}
        self._end = log.rfind(b"\n") + 1
        verdict = verify(log[: self._end], self.site, anchors)
        self.head = resumed(verdict, self.site, anchors)
        if self._end < len(log):
            self._set_aside(log[self._end :])
        self.append(self.damage(verdict.breaks))
        return Opened(configuration=_configuration(entries), breaks=verdict.breaks)

    def append(self, notes: Sequence[Note]) -> Head:
        """All of them are entries, durably, but for what is told once and has been. Raises
        OSError; then none of them is.
        """
        (self.directory / ASIDE).mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            self._strange(file)
            found = [*self._owed, *notes]
            told: set[str] = set()
            head, lines = self.head, bytearray()
            for note in found:
                mark = _once(note)
                if mark and mark in self._told | told:
                    continue
                told.add(mark)
                entry = sealed(note, self.site, head)
                head = head_of(entry)
                lines += line_of(entry) + b"\n"
            self._put(file, bytes(lines))
        finally:
            os.close(file)
        self.head = head
        self._owed.clear()
        self._told |= told - {""}
        return head

    def check(self, anchors: Sequence[Anchor]) -> Verdict:
        """The log as it is now, looked at as a whole. Raises OSError."""
        return verify(self.raw(), self.site, anchors)

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


def _mark(found: Break) -> str:
    """What makes a break this one, however far its chain has grown since."""
    return f"{found.why} {found.seq}"


def _once(note: Note) -> str:
    """What is told in one entry alone, however often a daemon starts; "" for anything else."""
    if note.event in (Event.RAISED, Event.MOVED):
        return f"{note.event} {note.service} {note.epoch}"
    return note.facts.get("break", "")


def _configuration(entries: Sequence[Entry]) -> str:
    known = (entry.facts.get("configuration", "") for entry in reversed(entries))
    return next((found for found in known if found), "")
