"""Two real PostgreSQL servers and a keeper on loopback, provisioned as in the lab."""

import asyncio
import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from controller.adapters.local_agent import LocalAgent
from controller.adapters.postgres import Postgres
from controller.adapters.postgres_link import Link, Row
from controller.adapters.postgres_spec import PostgresSpec, VoterLink
from controller.core.model import DatabaseName, DatabaseState, Epoch, SiteName
from controller.hostagent import pg_server
from controller.hostagent.contract import Request
from witness.postgres_keeper import KeeperSpec, PostgresKeeper

REPOSITORY = Path(__file__).resolve().parents[2]
PROVISION = REPOSITORY / "lab/containerlab/nodes/db/postgres/provision.sh"
BIN = Path("/usr/lib/postgresql/15/bin")
LEDGER = DatabaseName("ledger")
SEAL_S = 20.0  # a receiver that is killed ends when the disk has synced its file
EVERYTHING = 1 << 62  # as far as a keeper is told, the data sites hold all that there is
DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
INSERT = (
    "insert into ledger (transfer_key, from_account, to_account, amount, site, server)"
    " values ($1, 'a', 'b', 1, 'x', 'y')"
)
SECRETS = {
    "database": "controllers",
    "wallet": "clients",
    **{f"voter_{site}": f"votes{site}" for site in (DC1, DC2, WITNESS)},
    **{f"rejoin_{site}": f"rejoins{site}" for site in (DC1, DC2)},
}


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def now() -> float:
    """The event loop's clock."""
    return asyncio.get_running_loop().time()


async def until(what: str, seen: Callable[[], Awaitable[bool]], within_s: float = 30.0) -> None:
    """`seen` has come true; the test fails, naming it, when it does not."""
    end = now() + within_s
    while not await seen():
        assert now() < end, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)


@dataclass
class Site:
    """One database server and everything that speaks to it."""

    name: SiteName
    directory: Path
    port: int
    voters: dict[SiteName, VoterLink]
    settings: Path = field(init=False)
    agent: LocalAgent = field(init=False)
    database: Postgres = field(init=False)
    admin: Link = field(init=False)
    client: Link = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.directory / "hostagent.json"
        self.agent = LocalAgent(self.settings)
        self.database = self.adapter()
        self.admin = self.link("tricast", "database")
        self.client = self.link("wallet", "wallet")

    def adapter(self) -> Postgres:
        """Another controller's view of the same server."""
        return Postgres(
            PostgresSpec(
                name=LEDGER,
                site=self.name,
                address="127.0.0.1",
                port=self.port,
                database="wallet",
                user="tricast",
                password=SECRETS["database"],
                voters=self.voters,
                clients=("wallet",),
            ),
            self.agent,
        )

    def link(self, user: str, secret: str) -> Link:
        """A session of `user`."""
        target = {"hostaddr": "127.0.0.1", "port": str(self.port), "dbname": "wallet"}
        return Link(f"{user} at {self.name}", target | {"user": user, "password": SECRETS[secret]})

    async def replayed(self) -> DatabaseState:
        """Once a server that was started has replayed its own log, it tells where that ends."""

        async def told() -> bool:
            return (await self.state()).position is not None

        await until(f"{self.name} has replayed its own log", told)
        return await self.state()

    @property
    def server(self) -> pg_server.Server:
        """The server as the host agent knows it."""
        found = json.loads(self.settings.read_text())
        return pg_server.server_of(Request("test", {"database": LEDGER}, found))

    async def sql(self, text: str, within_s: float = 10.0) -> list[Row]:
        """A question by the administrator."""
        return await self.admin.query(text, deadline=now() + within_s)

    async def state(self) -> DatabaseState:
        """One look, as the controller has it."""
        return await self.database.observe(5.0)

    async def write(self, key: str, within_s: float = 5.0) -> None:
        """A client's transfer was acknowledged."""
        await self.client.query(INSERT, key, deadline=now() + within_s)

    async def write_many(self, prefix: str, count: int) -> set[str]:
        """As many transfers were acknowledged, one after another; their keys."""
        written = {f"{prefix}{number}" for number in range(count)}
        for key in sorted(written):
            await self.write(key)
        return written

    async def begin_write(self, key: str) -> None:
        """A transfer is on its way; `client.finish` waits for its acknowledgement."""
        await self.client.begin(INSERT, key, deadline=now() + 5)

    def signal(self, number: signal.Signals) -> None:
        """Every process of the server got it."""
        for process in pg_server.processes(self.server):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    async def keys(self) -> set[str]:
        """Every transfer that can be read here."""
        return {row[0] or "" for row in await self.sql("select transfer_key from ledger")}


