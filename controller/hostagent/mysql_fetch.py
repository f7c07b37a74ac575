"""A copy of another host's primary, fetched beside the data of this host's MariaDB.

The stream of `mysql-serve` is unpacked and made ready to be started; whatever goes wrong, the data
that are there stay as they are. A copy is whole when the file that says so lies beside it; one that
was cut short has none, and the next call begins anew.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from controller.hostagent.contract import (
    Failed,
    Refused,
    Request,
    only_one,
    run,
    sync_directory,
    write_file,
)
from controller.hostagent.mysql_log import position_text, reach, read_gtids, read_position
from controller.hostagent.mysql_serve import LONG_S
from controller.hostagent.mysql_server import Server, pids, server_of, sql
from controller.hostagent.progress import Course, course

SPARE_BYTES = 64 << 20
_HEADER_BYTES_MAX = 1 << 16
_NUMBER = re.compile(r"[0-9]{1,18}")
_SERIES = re.compile(r"[0-9]+\.[0-9]+")


def fetch(request: Request) -> dict[str, str]:
    """A whole copy of the primary at `source` lies beside this server's data."""
    server = server_of(request)
    source, epoch = request.need("source"), request.number("epoch")
    end = time.monotonic() + min(request.number("within_s"), LONG_S)
    alone = only_one(server.state_dir / "fetch.lock", f"a copy for {server.name}")
    with alone, course(server.state_dir) as told:
        _check_here(server)
        argv = _way(request, source)
        asked = [f"database={server.name}", f"epoch={epoch}"]
        asked += [f"within_s={max(1, int(end - time.monotonic()))}"]
        _empty_room(server)
        try:
            told.phase("copy")
            state, received = _receive(server, [*argv, "mysql-serve", *asked], end, told)
            told.phase("prepare")
            ready = _make_ready(server, state, end)
            note = {"source": source, "epoch": str(epoch), "state": ready}
            write_file(server.whole_copy, json.dumps(note), server.who)
        except BaseException:
            shutil.rmtree(server.copy_room, ignore_errors=True)
            raise
    return {"state": ready, "bytes": str(received)}


def _check_here(server: Server) -> None:
    if server.kind != "mariadb":
        raise Refused(f"{server.name} is {server.kind}: only MariaDB is fetched by its host agent")
    for program in (server.backup, server.unpack):
        if shutil.which(program) is None:
            raise Refused(f"no program {program} here: install mariadb-backup on database hosts")
    if not pids(server):
        raise Refused(f"{server.name} does not run: whether it may be replaced is not known")
    if sql(server, "SELECT @@global.read_only") != [["1"]]:
        raise Refused(f"{server.name} is writable: it must be closed first")


def _way(request: Request, source: str) -> list[str]:
    ways = request.settings.get("reach")
    argv = ways.get(source) if isinstance(ways, dict) else None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise Refused(f"no way to {source} under 'reach' in the agent's settings")
    return [str(word) for word in argv]


def _empty_room(server: Server) -> None:
    shutil.rmtree(server.copy_room, ignore_errors=True)
    for path in (server.copy_room, server.fresh_data):
        path.mkdir(mode=0o700)
        server.who.own(path)


def _receive(server: Server, argv: list[str], end: float, told: Course) -> tuple[str, int]:
    """The files as the other side sent them; its binlog state before, and how many bytes."""
    child = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    watch = threading.Timer(max(0.0, end - time.monotonic()), child.kill)
    watch.start()
    try:
        pieces = _pieces(child)
        first = json.loads(next(pieces))
        room = _refuse_unfit(server, first)
        counted = _counted(pieces, int(first["size"]), told)
        return first["state"], _unpack(server, counted, room)
    finally:
        watch.cancel()
        child.kill()
        child.wait()


def _counted(pieces: Iterator[bytes], size: int, told: Course) -> Iterator[bytes]:
    """The same pieces; how many bytes of the `size` that were announced is told as they come."""
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        told.reached(done, max(size, done))


