"""The files of an audit log in a folder, as anybody may read them. Blocks: for a thread."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final

from controller.audit.chain import lines_of, readable
from controller.audit.entry import LINE_BYTES_MAX, Entry
from controller.audit.files import Closed, closed_among, closed_from, current_name

CHUNK: Final = 1024 * 1024
TRIES: Final = 5  # of seeing all files at one moment, while a daemon may rotate them
_CURRENT: Final = ".jsonl"


def closed_in(directory: Path, site: str) -> tuple[Closed, ...]:
    """The closed files, in their order. Raises OSError."""
    try:
        return closed_among(os.listdir(directory), site)
    except FileNotFoundError:
        return ()


def sites_in(directory: Path) -> tuple[str, ...]:
    """Whose logs are there. Raises OSError."""
    found: set[str] = set()
    for name in os.listdir(directory):
        closed = closed_from(name)
        if closed is not None:
            found.add(closed.site)
        elif name.endswith(_CURRENT):
            found.add(name.removesuffix(_CURRENT))
    return tuple(sorted(found))


def lines_in(directory: Path, site: str) -> Iterator[bytes]:
    """Every line of the log, file after file, as they all were at one moment. Raises OSError."""
    with ExitStack() as stack:
        for file in _opened(directory, site, stack):
            yield from lines_of(chunks(file))


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """What is in the file."""
    while chunk := file.read(CHUNK):
        yield chunk


def last_entry(path: Path) -> Entry | None:
    """The last one that can be read. Raises OSError."""
    return next(readable(backwards(path)), None)


def first_entry(path: Path) -> Entry | None:
    """The first line, if it is an entry. Raises OSError."""
    with path.open("rb") as file:
        line = file.readline(LINE_BYTES_MAX + 1)
    return next(readable([line[:-1]]), None)


def backwards(path: Path) -> Iterator[bytes]:
    """The complete lines of a file, without their ends, from the last one on. Raises OSError."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest: list[bytes] = []  # the beginning of the lines that were read, the last block first
        torn = True
        while at > 0:
            size = min(CHUNK, at)
            at = file.seek(at - size)
            first, *others = file.read(size).split(b"\n")
            if others:
                others[-1] += b"".join(reversed(rest))
                yield from _without(reversed(others), torn=torn)
                rest, torn = [first], False
            else:
                rest.append(first)
        if not torn:
            yield b"".join(reversed(rest))


def _without(lines: Iterable[bytes], *, torn: bool) -> Iterator[bytes]:
    """But for what comes after the last end of a line."""
    found = iter(lines)
    if torn:
        next(found)
    return found


def _opened(directory: Path, site: str, stack: ExitStack) -> list[BinaryIO]:
    """Every file of the log, held open, so that nothing that happens to its name matters."""
    for _ in range(TRIES):
        before = _listed(directory, site)
        files: list[BinaryIO] = []
        with suppress(FileNotFoundError):
            files += [stack.enter_context(path.open("rb")) for path in before]
            if _listed(directory, site) == before:
                break
    return files


def _listed(directory: Path, site: str) -> list[Path]:
    paths = [directory / closed.name for closed in closed_in(directory, site)]
    current = directory / current_name(site)
    return [*paths, current] if current.exists() else paths
