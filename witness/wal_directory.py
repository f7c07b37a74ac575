"""The files of one log keeper: made ready for the next primary, checked for gaps, pruned.

pg_receivewal goes on where the newest file ends. What would send it astray after a change of
primary is moved aside first: files beyond the fork, files of timelines that lost, short files.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.hostagent import wal
from controller.hostagent.contract import sync_directory
from controller.hostagent.wal_end import LogEnd

ASIDE_KEPT: Final = 3
_FORK: Final = ".fork"


@dataclass(frozen=True, slots=True)
class WalDirectory:
    """Where a keeper keeps its log, and beside it, its own state."""

    path: Path

    @property
    def state(self) -> Path:
        """Locks, passwords, the receiver's words, files moved aside."""
        return self.path.parent / f"{self.path.name}.state"

    def create(self) -> None:
        """Both directories are there, for their owner alone."""
        for directory in (self.path, self.state):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def holdings(self) -> wal.Holdings:
        """The log files that are there."""
        return wal.holdings(p.name for p in self.path.iterdir())

    def make_ready(self, epoch: int, ancestry: wal.Ancestry, end: LogEnd | None) -> list[str]:
        """The receiver goes on from here to the log of `epoch`. The names that were moved aside.

        `end` is the end of what is held.
        """
        limits = dict(ancestry)
        moved = []
        for segment in self.holdings().segments:
            file = self.path / segment.file_name
            if segment.timeline == epoch:
                continue
            left = limits.get(segment.timeline)
            if left is None or segment.number > left // wal.SEGMENT_BYTES:
                self._put_aside(file, epoch)
                moved.append(file.name)
            elif segment.number == left // wal.SEGMENT_BYTES and not segment.partial:
                # Whole, but its timeline was left inside it: asked for again from its start.
                file.rename(self.path / f"{segment.name}.partial")
        self._fill_short_files()
        if end is not None and ancestry:
            self._begin(epoch, ancestry, end)
        for prepared in self.path.glob(f"*{_FORK}*"):
            prepared.unlink()
        sync_directory(self.path)
        return moved

    def prepare(self, end: LogEnd) -> None:
        """`make_ready` finds the copy that it needs, if the next timeline forks at `end`.

        The copy takes longer than all the rest of it, and can be made while nobody waits for it.
        """
        number = end.position // wal.SEGMENT_BYTES
        for held in self.holdings().of(end.timeline):
            if held.number == number:
                self._copy(held, end.position, self._prepared(held, end.position))

    def _begin(self, epoch: int, ancestry: wal.Ancestry, end: LogEnd) -> None:
        """What is held up to the fork stands under the new timeline's name too.

        The receiver then starts on the new timeline, instead of asking for the segment twice.
        """
        fork = ancestry[-1][1]
        parent = wal.timeline_at(epoch, ancestry, fork)
        fresh = self.path / f"{wal.segment_of(epoch, fork).name}.partial"
        held = [s for s in self.holdings().of(parent) if s.number == fork // wal.SEGMENT_BYTES]
        begun = any(s.timeline == epoch for s in self.holdings().segments)
        if begun or not held or end.timeline != parent or end.position < fork:
            return
        prepared = self._prepared(held[0], fork)
        if prepared.exists():
            prepared.rename(fresh)
        else:
            self._copy(held[0], fork, fresh)

    def _prepared(self, held: wal.Segment, end: int) -> Path:
        return self.path / f"{held.name}.{end % wal.SEGMENT_BYTES:08X}{_FORK}"

    def _copy(self, held: wal.Segment, end: int, to: Path) -> None:
        """`to` is durable, as long as a segment, and has what `held` has before `end`."""
        part = to.with_name(f"{to.name}.new")
        with (self.path / held.file_name).open("rb") as source, part.open("wb") as file:
            file.write(source.read(end % wal.SEGMENT_BYTES))
            file.truncate(wal.SEGMENT_BYTES)
            file.flush()
            os.fsync(file.fileno())
        part.rename(to)

    def put_everything_aside(self, epoch: int) -> list[str]:
        """The keeper starts anew; what it held is kept beside it. The names."""
        names = sorted(path.name for path in self.path.iterdir())
        for name in names:
            self._put_aside(self.path / name, epoch)
        sync_directory(self.path)
        return names

    def damage(self) -> list[str]:
        """Why the log cannot serve everything between its oldest and its newest file."""
        held = self.holdings()
        found = []
        gap = held.gap()
        if gap is not None:
            found.append(f"segment {gap.name} is missing between the oldest and the newest")
        return found + [
            f"segment {segment.name} has {_size(self.path / segment.file_name)} bytes"
            for segment in self._misshapen(held)
        ]

    def _misshapen(self, held: wal.Holdings) -> list[wal.Segment]:
        return [
            segment
            for segment in held.segments
            if not segment.partial
            and _size(self.path / segment.file_name) not in (wal.SEGMENT_BYTES, -1)
        ]

    def begins(self) -> int | None:
        """The first byte of the log that is held; None without any."""
        return min((s.start for s in self.holdings().segments), default=None)

    def leave_damage_behind(self, all_hold: int, epoch: int) -> list[str]:
        """Nothing is left of what lies before the end of the damage, if everybody else holds the
        log up to there, and more of it is here. The names that were moved aside.
        """
        held = self.holdings()
        numbers = {segment.number for segment in held.segments}
        if not numbers:
            return []
        bad = set(range(min(numbers), max(numbers))) - numbers
        bad |= {segment.number for segment in self._misshapen(held)}
        last = max(bad, default=-1)
        if last < 0 or last >= max(numbers) or (last + 1) * wal.SEGMENT_BYTES > all_hold:
            return []
        old = [segment.file_name for segment in held.segments if segment.number <= last]
        for name in old:
            self._put_aside(self.path / name, epoch)
        sync_directory(self.path)
        return old

    def sync(self, timeline: int, position: int) -> None:
        """What was written up to `position` survives a crash of this host."""
        number = position // wal.SEGMENT_BYTES
        for segment in self.holdings().of(timeline):
            if number - 1 <= segment.number <= number:
                fd = os.open(self.path / segment.file_name, os.O_RDWR)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
        sync_directory(self.path)

    def prune(self, below: int) -> list[str]:
        """No segment is left that ends before `below`; the newest always stays."""
        held = self.holdings()
        newest = max((s.number for s in held.segments), default=0)
        first = min(below // wal.SEGMENT_BYTES, newest)
        gone = [s.file_name for s in held.segments if s.number < first]
        for name in gone:
            (self.path / name).unlink()
        if gone:
            sync_directory(self.path)
        return gone

    def _put_aside(self, file: Path, epoch: int) -> None:
        aside = self.state / "aside" / f"before-epoch-{epoch:08d}"
        if not aside.exists():
            aside.mkdir(parents=True)
            for old in sorted(aside.parent.iterdir())[:-ASIDE_KEPT]:
                shutil.rmtree(old)
        kept, more = aside / file.name, 0
        while kept.exists():
            more += 1
            kept = aside / f"{file.name}.{more}"
        file.rename(kept)

    def _fill_short_files(self) -> None:
        """A full disk leaves a short file, which the receiver would refuse for ever."""
        for segment in self.holdings().segments:
            file = self.path / segment.file_name
            if segment.partial and 0 < _size(file) < wal.SEGMENT_BYTES:
                fd = os.open(file, os.O_RDWR)
                try:
                    os.posix_fallocate(fd, 0, wal.SEGMENT_BYTES)
                    os.fsync(fd)
                finally:
                    os.close(fd)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1  # renamed by the receiver between two looks
