"""The tail of a sealed log, carried from the host that holds it to the one that must catch up.

`wal-serve` runs beside the log and writes a stream: one JSON line for each file, then its bytes,
and a last line that says the stream is whole. `wal-fetch` runs beside the database, starts the
other through the way the settings name, and puts whole files into a spool, from which the server's
own restore command copies. Nothing that can hang stands between the server and its promotion.

Only a log that receives nothing is served, and only up to its last whole record: what follows in
the last file is zeros, and files are of the full size, so that PostgreSQL takes them.
"""

import fcntl
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from controller.hostagent import pg_server, wal
from controller.hostagent.contract import Account, Failed, Refused, Request, Verb, account
from controller.hostagent.wal_end import LogEnd, Reader

RECEIVER_LOCK = "receiver.lock"  # held by a keeper's receiver for as long as it lives
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A directory of log files that nobody writes to."""

    reader: Reader

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.reader.directory


def serve(request: Request) -> dict[str, str]:
    """The files from `start` to the end were written to the standard output."""
    source = _source(request)
    target, epoch = wal.to_bytes(request.need("target")), int(request.need("epoch"))
    end = source.reader.log_end()
    if end is None or (end.timeline, end.position) < (epoch, target):
        have = f"{wal.to_lsn(end.position)} of timeline {end.timeline}" if end else "nothing"
        raise Refused(f"asked for {wal.to_lsn(target)} of timeline {epoch}, but {have} is here")
    first = wal.to_bytes(request.need("start")) // wal.SEGMENT_BYTES
    files = _needed(source, end, first)
    sent = 0
    for name, make in [*_histories(source, end), *files]:
        content = make()
        header = {"name": name, "bytes": len(content)}
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
        return Source(Reader(directory, f"{found['bin_dir']}/pg_waldump", who))
    server = pg_server.server_of(request)
    if any("walreceiver" in title for title in pg_server.titles(server)):
        raise Refused(f"{name} still receives: it is not sealed")
    if not (server.data_dir / "standby.signal").exists():
        raise Refused(f"{name} is not in recovery here")
    return Source(Reader(server.wal_dir, server.program("pg_waldump"), server.who))


def _receiver_is_gone(directory: Path) -> None:
    lock = directory.parent / f"{directory.name}.state" / RECEIVER_LOCK
    try:
        with lock.open("a", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        raise Refused(f"no keeper has ever run for {directory}") from None
    except OSError:
        raise Refused(f"{directory} still receives: it is not sealed") from None


def _needed(source: Source, end: LogEnd, first: int) -> list[tuple[str, Callable[[], bytes]]]:
    """Every segment from `first` to the end, of every timeline the end descends from."""
    held = wal.holdings(p.name for p in source.directory.iterdir())
    limits = dict(wal.read_ancestry(source.directory, end.timeline))
    limits[end.timeline] = end.position
    chosen = [
        (segment, limit)
        for timeline, limit in sorted(limits.items())
        for segment in held.of(timeline)
        if segment.number >= first and segment.start < limit
    ]
    last = (end.position - 1) // wal.SEGMENT_BYTES
    missing = set(range(first, last + 1)) - {segment.number for segment, _ in chosen}
    if missing:
        gap = wal.Segment(end.timeline, min(missing)).name
        raise Refused(f"the log has a gap: {gap} is not in {source.directory}")
    return [(segment.name, _reading(source, segment, limit)) for segment, limit in chosen]


def _reading(source: Source, segment: wal.Segment, limit: int) -> Callable[[], bytes]:
    def content() -> bytes:
        with (source.directory / segment.file_name).open("rb") as file:
            return file.read(min(wal.SEGMENT_BYTES, limit - segment.start)).rstrip(b"\0")

    return content


def _histories(source: Source, end: LogEnd) -> list[tuple[str, Callable[[], bytes]]]:
    """A history for every timeline up to the end's, because PostgreSQL stops looking at a gap.

    A number nobody opened is described as a branch of what the end descends from.
    """
    ancestry = wal.read_ancestry(source.directory, end.timeline)
    made: list[tuple[str, Callable[[], bytes]]] = []
    for timeline in range(2, end.timeline + 1):
        path = source.directory / wal.history_name(timeline)
        if path.exists():
            made.append((path.name, path.read_bytes))
        else:
            left = tuple((t, lsn) for t, lsn in ancestry if t < timeline)
            text = wal.history_text(left, "number not used").encode()
            made.append((path.name, lambda text=text: text))  # type: ignore[misc]
    return made


# --- the other side ------------------------------------------------------------------------------


def fetch(request: Request) -> dict[str, str]:
    """The spool holds every file the server needs to reach `target`."""
    server = pg_server.server_of(request)
    asked = [
        "wal-serve",
        *(f"{k}={request.need(k)}" for k in ("database", "start", "target", "epoch")),
    ]
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
    watch = threading.Timer(float(request.args.get("within_s", "600")), child.kill)
    watch.start()
    try:
        files, last = _receive(child, spool, server.who)
    finally:
        watch.cancel()
        child.kill()
        child.wait()
    return {"spool": str(spool), "files": str(files), "end": last["end"], "bytes": last["bytes"]}


def _receive(
    child: "subprocess.Popen[bytes]", spool: Path, who: Account
) -> tuple[int, dict[str, str]]:
    out = child.stdout
    if out is None:
        raise Failed("the source has no output")
    files = 0
    while line := out.readline():
        try:
            header = json.loads(line)
        except ValueError:
            raise Failed(f"the source sent no header: {line[:80]!r}") from None
        if "error" in header:
            raise Refused(f"the source: {header['error']}")
        if "whole" in header:
            return files, header
        _store(out, spool, header, who)
        files += 1
    said = child.stderr.read().decode("utf-8", "replace").strip() if child.stderr else ""
    raise Failed(f"the stream ended too early after {files} files: {said[-300:]}")


def _store(out: IO[bytes], spool: Path, header: dict[str, object], who: Account) -> None:
    name, size = str(header.get("name")), int(str(header.get("bytes")))
    segment = wal.parse_segment(name)
    if segment is None and wal.parse_history_name(name) is None:
        raise Failed(f"the source sent a file called {name[:60]!r}")
    if size > wal.SEGMENT_BYTES:
        raise Failed(f"the source sent {size} bytes for {name}")
    fresh = spool / f"{name}.new"
    with fresh.open("wb") as file:
        while size > 0:
            chunk = out.read(min(size, _CHUNK))
            if not chunk:
                raise Failed(f"the stream ended inside {name}")
            file.write(chunk)
            size -= len(chunk)
        if segment is not None:
            file.truncate(wal.SEGMENT_BYTES)
    fresh.chmod(0o600)
    who.own(fresh)
    fresh.rename(spool / name)


VERBS: dict[str, Verb] = {"wal-serve": serve, "wal-fetch": fetch}
