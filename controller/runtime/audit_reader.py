"""The audit log of a node, read for those who ask. Blocks: for a thread.

What was asked for is read from its end: the newest entries need no file but the newest.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Final

from controller.audit.chain import Break, Verdict, Why, lines_of, readable, verify_lines
from controller.audit.entry import Entry, Head
from controller.audit.files import closed_from, current_name
from controller.runtime.audit_folder import CHUNK, backwards, chunks, closed_in, first_entry

PART_BYTES: Final = 4 * CHUNK  # of a file, in one answer
REST_LINES: Final = 100  # a look at a closed file rests after so many
REST_S: Final = 0.02

Look = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of the log."""

    name: str
    ident: int  # the same when the file gets another name
    size: int
    first: int  # 0: not known
    last: int  # 0: it is the current file


@dataclass(slots=True, kw_only=True)
class AuditReader:
    """Looks at the files; writes nothing."""

    directory: Path
    site: str
    stop: Event = field(default_factory=Event)
    _seen: dict[str, Look] = field(default_factory=dict)  # closed files, as they were looked at

    def newest(self, service: str | None, since: str, limit: int) -> tuple[Entry, ...]:
        """The last entries that are asked for, the oldest of them first. Raises OSError."""
        found: list[Entry] = []
        for path in self._newest_first():
            for entry in readable(_about(backwards(path), service)):
                if service in (None, entry.service) and entry.at >= since:
                    found.append(entry)
                if len(found) == limit:
                    return tuple(reversed(found))
            begin = first_entry(path)
            if begin is not None and begin.at < since:
                break
        return tuple(reversed(found))

    def parts(self) -> tuple[Part, ...]:
        """Every file, in order. Raises OSError."""
        return tuple(self._part(path) for path in reversed([*self._newest_first()]))

    def part(self, ident: int, offset: int) -> bytes | None:
        """Some of the file's bytes; None when it is not here. Raises OSError."""
        for path in self._newest_first():
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_ino == ident:
                    file.seek(offset)
                    return file.read(PART_BYTES)
        return None

    def look_at_one(self) -> tuple[str, tuple[Break, ...]]:
        """The oldest closed file that was not looked at as it is now, and what is wrong in it;
        "" when all were. It takes its time. Raises OSError.
        """
        closed = closed_in(self.directory, self.site)
        self._seen = {f.name: self._seen[f.name] for f in closed if f.name in self._seen}
        for file in closed:
            path = self.directory / file.name
            now = _look(path)
            if self._seen.get(file.name) == now:
                continue
            verdict = self._judged(path, file.first, file.last)
            if self.stop.is_set():
                break
            self._seen[file.name] = now
            return file.name, verdict.breaks
        return "", ()

    def _judged(self, path: Path, first: int, last: int) -> Verdict:
        begin = first_entry(path)
        known = begin is not None and begin.seq == first
        before = Head(seq=first - 1, hash=begin.prev if begin is not None and known else "")
        with path.open("rb") as file:
            found = verify_lines(self._resting(lines_of(chunks(file))), self.site, (), before)
        if found.whole and found.head.seq != last:
            text = f"{path.name} ends with entry {found.head.seq}"
            cut = Break(seq=found.head.seq + 1, last=last, why=Why.CUT, detail=text)
            return replace(found, breaks=(cut,))
        return found

    def _resting(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """With pauses, so that whoever is in a hurry has the processor; none after the end."""
        for number, line in enumerate(lines):
            if number % REST_LINES == REST_LINES - 1 and self.stop.wait(REST_S):
                return
            yield line

    def _newest_first(self) -> Iterator[Path]:
        current = self.directory / current_name(self.site)
        if current.exists():
            yield current
        for closed in reversed(closed_in(self.directory, self.site)):
            yield self.directory / closed.name

    def _part(self, path: Path) -> Part:
        closed, begin, seen = closed_from(path.name), first_entry(path), path.stat()
        first = begin.seq if begin is not None else 0
        return Part(
            name=path.name,
            ident=seen.st_ino,
            size=seen.st_size,
            first=closed.first if closed is not None else first,
            last=closed.last if closed is not None else 0,
        )


def _about(lines: Iterable[bytes], service: str | None) -> Iterable[bytes]:
    """Those that may be about the service."""
    if service is None:
        return lines
    mark = f'"service":"{service}"'.encode()
    return (line for line in lines if mark in line)


def _look(path: Path) -> Look:
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
