"""Layers for a graph of needs: everything stands below what it needs, edges cross little.

The usual way: layers by the longest path, edges without shortcuts, an empty place in each layer
that a long edge passes, places sorted by the mean of their neighbours. Ties go by the given order,
so that one table always makes one picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 8

Graph = Mapping[str, tuple[str, ...]]  # a name, and the names it needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything stands: the layers from top to bottom, and each edge's way down."""

    layers: tuple[tuple[str, ...], ...]  # names, and passages (which no name equals)
    ways: tuple[tuple[str, ...], ...]  # from a need through passages to who needs it
    column: Mapping[str, float]  # the middle, in widths of a place


def placed(needs: Graph) -> Places:
    """Places for every name of `needs`, which lists a name after what it needs."""
    edges = _without_shortcuts(needs)
    layer = _layers(edges)
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in needs:
        rows[layer[name]].append(name)
    ways: list[tuple[str, ...]] = []
    for name, sources in edges.items():
        for source in sources:
            passages = [
                f"{source} {depth} {name}" for depth in range(layer[source] + 1, layer[name])
            ]
            for depth, passage in enumerate(passages, layer[source] + 1):
                rows[depth].append(passage)
            ways.append((source, *passages, name))
    neighbours = _neighbours(ways)
    _sort(rows, neighbours)
    return Places(
        layers=tuple(map(tuple, rows)), ways=tuple(ways), column=_columns(rows, ways, neighbours)
    )


def _without_shortcuts(needs: Graph) -> dict[str, tuple[str, ...]]:
    """Only the needs that no other need implies."""
    above: dict[str, set[str]] = {}
    for name, sources in needs.items():
        above[name] = set(sources).union(*(above[source] for source in sources))
    return {
        name: tuple(
            source
            for source in sources
            if not any(source in above[other] for other in sources if other != source)
        )
        for name, sources in needs.items()
    }


def _layers(edges: Graph) -> dict[str, int]:
    """The longest path from the top; what needs nothing stands just above its first user."""
    layer: dict[str, int] = {}
    for name, sources in edges.items():
        layer[name] = max((layer[source] + 1 for source in sources), default=0)
    for name in edges:
        users = [layer[user] for user, sources in edges.items() if name in sources]
        if not edges[name] and users:
            layer[name] = min(users) - 1
    return layer


def _neighbours(ways: list[tuple[str, ...]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for way in ways:
        for first, second in pairwise(way):
            found.setdefault(first, []).append(second)
            found.setdefault(second, []).append(first)
    return found


def _sort(rows: list[list[str]], neighbours: Mapping[str, list[str]]) -> None:
    for sweep in range(SWEEPS):
        order = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for depth in order:
            fixed = rows[depth - 1 if sweep % 2 == 0 else depth + 1]
            at = {name: place for place, name in enumerate(fixed)}
            rows[depth].sort(key=lambda name: _mean(neighbours.get(name, []), at))


def _mean(names: list[str], at: Mapping[str, float]) -> float:
    known = [at[name] for name in names if name in at]
    return sum(known) / len(known) if known else float(len(at))


def _columns(
    rows: list[list[str]], ways: list[tuple[str, ...]], neighbours: Mapping[str, list[str]]
) -> dict[str, float]:
    """Columns near the neighbours', at least one apart within a layer; chains are straight."""
    column = {name: float(place) for row in rows for place, name in enumerate(row)}
    chain = _chains(ways)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = [_mean(_around(name, chain, neighbours), column) for name in row]
            aims = [
                aim if neighbours.get(name) else column[name]
                for name, aim in zip(row, wanted, strict=True)
            ]
            column.update(zip(row, _apart(aims), strict=True))
        for name, others in chain.items():
            column[name] = sum(column[other] for other in others) / len(others)
    _push(rows, chain, column)
    least = min(column.values(), default=0.0)
    return {name: round((place - least) * 4) / 4 for name, place in column.items()}


def _push(
    rows: list[list[str]], chain: Mapping[str, tuple[str, ...]], column: dict[str, float]
) -> None:
    """Whole chains move to the right until nothing is too near to its neighbour on the left."""
    for _ in range(sum(map(len, rows))):
        near = [
            (left, right)
            for row in rows
            for left, right in pairwise(row)
            if column[right] < column[left] + 1
        ]
        for left, right in near:
            place = max(column[right], column[left] + 1)
            column.update((name, place) for name in chain.get(right, (right,)))
        if not near:
            return


def _chains(ways: list[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Of each name, the names it makes a chain with: one edge in, one edge out, no branch."""
    below: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    for way in ways:
        for first, second in pairwise(way):
            below.setdefault(first, []).append(second)
            above.setdefault(second, []).append(first)
    chain: dict[str, tuple[str, ...]] = {}
    for first, seconds in below.items():
        second = seconds[0]
        if len(seconds) == 1 and len(above[second]) == 1:
            joined = chain.get(first, (first,)) + chain.get(second, (second,))
            chain.update((name, joined) for name in joined)
    return chain


def _around(
    name: str, chain: Mapping[str, tuple[str, ...]], neighbours: Mapping[str, list[str]]
) -> list[str]:
    """What a chain hangs between."""
    members = chain.get(name, (name,))
    found = [other for member in members for other in neighbours.get(member, [])]
    return [other for other in found if other not in members] or list(members)


def _apart(aims: list[float]) -> list[float]:
    """The wanted places pushed apart, from the left and from the right, and the mean of both."""
    left: list[float] = []
    for aim in aims:
        left.append(max(aim, left[-1] + 1) if left else aim)
    right: list[float] = []
    for aim in reversed(aims):
        right.append(min(aim, right[-1] - 1) if right else aim)
    return [(one + other) / 2 for one, other in zip(left, reversed(right), strict=True)]
