"""Reads MariaDB binary logs: which complete transactions stand in them, and up to which epoch.

Only whole transactions count, as for the server's own recovery: a group whose end is missing or
whose checksum is wrong was never acknowledged, because an acknowledgement follows the fsync.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from controller.hostagent.contract import Failed

MAGIC = b"\xfebin"
_HEADER = struct.Struct("<IBIIIH")  # time, type, server id, length, end, flags
_GTID = struct.Struct("<QIB")  # number, domain, flags
_QUERY, _FORMAT, _XID, _XA_PREPARE = 2, 15, 16, 38
_ANNOTATE, _CHECKPOINT, _GTID_EVENT, _GTID_LIST, _ENCRYPTION = 160, 161, 162, 163, 164
_IN_USE = 1
_STANDALONE = 1
_GTID_TEXT = re.compile(r"([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,20})")
_EPOCH = re.compile(rb"INSERT INTO tricast\.epoch \(epoch, holder\) VALUES \((\d{1,18}),")


@dataclass(frozen=True, slots=True)
class Gtid:
    """One transaction's name."""

    domain: int
    server: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.number}"


@dataclass(slots=True)
class LogScan:
    """What stands in a run of binary log files."""

    server_id: int = 0  # the server that wrote the files
    in_use: bool = False  # the last file was not closed: the server did not end cleanly
    checkpoint: str = ""  # the oldest file that crash recovery may touch
    start: dict[int, Gtid] = field(default_factory=dict)  # per domain, before the first file
    groups: list[Gtid] = field(default_factory=list)  # in log order
    epoch: int = 0  # highest epoch written in these files

    @property
    def end(self) -> dict[int, Gtid]:
        """The last transaction of every domain."""
        return {**self.start, **{gtid.domain: gtid for gtid in self.groups}}

    @property
    def last_writer(self) -> int:
        """Who wrote the last transaction; 0 for nobody."""
        if self.groups:
            return self.groups[-1].server
        return next((gtid.server for gtid in self.start.values()), 0)


def position_text(end: dict[int, Gtid]) -> str:
    """As the server prints gtid_binlog_pos."""
    return ",".join(str(end[domain]) for domain in sorted(end))


def read_position(text: str) -> dict[int, Gtid]:
    """The inverse of `position_text`."""
    return {gtid.domain: gtid for gtid in read_gtids(text)}


def read_gtids(text: str) -> list[Gtid]:
    """Every GTID of a comma-separated list (a position or a binlog state)."""
    found = [_GTID_TEXT.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    if None in found:
        raise Failed(f"not a list of MariaDB GTIDs: {text[:100]!r}")
    return [Gtid(int(gtid[1]), int(gtid[2]), int(gtid[3])) for gtid in found if gtid]


def covers(end: dict[int, Gtid], wanted: dict[int, Gtid]) -> bool:
    """Whether a log of the same history that ends at `end` holds `wanted`."""
    return all(d in end and end[d].number >= gtid.number for d, gtid in wanted.items())


def reach(state: str) -> dict[tuple[int, int], int]:
    """How far each writer got in every domain, by a binlog state."""
    found: dict[tuple[int, int], int] = {}
    for gtid in read_gtids(state):
        writer = (gtid.domain, gtid.server)
        found[writer] = max(found.get(writer, 0), gtid.number)
    return found


def lacking(gtids: Iterable[Gtid], state: str) -> list[Gtid]:
    """Those of `gtids` that the history with binlog state `state` has not, each once, in order."""
    reached = reach(state)
    unknown = (g for g in gtids if reached.get((g.domain, g.server), 0) < g.number)
    return list(dict.fromkeys(unknown))


def span(gtids: list[Gtid]) -> str:
    """The first, the last, and how many."""
    if not gtids:
        return ""
    return str(gtids[0]) if len(gtids) == 1 else f"{gtids[0]} to {gtids[-1]} ({len(gtids)})"


def since_known(files: list[Path], state: str) -> list[Path]:
    """The newest of `files`, back to one that begins with nothing the history `state` lacks."""
    for at in range(len(files) - 1, -1, -1):
        begins = _begins_with(files[at])
        if begins is not None and not lacking(begins, state):
            return files[at:]
    return files


def _begins_with(path: Path) -> list[Gtid] | None:
    """The binlog state before the file's first transaction; None where it does not say."""
    for kind, _, _, body in _events(path):
        if kind == _GTID_LIST:
            return _gtid_list(body)
    return None


def log_files(data_dir: Path, name: str) -> list[Path]:
    """The files that the index of the log called `name` lists, oldest first."""
    index = data_dir / f"{name}.index"
    if not index.is_file():
        return []
    lines = index.read_text(encoding="utf-8").splitlines()
    paths = [data_dir / line.strip() for line in lines if line.strip()]
    return [path for path in paths if path.is_file()]


def scan(files: Iterable[Path]) -> LogScan:
    """What stands in `files`, read in order."""
    found = LogScan()
    for at, path in enumerate(files):
        _scan_file(path, found, first=at == 0)
    return found


def _scan_file(path: Path, found: LogScan, *, first: bool) -> None:
    opened: Gtid | None = None
    standalone = False
    for kind, server, flags, body in _events(path):
        if kind == _FORMAT:
            found.server_id, found.in_use = server, bool(flags & _IN_USE)
        elif kind == _GTID_LIST and first:
            # The last entry of each domain stands last in the list.
            found.start = {gtid.domain: gtid for gtid in _gtid_list(body)}
        elif kind == _CHECKPOINT:
            found.checkpoint = body[4:].decode(errors="replace")
        elif kind == _GTID_EVENT:
            number, domain, gtid_flags = _GTID.unpack_from(body)
            opened, standalone = Gtid(domain, server, number), bool(gtid_flags & _STANDALONE)
        elif kind in (_ANNOTATE, _QUERY):
            match = _EPOCH.search(body)
            found.epoch = max(found.epoch, int(match[1]) if match else 0)
        if opened is not None and _ends_group(kind, body, standalone=standalone):
            found.groups.append(opened)
            opened = None


def _ends_group(kind: int, body: bytes, *, standalone: bool) -> bool:
    if kind in (_XID, _XA_PREPARE):
        return True
    if kind != _QUERY:
        return False
    return standalone or body.endswith((b"COMMIT", b"ROLLBACK"))


def _gtid_list(body: bytes) -> list[Gtid]:
    (count,) = struct.unpack_from("<I", body)
    found: list[Gtid] = []
    for at in range(count & 0x0FFFFFFF):
        domain, server, number = struct.unpack_from("<IIQ", body, 4 + 16 * at)
        found.append(Gtid(domain, server, number))
    return found


def _events(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, server id, flags and body of every event up to the first that is not whole."""
    checksums = False
    with path.open("rb") as log:
        if log.read(4) != MAGIC:
            raise Failed(f"{path} is not a binary log")
        while len(header := log.read(_HEADER.size)) == _HEADER.size:
            _, kind, server, length, _, flags = _HEADER.unpack(header)
            body = log.read(length - _HEADER.size) if length >= _HEADER.size else b""
            if len(body) != length - _HEADER.size:
                return
            if kind == _ENCRYPTION:
                raise Failed(f"{path} is encrypted: its tail cannot be read here")
            if kind == _FORMAT:
                checksums = body[-5] == 1
            elif checksums:
                body, kept = body[:-4], body[-4:]
                if zlib.crc32(body, zlib.crc32(header)) != int.from_bytes(kept, "little"):
                    return
            yield kind, server, flags, body
