"""The benchmark: the holder is cut off silently, again and again, and everything is timed.

The outage is the client's: the longest time without an acknowledged write, through address,
haproxy, app server, PostgreSQL and MariaDB. Parts come from the takeover's own history.
"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.client.attempts import Outcome, longest_gap, missing
from lab.netns.lab import Lab
from lab.rehearsal.eyes import PREFIX, Eyes, wait_for
from lab.rehearsal.machine import facts
from lab.rehearsal.rest import at_rest, only
from lab.rehearsal.writer import Writer

Say = Callable[[str], None]

PROVIDER = {"dc1": "isp1", "dc2": "isp2"}
OTHER = {"dc1": "dc2", "dc2": "dc1"}
HEALTHY_WITHIN_S = 60
SETTLE_S = 5


@dataclass(slots=True)
class Bench:
    """One series of runs in one lab."""

    lab: Lab
    say: Say
    runs: int
    eyes: Eyes = field(init=False)

    def __post_init__(self) -> None:
        self.eyes = Eyes(self.lab)

    async def run(self) -> dict[str, Any]:
        """Everything measured."""
        found: dict[str, Any] = {"machine": facts(), "at": _now_text()}
        await self.lab.up(say=self.say)
        holder = "dc1"
        await self._healthy(holder)
        async with only(self.lab, "wallet"):
            await self._healthy(holder)
            await asyncio.sleep(SETTLE_S)
            found["rest"] = await at_rest(self.lab)
        self.say(f"at rest, one service: {found['rest']}")
        await self._healthy(holder)
        runs = []
        for number in range(1, self.runs + 1):
            measured = await self._cut_once(holder)
            runs.append(measured)
            self.say(
                f"run {number} of {self.runs}: {holder} cut, outage {measured['outage_s']:.3f} s,"
                f" missing {measured['missing']}, route at the provider"
                f" {measured['route_ms']} ms after the decision"
            )
            holder = OTHER[holder]
        found["runs"] = runs
        found["silent_cut"] = _spread([float(run["outage_s"]) for run in runs])
        found["route_ms"] = _spread([r["route_ms"] for r in runs if r["route_ms"] is not None])
        found["acked"] = sum(run["acked"] for run in runs)
        found["missing"] = sum(run["missing"] for run in runs)
        found["steps_s"] = _steps(runs)
        return found

    async def _healthy(self, holder: str) -> None:
        await wait_for(
            f"a healthy service at {holder}",
            lambda: self.eyes.not_healthy(holder),
            within_s=HEALTHY_WITHIN_S,
        )

    async def _cut_once(self, holder: str) -> dict[str, Any]:
        other = OTHER[holder]
        writer = await Writer.start(self.lab, "client2")
        await writer.acked(60, within_s=20)
        cut_at = await self.lab.cut(holder)
        cut_stamp = _now() + (cut_at - time.monotonic())
        await writer.acked(40, after=cut_at + 0.2, within_s=30)
        await wait_for(
            f"a finished takeover by {other}",
            lambda: self._finished(other, cut_stamp),
            within_s=20,
        )
        change = (await self.eyes.history(other))[0]
        await self.lab.heal(holder)
        await self._healthy(other)
        _, acked = await writer.stop()
        log = writer.log()
        acks = [a.at for a in log.attempts if a.outcome is Outcome.OK and a.at > cut_at - 1]
        gap = longest_gap(acks, cut_at - 1, max(acks))
        ledger, journal = await self.eyes.ledger_keys(other), await self.eyes.journal_keys(other)
        began = _stamp(change["began_at"]) - cut_stamp
        return {
            "cut": holder,
            "outage_s": round(gap[1] - gap[0], 4),
            "acked": len(acked),
            "missing": len(missing(acked, ledger)) + len(missing(acked, journal)),
            "decided_s": round(began, 4),
            "steps": {
                f"{step['name']} {step['database']}".strip(): round(began + step["took_s"], 4)
                for step in change["steps"]
                if not step["name"].startswith("intent ")
            },
            "intents": {
                step["name"].removeprefix("intent "): step["took_s"]
                for step in change["steps"]
                if step["name"].startswith("intent ")
            },
            "route_ms": self._route_ms(other, cut_stamp),
        }

    async def _finished(self, site: str, since: float) -> str:
        changes = await self.eyes.history(site)
        if changes and _stamp(changes[0]["began_at"]) > since - 0.1:
            return ""
        return "no new entry in the history"

    def _route_ms(self, site: str, after: float) -> float | None:
        """From the decision to attract to the provider's table, by the logs of both."""
        decided = self.lab.log(f"{site}-edge", "controller").read_text(errors="replace")
        came = self.lab.log(PROVIDER[site], "bgpd").read_text(errors="replace")
        asked, seen = asked_to_attract(decided, after), route_came(came, after)
        return None if asked is None or seen is None else round(1000 * (seen - asked), 1)


def asked_to_attract(log: str, after: float) -> float | None:
    """When the controller first asked for routes without prepends, by its own log."""
    for line in log.splitlines():
        if (
            '"Announce(stance=<Stance.OVERRIDE' in line
            or '"Announce(stance=<Stance.PREFERRED' in line
        ):
            at = _stamp(json.loads(line)["timestamp"])
            if at > after:
                return at
    return None


_UPDATE = re.compile(r"^(\S+ \S+) BGP: .* rcvd UPDATE w/ attr: .*\bpath ([\d ]+)")
_ROUTE = re.compile(r"^(\S+ \S+) BGP: .* rcvd (\S+/\d+)")


def route_came(log: str, after: float) -> float | None:
    """When the service prefix with nothing but our own number as its path was first received."""
    path = ""
    for line in log.splitlines():
        if (update := _UPDATE.match(line)) is not None:
            path = update[2].strip()
        elif (prefix := _ROUTE.match(line)) is not None:
            came = datetime.strptime(prefix[1], "%Y/%m/%d %H:%M:%S.%f").astimezone().timestamp()
            if path == "64510" and prefix[2] == PREFIX["wallet"] and came > after:
                return came
    return None


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "n": len(values),
        "median": round(statistics.median(values), 4),
        "best": round(min(values), 4),
        "worst": round(max(values), 4),
    }


def _steps(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The median time of each step after the cut."""
    names = {name for run in runs for name in run["steps"]}
    medians = {
        name: statistics.median(run["steps"][name] for run in runs if name in run["steps"])
        for name in names
    }
    return {name: round(at, 4) for name, at in sorted(medians.items(), key=lambda pair: pair[1])}


def _now() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def save(found: dict[str, Any], path: Path) -> None:
    """The file holds what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def render(found: dict[str, Any]) -> str:
    """The table for people."""
    cut, route, rest = found["silent_cut"], found["route_ms"], found["rest"]
    lines = [
        "",
        "what                                         median     best    worst   n",
        f"outage at client2, silent site loss (s)   {cut['median']:9.3f} {cut['best']:8.3f}"
        f" {cut['worst']:8.3f} {cut['n']:3.0f}",
    ]
    if route:
        lines.append(
            f"decision to the provider's table (ms)     {route['median']:9.1f} {route['best']:8.1f}"
            f" {route['worst']:8.1f} {route['n']:3.0f}"
        )
    lines += [
        f"controller at rest, one service: {rest['controller_rss_mib']} MiB resident,"
        f" {rest['controller_cpu_percent']} % of one core",
        f"acknowledged {found['acked']}, missing {found['missing']}",
        "steps, median seconds after the cut:",
    ]
    lines += [f"  {at:7.3f}  {name}" for name, at in found["steps_s"].items()]
    return "\n".join(lines)
