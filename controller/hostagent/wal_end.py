"""The true end of a log: where the last whole record ends, as pg_waldump reads it.

pg_waldump checks every record's checksum, so a torn tail ends the log before it. It refuses files
called `.partial`, and stumbles over files that were made in advance, so it is shown a directory of
links to those that were written; and it waits for seconds for a segment that is not there, so it is
told where the last of them ends. A log that is there and cannot be read is an error, never an
empty log.
"""

import json
import re
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from controller.hostagent import wal
from controller.hostagent.contract import Account, Failed, run

_LAST_RECORD = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+)")
_END = re.compile(r"invalid record length at ([0-9A-F]+/[0-9A-F]+)")
_RECORD = re.compile(
    r"len \(rec/tot\):\s*\d+/\s*(\d+),.*?lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: (SWITCH\b)?"
)
_HEADER = struct.Struct("<HHIQ")  # of a page: magic, flags, timeline, position
_BACK_SEGMENTS = 5  # a record may span this many segments before we give up


class Unreadable(Failed):
    """Files are there, and no whole record in them."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of a log, and where its last record starts (to look from there next time)."""

    timeline: int  # of the last record
    position: int
    file_timeline: int  # in whose files it was read
    last_record: int

    def further_than(self, other: "LogEnd") -> bool:
        """It ends later, as Raft compares."""
        return (self.timeline, self.position) > (other.timeline, other.position)

    def save(self, path: Path) -> None:
        """A hint for later readers; a wrong or missing one costs them time, nothing else."""
        with suppress(OSError):
            path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def saved_end(path: Path) -> LogEnd | None:
    """The end that was saved there."""
    try:
        end = LogEnd(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers = (end.timeline, end.position, end.file_timeline, end.last_record)
    return end if all(type(n) is int and 0 <= n < 2**64 for n in numbers) else None


@dataclass(frozen=True, slots=True)
class Reader:
    """How to run pg_waldump on one directory."""

    directory: Path
    program: str
    who: Account
    timeout_s: float = 30.0

    def log_end(self, known: LogEnd | None = None) -> LogEnd | None:
        """The end of the furthest log in the directory; None when nothing was ever written there.

        `known` is an earlier answer of the same directory, which makes this one fast.
        """
        held = wal.holdings(p.name for p in self.directory.iterdir())
        written = {timeline: self._latest(held.of(timeline)) for timeline in held.timelines}
        best: LogEnd | None = None
        for timeline, segments in written.items():
            if best is not None and best.timeline >= timeline:
                break
            start = known.last_record if known and known.file_timeline == timeline else None
            found = self._end_of(segments, timeline, start)
            if found and (best is None or found.further_than(best)):
                best = found
        if best is None and any(written.values()):
            raise Unreadable(f"no whole record can be read in {self.directory}")
        return best

    def _latest(self, segments: Sequence[wal.Segment]) -> list[wal.Segment]:
        """The last few that were written, in order."""
        written = (segment for segment in reversed(segments) if self._written(segment))
        return list(reversed(list(islice(written, _BACK_SEGMENTS))))

    def _written(self, segment: wal.Segment) -> bool:
        """The file holds what its name says; not zeros made in advance, nor an old file reused."""
        with (self.directory / segment.file_name).open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return False
        magic, _, timeline, position = _HEADER.unpack(head)
        return bool(magic and timeline <= segment.timeline and position == segment.start)

    def _end_of(
        self, segments: Sequence[wal.Segment], timeline: int, start: int | None
    ) -> LogEnd | None:
        if not segments:
            return None
        beyond = segments[-1].end
        with self._links(segments) as shown:
            found = self._scan(shown, timeline, (start, beyond)) if start is not None else None
            for segment in reversed(segments):
                if found is not None:
                    break
                found = self._scan(shown, timeline, (segment.start, beyond))
        if found is None:
            return None
        last, end = found
        ancestry = wal.read_ancestry(self.directory, timeline)
        return LogEnd(wal.timeline_at(timeline, ancestry, end), end, timeline, last)

    def _scan(self, shown: Path, timeline: int, span: tuple[int, int]) -> tuple[int, int] | None:
        """Start and end of the last whole record within `span`."""
        start, beyond = span
        quiet = self._waldump(shown, timeline, span, "--quiet")
        last = _LAST_RECORD.search(quiet)
        end = _END.search(quiet)
        if last and end:
            return wal.to_bytes(last[1]), wal.to_bytes(end[1])
        # The tail is not plain zeros: a record that was cut, or the end of the last file.
        begin = wal.to_bytes(last[1]) if last else start
        records = _RECORD.findall(self._waldump(shown, timeline, (begin, beyond)))
        if not records:
            return None
        length, lsn, switch = records[-1]
        last_start = wal.to_bytes(lsn)
        if switch:  # the rest of the segment is part of it
            return last_start, wal.segment_of(timeline, last_start).end
        return last_start, wal.record_end(last_start, int(length))

    def _waldump(self, shown: Path, timeline: int, span: tuple[int, int], *options: str) -> str:
        start, beyond = map(wal.to_lsn, span)
        where = ["-p", str(shown), "-t", str(timeline), "-s", start, "-e", beyond]
        done = run([self.program, *options, *where], self.who, timeout_s=self.timeout_s)
        if "could not open directory" in done.stderr or "could not locate" in done.stderr:
            raise Failed(f"pg_waldump cannot read {self.directory}: {done.stderr.strip()}")
        return done.stdout + done.stderr

    @contextmanager
    def _links(self, segments: Sequence[wal.Segment]) -> Iterator[Path]:
        """A directory that shows these files alone, under the names pg_waldump takes."""
        with tempfile.TemporaryDirectory(prefix="tricast-wal-") as name:
            shown = Path(name)
            self.who.own(shown)
            for segment in segments:
                (shown / segment.name).symlink_to(self.directory / segment.file_name)
            yield shown
