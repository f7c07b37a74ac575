"""A file that is edited: its text as it was read, a copy to work on, and its change in one go."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode

PREVIOUS: Final = ".previous"


class ChangedMeanwhile(Exception):
    """Somebody else has written the file since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A file as it was read. A symbolic link is followed: what it points to is replaced."""

    path: Path
    raw: bytes
    mode: int
    owner: tuple[int, int]

    @property
    def previous(self) -> Path:
        """Where the text before the newest change stands."""
        return self.path.with_name(self.path.name + PREVIOUS)


def opened(file: Path) -> Original:
    """The file, which can be read and replaced. Raises CliError."""
    try:
        path = file.resolve(strict=True)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise CliError(ExitCode.USAGE, f"{file} is not a regular file")
        raw = path.read_bytes()
    except OSError as error:
        raise CliError(ExitCode.CONFIG, f"{file} cannot be read: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CliError(
            ExitCode.FAILED, f"{path.parent} cannot be written to: edit {file} as its owner or root"
        )
    if os.geteuid() not in (0, found.st_uid):
        raise CliError(
            ExitCode.FAILED, f"{file} belongs to another account: edit it as its owner or root"
        )
    return Original(
        path=path,
        raw=raw,
        mode=stat.S_IMODE(found.st_mode),
        owner=(found.st_uid, found.st_gid),
    )


@contextmanager
def copied(original: Original) -> Iterator[Path]:
    """A copy beside it that nobody else may read; it is gone afterwards, unless it was moved."""
    copy = original.path.with_name(f".edit-{os.getpid()}.{original.path.name}")
    try:
        _written(copy, original.raw, 0o600)
        yield copy
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CliError(
            ExitCode.FAILED, f"cannot write {error.filename or copy}: {error.strerror}"
        ) from None
    finally:
        copy.unlink(missing_ok=True)


def replaced(original: Original, raw: bytes) -> None:
    """The file holds `raw`, or nothing has changed; what it held stands beside it. Mode and owner
    are those of the original. Raises ChangedMeanwhile and OSError.
    """
    path = original.path
    fresh = path.with_name(f".new-{os.getpid()}.{path.name}")
    before = path.with_name(f".old-{os.getpid()}.{path.name}")
    with _alone(path.parent) as folder:
        try:
            if path.read_bytes() != original.raw:
                raise ChangedMeanwhile
            _written(fresh, raw, 0o600)
            _like(original, fresh)
            _written(before, original.raw, 0o600)
            _like(original, before)
            before.rename(original.previous)
            fresh.rename(path)
            os.fsync(folder)
        finally:
            fresh.unlink(missing_ok=True)
            before.unlink(missing_ok=True)


def _like(original: Original, path: Path) -> None:
    """Extended attributes, owner and mode are those of the original."""
    shutil.copystat(original.path, path)
    os.utime(path)
    found = path.stat()
    if (found.st_uid, found.st_gid) != original.owner:
        os.chown(path, *original.owner)
    path.chmod(original.mode)


def _written(path: Path, raw: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(raw)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Nobody else who replaces files of the folder in this way is at it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
