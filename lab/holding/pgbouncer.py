"""One PgBouncer in front of a pair of servers, which pauses while they change places.

PgBouncer(1): PAUSE waits until every server session is released (in transaction pooling: no
transaction is under way) and lets queries wait until RESUME.
"""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psycopg

from lab.holding.clients import Session, connect
from lab.netns.error import LabError
from lab.rehearsal.eyes import wait_for
from lab.rehearsal.pair import PORTS, USER, as_user

PROGRAM: Final = "/usr/sbin/pgbouncer"
PORT: Final = 6432  # of its Unix socket
PAUSE_S: Final = 2.0  # as long as haproxy's gate holds at most
_CONFIGURATION: Final = """
[databases]
wallet = host={directory} port={port} dbname=postgres user={user}
[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {directory}
auth_type = any
admin_users = {user}
pool_mode = {pooling}
default_pool_size = 40
server_login_retry = 1
logfile = {directory}/pgbouncer.log
"""


class PgBouncer:
    """A running one."""

    def __init__(self, directory: Path, pooling: str) -> None:
        self._directory = directory
        self._pooling = pooling
        self.conninfo = f"host={directory} port={PORT} user={USER} dbname=wallet"

    async def console(self) -> Session:
        """A session at its own database."""
        return await connect(self.conninfo.replace("dbname=wallet", "dbname=pgbouncer"))

    def write(self, server: str) -> Path:
        """The configuration that leads to `server`; in force after RELOAD."""
        path = self._directory / "pgbouncer.ini"
        path.write_text(
            _CONFIGURATION.format(
                directory=self._directory,
                port=PORTS[server],
                own_port=PORT,
                user=USER,
                pooling=self._pooling,
            )
        )
        return path

    async def answers(self) -> str:
        """What keeps its console from being reached; empty when nothing does."""
        try:
            await (await self.console()).close()
        except psycopg.Error as error:
            return str(error)
        return ""


@asynccontextmanager
async def running(directory: Path, pooling: str) -> AsyncIterator[PgBouncer]:
    """It leads to the pair's primary, whose directory this is."""
    if shutil.which(PROGRAM) is None:
        raise LabError("no pgbouncer on this machine; `make bench-hold` installs it")
    bouncer = PgBouncer(directory, pooling)
    process = await asyncio.create_subprocess_exec(
        *as_user(PROGRAM, "--quiet", str(bouncer.write("primary"))),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await wait_for("PgBouncer", bouncer.answers, within_s=5.0, every_s=0.05)
        yield bouncer
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