def _pieces(child: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """What the other side says of itself, then its bytes; ends only after a whole stream."""
    out, err = child.stdout, child.stderr
    if out is None or err is None:
        raise Failed("the source has no output")
    begun = False
    while line := out.readline(_HEADER_BYTES_MAX):
        header = _header(line)
        if "error" in header:
            raise Refused(f"the source: {header['error']}")
        if "whole" in header:
            return
        if not begun:
            if not {"size", "state", "version"} <= header.keys():
                raise Failed(f"the source did not say what it sends: {line[:80]!r}")
            begun = True
            yield line
            continue
        yield _exactly(out, header.get("bytes", ""))
    said = err.read().decode("utf-8", "replace").strip()
    raise Failed(f"the stream ended too early: {said[-300:] or 'its sender said nothing'}")


def _header(line: bytes) -> dict[str, str]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Failed(f"the source sent no header: {line[:80]!r}")
    return {str(key): str(value) for key, value in found.items()}


def _exactly(out: IO[bytes], size: str) -> bytes:
    if not _NUMBER.fullmatch(size):
        raise Failed(f"the source sent a piece of {size[:60]!r} bytes")
    found = out.read(int(size))
    if len(found) != int(size):
        raise Failed(f"the stream ended inside a piece, {len(found)} of {size} bytes")
    return found


def _refuse_unfit(server: Server, first: dict[str, str]) -> int:
    """Bytes the copy may have at most; refused when it has no room, or is of another version."""
    mine = sql(server, "SELECT VERSION()")[0][0]
    theirs = str(first["version"])
    if _series(mine) != _series(theirs):
        raise Refused(f"{server.name} is MariaDB {mine}, the primary {theirs}: upgrade one of them")
    size = int(first["size"])
    needed = size + size // 10 + SPARE_BYTES
    free = shutil.disk_usage(server.copy_room).free
    if free < needed:
        raise Refused(
            f"a copy needs {needed >> 20} MiB beside {server.data_dir}, and {free >> 20} MiB are"
            " free: make room there"
        )
    return free


def _series(version: str) -> str:
    found = _SERIES.match(version)
    return found[0] if found else version


def _unpack(server: Server, pieces: Iterator[bytes], room: int) -> int:
    switch = os.geteuid() == 0 and server.who.uid != 0
    received = 0
    with subprocess.Popen(
        [server.unpack, "-x", "-C", str(server.fresh_data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        user=server.who.uid if switch else None,
        group=server.who.gid if switch else None,
        extra_groups=[] if switch else None,
    ) as files:
        if files.stdin is None or files.stderr is None:
            raise Failed(f"{server.unpack} has no input")
        try:
            for piece in pieces:
                received += len(piece)
                if received > room:
                    raise Failed(f"the copy has outgrown the {room >> 20} MiB that were free")
                files.stdin.write(piece)
            files.stdin.close()
            said = files.stderr.read().decode("utf-8", "replace").strip()
        except BrokenPipeError:
            said = files.stderr.read().decode("utf-8", "replace").strip()
            raise Failed(f"{server.unpack} gave up: {said[-300:]}") from None
        finally:
            if not files.stdin.closed:
                files.kill()
    if files.returncode != 0:
        raise Failed(f"{server.unpack} ended with {files.returncode}: {said[-300:]}")
    return received


def _make_ready(server: Server, before: str, end: float) -> str:
    """The copy can be started, and knows which records it holds; they are durable. The state."""
    fresh = server.fresh_data
    left_s = max(1.0, end - time.monotonic())
    argv = [server.backup, "--no-defaults", "--prepare", f"--target-dir={fresh}"]
    done = run(argv, server.who, timeout_s=left_s)
    if done.returncode != 0:
        said = done.stderr.strip()[-300:]
        raise Failed(f"{server.backup} cannot make the copy ready: {said}")
    state = state_at(before, _position(fresh))
    # A server that finds no log takes from here what its log would have told it.
    log_state = fresh / f"{server.binlog}.state"
    write_file(log_state, "".join(f"{gtid}\n" for gtid in state.split(",")), server.who)
    for root, _, names in os.walk(fresh):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(root))
    return state


def _position(fresh: Path) -> str:
    """The end of the log that the copy's data stand at."""
    for name in ("mariadb_backup_binlog_info", "xtrabackup_binlog_info"):
        if (fresh / name).is_file():
            words = (fresh / name).read_text(encoding="utf-8").split()
            if len(words) == 3 and read_position(words[2]):
                return position_text(read_position(words[2]))
    raise Failed(f"the copy in {fresh} does not say up to which GTID it is")


def state_at(before: str, position: str) -> str:
    """The binlog state at `position`, the last record of every domain at the end.

    `before` is from before the backup, and since then only the primary has written.
    """
    last = read_gtids(position)
    writers = {(gtid.domain, gtid.server) for gtid in last}
    older = [f"{d}-{s}-{n}" for (d, s), n in reach(before).items() if (d, s) not in writers]
    return ",".join([*older, *map(str, last)])
