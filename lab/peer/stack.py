"""The peer stack as the benchmark sees it. dc1 is primary and preferred before every run."""

import json
from typing import Any

from lab.client.attempts import Attempt, missing
from lab.netns.inside import run_outside
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.peer.topology import peer_topology
from lab.rehearsal.eyes import DATA_SITES, Eyes, wait_for
from lab.rehearsal.journal import patroni_said
from lab.rehearsal.stack import Blow, Say

HOME = "dc1"
OTHER = {"dc1": "dc2", "dc2": "dc1"}
DATABASE = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}
HEALTHY_WITHIN_S = 120
INSTALL_WITHIN_S = 600
PATRONICTL = ("/opt/peer/bin/python", "/opt/peer/bin/patronictl", "-c", "/etc/patroni.yml")


class Peer:
    """Patroni in synchronous mode, three etcd members, haproxy and ExaBGP's health check."""

    name = "peer"

    def __init__(self, beside: Lab) -> None:
        self.lab = Lab(f"{beside.name[:8]}peer", peer_topology())
        self.eyes = Eyes(self.lab)

    async def up(self, say: Say) -> None:
        """Patroni is installed, and every program is ready."""
        await run_outside([str(REPOSITORY / "lab/peer/setup")], deadline_s=INSTALL_WITHIN_S)
        await self.lab.up(say=say)

    async def ready(self) -> str:
        """The primary is at dc1, its standby is synchronous, traffic lands at dc1."""
        await wait_for("a whole peer stack", self._incomplete, within_s=HEALTHY_WITHIN_S)
        leader = await self._leader()
        if leader != HOME:
            await self.switch(leader)
        await wait_for("the primary back home", self._not_home, within_s=HEALTHY_WITHIN_S)
        return HOME

    async def switch(self, holder: str) -> None:
        """Asked for with patronictl."""
        words = ("switchover", "wallet", "--leader", holder, "--candidate", OTHER[holder])
        await self.lab.run(f"{holder}-db", [*PATRONICTL, *words, "--force"])

    async def moved(self, blow: Blow) -> str:
        """The other site's server is the primary."""
        leader = await self._leader(first=OTHER[blow.holder])
        return "" if leader == OTHER[blow.holder] else f"the primary is {leader or 'nowhere'}"

    async def recovered(self, blow: Blow) -> str:
        """Both servers are in place again, wherever the primary is."""
        await wait_for("a whole peer stack", self._incomplete, within_s=HEALTHY_WITHIN_S)
        return await self._leader()

    async def missing(self, holder: str, acked: list[str]) -> int:
        """Of the ledger, which is all there is."""
        return len(missing(acked, await self.eyes.ledger_keys(holder)))

    async def parts(self, blow: Blow, holder: str, attempts: list[Attempt]) -> dict[str, Any]:
        """By the new primary's Patroni."""
        path = self.lab.log(f"{holder}-db", "patroni")
        log = path.read_text(errors="replace") if path.exists() else ""
        at = patroni_said(log, blow.stamp, "promoted self to leader")
        return {"parts": {} if at is None else {"leader key": round(at - blow.stamp, 3)}}

    async def _members(self, first: str = HOME) -> dict[str, dict[str, Any]]:
        """What Patroni says of its members, asked at one site, else at the other."""
        for site in (first, OTHER[first]):
            url = f"http://{DATABASE[site]}:8008/cluster"
            done = await self.lab.run(
                f"{site}-db", ["curl", "-s", "--max-time", "1", url], check=False
            )
            try:
                return {str(one["name"]): one for one in json.loads(done.stdout)["members"]}
            except (ValueError, KeyError, TypeError):
                continue
        return {}

    async def _leader(self, first: str = HOME) -> str:
        found = await self._members(first)
        running = ("running", "streaming")
        return next(
            (
                name
                for name, one in found.items()
                if one["role"] == "leader" and one.get("state") in running
            ),
            "",
        )

    async def _incomplete(self) -> str:
        found = await self._members()
        roles = {name: f"{one['role']} {one.get('state')}" for name, one in found.items()}
        if sorted(roles.values()) != ["leader running", "sync_standby streaming"]:
            return f"members {roles}"
        paths = await self.eyes.route("ix")
        if len(paths) < len(DATA_SITES):
            return f"{len(paths)} paths at the exchange"
        if await self.eyes.lands("client2") == "":
            return "client2 is answered by nobody"
        return ""

    async def _not_home(self) -> str:
        missed = await self._incomplete()
        leader, lands = await self._leader(), await self.eyes.lands("client2")
        if missed or leader != HOME or lands != HOME:
            return missed or f"primary at {leader}, client2 lands at {lands}"
        return ""
