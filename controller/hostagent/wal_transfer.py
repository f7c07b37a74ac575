"""The tail of a sealed log, carried from the host that holds it to the one that must catch up.

`wal-serve` runs beside the log and writes a stream: one JSON line for each file, then its bytes,
and a last line that says the stream is whole. `wal-fetch` runs beside the database, starts the
other through the way the settings name, and puts whole files into a spool, from which the server's
own restore command copies. Nothing that can hang stands between the server and its promotion.

Only a log that receives nothing is served, and only up to its last whole record: what follows in
the last file is zeros, and files are of the full size, so that PostgreSQL takes them. Of the
segment the server is in, only what it lacks crosses the network; the rest is its own.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from controller.hostagent import pg_server, wal
from controller.hostagent.contract import Failed, Refused, Request, Verb, account
from controller.hostagent.wal_end import LogEnd, Reader, saved_end

END_HINT = "end.json"  # where a keeper's last scan found the end of its log
RECEIVER_LOCK = "receiver.lock"  # held by a keeper's receiver for as long as it lives
_CHUNK = 1 << 20
_HEADER_BYTES_MAX = 1 << 16
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of one file from `offset` on, up to a limit; zeros follow."""

    name: str
    offset: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Source:
    """A directory of log files that nobody writes to."""

    reader: Reader
    hint: LogEnd | None = None

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.reader.directory


def serve(request: Request) -> dict[str, str]:
    """The files from `start` to the end were written to the standard output."""
    source = _source(request)
    target, epoch = wal.to_bytes(request.need("target")), request.number("epoch")
    end = source.reader.log_end(source.hint)
    if end is None or (end.timeline, end.position) < (epoch, target):
        have = f"{wal.to_lsn(end.position)} of timeline {end.timeline}" if end else "nothing"
        raise Refused(f"asked for {wal.to_lsn(target)} of timeline {epoch}, but {have} is here")
    start = wal.to_bytes(request.need("start"))
    parts = _needed(source, end, start, request.number("timeline"))
    sent = 0
    for part in [*_histories(source, end), *parts]:
        content = part.read()
        header = {"name": part.name, "offset": part.offset, "bytes": len(content)}
        sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
        sys.stdout.buffer.write(content)
        sent += len(content)
    sys.stdout.buffer.flush()
    return {"whole": "true", "end": wal.to_lsn(end.position), "bytes": str(sent)}


def _source(request: Request) -> Source:
    """The log the request is about: a keeper's, or that of a database in recovery."""
    name = request.need("database")
    keepers = request.settings.get("keepers")
    if isinstance(keepers, dict) and name in keepers:
        found = request.section("keepers", name)
        directory = Path(str(found["directory"]))
        _receiver_is_gone(directory)
        who = account(str(found.get("os_user", "")))
        hint = saved_end(_state(directory) / END_HINT)
        return Source(Reader(directory, f"{found['bin_dir']}/pg_waldump", who), hint)
    server = pg_server.server_of(request)
    if any("walreceiver" in title for title in pg_server.titles(server)):
        raise Refused(f"{name} still receives: it is not sealed")
    if not (server.data_dir / "standby.signal").exists():
        raise Refused(f"{name} is not in recovery here")
    return Source(Reader(server.wal_dir, server.program("pg_waldump"), server.who))


def _state(directory: Path) -> Path:
    return directory.parent / f"{directory.name}.state"


