"""A bare PostgreSQL primary and its streaming standby on this machine, without a supervisor."""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psycopg

from lab.netns.error import LabError
from lab.netns.inside import run_outside

USER: Final = "postgres"
PORTS: Final = {"primary": 55431, "standby": 55432}  # of their Unix sockets
_BIN: Final = Path("/usr/lib/postgresql/15/bin")
_STREAMING_WITHIN_S: Final = 20
_SETTINGS: Final = (
    "listen_addresses=",
    "max_wal_senders=4",
    "wal_level=replica",
    "shared_buffers=64MB",
    "wal_retrieve_retry_interval=100ms",
)


def as_user(*words: str) -> list[str]:
    """The command, run by the account that the servers run by."""
    account = pwd.getpwnam(USER)
    become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
    return [*become, "--clear-groups", "env", "-C", "/", "HOME=/tmp", "LC_ALL=C", *words]


@asynccontextmanager
async def running_pair(
    beside: Path, more: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator["Pair"]:
    """The standby streams from the primary; their files lie `beside`, and nothing is left of them.

    `more` has further settings of either server, each `name=value`.
    """
    directory = await asyncio.to_thread(_fresh, beside)
    pair = Pair(directory, more or {})
    try:
        await pair.start()
        yield pair
    finally:
        await pair.end()
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _fresh(beside: Path) -> Path:
    beside.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="pair-", dir=beside))
    shutil.chown(directory, USER)
    return directory


class Pair:
    """Both servers, reached by Unix sockets in `directory`."""

    def __init__(self, directory: Path, more: Mapping[str, Sequence[str]]) -> None:
        self.directory = directory
        self._more = more

    async def start(self) -> None:
        """The standby streams from the primary."""
        primary, standby = self._data("primary"), self._data("standby")
        await self._tool("initdb", "-D", primary, "-N", "-A", "trust", "--no-locale")
        await self._launch("primary")
        await self._tool("pg_basebackup", "-D", standby, "-R", "-X", "stream", "-d",
                         self.conninfo("primary"))  # fmt: skip
        await self._launch("standby")
        await asyncio.to_thread(self._until_streaming)

    def conninfo(self, name: str) -> str:
        """Where to connect to."""
        at = f"host={self.directory} port={PORTS[name]} user={USER} dbname=postgres"
        return f"{at} client_encoding=utf8"

    def session(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        """A session whose statements commit by themselves."""
        return psycopg.connect(self.conninfo(name), autocommit=True)

    def kill(self, name: str) -> None:
        """The server has been sent SIGKILL, if it runs."""
        if pid := self._pid(name):
            os.kill(pid, signal.SIGKILL)

    async def end(self) -> None:
        """No server of the pair runs."""
        for name in PORTS:
            self.kill(name)
        until = time.monotonic() + 5
        while any(self._pid(name) for name in PORTS) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def _until_streaming(self) -> None:
        with self.session("primary") as session:
            session.execute("create table seen (at timestamptz)")
        with self.session("standby") as session:
            until = time.monotonic() + _STREAMING_WITHIN_S
            while not _streams(session):
                if time.monotonic() > until:
                    raise LabError(f"no standby streams within {_STREAMING_WITHIN_S} s")
                time.sleep(0.05)

    def _data(self, name: str) -> str:
        return str(self.directory / name)

    def _pid(self, name: str) -> int:
        try:
            pid = int((self.directory / name / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return 0
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return pid if self._data(name).encode() in command else 0

    async def _launch(self, name: str) -> None:
        options = [*_SETTINGS, f"port={PORTS[name]}", f"unix_socket_directories={self.directory}"]
        options += self._more.get(name, ())
        words = " ".join(f"-c {option}" for option in options)
        log = str(self.directory / f"{name}.log")
        await self._tool("pg_ctl", "-D", self._data(name), "-w", "-l", log, "-o", words, "start")

    async def _tool(self, name: str, *arguments: str) -> None:
        command = as_user(str(_BIN / name), *arguments)
        await run_outside(["sh", "-c", '"$@" >/dev/null', "sh", *command])


def _streams(session: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the standby has what the primary wrote after it had been copied."""
    return session.execute("select 1 where to_regclass('seen') is not null").fetchone() is not None
