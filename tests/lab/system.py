"""The whole system in one lab: who holds what, clients under load, and what must be true after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.client.attempts import Attempt, Outcome, missing, repeated
from lab.netns.inside import Finished, Running
from lab.netns.lab import Lab
from lab.rehearsal.eyes import DATA_SITES, EDGE, PREFIX, Eyes, wait_for
from lab.rehearsal.writer import Writer

SETTLED_WITHIN_S = 75
DAEMON = {"dc1": "controller", "dc2": "controller", "witness": "witness"}
PYTHON = "/opt/tricast/.venv/bin/python"


def other_of(site: str) -> str:
    """The other data site."""
    return "dc2" if site == "dc1" else "dc1"


@dataclass(slots=True)
class Load:
    """Clients that write through the service address, and what they were told."""

    writers: dict[str, Writer] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)  # acknowledged, once they have stopped

    def of(self, node: str) -> Writer:
        """The client at `node`."""
        return self.writers[node]

    async def acked(self, count: int, *, after: float = 0.0, within_s: float = 30) -> None:
        """Every client had `count` more writes acknowledged after `after`."""
        for writer in self.writers.values():
            await writer.acked(count, after=after, within_s=within_s)

    def not_ok(self, after: float = 0.0) -> list[Attempt]:
        """Every request that ended after `after` and was not answered with success."""
        return [
            attempt
            for writer in self.writers.values()
            for attempt in writer.log().attempts
            if attempt.outcome is not Outcome.OK and attempt.at > after
        ]


@dataclass(slots=True)
class System:
    """One lab with everything in it."""

    lab: Lab
    eyes: Eyes

    # --- who is what -------------------------------------------------------------------------

    async def holder(self, service: str = "wallet") -> str:
        """The holder of the highest epoch that a data site knows of; "" for none."""
        seen = [await self.eyes.service(site, service) for site in DATA_SITES]
        best = max((s for s in seen if s), key=lambda s: int(s["epoch"]), default={})
        return str(best.get("holder", ""))

    async def epoch(self, site: str, service: str = "wallet") -> int:
        """The epoch that `site` knows of; 0 when it does not answer."""
        return int((await self.eyes.service(site, service)).get("epoch", 0))

    async def side(self, asked: str, about: str, service: str = "wallet") -> dict[str, Any]:
        """What the daemon of `asked` shows of the site `about`."""
        seen = await self.eyes.service(asked, service)
        return next((dict(s) for s in seen.get("sites", []) if s["site"] == about), {})

    async def settled(
        self, service: str = "wallet", *, within_s: float = SETTLED_WITHIN_S
    ) -> tuple[str, str]:
        """Holder and other site, once all copies vote, routes and traffic are where they belong."""
        found: list[str] = [""]

        async def look() -> str:
            found[0] = holder = await self.holder(service)
            return await self._unsettled(holder, service) if holder else "nobody holds it"

        await wait_for(f"{service} healthy and fully redundant", look, within_s=within_s)
        return found[0], other_of(found[0])

    async def _unsettled(self, holder: str, service: str) -> str:
        said = await self.eyes.not_healthy(holder, service)
        if said:
            return said
        for site, wanted in ((holder, "preferred"), (other_of(holder), "backup")):
            stance = (await self.side(site, site, service)).get("stance")
            if stance != wanted:
                return f"the stance of {site} is {stance}, not {wanted}"
        url = {"wallet": "http://198.51.100.10/whoami", "lobby": "http://192.0.2.10/whoami"}
        lands = await self.eyes.lands("client2", url[service])
        if lands != holder:
            return f"client2 lands at {lands or 'nobody'}, not at {holder}"
        return ""

    async def warnings(self, site: str, service: str = "wallet") -> list[str]:
        """The warnings that the daemon of `site` shows."""
        return list((await self.eyes.service(site, service)).get("warnings", []))

    async def best_route(self, router: str, service: str = "wallet") -> str:
        """The AS path that `router` uses for the service's prefix; "" for none."""
        paths = await self.eyes.route(router, PREFIX[service])
        return next((str(path["as_path"]) for path in paths if path["best"]), "")

    async def until(
        self, what: str, look: Callable[[], Awaitable[str]], *, within_s: float
    ) -> float:
        """Seconds until `look` says nothing is missing."""
        return await wait_for(what, look, within_s=within_s, every_s=0.05)

    async def until_held_by(
        self, site: str, *, above: int, service: str = "wallet", within_s: float = 20
    ) -> float:
        """Seconds until `site` has taken over at an epoch above `above` and its ladder is done."""

        async def look() -> str:
            seen = await self.eyes.service(site, service)
            if seen.get("holder") != site or seen["epoch"] <= above:
                return f"{seen.get('holder')} holds epoch {seen.get('epoch')}"
            mine = await self.side(site, site, service)
            if mine.get("role") != "primary" or seen["open_change"]:
                step = (seen["open_change"] or {}).get("step")
                return f"{site} is {mine.get('role')} ({mine.get('reason')}), at step {step}"
            return ""

        return await self.until(f"takeover by {site}", look, within_s=within_s)

    async def held_by(self, site: str) -> str:
        """`site` holds the service and all is healthy; the other site."""
        holder, other = await self.settled()
        if holder != site:
            epoch = await self.epoch(holder)
            await self.lab.cut(holder)
            await self.until_held_by(site, above=epoch)
            await self.lab.heal(holder)
            holder, other = await self.settled()
        assert holder == site
        return other

    async def change(self, site: str, epoch: int, service: str = "wallet") -> dict[str, Any]:
        """The finished role change that made `site` the holder under `epoch`."""
        found: list[dict[str, Any]] = []

        async def look() -> str:
            changes = await self.eyes.history(site, service)
            found[:] = [change for change in changes if change["epoch"] == epoch]
            return "" if found else f"epochs in the history: {[c['epoch'] for c in changes]}"

        await self.until(f"epoch {epoch} is in the history", look, within_s=10)
        return found[0]

    # --- load --------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(
        self, *nodes: str, rate: float = 40, timeout_s: float = 0.5, warm: int = 40
    ) -> AsyncIterator[Load]:
        """Clients write; afterwards they have stopped and `keys` holds what was acknowledged."""
        load = Load()
        try:
            for node in nodes or ("client2",):
                load.writers[node] = await Writer.start(
                    self.lab, node, rate=rate, timeout_s=timeout_s
                )
            await load.acked(warm)
            yield load
        finally:
            for writer in load.writers.values():
                load.keys += (await writer.stop())[1]

    async def intact(self, load: Load) -> tuple[str, str]:
        """All is redundant again; every acknowledged write is in both databases, none twice."""
        holder, other = await self.settled()
        await self.nothing_lost(load.keys, holder)
        return holder, other

    async def nothing_lost(self, keys: list[str], holder: str) -> None:
        """Every key is in both databases of `holder`, and no key has two effects."""
        assert keys, "no write was acknowledged at all: the test has shown nothing"
        present = {
            "PostgreSQL": await self.eyes.ledger_keys(holder),
            "MariaDB": await self.eyes.journal_keys(holder),
        }
        for name, found in present.items():
            lost = missing(keys, found)
            assert not lost, f"{len(lost)} of {len(keys)} acknowledged writes not in {name}: {lost}"
            assert not repeated(found), f"in {name} more than once: {repeated(found)}"

    # --- hands -------------------------------------------------------------------------------

    async def psql(self, site: str, statement: str, *, within_s: float = 10) -> Finished:
        """`statement` at the site's PostgreSQL, by its own superuser on its own host."""
        return await self.lab.run(
            f"{site}-db",
            ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", "/run/postgresql"]
            + ["-d", "wallet", "-c", statement],
            check=False,
            deadline_s=within_s,
        )

    async def timeline(self, site: str) -> int:
        """The timeline that PostgreSQL at `site` writes on, as the server itself says."""
        done = await self.psql(site, "select pg_walfile_name(pg_current_wal_lsn())")
        assert done.code == 0, done.stderr
        return int(done.stdout.strip()[:8], 16)

    async def mariadb(self, node: str, statement: str, *, within_s: float = 10) -> Finished:
        """`statement` at the MariaDB of `node`, by its root on its own host."""
        return await self.lab.run(
            node,
            ["mariadb", "--defaults-file=/dev/null", "-N", "-B", "-u", "root"]
            + ["--socket=/run/mysqld/journal.sock", "-e", statement],
            check=False,
            deadline_s=within_s,
        )

    async def etcdctl(self, *words: str) -> str:
        """The answer of the store."""
        done = await self.lab.run(
            "witness", ["env", "ETCDCTL_API=3", "etcdctl", *words], check=False
        )
        return done.stdout

    async def start_daemon(self, site: str, **env: str) -> Running:
        """The daemon of `site` runs, unsupervised, with `env` in its environment."""
        words = [f"{name}={value}" for name, value in env.items()]
        program = f"/opt/tricast/lab/containerlab/programs/{DAEMON[site]}"
        log = f"/var/log/tricast/{DAEMON[site]}.log"
        shell = ["sh", "-c", f'exec "$0" >>{log} 2>&1', program]
        return await self.lab.start_process(EDGE[site], ["env", *words, *shell])

    def stop_daemon(self, site: str) -> None:
        """The daemon of `site` was killed and stays down."""
        self.lab.kill(EDGE[site], DAEMON[site], stay_down=True)

    async def until_daemon_is_dead(self, site: str, *, within_s: float = 30) -> None:
        """The daemon of `site` has ended by itself."""

        async def look() -> str:
            alive = self.lab.processes(EDGE[site], DAEMON[site])
            return f"it runs: {await self.eyes.service(site)}" if alive else ""

        await self.until(f"the daemon of {site} is dead", look, within_s=within_s)

    async def restart_daemon(self, site: str) -> None:
        """The daemon of `site` runs under its supervisor again, and answers."""
        self.lab.kill(EDGE[site], DAEMON[site], stay_down=True)
        await self.lab.start(EDGE[site], DAEMON[site])
        await self.daemons_answer(site)

    async def restore(self) -> None:
        """Nothing is cut, frozen or switched off any more."""
        await self.lab.heal()
        for node in self.lab.topology.nodes:
            self.lab.thaw(node)
        record = self.lab.registry.read()
        assert record is not None
        for node, programs in record.programs.items():
            for name in programs:
                switch = self.lab.path(node, f"/run/lab/{name}.off")
                if switch.exists() and name not in ("postgres", "mariadb", "keeper-mariadb"):
                    await self.lab.start(node, name)

    async def forget_flaps(self) -> None:
        """What an operator does by allowing another move: the flap window is over."""
        await self.etcdctl("del", "--prefix", "/tricast/recent/")

    async def daemons_answer(self, *sites: str, within_s: float = 20) -> None:
        """The daemons of these sites tell their status."""
        for site in sites or (*DATA_SITES, "witness"):

            async def look(site: str = site) -> str:
                return "" if await self.eyes.status(site) else "no answer"

            await self.until(f"the daemon of {site} answers", look, within_s=within_s)


def edge(site: str) -> str:
    """The node on which a site's daemon runs."""
    return EDGE[site]


async def holds_for(seconds: float, look: Callable[[], Awaitable[str]]) -> None:
    """`look` finds nothing wrong, again and again, for this long: the fault needs time to show."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        said = await look()
        assert not said, said
        await asyncio.sleep(0.1)
