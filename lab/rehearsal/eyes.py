"""What is seen of a running lab: the daemons' own status, the routers' tables, the databases."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from lab.netns.error import LabError
from lab.netns.lab import Lab

SOCKET = "/run/tricast/tricast.sock"
DATA_SITES = ("dc1", "dc2")
EDGE = {"dc1": "dc1-edge", "dc2": "dc2-edge", "witness": "witness"}
PREFIX = {"wallet": "198.51.100.0/24", "lobby": "192.0.2.0/24"}


class NotSeen(LabError):
    """Something did not come about in time; the message says what was waited for and seen."""


async def wait_for(
    what: str,
    look: Callable[[], Awaitable[str]],
    *,
    within_s: float,
    every_s: float = 0.1,
) -> float:
    """Seconds until `look` gave "" (it says what is missing otherwise). NotSeen when too late."""
    began = time.monotonic()
    while True:
        missing = await look()
        took = time.monotonic() - began
        if not missing:
            return took
        if took > within_s:
            raise NotSeen(f"not within {within_s:g} s: {what}; last seen: {missing}")
        await asyncio.sleep(every_s)


class Eyes:
    """Looks at one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def status(self, site: str) -> dict[str, Any]:
        """The status that the daemon of `site` gives; {} when it does not answer."""
        try:
            path = str(self._lab.path(EDGE[site], SOCKET))
            connector = aiohttp.UnixConnector(path)
            limit = aiohttp.ClientTimeout(total=1.0)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit) as session,
                session.get("http://tricast/api/v1/status") as answer,
            ):
                found = await answer.json()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LabError):
            return {}
        return found if isinstance(found, dict) else {}

    async def service(self, site: str, name: str = "wallet") -> dict[str, Any]:
        """One service, as the daemon of `site` sees it; {} when it does not answer."""
        status = await self.status(site)
        found = [s for s in status.get("services", []) if s["name"] == name]
        return found[0] if found else {}

    async def not_healthy(self, holder: str, service: str = "wallet") -> str:
        """What is missing until `holder` serves and all others stand by with a vote; or nothing."""
        seen = await self.service(holder, service)
        if not seen:
            return f"the controller of {holder} does not answer"
        if seen["holder"] != holder:
            return f"{service} is held by {seen['holder'] or 'nobody'} at epoch {seen['epoch']}"
        for site in seen["sites"]:
            wanted = "primary" if site["site"] == holder else "standby"
            if site["kind"] == "data" and site["role"] != wanted:
                return f"{site['site']} is {site['role']} ({site['rule']}: {site['reason']})"
        if seen["durability"] == "quorum" and not seen["guarantee"].startswith("quorum: 3 of 3"):
            return f"{seen['guarantee']}; {'; '.join(seen['warnings'][:3])}"
        if seen["open_change"]:
            return f"step {seen['open_change']['step']} of {seen['open_change']['ladder']}"
        return await self._unreachable(service)

    async def _unreachable(self, service: str) -> str:
        """Which site has not all of its BGP sessions: it could take over, and not be reached."""
        for site in DATA_SITES:
            for warning in (await self.service(site, service)).get("warnings", []):
                if "BGP sessions" in warning:
                    return f"{site}: {warning}"
        return ""

    async def history(self, site: str, service: str = "wallet") -> list[dict[str, Any]]:
        """Finished role changes of the service, newest first."""
        status = await self.status(site)
        return [change for change in status.get("history", []) if change["service"] == service]

    async def route(self, router: str, prefix: str = PREFIX["wallet"]) -> list[dict[str, Any]]:
        """Every path of `prefix` that the router has: AS path, neighbor, best."""
        family = "ipv6" if ":" in prefix else "ipv4"
        table = await self._lab.ask_frr(router, f"show bgp {family} unicast {prefix} json")
        paths: list[dict[str, Any]] = []
        listed = table.get("paths", [])
        for path in listed if isinstance(listed, list) else []:
            paths.append(
                {
                    "as_path": path.get("aspath", {}).get("string", ""),
                    "local_pref": path.get("locPrf"),
                    "best": bool(path.get("bestpath", {}).get("overall")),
                    "from": path.get("peer", {}).get("peerId", ""),
                }
            )
        return paths

    async def lands(self, client: str, url: str = "http://198.51.100.10/whoami") -> str:
        """Which site's app server answers `client`; "" for none."""
        done = await self._lab.run(
            client, ["curl", "-s", "--max-time", "1", url], check=False, deadline_s=5
        )
        try:
            return str(json.loads(done.stdout)["site"])
        except (ValueError, KeyError, TypeError):
            return ""

    async def ledger_keys(self, site: str) -> list[str]:
        """The keys in PostgreSQL at `site`, read at the server itself."""
        done = await self._lab.run(
            f"{site}-db",
            ["runuser", "-u", "postgres", "--"]
            + ["psql", "-XAtq", "-h", "/run/postgresql", "-d", "wallet"]
            + ["-c", "select transfer_key from ledger"],
            deadline_s=30,
        )
        return done.stdout.split()

    async def journal_keys(self, site: str) -> list[str]:
        """The keys in MariaDB at `site`, read at the server itself."""
        done = await self._lab.run(
            f"{site}-db",
            ["mariadb", "--defaults-file=/dev/null", "-N", "-B", "-u", "root"]
            + ["--socket=/run/mysqld/journal.sock"]
            + ["-e", "select transfer_key from wallet.journal"],
            deadline_s=30,
        )
        return done.stdout.split()
