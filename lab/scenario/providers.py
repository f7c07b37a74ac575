"""Providers that keep what they have heard from a customer for ever: routes that are stuck."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.netns.lab import Lab
from lab.rehearsal.eyes import wait_for
from lab.scenario.arguments import DATA_SITES

ROUTER: Final[Mapping[str, str]] = {"dc1": "isp1", "dc2": "isp2"}
NEIGHBORS: Final[Mapping[str, tuple[str, ...]]] = {
    "dc1": ("203.0.113.2", "2001:db8:ff:1::2"),
    "dc2": ("203.0.113.6", "2001:db8:ff:2::2"),
}
AS_NUMBER: Final[Mapping[str, int]] = {"isp1": 64501, "isp2": 64502}
HEARD_WITHIN_S: Final = 20.0


@dataclass(slots=True)
class Providers:
    """Routers of the providers, and which of them forget nothing."""

    lab: Lab
    stuck: set[str] = field(default_factory=set)  # customers

    async def stick(self, site: str) -> None:
        """No hold time is agreed with the site any more: its silence never ends a session. Such a
        session is a new one; everything has been heard in it.
        """
        self.stuck.add(site)
        before = {address: await self._paths(site, address) for address in NEIGHBORS[site]}
        await self._agree_on(site, "timers 0 0")

        async def look() -> str:
            for address, wanted in before.items():
                if await self._paths(site, address) < wanted:
                    return f"{address} has not announced everything again"
            return ""

        what = f"{ROUTER[site]} keeps what {site} announces"
        await wait_for(what, look, within_s=HEARD_WITHIN_S)

    async def unstick(self, site: str) -> None:
        """A silent site is forgotten again, and what was heard from it before is."""
        await self._agree_on(site, "timers 3 9")
        self.stuck.discard(site)

    async def restore(self) -> None:
        """Nothing is stuck any more."""
        for site in DATA_SITES:
            if site in self.stuck:
                await self.unstick(site)

    async def _agree_on(self, site: str, timers: str) -> None:
        router = ROUTER[site]
        words = ["configure terminal", f"router bgp {AS_NUMBER[router]}"]
        words += [f"neighbor {address} {timers}" for address in NEIGHBORS[site]]
        words += ["end", *(f"clear bgp {address}" for address in NEIGHBORS[site])]
        await self.lab.run(router, ["vtysh", *(part for word in words for part in ("-c", word))])

    async def _paths(self, site: str, address: str) -> int:
        """How many prefixes the neighbor announces to its provider; 0 while there is no session."""
        answer = await self.lab.ask_frr(ROUTER[site], f"show bgp neighbors {address} json")
        neighbor = answer.get(address)
        if not isinstance(neighbor, dict) or neighbor.get("bgpState") != "Established":
            return 0
        families = neighbor.get("addressFamilyInfo", {}).values()
        return sum(int(family.get("acceptedPrefixCounter", 0)) for family in families)