def _receiver_is_gone(directory: Path) -> None:
    lock = _state(directory) / RECEIVER_LOCK
    try:
        with lock.open("a", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        raise Refused(f"no keeper has ever run for {directory}") from None
    except OSError:
        raise Refused(f"{directory} still receives: it is not sealed") from None


def _needed(source: Source, end: LogEnd, start: int, timeline: int) -> list[Part]:
    """What a server that has everything before `start` of `timeline` lacks."""
    held = wal.holdings(p.name for p in source.directory.iterdir())
    limits = dict(wal.read_ancestry(source.directory, end.timeline))
    limits[end.timeline] = end.position
    first = start // wal.SEGMENT_BYTES
    chosen = [
        (segment, limit)
        for number, limit in sorted(limits.items())
        for segment in held.of(number)
        if number >= timeline and segment.number >= first and segment.start < limit
    ]
    last = (end.position - 1) // wal.SEGMENT_BYTES
    missing = set(range(first, last + 1)) - {segment.number for segment, _ in chosen}
    if missing:
        gap = wal.Segment(end.timeline, min(missing)).name
        raise Refused(f"the log has a gap: {gap} is not in {source.directory}")
    page = start - start % wal.PAGE_BYTES
    parts = []
    for segment, limit in chosen:
        known = segment.timeline == timeline and segment.number == first
        offset = page - segment.start if known else 0
        read = partial(_read, source.directory / segment.file_name, offset, limit - segment.start)
        parts.append(Part(segment.name, offset, read))
    return parts


def _read(path: Path, offset: int, limit: int) -> bytes:
    """The bytes of a segment from `offset` to `limit`, without the zeros at their end."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(max(0, min(wal.SEGMENT_BYTES, limit) - offset)).rstrip(b"\0")


def _histories(source: Source, end: LogEnd) -> list[Part]:
    """A history for every timeline up to the end's, because PostgreSQL stops looking at a gap.

    A number nobody opened is described as a branch of what the end descends from.
    """
    ancestry = wal.read_ancestry(source.directory, end.timeline)
    made = []
    for timeline in range(2, end.timeline + 1):
        path = source.directory / wal.history_name(timeline)
        if path.exists():
            made.append(Part(path.name, 0, path.read_bytes))
        else:
            left = tuple((t, lsn) for t, lsn in ancestry if t < timeline)
            text = wal.history_text(left, "number not used").encode()
            made.append(Part(path.name, 0, partial(bytes, text)))
    return made


# --- the other side ------------------------------------------------------------------------------


def fetch(request: Request) -> dict[str, str]:
    """The spool holds every file the server needs to reach `target`."""
    server = pg_server.server_of(request)
    start = wal.to_bytes(request.need("start"))
    mine = wal.segment_of(request.number("timeline"), start)
    if not (server.wal_dir / mine.name).exists():
        start = mine.start
    asked = ["wal-serve", f"start={wal.to_lsn(start)}"]
    asked += [f"{k}={request.need(k)}" for k in ("database", "timeline", "target", "epoch")]
    way = request.settings.get("reach")
    argv = way.get(request.need("source")) if isinstance(way, dict) else None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise Refused(f"no way to {request.need('source')} under 'reach' in the settings")
    spool = server.gate_dir / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(mode=0o700)
    server.who.own(spool)
    child = subprocess.Popen(
        [*argv, *asked], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    watch = threading.Timer(request.seconds("within_s", 600.0), child.kill)
    watch.start()
    try:
        files, last = _receive(child, spool, server)
    finally:
        watch.cancel()
        child.kill()
        child.wait()
    return {
        "spool": str(spool),
        "files": str(files),
        "end": last["end"],
        "bytes": last["bytes"],
        "forked_at": _forked_at(request, server, spool),
    }


def _forked_at(request: Request, server: pg_server.Server, spool: Path) -> str:
    """Where the server's own log, up to its end, parts from the target's; "" for nowhere.

    A server that is led past such a place replays another history on its own tail, and never
    starts again.
    """
    mine, theirs = request.number("end_timeline"), request.number("epoch")
    my_ancestry = wal.read_ancestry(server.wal_dir, mine)
    their_ancestry = wal.read_ancestry(spool, theirs)
    if (mine > 1 and not my_ancestry) or (theirs > 1 and not their_ancestry):
        return ""  # not known: PostgreSQL itself looks before it changes its timeline
    fork = wal.fork_of(mine, my_ancestry, theirs, their_ancestry, wal.to_bytes(request.need("end")))
    return "" if fork is None else wal.to_lsn(fork.position)


def _receive(
    child: "subprocess.Popen[bytes]", spool: Path, server: pg_server.Server
) -> tuple[int, dict[str, str]]:
    out = child.stdout
    if out is None:
        raise Failed("the source has no output")
    files = 0
    while line := out.readline(_HEADER_BYTES_MAX):
        header = _header(line)
        if "error" in header:
            raise Refused(f"the source: {header['error']}")
        if "whole" in header:
            return files, header
        _store(out, spool, header, server)
        files += 1
    said = child.stderr.read().decode("utf-8", "replace").strip() if child.stderr else ""
    raise Failed(f"the stream ended too early after {files} files: {said[-300:]}")


def _header(line: bytes) -> dict[str, str]:
    """What a line of the stream says: of a file, of the end, or why there is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        header = {key: str(value) for key, value in found.items()}
        numbers = (header.get("offset", ""), header.get("bytes", ""))
        file = "name" in header and all(map(_NUMBER.fullmatch, numbers))
        if file or "error" in header or {"whole", "end", "bytes"} <= header.keys():
            return header
    raise Failed(f"the source sent no header: {line[:80]!r}")


def _store(out: IO[bytes], spool: Path, header: dict[str, str], server: pg_server.Server) -> None:
    name, offset, size = header["name"], int(header["offset"]), int(header["bytes"])
    segment = wal.parse_segment(name)
    if segment is None and wal.parse_history_name(name) is None:
        raise Failed(f"the source sent a file called {name[:60]!r}")
    if offset + size > wal.SEGMENT_BYTES:
        raise Failed(f"the source sent {size} bytes at {offset} for {name}")
    fresh = spool / f"{name}.new"
    if offset > 0:
        shutil.copyfile(server.wal_dir / name, fresh)  # the part it has already
    with fresh.open("r+b" if offset > 0 else "wb") as file:
        file.seek(offset)
        while size > 0:
            chunk = out.read(min(size, _CHUNK))
            if not chunk:
                raise Failed(f"the stream ended inside {name}")
            file.write(chunk)
            size -= len(chunk)
        if segment is not None:
            file.truncate()
            file.truncate(wal.SEGMENT_BYTES)
    fresh.chmod(0o600)
    server.who.own(fresh)
    fresh.rename(spool / name)


VERBS: dict[str, Verb] = {"wal-serve": serve, "wal-fetch": fetch}
