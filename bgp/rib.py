"""The whole wish in, the fewest commands out.

A table says, for each neighbor and prefix, which attributes are to be there; None: no route. What
a neighbor was told may have gaps: a prefix that is missing there is *unknown* (an earlier speaker
may have announced it), so it is said again whatever is wanted, a withdrawal too. An empty table
of what was told therefore means: everything again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bgp.route import Attributes, Prefix

BATCH: Final = 200  # prefixes in one command; keeps one line far below ExaBGP's limit

Neighbor = str
Table = Mapping[Neighbor, Mapping[Prefix, Attributes | None]]


@dataclass(frozen=True, slots=True)
class Announce:
    """These prefixes have these attributes at these neighbors."""

    neighbors: tuple[Neighbor, ...]
    attributes: Attributes
    prefixes: tuple[Prefix, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """These prefixes have no route at these neighbors."""

    neighbors: tuple[Neighbor, ...]
    prefixes: tuple[Prefix, ...]


RouteCommand = Announce | Withdraw


def fewest(wanted: Table, told: Table) -> tuple[RouteCommand, ...]:
    """The commands that turn `told` into `wanted`: better paths first, withdrawals last."""
    where: dict[tuple[Attributes | None, Prefix], list[Neighbor]] = {}
    for neighbor in sorted(wanted):
        known = told.get(neighbor, {})
        for prefix, attributes in wanted[neighbor].items():
            if prefix not in known or known[prefix] != attributes:
                where.setdefault((attributes, prefix), []).append(neighbor)
    groups: dict[tuple[Attributes | None, tuple[Neighbor, ...]], list[Prefix]] = {}
    for (attributes, prefix), neighbors in where.items():
        groups.setdefault((attributes, tuple(neighbors)), []).append(prefix)
    commands = [
        command
        for (attributes, neighbors), prefixes in groups.items()
        for command in _batches(attributes, neighbors, sorted(prefixes))
    ]
    return tuple(sorted(commands, key=_urgency))


def _batches(
    attributes: Attributes | None, neighbors: tuple[Neighbor, ...], prefixes: list[Prefix]
) -> Iterator[RouteCommand]:
    # One command carries one family: the next hop of the other would not fit it.
    for family in sorted({prefix.family for prefix in prefixes}):
        same = [prefix for prefix in prefixes if prefix.family is family]
        for start in range(0, len(same), BATCH):
            batch = tuple(same[start : start + BATCH])
            if attributes is None:
                yield Withdraw(neighbors, batch)
            else:
                yield Announce(neighbors, attributes, batch)


def _urgency(command: RouteCommand) -> tuple[int, Prefix, tuple[Neighbor, ...]]:
    length = len(command.attributes.as_path.asns) if isinstance(command, Announce) else 1 << 16
    return length, command.prefixes[0], command.neighbors
