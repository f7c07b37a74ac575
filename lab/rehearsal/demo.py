"""The demonstration: dc1 dies silently under load, dc2 takes over, dc1 is healed and rejoins."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.client.attempts import longest_gap, missing
from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import PREFIX, Eyes, wait_for
from lab.rehearsal.writer import Writer

Say = Callable[[str], None]

BOOT_WITHIN_S = 60
REJOIN_WITHIN_S = 60
CLIENT1_WITHIN_S = 25  # provider 1 keeps its customer's route until its hold time ends
OUT = "build/demo/summary.json"


class DemoFailed(LabError):
    """Something was not as it should be; the message says what."""


@dataclass(slots=True)
class Demo:
    """One run."""

    lab: Lab
    say: Say
    out: Path
    cut_at: float = 0.0
    cut_stamp: float = 0.0
    timeline: list[tuple[float, str]] = field(default_factory=list)
    eyes: Eyes = field(init=False)

    def __post_init__(self) -> None:
        self.eyes = Eyes(self.lab)

    async def run(self) -> dict[str, Any]:
        """The summary; DemoFailed when something was not as it should be."""
        await self.lab.up(say=self.say, ready_within_s=BOOT_WITHIN_S)
        await self._healthy()
        await self._show("steady state")
        writers = {node: await Writer.start(self.lab, node) for node in ("client1", "client2")}
        for node, writer in writers.items():
            await writer.acked(60, within_s=20)
            self.say(f"{node} writes through 198.51.100.10: {len(writer.acks())} acknowledged")
        await self._cut(writers)
        routes_cut = await self._routes()
        self._print_routes("routes while dc1 is cut off (its sessions are still up)", routes_cut)
        await self._client1_returns(writers["client1"])
        await self._show("dc2 serves, dc1 is gone")
        await self._heal()
        summary = await self._conclude(writers)
        summary["routes_cut"] = routes_cut
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(summary, indent=2) + "\n")
        self._check(summary)
        return summary

    async def _healthy(self) -> None:
        self.say("waiting until every copy votes and the address is announced")

        async def look() -> str:
            found = await self.eyes.not_healthy("dc1")
            if found:
                return found
            lands = await self.eyes.lands("client2")
            return "" if lands == "dc1" else f"client2 lands at {lands or 'nobody'}"

        took = await wait_for("a healthy service at dc1", look, within_s=BOOT_WITHIN_S)
        self.say(f"healthy after {took:.1f} s: dc1 is primary, 3 of 3 voters, client2 is answered")

    async def _show(self, title: str) -> None:
        self.say(f"--- {title}: tricast status at dc2")
        done = await self.lab.run(
            "dc2-edge",
            ["env", "COLUMNS=150", "PYTHONPATH=/opt/tricast", "/opt/tricast/.venv/bin/python"]
            + ["-m", "controller.cli.main", "status"],
            check=False,
        )
        print(done.stdout + done.stderr, flush=True)
        self._print_routes("routes", await self._routes())

    async def _routes(self) -> dict[str, Any]:
        return {router: await self.eyes.route(router) for router in ("ix", "isp1", "isp2")}

    def _print_routes(self, title: str, routes: dict[str, Any]) -> None:
        print(f"  {title}, {PREFIX['wallet']}:")
        for router, paths in routes.items():
            for path in paths:
                best = ">" if path["best"] else " "
                print(f"   {best} {router:5} AS path {path['as_path']}")
        print(flush=True)

    async def _cut(self, writers: dict[str, Writer]) -> None:
        before = self._wall()
        self.cut_at = await self.lab.cut("dc1")
        self.cut_stamp = self._wall() - (time.monotonic() - self.cut_at)
        assert before <= self.cut_stamp + 5
        self.say("=== dc1 is cut off the world: every packet silently dropped, BGP sessions up")
        await self._follow_takeover(writers["client2"])
        took = (await self.eyes.history("dc2"))[:1]
        for line in self._steps(took[0] if took else {}):
            print(f"    {line['at_s']:7.3f} s  {line['what']}")
        print(flush=True)

    async def _follow_takeover(self, writer: Writer) -> None:
        shown: set[str] = set()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            seen = await self.eyes.service("dc2")
            for fact in _facts(seen):
                if fact not in shown:
                    shown.add(fact)
                    at = time.monotonic() - self.cut_at
                    self.timeline.append((at, fact))
                    self.say(f"    cut + {at:5.2f} s  {fact}")
            verified = seen.get("holder") == "dc2" and not seen.get("open_change")
            if verified and [a for a in writer.acks(self.cut_at) if a.site == "dc2"]:
                break
            await asyncio.sleep(0.03)
        else:
            raise DemoFailed("dc2 has not taken over within 20 s; see python -m lab logs dc2-edge")
        first = next(a for a in writer.acks(self.cut_at) if a.site == "dc2")
        self.say(
            f"    cut + {first.at - self.cut_at:5.2f} s  client2's first write acknowledged by dc2"
        )

    async def _client1_returns(self, writer: Writer) -> None:
        self.say("client1's provider prefers its customer's route; it waits out the hold time")
        began = time.monotonic()
        while not [a for a in writer.acks(self.cut_at) if a.site == "dc2"]:
            if time.monotonic() - began > CLIENT1_WITHIN_S:
                raise DemoFailed(f"client1 is not answered {CLIENT1_WITHIN_S} s after the cut")
            await asyncio.sleep(0.1)
        first = next(a for a in writer.acks(self.cut_at) if a.site == "dc2")
        self.say(f"    cut + {first.at - self.cut_at:5.2f} s  client1's first write at dc2")

    async def _heal(self) -> None:
        await self.lab.heal("dc1")
        self.say("=== dc1 is healed; it steps down and its databases rejoin")

        async def look() -> str:
            return await self.eyes.not_healthy("dc2")

        took = await wait_for("dc1 back as a standby that votes", look, within_s=REJOIN_WITHIN_S)
        self.say(f"dc1 votes again {took:.1f} s after the healing; full redundancy")
        await self._show("after the healing")

    async def _conclude(self, writers: dict[str, Writer]) -> dict[str, Any]:
        acked: list[str] = []
        clients: dict[str, Any] = {}
        for node, writer in writers.items():
            log = writer.log()
            acks = [a.at for a in log.attempts if a.outcome == "ok" and a.at > self.cut_at - 2]
            gap = longest_gap(acks, self.cut_at - 2, log.ended_at)
            summary, keys = await writer.stop()
            acked += keys
            clients[node] = {**asdict(summary), "outage_s": round(gap[1] - gap[0], 3)}
        ledger = await self.eyes.ledger_keys("dc2")
        journal = await self.eyes.journal_keys("dc2")
        changes = await self.eyes.history("dc2")
        seen = await self.eyes.service("dc2")
        return {
            "outage_s": clients["client2"]["outage_s"],
            "acked": len(acked),
            "missing_postgres": len(missing(acked, ledger)),
            "missing_mysql": len(missing(acked, journal)),
            "journal": "MySQL" if self.lab.on_mysql else "MariaDB",
            "repeated": len(ledger) - len(set(ledger)) + len(journal) - len(set(journal)),
            "clients": clients,
            "steps": self._steps(changes[0] if changes else {}),
            "timeline": [{"at_s": round(at, 3), "what": what} for at, what in self.timeline],
            "routes_after": await self._routes(),
            "lands": {node: await self.eyes.lands(node) for node in writers},
            "sites": {
                site["site"]: {"role": site["role"], "stance": site["stance"]}
                for site in seen.get("sites", [])
            },
            "epoch": seen.get("epoch"),
            "holder": seen.get("holder"),
        }

    def _steps(self, change: dict[str, Any]) -> list[dict[str, Any]]:
        """The steps of the takeover, in seconds since the cut."""
        if not change:
            return []
        began = datetime.fromisoformat(change["began_at"]).timestamp() - self.cut_stamp
        lines = []
        for step in change["steps"]:
            if step["name"].startswith("intent "):
                continue
            what = f"{step['name']} {step['database']}".strip()
            lines.append({"at_s": round(began + step["took_s"], 3), "what": what})
        return sorted(lines, key=lambda line: float(line["at_s"]))

    def _check(self, summary: dict[str, Any]) -> None:
        wrong = []
        for name in ("missing_postgres", "missing_mysql", "repeated"):
            if summary[name]:
                wrong.append(f"{name} is {summary[name]}")
        if summary["acked"] < 200:
            wrong.append(f"only {summary['acked']} writes were acknowledged")
        for node, site in summary["lands"].items():
            if site != "dc2":
                wrong.append(f"{node} lands at {site or 'nobody'}, not at dc2")
        if summary["outage_s"] > 5:
            wrong.append(f"the outage was {summary['outage_s']} s")
        if not summary["steps"]:
            wrong.append("the takeover left no history")
        if wrong:
            raise DemoFailed("; ".join(wrong) + f"; see {self.out}")

    @staticmethod
    def _wall() -> float:
        return time.clock_gettime(time.CLOCK_REALTIME)


def _facts(seen: dict[str, Any]) -> list[str]:
    """What is worth a line of the timeline, in the order it happens."""
    if not seen:
        return []
    facts = []
    if seen["holder"] == "dc2":
        facts.append(f"epoch {seen['epoch']} belongs to dc2 ({seen['record']['reason']})")
    change = seen.get("open_change")
    for step in change["steps"] if change and seen["holder"] == "dc2" else []:
        if step["done"]:
            facts.append(f"step {step['name']} {step['database']}".strip())
    for site in seen["sites"]:
        if site["site"] == "dc2" and site["role"] == "primary":
            facts.append("dc2 is primary and serves")
    return facts


def render(summary: dict[str, Any]) -> str:
    """The summary for people."""
    clients = summary["clients"]
    lines = [
        "",
        "summary",
        f"  outage seen by client2 (behind the exchange)   {summary['outage_s']:.3f} s",
        f"  outage seen by client1 (behind dc1's provider) {clients['client1']['outage_s']:.3f} s",
        f"  writes acknowledged                            {summary['acked']}",
        f"  of them missing in PostgreSQL                  {summary['missing_postgres']}",
        f"  of them missing in {summary['journal']:27} {summary['missing_mysql']}",
        f"  keys with more than one effect                 {summary['repeated']}",
        "  traffic lands at                               "
        + ", ".join(f"{node}: {site}" for node, site in summary["lands"].items()),
        f"  epoch {summary['epoch']}, holder {summary['holder']}; "
        + ", ".join(f"{s}: {v['role']} ({v['stance']})" for s, v in summary["sites"].items()),
        "  steps, seconds after the cut:",
    ]
    lines += [f"    {step['at_s']:7.3f}  {step['what']}" for step in summary["steps"]]
    return "\n".join(lines)
