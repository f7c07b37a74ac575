"""The PostgreSQL server process of one database: found, stopped, started.

A stop never lets a session answer: waiting commits are cut, not completed. Nothing is started
unless every process of the last run is seen to be gone.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from controller.hostagent.contract import Account, Failed, Refused, Request, account

POLL_S = 0.005
GRACE_S = 1.0
READY = "ready"


@dataclass(frozen=True, slots=True)
class Server:
    """Where one PostgreSQL server lives on this host."""

    name: str
    data_dir: Path
    config_file: Path
    gate_dir: Path
    bin_dir: Path
    log_file: Path
    who: Account

    @property
    def wal_dir(self) -> Path:
        """The server's own log."""
        return self.data_dir / "pg_wal"

    def program(self, name: str) -> str:
        """A program of the server's own version."""
        return str(self.bin_dir / name)


def server_of(request: Request) -> Server:
    """The server the request names."""
    found = request.database()
    if found.get("kind") != "postgres":
        raise Refused(f"{request.need('database')} is not a PostgreSQL database here")

    def path(key: str) -> Path:
        value = found.get(key)
        if not isinstance(value, str) or not value.startswith("/"):
            raise Refused(f"databases.{request.need('database')}.{key} must be an absolute path")
        return Path(value)

    return Server(
        name=request.need("database"),
        data_dir=path("data_dir"),
        config_file=path("config_file"),
        gate_dir=path("gate_dir"),
        bin_dir=path("bin_dir"),
        log_file=path("log_file"),
        who=account(str(found.get("os_user", ""))),
    )


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc shows it."""

    pid: int
    parent: int
    state: str


def _process(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, parent = fields.rpartition(")")[2].split()[:2]
    return Process(pid, int(parent), state)


def processes(server: Server) -> list[Process]:
    """Every living process of the server: PostgreSQL's processes work in the data directory."""
    try:
        wanted = server.data_dir.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            inside = Path(f"/proc/{entry.name}/cwd").stat()
            program = os.readlink(f"/proc/{entry.name}/exe")
        except OSError:
            continue  # it ended meanwhile, or it is not ours to see
        if (
            os.path.samestat(inside, wanted)
            and Path(program.removesuffix(" (deleted)")).name == "postgres"
        ):
            process = _process(int(entry.name))
            if process is not None and process.state not in "ZX":
                found.append(process)
    return found


def postmaster(server: Server) -> int | None:
    """The pid of the running postmaster; None when there is none."""
    alive = processes(server)
    pids = {p.pid for p in alive}
    return next((p.pid for p in alive if p.parent not in pids), None)


def stop(server: Server, *, at_once: bool) -> bool:
    """No process of the server lives. Whether one did.

    `at_once` cuts every session unanswered; otherwise a server in recovery is let save where it
    is, and is cut all the same when that takes longer than its grace.
    """
    alive = processes(server)
    if not alive:
        _forget_pid_file(server)
        return False
    head = postmaster(server)
    frozen = any(p.state in "Tt" for p in alive)
    if head is not None and not frozen:
        _signal(head, signal.SIGQUIT if at_once else signal.SIGINT)
        if _gone(server, GRACE_S if at_once else 30.0):
            _forget_pid_file(server)
            return True
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        # The postmaster first, so that it starts nothing while its children go.
        for process in sorted(processes(server), key=lambda p: p.pid != head):
            _signal(process.pid, signal.SIGKILL)
        if _gone(server, 0.2):
            _forget_pid_file(server)
            return True
    raise Failed(f"processes of {server.name} survive SIGKILL: {processes(server)}")


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone(server: Server, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while processes(server):
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S)
    return True


def _forget_pid_file(server: Server) -> None:
    # A killed postmaster that its parent has not yet collected would stop the next start.
    file = server.data_dir / "postmaster.pid"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    if len(lines) > 4 and lines[4].startswith("/"):
        Path(lines[4], f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def start(server: Server, wait_s: float) -> str:
    """The postmaster runs. Its state: "ready" once it lets anybody look. Prepare it before."""
    if processes(server):
        raise Failed(f"{server.name} still has processes; it is not started beside them")
    _forget_pid_file(server)
    offset = server.log_file.stat().st_size if server.log_file.exists() else 0
    switch = os.geteuid() == 0 and server.who.uid != 0
    with server.log_file.open("ab") as log:
        os.chown(log.fileno(), server.who.uid, server.who.gid)
        child = subprocess.Popen(
            [
                server.program("postgres"),
                *("-D", str(server.data_dir)),
                *("-c", f"config_file={server.config_file}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
            user=server.who.uid if switch else None,
            group=server.who.gid if switch else None,
            extra_groups=[] if switch else None,
        )
    end = time.monotonic() + wait_s
    while True:
        state = _state(server, child.pid)
        if child.poll() is not None:
            raise Failed(f"{server.name} did not start: {_log_tail(server, offset)}")
        if state == READY or time.monotonic() >= end:
            return state
        time.sleep(POLL_S)


def _state(server: Server, pid: int) -> str:
    try:
        lines = (server.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "starting"
    if len(lines) < 8 or lines[0].strip() != str(pid):
        return "starting"
    return lines[7].strip()


def _log_tail(server: Server, offset: int) -> str:
    with server.log_file.open("rb") as log:
        log.seek(offset)
        said = log.read()[-4000:].decode("utf-8", "replace").splitlines()
    worst = [line for line in said if "FATAL" in line or "PANIC" in line]
    return " | ".join((worst or said)[-3:]) or "it said nothing"


def titles(server: Server) -> list[str]:
    """What the server's processes call themselves."""
    return [title for _, title in _titled(server)]


def end_receiver(server: Server) -> int:
    """How many log receivers were told to end (they end as on an administrator's command)."""
    found = [pid for pid, title in _titled(server) if "walreceiver" in title]
    for pid in found:
        _signal(pid, signal.SIGTERM)
    return len(found)


def _titled(server: Server) -> list[tuple[int, str]]:
    found = []
    for process in processes(server):
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        found.append((process.pid, words.replace(b"\0", b" ").decode("utf-8", "replace")))
    return found
