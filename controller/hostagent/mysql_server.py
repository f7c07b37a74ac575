"""One MariaDB or MySQL server of this host: its files, its process, and SQL as its own root.

The process is found by its command line inside this mount namespace, never by a pid file alone, so
that a server of another node on the same kernel is never touched.
"""

import os
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from controller.hostagent.contract import Account, Failed, Refused, Request, account, only_one, run

POLL_S = 0.01
LOCK_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Server:
    """The settings of one server, as the settings file has them."""

    name: str
    kind: str
    data_dir: Path
    state_dir: Path
    defaults_file: Path
    socket: str
    log: Path
    who: Account
    program: str
    client: str
    log_reader: str
    backup: str  # takes a copy of a running server (MariaDB)
    unpack: str  # and takes it from a stream
    binlog: str
    relay: str
    eligible: bool  # may be promoted; a log keeper never is
    exempt: tuple[str, ...]  # accounts the gate does not close, besides ours

    @property
    def start_file(self) -> Path:
        """Included by the server's option file; says how the next start is done."""
        return self.state_dir / "start.cnf"

    @property
    def init_file(self) -> Path:
        """What the server runs before it lets anybody in."""
        return self.state_dir / "closed.sql"

    @property
    def tail(self) -> Path:
        """The end of the binary log as it was before crash recovery cut it."""
        return self.state_dir / "tail"

    @property
    def copy_room(self) -> Path:
        """Where a copy of another server is fetched to, on the same file system as the data."""
        return self.data_dir.with_name(f"{self.data_dir.name}.copy")

    @property
    def fresh_data(self) -> Path:
        """The copy that is being fetched."""
        return self.copy_room / "data"

    @property
    def old_data(self) -> Path:
        """The data that a copy has replaced."""
        return self.copy_room / "old"

    @property
    def whole_copy(self) -> Path:
        """Beside a copy that is whole: of which server and epoch it is."""
        return self.copy_room / "whole.json"

    @property
    def salvage(self) -> Path:
        """Relay logs as they were before replication was configured anew."""
        return self.state_dir / "salvage"


def server_of(request: Request) -> Server:
    """The server that `request` is about; refused when its settings are not whole."""
    found = request.database()
    name = request.need("database")

    def text(key: str, default: str | None = None) -> str:
        value = found.get(key, default)
        if not isinstance(value, str) or not value:
            raise Refused(f"databases.{name}.{key} is missing in the agent's settings")
        return value

    def names(key: str) -> tuple[str, ...]:
        value = found.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Refused(f"databases.{name}.{key} is not a list of names")
        return tuple(value)

    kind = text("kind", "mariadb")
    mariadb = kind == "mariadb"
    data_dir = Path(text("data_dir"))
    return Server(
        name=name,
        kind=kind,
        data_dir=data_dir,
        state_dir=Path(text("state_dir")),
        defaults_file=Path(text("defaults_file")),
        socket=text("socket"),
        log=Path(text("log")),
        who=account(text("os_user", "mysql")),
        program=text("program", "mariadbd" if mariadb else "mysqld"),
        client=text("client", "mariadb" if mariadb else "mysql"),
        log_reader=text("log_reader", "mariadb-binlog" if mariadb else "mysqlbinlog"),
        backup=text("backup", "mariadb-backup"),
        unpack=text("unpack", "mbstream"),
        binlog=text("binlog", "binlog"),
        relay=text("relay", "relay"),
        eligible=bool(found.get("eligible", True)),
        exempt=names("exempt"),
    )


def locked(server: Server) -> AbstractContextManager[None]:
    """No other call of the agent works on this server inside."""
    return only_one(server.state_dir / "agent.lock", server.name, wait_s=LOCK_WAIT_S)


def pids(server: Server) -> list[int]:
    """Processes of this server in this mount namespace."""
    wanted = f"--defaults-file={server.defaults_file}".encode()
    program = Path(server.program).name
    mine = Path("/proc/self/ns/mnt").stat().st_ino
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = wanted in words and Path(os.fsdecode(words[0])).name == program
            if ours and (entry / "ns/mnt").stat().st_ino == mine:
                found.append(int(entry.name))
        except OSError:
            continue  # It ended while we looked, or it is not ours to look at.
    return found


def kill(server: Server, *, timeout_s: float) -> int:
    """No process of this server is left; how many there were. Sessions get no answer at all."""
    victims = pids(server)
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    end = time.monotonic() + timeout_s
    while left := pids(server):
        if time.monotonic() > end:
            raise Failed(f"{server.name}: process {left[0]} is still there after SIGKILL")
        time.sleep(POLL_S)
    return len(victims)


def spawn(server: Server) -> "subprocess.Popen[bytes]":
    """The server's process, in a session of its own, so that it outlives the agent."""
    switch = os.geteuid() == 0 and server.who.uid != 0
    with server.log.open("ab") as out:
        server.who.own(server.log)
        try:
            return subprocess.Popen(
                [server.program, f"--defaults-file={server.defaults_file}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                start_new_session=True,
                user=server.who.uid if switch else None,
                group=server.who.gid if switch else None,
                extra_groups=[] if switch else None,
            )
        except OSError as error:
            raise Failed(f"cannot run {server.program}: {error.strerror}") from None


def wait_until_up(
    server: Server, process: "subprocess.Popen[bytes] | None", *, timeout_s: float
) -> bool:
    """Whether it answers SQL; False when its process ended instead."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            return False
        if Path(server.socket).exists() and _answers(server):
            return True
        time.sleep(POLL_S)
    raise Failed(f"{server.name} does not answer {timeout_s:g} s after its start; see {server.log}")


def _answers(server: Server) -> bool:
    return _client(server, "SELECT 1", timeout_s=5).returncode == 0


def sql(server: Server, statements: str, *, timeout_s: float = 10) -> list[list[str]]:
    """The rows `statements` answer, run as the server's own root through its socket."""
    done = _client(server, statements, timeout_s=timeout_s)
    if done.returncode != 0:
        raise Failed(f"{server.name}: {done.stderr.strip()[:500]}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def _client(
    server: Server, statements: str, *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    argv = [server.client, "--no-defaults", "--batch", "--skip-column-names", "--user=root"]
    argv += [f"--socket={server.socket}", "--execute", statements]
    return run(argv, account(""), timeout_s=timeout_s)


def replay(server: Server, arguments: list[str], *, timeout_s: float) -> None:
    """The transactions that the log reader prints for `arguments` stand in the server's own log."""
    reader = [server.log_reader, "--no-defaults", *arguments]
    client = [server.client, "--no-defaults", "--batch", "--user=root", "--binary-mode"]
    client += [f"--socket={server.socket}"]
    with subprocess.Popen(
        reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as source:
        try:
            done = subprocess.run(
                client, stdin=source.stdout, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            source.kill()
            raise Failed(f"{server.name}: replaying its log took over {timeout_s:g} s") from None
        complaint = source.stderr.read() if source.stderr else b""
        reader_code = source.wait()
    if reader_code != 0 or done.returncode != 0:
        text = (done.stderr or complaint).decode(errors="replace").strip()
        raise Failed(f"{server.name}: its log could not be replayed: {text[:500]}")
