"""The series: every way of holding, several moves each, and what each kind of client met."""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from lab.client.attempts import missing
from lab.holding import haproxy, sql
from lab.holding.clients import Asking
from lab.holding.world import World, http_world, tcp_world
from lab.rehearsal.machine import facts

AWAY_S: Final = 0.65  # from the hold until the other side opens: what a move of the lab takes
BEFORE_S: Final = 1.0
AFTER_S: Final = 1.5
EVERY_S: Final = 0.1  # of each client

Make = Callable[[str], AbstractAsyncContextManager[World]]

PROTOCOLS: Final[Mapping[str, tuple[Make, Sequence[str]]]] = {
    "HTTP": (http_world, haproxy.WAYS),
    "TCP": (tcp_world, haproxy.WAYS),
    "SQL": (sql.sql_world, sql.WAYS),
}


@dataclass(frozen=True, slots=True)
class HoldBench:
    """One series."""

    say: Callable[[str], None]
    runs: int
    away_s: float = AWAY_S

    async def run(self) -> dict[str, Any]:
        """Everything measured. The ways take turns, so that a slow minute is nobody's alone."""
        found: dict[str, Any] = {"machine": facts(), "away_s": self.away_s}
        runs = []
        for number, (protocol, way) in itertools.product(range(1, self.runs + 1), _pairs()):
            measured = await self.once(protocol, way)
            runs.append(measured)
            self.say(f"run {number} of {self.runs}: {line_of(measured)}")
        found["runs"] = runs
        found["figures"] = figures(runs)
        found["missing"] = sum(run["missing"] for run in runs)
        return found

    async def once(self, protocol: str, way: str) -> dict[str, Any]:
        """One move; what each kind of client met from the hold on until AFTER_S after it."""
        async with PROTOCOLS[protocol][0](way) as world:
            asking = Asking(world.clients, EVERY_S)
            try:
                began, ended, held = await self._under_load(world, asking)
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None
            present = await world.keys()
        return {
            "protocol": protocol,
            "way": way,
            "held_s": round(held, 4),
            "kinds": asking.seen(began, ended),
            "missing": 0 if present is None else len(missing(asking.acked(), present)),
        }

    async def _under_load(self, world: World, asking: Asking) -> tuple[float, float, float]:
        """From when to when it counts, and how long clients were held."""
        async with asyncio.TaskGroup() as group:
            group.create_task(asking.run())
            await asyncio.sleep(BEFORE_S)
            began = time.monotonic()
            await world.hold()
            await world.close()
            await asyncio.sleep(max(0.0, began + self.away_s - time.monotonic()))
            await world.open()
            await world.let_go()
            held = time.monotonic() - began
            await asyncio.sleep(AFTER_S)
            asking.stop.set()
            return began, time.monotonic(), held


def _pairs() -> Iterator[tuple[str, str]]:
    for protocol, (_, ways) in PROTOCOLS.items():
        for way in ways:
            yield protocol, way


def figures(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each protocol, kind of client and way, over all runs."""
    rows = []
    for protocol, way in _pairs():
        mine = [run for run in runs if (run["protocol"], run["way"]) == (protocol, way)]
        for kind in mine[0]["kinds"] if mine else ():
            met = [run["kinds"][kind] for run in mine]
            errors: Counter[str] = Counter()
            for one in met:
                errors.update(one["errors"])
            rows.append(
                {
                    "protocol": protocol,
                    "kind": kind,
                    "way": way,
                    "moves": len(met),
                    "requests": sum(one["requests"] for one in met),
                    "failed": sum(one["failed"] for one in met),
                    "median_stall_s": statistics.median(one["stall_s"] for one in met),
                    "longest_stall_s": max(one["stall_s"] for one in met),
                    "median_held_s": statistics.median(run["held_s"] for run in mine),
                    "error": next((error for error, _ in errors.most_common(1)), ""),
                }
            )
    return rows


def line_of(run: Mapping[str, Any]) -> str:
    """One move in a line."""
    kinds = "; ".join(
        f"{kind}: {met['failed']} of {met['requests']} failed, stall {met['stall_s']:.2f} s"
        for kind, met in run["kinds"].items()
    )
    return f"{run['protocol']}, {run['way']}, held {run['held_s']:.2f} s; {kinds}"


def render(found: Mapping[str, Any]) -> str:
    """The table for people: of each protocol and kind of client, the ways one below the other."""
    head = f"{'':5} {'client':17} {'way':24} requests  failed  stall (s): median  longest    held"
    lines = ["", head]
    before: tuple[str, str] = ("", "")
    for row in sorted(found["figures"], key=lambda row: (row["protocol"], row["kind"])):
        now = (row["protocol"], row["kind"])
        named = f"{now[0]:5} {now[1]:17}" if now != before else " " * 23
        before = now
        lines.append(
            f"{named} {row['way']:24} {row['requests']:8d} {row['failed']:7d}"
            f" {row['median_stall_s']:18.2f} {row['longest_stall_s']:8.2f}"
            f" {row['median_held_s']:7.2f}"
        )
    lines.append(f"acknowledged rows that the new primary does not have: {found['missing']}")
    return "\n".join(lines)
