"""Copies of a daemon's audit log: an export in one file, and an archive of its closed files."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from controller.audit.anchor import Anchor
from controller.audit.chain import Verdict, lines_of, verify_lines
from controller.audit.entry import GENESIS, BadEntry, Head, read_line
from controller.audit.export import Header, header_line
from controller.cli.audit_verdict import HEAD, PATH, Log, anchors_of, log_of, not_known, told
from controller.cli.endpoint import Endpoint, tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.runtime.audit_folder import chunks, first_entry
from controller.version import VERSION
from controller.web.audit_schema import (
    AuditAnchors,
    AuditArchive,
    AuditArchived,
    AuditArchiveDone,
    AuditFileView,
    AuditVerdict,
)

NUMBER_MAX: Final = 10**18


@dataclass(slots=True, kw_only=True)
class Wanted:
    """Of a log that is looked at as a whole, the lines that are kept."""

    first: int | None = None
    last: int | None = None
    entries: int = 0
    after: Head | None = None  # of the first that was kept
    head: Head | None = None  # the last that was kept
    _at: int = 0

    def kept(self, lines: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
        """All lines; those that are wanted are in `out` too."""
        for line in lines:
            seq = self._look(line)
            if (self.first or 0) <= seq <= (self.last or seq):
                out.write(line)
            yield line

    def _look(self, line: bytes) -> int:
        """Its number; of a line that is no entry, the one that it would have."""
        try:
            entry = read_line(line.removesuffix(b"\n"))
        except BadEntry:
            return self._at + 1
        self._at = entry.seq
        if (self.first or 0) <= entry.seq <= (self.last or entry.seq):
            self.entries += 1
            self.after = self.after or Head(seq=entry.seq - 1, hash=entry.prev)
            self.head = Head(seq=entry.seq, hash=entry.hash)
        return entry.seq


def export_to(file: Path, endpoint: Endpoint, wanted: Wanted) -> tuple[AuditVerdict, int]:
    """The file holds what is wanted of the log, and its first line says of what."""
    answer, anchors, missing = anchors_of(endpoint)
    log = log_of(endpoint)
    last = wanted.last
    known = tuple(a for a in anchors if last is None or a.seq <= last)
    room = len(header_line(_header(answer, known, Head(seq=NUMBER_MAX, hash=GENESIS), None))) + 64
    with _writing(file, "xb") as out:
        out.write(b" " * (room - 1) + b"\n")
        found = verify_lines(wanted.kept(log.lines(), out), answer.site, anchors)
        if not wanted.entries and (wanted.first or wanted.last):
            asked = f"{wanted.first or 1} to {wanted.last or 'the end'}"
            raise CliError(
                ExitCode.REFUSED,
                f"no entry from {asked} is here: the log of {answer.site} has {found.begins} to "
                f"{found.head.seq}",
            )
        head = found.head if last is None else (wanted.head or Head())
        after = wanted.after if wanted.first is not None else None
        out.seek(0)
        out.write(header_line(_header(answer, known, head, after), room))
    verdict = told(answer.cluster, answer.site, found, anchors, missing=missing)
    return _within(verdict, wanted, head), wanted.entries


def _within(verdict: AuditVerdict, wanted: Wanted, head: Head) -> AuditVerdict:
    """What it says of the entries that were wanted."""
    first, last = wanted.first or 1, wanted.last or NUMBER_MAX
    breaks = tuple(b for b in verdict.breaks if b.last >= first and b.seq <= last)
    return verdict.model_copy(
        update={
            "breaks": breaks,
            "first": breaks[0] if breaks else None,
            "whole": not breaks,
            "unverifiable": verdict.unverifiable if breaks else "",
            "entries": wanted.entries,
            "seq": head.seq,
            "hash": head.hash,
        }
    )


def _header(
    answer: AuditAnchors, anchors: tuple[Anchor, ...], head: Head, after: Head | None
) -> Header:
    before = after or Head()
    return Header(
        cluster=answer.cluster,
        site=answer.site,
        at=answer.now,
        seq=head.seq,
        hash=head.hash,
        anchors=anchors,
        after_seq=before.seq,
        after_hash=before.hash,
        version=VERSION,
    )


# --- the archive ----------------------------------------------------------------------------------


def archive_to(
    folder: Path, endpoint: Endpoint, *, with_damage: bool, told: Callable[[str], None]
) -> AuditArchiveDone:
    """Every closed file is in the folder, verified, and no longer with the daemon."""
    answer, anchors, _ = anchors_of(endpoint)
    log = log_of(endpoint)
    done: list[str] = []
    for file in (each for each in log.files.files if each.last):
        path = folder / file.name
        sha256 = _copied(log, file, path)
        begin = first_entry(path)
        before = Head() if begin is None else Head(seq=begin.seq - 1, hash=begin.prev)
        found = _judged(path, answer.site, anchors, before)
        if found.unverifiable:
            what = f"its copy is in {folder}, it was not removed: {file.name}"
            raise CliError(ExitCode.UNKNOWN, not_known(what, found.other))
        damage = _damage(file, before, found)
        if damage and not with_damage:
            raise CliError(
                ExitCode.FAILED,
                f"{file.name} is broken, {damage}: its copy is in {folder}, it was not removed. "
                "Look into it (tricast audit verify); then archive it --with-damage",
            )
        known = tuple(anchor for anchor in anchors if anchor.seq <= found.head.seq)
        _head_beside(path, _header(answer, known, found.head, before))
        copied = AuditArchive(
            name=file.name, hash=found.head.hash, sha256=sha256, to=str(folder), damage=damage
        )
        archived = tell(log.endpoint, f"{PATH}/archived", copied, AuditArchived)
        told(
            f"{file.name}: {found.entries} entries are copied to {folder} and verified, removed "
            f"here, on record as entry {archived.seq}"
        )
        done.append(file.name)
    return AuditArchiveDone(
        cluster=answer.cluster, site=answer.site, to=str(folder), files=tuple(done)
    )


def _damage(file: AuditFileView, before: Head, found: Verdict) -> str:
    if found.breaks:
        return str(found.breaks[0])[:400]
    if (before.seq + 1, found.head.seq) != (file.first, file.last):
        return f"it holds entries {before.seq + 1} to {found.head.seq}"
    return ""


def _judged(path: Path, site: str, anchors: list[Anchor], before: Head) -> Verdict:
    """The copy, as it is read back."""
    with path.open("rb") as file:
        found = verify_lines(lines_of(chunks(file)), site, (), before)
    known = [anchor for anchor in anchors if before.seq < anchor.seq <= found.head.seq]
    if not found.whole or not known:
        return found
    with path.open("rb") as file:
        return verify_lines(lines_of(chunks(file)), site, known, before)


def _copied(log: Log, file: AuditFileView, path: Path) -> str:
    """The bytes are at `path`, durably; their SHA-256. Nothing that was there is replaced."""
    digest, begun = hashlib.sha256(), path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(ExitCode.FAILED, f"{path.parent}: {error.strerror or error}") from None
    with _writing(begun, "wb") as out:
        for part in log.chunks(file):
            digest.update(part)
            out.write(part)
    sha256 = digest.hexdigest()
    with _clear(path):
        if path.exists():
            with path.open("rb") as there:
                same = hashlib.file_digest(there, "sha256").hexdigest() == sha256
            begun.unlink()
            if not same:
                raise CliError(
                    ExitCode.REFUSED, f"{path} is there and is another file; choose another folder"
                )
        else:
            begun.rename(path)
        _sync_directory(path.parent)
    return sha256


def _head_beside(path: Path, header: Header) -> None:
    """Where the file begins and ends is beside it, for whoever has nothing else."""
    beside = path.with_suffix(HEAD)
    if not beside.exists():
        with _writing(beside, "xb") as out:
            out.write(header_line(header))
        with _clear(path):
            _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _clear(path: Path) -> Iterator[None]:
    """What the disk refuses is said in a sentence."""
    try:
        yield
    except OSError as error:
        raise CliError(
            ExitCode.FAILED, f"{error.filename or path}: {error.strerror or error}"
        ) from None


@contextmanager
def _writing(file: Path, mode: str) -> Iterator[BinaryIO]:
    """What is written is durable at the end; when it fails, no file is left that was not there."""
    try:
        with file.open(mode) as out:
            try:
                yield out  # type: ignore[misc]
                out.flush()
                os.fsync(out.fileno())
            except BaseException:
                file.unlink()
                raise
    except FileExistsError:
        raise CliError(ExitCode.REFUSED, f"{file} is there already; choose another name") from None
    except OSError as error:
        raise CliError(ExitCode.FAILED, f"{file}: {error.strerror or error}") from None
