"""What no failover of PostgreSQL can be faster than: `pg_promote` of a bare standby.

A primary and its streaming standby on this machine, no supervisor: the primary is killed, the
standby is promoted at once, and the clock stops at the first write that it accepts.
"""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg

from lab.netns.error import LabError
from lab.netns.inside import run_outside

BIN = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
PORTS = {"primary": 55431, "standby": 55432}
STREAMING_WITHIN_S = 20
WRITABLE_WITHIN_S = 10
SETTINGS = (
    "listen_addresses=",
    "max_wal_senders=4",
    "wal_level=replica",
    "shared_buffers=64MB",
    "wal_retrieve_retry_interval=100ms",
)


async def promote_s(beside: Path) -> float:
    """Seconds from the promotion's start to the first accepted write; files go `beside`."""
    directory = await asyncio.to_thread(_fresh, beside)
    pair = _Pair(directory)
    try:
        await pair.start()
        return await asyncio.to_thread(pair.fail_over)
    finally:
        await pair.end()
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _fresh(beside: Path) -> Path:
    beside.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="floor-", dir=beside))
    shutil.chown(directory, USER)
    return directory


class _Pair:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def start(self) -> None:
        """The standby streams from the primary."""
        primary, standby = self._data("primary"), self._data("standby")
        await self._tool("initdb", "-D", primary, "-N", "-A", "trust", "--no-locale")
        await self._launch("primary")
        source = f"host={self._directory} port={PORTS['primary']} user={USER}"
        await self._tool("pg_basebackup", "-D", standby, "-R", "-X", "stream", "-d", source)
        await self._launch("standby")
        with self._session("primary") as session:
            session.execute("create table seen (at timestamptz)")
        with self._session("standby") as session:
            until = time.monotonic() + STREAMING_WITHIN_S
            while not _streams(session):
                if time.monotonic() > until:
                    raise LabError(f"no standby streams within {STREAMING_WITHIN_S} s: {standby}")
                await asyncio.sleep(0.05)

    def fail_over(self) -> float:
        """The primary was killed, the standby promoted, and has accepted a write."""
        with self._session("standby") as promoter, self._session("standby") as writer:
            self._signal("primary", signal.SIGKILL)
            began = time.monotonic()
            promoter.execute("select pg_promote(false)")
            while True:
                try:
                    writer.execute("insert into seen values (now())")
                    return time.monotonic() - began
                except psycopg.errors.ReadOnlySqlTransaction:
                    if time.monotonic() > began + WRITABLE_WITHIN_S:
                        raise LabError("the bare standby does not become writable") from None
                    time.sleep(0.001)

    async def end(self) -> None:
        """No server of the pair runs."""
        for name in PORTS:
            self._signal(name, signal.SIGKILL)
        until = time.monotonic() + 5
        while any(self._pid(name) for name in PORTS) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def _data(self, name: str) -> str:
        return str(self._directory / name)

    def _pid(self, name: str) -> int:
        try:
            pid = int((self._directory / name / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return 0
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return pid if self._data(name).encode() in command else 0

    def _signal(self, name: str, number: signal.Signals) -> None:
        if pid := self._pid(name):
            os.kill(pid, number)

    async def _launch(self, name: str) -> None:
        options = [*SETTINGS, f"port={PORTS[name]}", f"unix_socket_directories={self._directory}"]
        words = " ".join(f"-c {option}" for option in options)
        log = str(self._directory / f"{name}.log")
        await self._tool("pg_ctl", "-D", self._data(name), "-w", "-l", log, "-o", words, "start")

    async def _tool(self, name: str, *arguments: str) -> None:
        account = pwd.getpwnam(USER)
        become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        become += ["--clear-groups", "env", "-C", "/", "HOME=/tmp", "LC_ALL=C"]
        await run_outside(
            ["sh", "-c", '"$@" >/dev/null', "sh", *become, str(BIN / name), *arguments]
        )

    def _session(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            f"host={self._directory} port={PORTS[name]} user={USER} dbname=postgres",
            autocommit=True,
        )


def _streams(session: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the standby has what the primary wrote after it had been copied."""
    return session.execute("select 1 where to_regclass('seen') is not null").fetchone() is not None
