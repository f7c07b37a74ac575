"""The files of a running primary, for a host whose MariaDB has to become a copy of it.

`mysql-serve` runs mariadb-backup beside the primary and writes a stream: one JSON line about the
server, then pieces, each a JSON line with its length and that many bytes, and a last line that says
the stream is whole. Only a primary whose epoch record was acknowledged is copied: it holds
everything that ever was.

At its end a backup stops commits for a moment, and waits for those that wait for a voter. So it
gives way to whoever has waited for its locks: a voter must be let in though a commit waits for it.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from controller.hostagent.contract import Failed, Refused, Request, only_one
from controller.hostagent.mysql_server import Server, pids, server_of, sql

LONG_S = 6 * 3600
POLL_S = 0.5
LOOKS_MAX = 2  # in a row that find somebody waiting for the backup
LOG_LOOKS = "--log-copy-interval=20"  # ms; commits stand still for one of them: 1 s by default
_CHUNK = 1 << 20
_LOOK = (
    "SELECT @@global.read_only, (SELECT COALESCE(MAX(epoch), 0) FROM tricast.epoch),"
    " VERSION(), @@global.gtid_binlog_state"
)
_KEPT_WAITING = (
    "SELECT COUNT(*) FROM information_schema.processlist"
    " WHERE state = 'Waiting for backup lock' AND info NOT LIKE 'BACKUP STAGE%'"
)
_WAITING_BACKUP = (
    "SELECT id FROM information_schema.processlist WHERE info LIKE 'BACKUP STAGE%'"
    " AND id <> CONNECTION_ID()"
)


def serve(request: Request) -> dict[str, str]:
    """A copy of this primary was written to the standard output."""
    server = server_of(request)
    if server.kind != "mariadb":
        raise Refused(f"{server.name} is {server.kind}: only MariaDB is copied by its host agent")
    within_s = min(request.number("within_s"), LONG_S)
    with only_one(server.state_dir / "serve.lock", f"a copy of {server.name}"):
        _say(_checked(server, request.number("epoch")))
        return {"whole": "true", "bytes": str(_stream(server, within_s))}


def _checked(server: Server, epoch: int) -> dict[str, str]:
    """What the other side has to know before the first byte."""
    if not pids(server):
        raise Refused(f"{server.name} does not run here: there is nothing to copy")
    closed, record, version, state = sql(server, _LOOK)[0]
    if closed != "0" or int(record) != epoch:
        raise Refused(
            f"{server.name} is not proven to be primary of epoch {epoch} here (its record:"
            f" {record}): nothing may be thrown away for a copy of it"
        )
    return {"size": str(_size(server)), "version": version, "state": state}


def _size(server: Server) -> int:
    """Bytes of the data, without the logs, which are not copied."""
    logs = (f"{server.binlog}.", f"{server.relay}.")
    found = 0
    for path in server.data_dir.rglob("*"):
        try:
            if path.is_file() and not path.name.startswith(logs):
                found += path.stat().st_size
        except FileNotFoundError:
            continue  # A table was dropped while we looked.
    return found


def _say(words: dict[str, str]) -> None:
    sys.stdout.buffer.write(json.dumps(words).encode() + b"\n")
    sys.stdout.buffer.flush()


def _stream(server: Server, within_s: float) -> int:
    """The backup was written in pieces; how many bytes."""
    log = server.state_dir / "serve.log"
    with tempfile.TemporaryDirectory(dir=server.state_dir) as scratch, log.open("wb") as said:
        argv = [server.backup, f"--defaults-file={server.defaults_file}", "--backup"]
        argv += ["--stream=mbstream", f"--target-dir={scratch}", LOG_LOOKS]
        argv += ["--user=root", f"--socket={server.socket}"]
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, cwd="/"
            )
        except OSError as error:
            raise Failed(f"cannot run {server.backup} at the primary: {error.strerror}") from None
        watch = _Watch(server, child, within_s)
        watch.start()
        try:
            sent = _pass_on(child.stdout)
            code = child.wait()
        finally:
            watch.over.set()
            watch.join()
            if child.poll() is None:
                watch.end("nobody takes it any more")
            child.wait()
    if code != 0:
        why = watch.reason or f"{last_line(log)} (exit code {code})"
        raise Failed(f"{server.backup} did not end well at the primary: {why}")
    return sent


def _pass_on(out: IO[bytes] | None) -> int:
    sent = 0
    while chunk := out.read(_CHUNK) if out else b"":
        _say({"bytes": str(len(chunk))})
        sys.stdout.buffer.write(chunk)
        sent += len(chunk)
    return sent


class _Watch(threading.Thread):
    """Ends the backup when its time is up, or somebody is kept waiting by it."""

    def __init__(self, server: Server, child: "subprocess.Popen[bytes]", within_s: float) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._child = child
        self._end = time.monotonic() + within_s
        self.over = threading.Event()
        self.reason = ""

    def run(self) -> None:
        looks = 0
        while not self.over.wait(POLL_S):
            try:
                looks = looks + 1 if sql(self._server, _KEPT_WAITING) != [["0"]] else 0
                if looks >= LOOKS_MAX:
                    self.end("it gave way to sessions that waited for its locks")
                elif time.monotonic() > self._end:
                    self.end("its time was up")
            except Failed as error:
                self._child.kill()
                self.reason = self.reason or f"the primary does not answer: {error}"

    def end(self, reason: str) -> None:
        """The backup is gone, and so is its session, which does not notice while it waits."""
        self.reason = self.reason or reason
        self._child.kill()
        with contextlib.suppress(Failed):  # it, or the server, has ended by itself
            for row in sql(self._server, _WAITING_BACKUP):
                sql(self._server, f"KILL CONNECTION {int(row[0])}")


def last_line(log: Path) -> str:
    """What a program said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