@dataclass
class World:
    """dc1, dc2 and the witness's keeper."""

    directory: Path
    dc1: Site
    dc2: Site
    keeper: PostgresKeeper
    keeper_spec: KeeperSpec

    async def begin(self, epoch: int = 2) -> None:
        """dc1 is primary of `epoch`, dc2 and the keeper follow as voters, clients are let in."""
        await asyncio.gather(*(s.database.start(deadline_s=20) for s in (self.dc1, self.dc2)))
        await self.take_over(self.dc1, self.dc2, epoch)

    async def take_over(self, site: Site, other: Site, epoch: int) -> None:
        """`site` is primary of `epoch`, and `other`, which is sealed, and the keeper follow."""
        await site.database.seal(Epoch(epoch), 5)
        await site.database.promote(Epoch(epoch), 5)
        await site.database.admit(frozenset({other.name, WITNESS}), 5)
        await other.database.follow(site.name, Epoch(epoch), quarantine=False, deadline_s=5)
        await self.keeper.follow(site.name, Epoch(epoch), 10)
        await self.streaming(other)
        await site.database.canary(f"epoch {epoch}", 10)
        await site.database.set_gate(opened=True, deadline_s=5)

    async def streaming(self, site: Site) -> None:
        """The database of `site` streams from its upstream."""

        async def seen() -> bool:
            return (await site.state()).streaming

        await until(f"{site.name} streams", seen)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Servers that are provisioned and down; nothing is left of them afterwards."""
    directory = place()
    ports = {DC1: free_port(), DC2: free_port()}
    voters = {s: VoterLink(address="127.0.0.1", port=port) for s, port in ports.items()}
    voters[WITNESS] = VoterLink()
    write_secrets(directory / "secrets")
    sites = []
    for site, port in ports.items():
        provision(directory, site, port)
        write_settings(directory, site)
        sites.append(Site(site, directory / site, port, voters))
    spec = KeeperSpec(
        database=LEDGER,
        site=WITNESS,
        directory=directory / "keeper",
        voters=voters,
        password=SECRETS["voter_witness"],
        bin_dir=BIN,
    )
    keeper = PostgresKeeper(spec)
    keeper.all_hold(EVERYTHING)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keeper.run())
            yield World(directory, sites[0], sites[1], keeper, spec)
            running.cancel()
    finally:
        await keeper.aclose()
        for site_ in sites:
            site_.signal(signal.SIGCONT)
            for link in (site_.admin, site_.client):
                link.drop()
            await site_.database.aclose()
            pg_server.stop(site_.server, at_once=True)
        shutil.rmtree(directory)


def place() -> Path:
    """A directory of our own that the servers' user can reach too."""
    directory = Path(tempfile.mkdtemp(prefix="tricast-pg-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


@functools.cache
def template() -> Path:
    """The data directory every server of this run is a copy of; it goes with the interpreter."""
    directory = place()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory / "template"


def write_secrets(directory: Path) -> None:
    """One file for each password."""
    directory.mkdir()
    for name, secret in SECRETS.items():
        (directory / name).write_text(secret + "\n")


def provision(directory: Path, site: str, port: int) -> None:
    """The lab's own script has made the server of `site`."""
    here = directory / site
    here.mkdir(mode=0o755)
    environment = {
        **os.environ,
        "SITE": site,
        "TEMPLATE": str(template()),
        "DATA": str(here / "data"),
        "CONF": str(here / "conf"),
        "GATE": str(here / "gate"),
        "RUN": str(here / "run"),
        "LOG": str(here / "server.log"),
        "SECRETS": str(directory / "secrets"),
        "VOTERS": " ".join(f"{s}=127.0.0.1/32" for s in (DC1, DC2, WITNESS)),
        "PORT": str(port),
        "LISTEN": "127.0.0.1",
        "BUFFERS": "16MB",
        "KEEP": "64MB",
    }
    done = subprocess.run(
        [str(PROVISION)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def write_settings(directory: Path, site: str) -> None:
    """What the host agents of this test read."""
    there = directory / site
    here = {
        "kind": "postgres",
        "data_dir": str(there / "data"),
        "config_file": str(there / "conf/postgresql.conf"),
        "gate_dir": str(there / "gate"),
        "bin_dir": str(BIN),
        "log_file": str(there / "server.log"),
        "os_user": "postgres",
    }
    reach = {s: agent_of(directory / s / "hostagent.json") for s in (DC1, DC2, WITNESS)}
    (there / "hostagent.json").write_text(
        json.dumps({"databases": {"ledger": here}, "reach": reach})
    )
    keeper = {"directory": str(directory / "keeper"), "bin_dir": str(BIN)}
    (directory / WITNESS).mkdir(exist_ok=True)
    (directory / WITNESS / "hostagent.json").write_text(json.dumps({"keepers": {"ledger": keeper}}))


def agent_of(settings: Path) -> list[str]:
    """A command that runs the host agent as if on another host."""
    python = ["env", f"TRICAST_HOSTAGENT={settings}", f"PYTHONPATH={REPOSITORY}"]
    return [*python, sys.executable, "-m", "controller.hostagent"]
