"""A disk with room for so many bytes, and one that loses power: what `AuditFile` writes through."""

import errno
import os
from dataclasses import dataclass


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
