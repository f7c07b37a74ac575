"""The fence on this host's own traffic, behind `ports.Firewall`, by nftables.

A blocked connection attempt, and the next packet of a connection that stands, is answered with a
reset at once, where silence would have cost a time-out. One table of ours is replaced as a whole,
in one transaction; nothing else on the host is touched. It makes sealing fast and is no part
of any safety argument.
"""

import asyncio
from ipaddress import ip_address
from typing import Final

from controller.adapters.nft import run_nft
from controller.ports import Flow, Refused

TABLE: Final = "tricast_fence"
REFRESH_S: Final = 30.0  # another program may have flushed all rules meanwhile
PORT_MAX: Final = 65535


class Nftables:
    """Our table in this network namespace."""

    def __init__(self, table: str = TABLE) -> None:
        self._table = table
        self._standing: frozenset[Flow] | None = None  # None: not known
        self._set_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def block(self, flows: frozenset[Flow]) -> None:
        """Exactly these flows are rejected, forwarded or local."""
        script = ruleset(self._table, flows)
        async with self._one_at_a_time:
            now = asyncio.get_running_loop().time()
            if flows == self._standing and now < self._set_at + REFRESH_S:
                return
            self._standing = None
            await run_nft(script)
            self._standing, self._set_at = flows, now


def ruleset(table: str, flows: frozenset[Flow]) -> str:
    """The script after which exactly `flows` are rejected; for none the table is gone."""
    script = [f"add table inet {table}", f"delete table inet {table}"]
    if not flows:
        return "\n".join(script) + "\n"
    script.append(f"table inet {table} {{")
    rules = []
    for version, family, address_type in ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")):
        elements = sorted(filter(None, (_element(flow, version) for flow in flows)))
        if not elements:
            continue
        script += [
            f"set flows{version} {{",
            f"type {address_type} . {address_type} . inet_service",
            f"elements = {{ {', '.join(elements)} }}",
            "}",
        ]
        match = f"{family} saddr . {family} daddr . tcp dport @flows{version}"
        rules.append(f"{match} counter reject with tcp reset")
    for hook in ("forward", "output"):
        script += [
            f"chain {hook} {{",
            f"type filter hook {hook} priority -10; policy accept;",
            *rules,
            "}",
        ]
    return "\n".join([*script, "}"]) + "\n"


def _element(flow: Flow, version: int) -> str:
    """`flow` as an element of the set for this IP version; "" if it belongs to the other one."""
    try:
        source, destination = ip_address(flow.source), ip_address(flow.destination)
    except ValueError as error:
        raise Refused(f"nftables: {error}") from None
    if source.version != destination.version or not 0 < flow.port <= PORT_MAX:
        raise Refused(f"nftables: {flow} is not a flow")
    return f"{source} . {destination} . {flow.port}" if source.version == version else ""
