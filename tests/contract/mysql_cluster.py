"""Three real servers, MariaDB or MySQL, on loopback, made and started by the lab's own scripts and
agent.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from controller.adapters.local_agent import LocalAgent
from controller.adapters.mysql import Credential, Mysql, MysqlSpec, VoterLink
from controller.adapters.mysql_session import Login, Session
from controller.core.model import DatabaseName, DatabaseState, Epoch, SiteName
from tests.contract.mysql_flavour import FLAVOUR
from witness.mysql_keeper import MysqlKeeper, MysqlKeeperSpec

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = DatabaseName("journal")
DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
VOTERS = ("voter_dc1", "voter_dc2", "voter_witness", "rejoin_dc1", "rejoin_dc2")
SECRETS = ("database", "wallet", *VOTERS)
LONG_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One server of the cluster."""

    site: SiteName
    directory: Path
    port: int
    agent: LocalAgent

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def socket(self) -> str:
        return str(self.directory / "s")

    def pid(self) -> int:
        return int((self.state_dir / "server.pid").read_text())

    def kill(self) -> None:
        """The server process is gone without having said anything."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(partial(ended, pid), "the killed server to be gone")

    def freeze(self) -> None:
        os.kill(self.pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid(), signal.SIGCONT)

    def sql(self, statements: str) -> list[list[str]]:
        """As the server's own root, over its socket."""
        done = subprocess.run(
            [FLAVOUR.client, "--no-defaults", "-uroot", "-BN", f"-S{self.socket}"]
            + ["-e", statements],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def session(self, user: str = "wallet") -> Session:
        """A client's session over TCP."""
        secret = "database" if user == "tricast" else user
        return Session(
            Login(address="127.0.0.1", port=self.port, user=user, password=f"{secret}-secret")
        )

    def gtid(self, number: int) -> str:
        """What this server calls the transaction it writes as `number`, the only one it has."""
        if FLAVOUR.mysql:
            return f"{self.sql('SELECT @@server_uuid')[0][0]}:{number}"
        return f"0-{self.sql('SELECT @@server_id')[0][0]}-{number}"

    def log_text(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")


async def votes(keeper: MysqlKeeper) -> bool:
    """It streams, and counts as one that holds everything it acknowledged."""
    state = await keeper.observe(2)
    return state.streaming and state.whole


async def until_it_votes(keeper: MysqlKeeper) -> None:
    """A keeper that nobody runs yet has come to count."""
    async with asyncio.TaskGroup() as beside:
        run = beside.create_task(keeper.run())
        await eventually(partial(votes, keeper), "the keeper to hold what its primary holds")
        run.cancel()


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for(condition: Callable[[], bool], what: str, *, within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"waited {within_s} s for {what}"
        time.sleep(0.01)


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, *, within_s: float = 10
) -> None:
    end = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < end, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.01)


def agent_of(settings: Path) -> list[str]:
    """A command that runs the host agent as if on another host."""
    python = ["env", f"TRICAST_HOSTAGENT={settings}", f"PYTHONPATH={REPOSITORY}"]
    return [*python, sys.executable, "-m", "controller.hostagent"]


class Cluster:
    """dc1, dc2 and the witness's keeper, all closed, all alike."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = {site: free_port() for site in (DC1, DC2, WITNESS)}
        self.servers = {site: self._server(site, port) for site, port in ports.items()}
        self.databases = {site: self._database(site) for site in (DC1, DC2)}
        self.keeper = MysqlKeeper(self.keeper_spec())

    def _server(self, site: SiteName, port: int) -> Server:
        home = self.directory / site
        home.mkdir()
        settings = home / "hostagent.json"
        settings.write_text(
            json.dumps(
                {
                    "databases": {
                        NAME: {
                            "kind": FLAVOUR.kind,
                            **FLAVOUR.programs,
                            "data_dir": str(home / "data"),
                            "state_dir": str(home / "state"),
                            "defaults_file": str(home / "my.cnf"),
                            "socket": str(home / "s"),
                            "log": str(home / "server.log"),
                            "os_user": "mysql",
                            "eligible": site != WITNESS,
                            "exempt": ["tricast"],
                        }
                    },
                    "reach": {
                        str(other): agent_of(self.directory / other / "hostagent.json")
                        for other in (DC1, DC2)
                    },
                }
            )
        )
        return Server(site, home, port, LocalAgent(settings))

    def links(self) -> dict[SiteName, VoterLink]:
        return {
            site: VoterLink(
                address="127.0.0.1",
                port=server.port,
                user=f"voter_{site}",
                rejoin_user="" if site == WITNESS else f"rejoin_{site}",
            )
            for site, server in self.servers.items()
        }

    def spec(self, site: SiteName) -> MysqlSpec:
        return MysqlSpec(
            name=NAME,
            kind=FLAVOUR.kind,
            site=site,
            address="127.0.0.1",
            port=self.servers[site].port,
            user="tricast",
            password="database-secret",
            voter=Credential(user=f"voter_{site}", password=f"voter_{site}-secret"),
            rejoin=Credential(user=f"rejoin_{site}", password=f"rejoin_{site}-secret"),
            voters=self.links(),
            clients=("wallet",),
        )

    def _database(self, site: SiteName) -> Mysql:
        agents = {other: self.servers[other].agent for other in (DC1, DC2) if other != site}
        return Mysql(self.spec(site), self.servers[site].agent, agents)

    def keeper_spec(self) -> MysqlKeeperSpec:
        links = self.links()
        return MysqlKeeperSpec(
            name=NAME,
            kind=FLAVOUR.kind,
            site=WITNESS,
            address="127.0.0.1",
            port=self.servers[WITNESS].port,
            user="tricast",
            password="database-secret",
            voter=Credential(user="voter_witness", password="voter_witness-secret"),
            upstreams={site: links[site] for site in (DC1, DC2)},
        )

    def keeper_through(self, port: int) -> MysqlKeeper:
        """A keeper that reaches dc1 by way of `port`."""
        spec = self.keeper_spec()
        link = replace(spec.upstreams[DC1], port=port)
        return MysqlKeeper(replace(spec, upstreams={**spec.upstreams, DC1: link}))

    def provision(self, template: Path) -> None:
        for site, server in self.servers.items():
            env = {
                **os.environ,
                "SITE": site,
                "PORT": str(server.port),
                "CLIENTS": "127.%",
                "DATA_DIR": str(server.data_dir),
                "STATE_DIR": str(server.state_dir),
                "CONFIG": str(server.directory / "my.cnf"),
                "SOCKET": server.socket,
                "LOG": str(server.directory / "server.log"),
                "SECRETS": str(template.parent / "secrets"),
                "TEMPLATE": str(template),
            }
            done = subprocess.run(
                [FLAVOUR.provision], env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr

    async def start(self) -> None:
        async with asyncio.TaskGroup() as group:
            for server in self.servers.values():
                group.create_task(
                    server.agent.call("mysql-start", {"database": NAME}, deadline_s=60)
                )

    async def look(self, site: SiteName) -> DatabaseState:
        return await self.databases[site].observe(2)

    async def serve(self, site: SiteName, epoch: int, *voters: SiteName) -> None:
        """`site` is primary of `epoch`, `voters` follow it and acknowledge, clients may come."""
        primary = self.databases[site]
        await primary.promote(Epoch(epoch), LONG_S)
        await primary.admit(frozenset(voters), LONG_S)
        for voter in voters:
            if voter == WITNESS:
                await self.keeper.follow(site, Epoch(epoch), LONG_S)
                await eventually(self.keeper_votes, "the keeper to hold what its primary holds")
            else:
                await self.databases[voter].follow(
                    site, Epoch(epoch), quarantine=False, deadline_s=LONG_S
                )
        await primary.set_gate(opened=True, deadline_s=LONG_S)

    async def keeper_votes(self) -> bool:
        """It streams, and counts as one that holds everything it acknowledged."""
        return await votes(self.keeper)

    async def aclose(self) -> None:
        for database in self.databases.values():
            await database.aclose()
        await self.keeper.aclose()

    def stop(self) -> None:
        for server in self.servers.values():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(server.pid(), signal.SIGKILL)
        for server in self.servers.values():
            with contextlib.suppress(FileNotFoundError):
                wait_for(partial(ended, server.pid()), f"{server.site} to be gone")


@dataclass
class Wire:
    """A TCP relay whose way back can swallow everything, and whose way forth can end."""

    port: int
    mute: bool = False
    left: int = 1 << 60  # bytes that still get through from the far end
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


@asynccontextmanager
async def relay(target: int) -> AsyncIterator[Wire]:
    """Carries connections to `target` on loopback."""
    wire = Wire(0)

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if back and wire.mute:
                    continue
                if not back:
                    data, wire.left = data[: max(0, wire.left)], wire.left - len(data)
                writer.write(data)
                await writer.drain()
                if wire.left <= 0:
                    break
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, forward = await asyncio.open_connection("127.0.0.1", target)
        wire.writers += [writer, forward]
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, forward, back=True))
            group.create_task(pump(upstream, writer, back=False))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
        await server.wait_closed()


def open_directory(parent: Path | None = None) -> Path:
    """A new directory that the servers' own account may pass (pytest's are closed to it)."""
    directory = Path(tempfile.mkdtemp(prefix="tricast-", dir=parent))
    directory.chmod(0o755)
    return directory


@contextlib.contextmanager
def template() -> Iterator[Path]:
    """A directory that every account may pass, with secrets and room for the servers' template."""
    if FLAVOUR.missing:
        pytest.skip(FLAVOUR.missing)
    directory = open_directory(FLAVOUR.room)
    secrets = directory / "secrets"
    secrets.mkdir()
    for name in SECRETS:
        (secrets / name).write_text(f"{name}-secret")
    try:
        yield directory / "template"
    finally:
        shutil.rmtree(directory)


@asynccontextmanager
async def cluster(source: Path) -> AsyncIterator[Cluster]:
    """Three closed servers that end with the block."""
    directory = open_directory(source.parent)
    made = Cluster(directory)
    try:
        made.provision(source)
        await made.start()
        async with asyncio.TaskGroup() as beside:
            keeper = beside.create_task(made.keeper.run())
            yield made
            keeper.cancel()
    finally:
        await made.aclose()
        made.stop()
        shutil.rmtree(directory)


async def write(session: Session, *keys: str) -> None:
    """Each key was committed, and acknowledged, as a transaction of its own."""
    for key in keys:
        await session.rows(
            "INSERT INTO wallet.journal (transfer_key, from_account, to_account, amount, site,"
            f" server) VALUES ('{key}', 'a', 'b', 1, 's', 's')"
        )


def keys_at(server: Server) -> set[str]:
    return {row[0] for row in server.sql("SELECT transfer_key FROM wallet.journal")}


def holds(directory: Path, key: str) -> bool:
    """A binary log file in `directory` has the write of `key`."""
    return any(key.encode() in path.read_bytes() for path in directory.glob("binlog.0*"))
