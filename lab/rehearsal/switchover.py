"""The benchmark of a planned move: the service goes there and back under load, as operators do it.

What counts is what each kind of client sees: how many of its requests failed, and for how long
none was answered. Where the time went comes from the logs of both controllers.
"""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lab.client.attempts import Attempt, Outcome, longest_gap, missing
from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import EDGE, Eyes, wait_for
from lab.rehearsal.keeping import keepers
from lab.rehearsal.machine import facts
from lab.rehearsal.writer import PYTHON, Writer

Say = Callable[[str], None]

OTHER: Final = {"dc1": "dc2", "dc2": "dc1"}
CLIENTS: Final = ("client1", "client2")
KINDS: Final = ("new", "keep-alive")
HEALTHY_WITHIN_S: Final = 60
BEFORE_S: Final = 2.0  # of load before the operator's order
AFTER_S: Final = 6.0  # of load after it: late failures of connections that stayed count as well
TIMEOUT_S: Final = 4.0  # of a client's request: longer than any stall that is looked for
EVENTS: Final = ("intent", "outcome", "decision")


@dataclass(slots=True)
class SwitchoverBench:
    """One series of moves in one lab."""

    lab: Lab
    say: Say
    runs: int
    rate: float  # requests a second, of all clients together
    eyes: Eyes = field(init=False)

    def __post_init__(self) -> None:
        self.eyes = Eyes(self.lab)

    async def run(self) -> dict[str, Any]:
        """Everything measured."""
        found: dict[str, Any] = {"machine": facts(), "at": _now_text(), "rate": self.rate}
        await self.lab.up(say=self.say)
        holder, runs = "dc1", []
        await self._healthy(holder)
        for number in range(1, self.runs + 1):
            measured = await self._move_once(holder)
            runs.append(measured)
            self.say(f"run {number} of {self.runs}: {line_of(measured)}")
            holder = OTHER[holder] if measured["moved"] else holder
        found["runs"] = runs
        found["kinds"] = {kind: _over_runs(runs, kind) for kind in KINDS}
        found["kept"] = _over_kept(runs)
        found["failed"] = sum(kind["failed"] for kind in found["kinds"].values())
        found["missing"] = sum(run["missing"] for run in runs)
        return found

    async def _healthy(self, holder: str) -> None:
        await wait_for(
            f"a healthy service at {holder}",
            lambda: self.eyes.not_healthy(holder),
            within_s=HEALTHY_WITHIN_S,
        )

    async def _move_once(self, holder: str) -> dict[str, Any]:
        target = OTHER[holder]
        writers = {
            (kind, node): await Writer.start(
                self.lab,
                node,
                rate=self.rate / len(CLIENTS) / len(KINDS),
                timeout_s=TIMEOUT_S,
                keepalive=kind == "keep-alive",
            )
            for kind in KINDS
            for node in CLIENTS
        }
        try:
            async with keepers(self.lab, holder) as kept:
                for writer in writers.values():
                    await writer.acked(40, within_s=20)
                await asyncio.sleep(BEFORE_S)
                began, stamp = time.monotonic(), _now()
                said = await self._order(holder, target)
                await asyncio.sleep(max(0.0, began + AFTER_S - time.monotonic()))
                keeping = {kind: keeper.seen(began) for kind, keeper in kept.items()}
        finally:
            for writer in writers.values():
                await writer.stop()
        moved = said.get("state") == "done"
        await self._healthy(target if moved else holder)
        acked = [a.key for w in writers.values() for a in w.acks()]
        at = target if moved else holder
        ledger, journal = await self.eyes.ledger_keys(at), await self.eyes.journal_keys(at)
        return {
            "from": holder,
            "to": target,
            "moved": moved,
            "why": said.get("state_why", ""),
            "kinds": {kind: _seen(writers, kind, began) for kind in KINDS},
            "kept": keeping,
            "missing": len(missing(acked, ledger)) + len(missing(acked, journal)),
            "steps": await self._steps(at, stamp) if moved else {},
            "events": self._events(stamp),
        }

    async def _order(self, holder: str, target: str) -> dict[str, Any]:
        words = ["switchover", "--service", "wallet", "--to", target, "--yes", "--json"]
        program = ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "controller.cli.main"]
        done = await self.lab.run(
            EDGE[holder],
            [*program, *words, "--reason", "a measurement"],
            check=False,
            deadline_s=60,
        )
        try:
            found = json.loads(done.stdout)
        except ValueError:
            raise LabError(f"switchover of wallet to {target}: {done.stderr.strip()}") from None
        return dict(found)

    async def _steps(self, site: str, since: float) -> dict[str, list[float]]:
        """Of the takeover: when each rung was reached; when each intent began, and what it took."""
        change = (await self.eyes.history(site))[0]
        began = datetime.fromisoformat(change["began_at"]).timestamp() - since
        return {
            f"{step['name']} {step['database']}".strip(): [
                round(began + step.get("began_s", 0.0), 4),
                step["took_s"],
            ]
            for step in change["steps"]
        }

    def _events(self, since: float) -> list[tuple[float, str, str]]:
        """What the controllers and the witness did, in seconds after the order was typed."""
        found = []
        for site, node in EDGE.items():
            program = "witness" if site == "witness" else "controller"
            text = self.lab.log(node, program).read_text(errors="replace")
            found += [(at - since, site, what) for at, what in events(text) if at > since]
        return [(round(at, 4), site, what) for at, site, what in sorted(found) if at < AFTER_S]


