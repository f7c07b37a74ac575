"""Cutting links so that nobody is told.

A packet is dropped where it would be received, before anything on that node has seen it: senders
get no error, links stay up, address resolution goes on. That is what a black hole looks like.
The record under /run says which cuts are in force; the rules on a node are always made from the
whole record, in one transaction.
"""

import asyncio
import fcntl
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from lab.netns.inside import run_outside
from lab.netns.registry import Registry

NEIGHBOR_DISCOVERY = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"


@dataclass(frozen=True, slots=True, order=True)
class Drop:
    """What one end of a link does not let in."""

    node: str
    interface: str
    toward: str = ""  # only packets to this network; "" for all
    cause: str = "cut"  # cut | power

    def __str__(self) -> str:
        what = f"to {self.toward} " if self.toward else ""
        return f"{self.node}:{self.interface} drops all {what}it receives ({self.cause})"


class Cuts:
    """The cuts of one lab."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def current(self) -> tuple[Drop, ...]:
        """The cuts in force."""
        return tuple(sorted(Drop(**entry) for entry in self.registry.read_cuts()))

    async def add(self, drops: Iterable[Drop]) -> float:
        """All of `drops` are in force; the monotonic time at which the last one was."""
        wanted = frozenset(drops)
        return await self._change(lambda before: before | wanted, wanted)

    async def remove(self, unwanted: Callable[[Drop], bool]) -> float:
        """No drop that is `unwanted` is in force; the monotonic time since when."""
        gone = frozenset(filter(unwanted, self.current()))
        return await self._change(lambda before: before - gone, gone)

    async def enforce(self, node: str) -> None:
        """The node's rules are those on record, even if it has lost them."""
        await self._apply(node, frozenset(self.current()))

    async def _change(
        self,
        change: Callable[[frozenset[Drop]], frozenset[Drop]],
        touched: frozenset[Drop],
    ) -> float:
        with self.registry.cuts_lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # held for milliseconds
            after = change(frozenset(self.current()))
            self.registry.write_cuts([asdict(drop) for drop in sorted(after)])
            async with asyncio.TaskGroup() as group:
                for node in sorted({drop.node for drop in touched}):
                    group.create_task(self._apply(node, after))
        return time.monotonic()

    async def _apply(self, node: str, drops: frozenset[Drop]) -> None:
        path = self.registry.namespace_path(node)
        rules = ruleset(drop for drop in drops if drop.node == node)
        await run_outside(["nsenter", f"--net={path}", "nft", "-f", "-"], stdin=rules)


def ruleset(drops: Iterable[Drop]) -> str:
    """One node's rules, replacing whatever was there before."""
    by_interface: dict[str, list[Drop]] = {}
    for drop in sorted(drops):
        by_interface.setdefault(drop.interface, []).append(drop)
    lines = ["add table netdev lab_cut", "delete table netdev lab_cut"]
    if by_interface:
        lines.append("table netdev lab_cut {")
        for interface, found in by_interface.items():
            lines += [
                f"chain {interface} {{",
                f'type filter hook ingress device "{interface}" priority -450; policy accept;',
                "ether type arp accept",
                NEIGHBOR_DISCOVERY,
                *(_rule(drop) for drop in found),
                "}",
            ]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _rule(drop: Drop) -> str:
    return f"ip daddr {drop.toward} counter drop" if drop.toward else "counter drop"
