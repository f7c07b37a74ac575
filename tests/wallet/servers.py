"""A PostgreSQL and a MariaDB of our own, on loopback, for the length of a test run."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pymysql
import pymysql.err

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
SCHEMAS = Path(__file__).parents[2] / "lab" / "wallet"
PASSWORD = "wallet-test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], what: str, deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Server:
    """One server process, which a test may kill and start again."""

    def __init__(self, name: str, command: list[str], user: str, folder: Path, port: int) -> None:
        self.name, self.port, self.folder = name, port, folder
        self._command, self._user = command, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        owner = {"user": self._user, "group": self._user, "extra_groups": ()}
        if os.geteuid() != 0:
            owner = {}
        with log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **owner,  # type: ignore[call-overload]
            )
        wait_until(self._answers, f"{self.name} answers: {self.folder / 'log'}")

    def kill(self) -> None:
        """SIGKILL to the server and whatever it has forked; all are gone."""
        if self._process is None:
            return
        # PostgreSQL's children each lead a group of their own, so they are killed one by one.
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [pid, *map(int, children)]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait(20)
        self._process = None
        wait_until(lambda: not any(map(_lives, children)), f"{self.name} is gone")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            if self.name == "postgres":
                psycopg.connect(self.admin_conninfo(), connect_timeout=2).close()
            else:
                # A client that finds no server there leaks its socket, so ours tries first.
                with socket.socket(socket.AF_UNIX) as first:
                    first.connect(str(self.folder / "sock"))
                self.mysql_admin().close()
        except (OSError, psycopg.OperationalError, pymysql.err.OperationalError):
            return False
        return True

    def admin_conninfo(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=wallet dbname=wallet"

    def postgres_admin(self, statement: str, database: str = "wallet") -> list[tuple[object, ...]]:
        with psycopg.connect(self.admin_conninfo(database), autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def mysql_admin(self) -> "pymysql.connections.Connection":
        # A privileged session: logged in as root over the socket only this run knows.
        return pymysql.connect(unix_socket=str(self.folder / "sock"), user="root", autocommit=True)

    def mysql_run(self, statement: str) -> list[tuple[object, ...]]:
        session = self.mysql_admin()
        try:
            with session.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            session.close()


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tricast-wallet-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder)


def _as_user(command: list[str], user: str) -> None:
    owner = {"user": user, "group": user, "extra_groups": ()} if os.geteuid() == 0 else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=60, **owner)  # type: ignore[call-overload]


@contextmanager
def running_postgres() -> Iterator[Server]:
    with _folder("postgres") as folder:
        data = folder / "data"
        _as_user(
            [
                *(str(POSTGRES_BIN / "initdb"), "-D", str(data), "-U", "postgres"),
                *("-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            "postgres",
        )
        port = free_port()
        command = [str(POSTGRES_BIN / "postgres"), "-D", str(data), "-p", str(port)]
        for setting in (
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={folder}",
            "shared_buffers=16MB",
            "restart_after_crash=off",
        ):
            command += ["-c", setting]
        server = Server("postgres", command, "postgres", folder, port)
        try:
            server.start()
            server.postgres_admin("CREATE ROLE wallet LOGIN", "postgres")
            server.postgres_admin("CREATE DATABASE wallet", "postgres")
            server.postgres_admin((SCHEMAS / "schema_postgres.sql").read_text())
            yield server
        finally:
            server.kill()


@contextmanager
def running_mariadb() -> Iterator[Server]:
    with _folder("mysql") as folder:
        data, port = folder / "data", free_port()
        defaults = ["--no-defaults", f"--datadir={data}"]
        _as_user(
            [
                *("mariadb-install-db", *defaults, "--skip-test-db", "--skip-name-resolve"),
                "--auth-root-authentication-method=normal",
            ],
            "mysql",
        )
        command = [
            "/usr/sbin/mariadbd",
            *defaults,
            f"--socket={folder / 'sock'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--log-bin=binlog",
            "--server-id=1",
            "--binlog-format=ROW",
            "--rpl-semi-sync-master-timeout=4294967295",
            "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
            "--innodb-buffer-pool-size=16M",
        ]
        server = Server("mysql", command, "mysql", folder, port)
        try:
            server.start()
            for statement in (SCHEMAS / "schema_mysql.sql").read_text().split(";"):
                if statement.strip():
                    server.mysql_run(statement)
            server.mysql_run(f"CREATE USER wallet@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            server.mysql_run("GRANT SELECT, INSERT, UPDATE ON wallet.* TO wallet@'127.0.0.1'")
            yield server
        finally:
            server.kill()
