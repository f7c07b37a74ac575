"""Packets of strange TCP connections go on to another site's edge, behind `ports.Strays`.

One table of ours for each address family, always loaded, so that the kernel keeps track of who
connects to the service addresses here: a packet of a connection whose beginning this host has not
seen is a stray. While its address is in the map of moving ones it is handed to the next hop that
the map names, the other edge's end of the operator's own tunnel; at all other times, and beyond the
rate that the tunnel is to carry, it is local, and answered with a reset. What comes in from another
edge is never sent on. Entries of the map expire by themselves: a daemon that dies forwards nothing
for ever.

A host that begins to keep track takes every connection for a stray until it has seen a packet of
it; so a table that was not there is given some seconds before anything is sent on.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from controller.adapters.nft import run_nft
from controller.core.model import Instant, SiteName
from controller.ports import Clock, Refused

TABLE: Final = "tricast_strays"
SETTLE_S: Final = 3.0  # connections that say something within it are known to be local


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An address family in the words of nft; packets are handed on in tables of their own one."""

    version: int
    word: str
    kind: str


FAMILIES: Final = (
    Family(version=4, word="ip", kind="ipv4_addr"),
    Family(version=6, word="ip6", kind="ipv6_addr"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """The operator's way between the edges: where it comes in, each one's end, what it carries."""

    interface: str
    via: Mapping[SiteName, tuple[str, ...]]
    packets_per_s: int


class NftablesStrays:
    """Our table in this network namespace, for the service addresses of this host."""

    def __init__(
        self,
        *,
        addresses: frozenset[str],
        tunnel: Tunnel,
        longest_s: float,
        clock: Clock,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._addresses = addresses
        self._tunnel = tunnel
        self._longest_s = longest_s
        self._clock = clock
        self._settle_s = settle_s
        self.ready = False
        self._standing: dict[str, tuple[SiteName, Instant]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def prepare(self) -> None:
        """The table is loaded, nothing is sent on, and this host's own connections are known."""
        async with self._one_at_a_time:
            self._standing.clear()
            new = not await _emptied(self._addresses)
            await run_nft(ruleset(self._addresses, self._tunnel))
            if new:
                await asyncio.sleep(self._settle_s)
            self.ready = True

    def sends_to(self, addresses: frozenset[str]) -> SiteName | None:
        """Where strays of all of `addresses` go, for long enough yet; None when nowhere."""
        now = Instant(self._clock.monotonic() + self._longest_s / 2)
        found = {self._standing.get(address) for address in addresses}
        sites = {None if each is None or each[1] <= now else each[0] for each in found}
        return sites.pop() if len(sites) == 1 else None

    async def send(self, addresses: frozenset[str], site: SiteName | None) -> None:
        """Strays of `addresses` go to the edge of `site`, for a bounded time; or nowhere."""
        if site is not None and site not in self._tunnel.via:
            known = ", ".join(sorted(self._tunnel.via))
            raise Refused(f"nftables: no way leads to {site}; strays.via has {known}")
        if not self.ready:
            raise Refused(f"nftables: the table {TABLE} is not loaded yet")
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            wanted = {
                address: (where, until)
                for address, (where, until) in self._standing.items()
                if address not in addresses and until > now
            }
            if site is not None:
                until = Instant(now + self._longest_s)
                wanted |= dict.fromkeys(addresses, (site, until))
            self.ready = False
            await run_nft(
                elements(
                    self._addresses,
                    {
                        a: (self._tunnel.via[where], until - now)
                        for a, (where, until) in wanted.items()
                    },
                )
            )
            self.ready, self._standing = True, wanted


async def _emptied(addresses: frozenset[str]) -> bool:
    """The maps were there, and send nothing on: the kernel keeps track of connections already."""
    try:
        await run_nft(elements(addresses, {}))
    except Refused:
        return False
    return True


def ruleset(addresses: frozenset[str], tunnel: Tunnel) -> str:
    """The script after which strays of `addresses` are known for what they are."""
    script = []
    rate = f"{tunnel.packets_per_s}/second burst {tunnel.packets_per_s} packets"
    for family in FAMILIES:
        mine = _of(family, addresses)
        table = f"table {family.word} {TABLE}"
        script += [f"add {table}", f"delete {table}"]
        if not mine:
            continue
        script += [
            f"{table} {{",
            f"map moving {{ type {family.kind} : {family.kind}; flags timeout; }}",
            "chain prerouting {",
            "type filter hook prerouting priority mangle; policy accept;",
            "meta l4proto != tcp return",
            f'iifname "{tunnel.interface}" return',
            "tcp flags & (fin | syn | rst | ack) == syn return",
            f"{family.word} daddr != {{ {', '.join(mine)} }} return",
            # What is handed on is not noted: the next packet of it is as new as this one.
            f"ct state new limit rate {rate} dup to {family.word} daddr map @moving drop",
            "}",
            "}",
        ]
    return "\n".join(script) + "\n"


def elements(addresses: frozenset[str], ways: Mapping[str, tuple[tuple[str, ...], float]]) -> str:
    """The script after which exactly the addresses in `ways` have a next hop, each for so long."""
    script = []
    for family in FAMILIES:
        if _of(family, addresses):
            script.append(f"flush map {family.word} {TABLE} moving")
        script += [
            f"add element {family.word} {TABLE} moving"
            f" {{ {address} timeout {max(1, round(for_s * 1000))}ms : {hop} }}"
            for address in _of(family, ways)
            for hops, for_s in (ways[address],)
            for hop in _of(family, hops)
        ]
    return "\n".join(script) + "\n"


def _of(family: Family, addresses: Iterable[str]) -> list[str]:
    try:
        return sorted(a for a in addresses if ip_address(a).version == family.version)
    except ValueError as error:
        raise Refused(f"nftables: {error}") from None