def events(log: str) -> list[tuple[float, str]]:
    """Each intent, outcome and decision for the service, with its time."""
    found = []
    for line in log.splitlines():
        try:
            words = json.loads(line)
        except ValueError:
            continue
        if words.get("service", "wallet") != "wallet":
            continue
        at = datetime.fromisoformat(words["timestamp"]).timestamp()
        detail = " ".join(
            str(words[key])
            for key in ("rule", "reason", "intent", "outcome", "took_s", "detail")
            if key in words
        )
        found.append((at, f"{words['event']} {detail}"))
    return found


def _seen(writers: Mapping[tuple[str, str], Writer], kind: str, began: float) -> dict[str, Any]:
    """What the clients of one kind saw around the order at `began`."""
    attempts: list[Attempt] = []
    gaps: list[float] = []
    for (its_kind, _), writer in writers.items():
        if its_kind == kind:
            mine = [a for a in writer.log().attempts if a.sent_at > began - BEFORE_S]
            attempts += mine
            acks = [a.at for a in mine if a.outcome is Outcome.OK]
            if acks:
                start, end = longest_gap(acks, min(acks), max(acks))
                gaps.append(end - start)
    failed = [a for a in attempts if a.outcome is not Outcome.OK]
    latencies = sorted(a.latency_s for a in attempts if a.outcome is Outcome.OK) or [0.0]
    return {
        "requests": len(attempts),
        "failed": len(failed),
        "failures": [
            (round(a.sent_at - began, 3), round(a.at - began, 3), a.edge, a.status, a.detail[:80])
            for a in failed
        ],
        "longest_stall_s": round(max(gaps, default=0.0), 4),
        "slowest_s": round(latencies[-1], 4),
        "median_s": round(statistics.median(latencies), 4),
        "edges": dict(Counter(a.edge for a in attempts)),
    }


def _over_runs(runs: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    mine = [run["kinds"][kind] for run in runs]
    return {
        "requests": sum(found["requests"] for found in mine),
        "failed": sum(found["failed"] for found in mine),
        "longest_stall_s": max(found["longest_stall_s"] for found in mine),
        "median_stall_s": round(statistics.median(f["longest_stall_s"] for f in mine), 4),
        "slowest_s": max(found["slowest_s"] for found in mine),
    }


def _over_kept(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the clients that keep one connection met, in all moves."""
    return {
        kind: {
            "uses": sum(run["kept"][kind]["uses"] for run in runs),
            "failed": sum(run["kept"][kind]["failed"] for run in runs),
            "moves_with_a_failure": sum(run["kept"][kind]["failed"] > 0 for run in runs),
            "slowest_s": max(run["kept"][kind]["slowest_s"] for run in runs),
        }
        for kind in (runs[0]["kept"] if runs else {})
    }


def line_of(run: Mapping[str, Any]) -> str:
    """One move in a line."""
    kinds = "; ".join(
        f"{kind}: {found['failed']} of {found['requests']} failed, stall"
        f" {found['longest_stall_s']:.3f} s, slowest {found['slowest_s']:.3f} s"
        for kind, found in run["kinds"].items()
    )
    result = "moved" if run["moved"] else f"NOT moved ({run['why']})"
    return f"{run['from']} to {run['to']}, {result}; {kinds}; missing {run['missing']}"


def _now() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def render(found: Mapping[str, Any]) -> str:
    """The table for people."""
    lines = ["", "kind          requests  failed  longest stall (s)  median  slowest request (s)"]
    lines += [
        f"{kind:12} {seen['requests']:9d} {seen['failed']:7d} {seen['longest_stall_s']:18.3f}"
        f" {seen['median_stall_s']:7.3f} {seen['slowest_s']:20.3f}"
        for kind, seen in found["kinds"].items()
    ]
    lines += ["", "kept connection     uses  failed  in moves  slowest use (s)"]
    lines += [
        f"{kind:15} {met['uses']:8d} {met['failed']:7d} {met['moves_with_a_failure']:9d}"
        f" {met['slowest_s']:16.3f}"
        for kind, met in found["kept"].items()
    ]
    moved = sum(run["moved"] for run in found["runs"])
    lines.append(f"moves: {moved} of {len(found['runs'])}; missing {found['missing']}")
    return "\n".join(lines)
