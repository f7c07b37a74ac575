"""A disk with room for so many bytes, and one that loses power: what `AuditFile` writes through."""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class SmallDisk:
    """As a real one: a write that does not fit is made in part, the next one fails."""

    room: int = 0
    hangs: bool = False
    syncs: int = 0

    def write(self, file: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(file, data[: self.room])
        self.room -= written
        return written

    def sync(self, file: int) -> None:
        self.syncs += 1
        os.fsync(file)


class PowerLoss(BaseException):
    """Nothing is done any more by whoever was at it."""


@dataclass(slots=True)
class FrailDisk:
    """Counts what is asked of it, and fails once, at a number; a rename that nobody has synced may
    be undone by a power loss.
    """

    fails_at: int = 0  # 0: never
    error: BaseException = field(default_factory=PowerLoss)
    undoes: bool = False
    done: int = 0
    trace: list[str] = field(default_factory=list)
    _pending: list[tuple[Path, Path]] = field(default_factory=list)

    def write(self, file: int, data: bytes) -> int:
        if self._is_over("write"):
            os.write(file, data[: len(data) // 2])
            raise self.error
        return os.write(file, data)

    def sync(self, file: int) -> None:
        folder = stat.S_ISDIR(os.fstat(file).st_mode)
        if self._is_over("sync folder" if folder else "sync"):
            self._lose()
        os.fsync(file)
        if folder:
            self._pending.clear()

    def rename(self, old: Path, new: Path) -> None:
        assert not self._pending, "two renames, and a power loss may undo the first of them alone"
        if self._is_over("rename"):
            self._lose()
        old.rename(new)
        self._pending.append((old, new))

    def remove(self, path: Path) -> None:
        if self._is_over("remove"):
            self._lose()
        path.unlink()

    def _is_over(self, what: str) -> bool:
        self.done += 1
        self.trace.append(what)
        return self.done == self.fails_at

    def _lose(self) -> None:
        for old, new in reversed(self._pending if self.undoes else []):
            new.rename(old)
        raise self.error
