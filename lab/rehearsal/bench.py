"""The benchmark: the same blows for tricast and for a peer stack, seen by the same client.

The outage is the client's: the longest time without an acknowledged write, through address,
haproxy, app server and databases. Every run is on file as soon as it has ended; a bench that was
broken off goes on where it was.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.client.attempts import Attempt, Outcome, acked_keys, longest_gap
from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.peer.stack import Peer
from lab.rehearsal.eyes import NotSeen, wait_for
from lab.rehearsal.faults import FAULTS, Fault
from lab.rehearsal.floor import promote_s
from lab.rehearsal.machine import facts
from lab.rehearsal.ours import Tricast
from lab.rehearsal.rest import at_rest, only
from lab.rehearsal.stack import Blow, Say, Stack
from lab.rehearsal.tally import Tally, latest, runs
from lab.rehearsal.usage import usage
from lab.rehearsal.writer import Writer

CLIENT = "client2"
MOVED_WITHIN_S = 120
LOOK_S = 0.5  # asking a stack how far it is takes processor time from it
SETTLE_S = 5
DOWN_S = 8
LABS = 4
PHASE_S = 1.0  # the blow falls anywhere in a loop of whatever polls
UP_S = {"tricast": 18.0, "peer": 15.0, "floor": 0.0}
GUESS_S = {"tricast": 20.0, "peer": 45.0, "floor": 6.0}  # one run, until one has been measured


@dataclass(slots=True, kw_only=True)
class Bench:
    """One bench, as far as it has come."""

    lab: Lab
    say: Say
    tally: Tally
    wanted: dict[str, int]  # stack -> runs of each fault
    faults: Sequence[Fault]
    seconds: float  # no run begins that would probably end later
    keep: bool = False
    began: float = field(default_factory=time.monotonic)

    async def run(self) -> bool:
        """Whether everything wanted is on file."""
        if not latest(self.tally.entries(), "machine"):
            self.tally.add({"stack": "machine", "at": _now_text(), **facts()})
        await self._floor()
        stacks: list[Stack] = [Tricast(self.lab), Peer(self.lab)]
        for stack in stacks:
            await self._series(stack)
        return not any(self._lacking(stack.name) for stack in stacks)

    def _lacking(self, stack: str) -> list[Fault]:
        """The faults that have too few runs, each as often as runs are missing."""
        entries = self.tally.entries()
        return [
            fault
            for fault in self.faults
            for _ in range(self.wanted[stack] - len(runs(entries, stack, fault.name)))
        ]

    def _time_for(self, stack: str, fault: str, beside: float = 0.0) -> bool:
        """Whether one more run would end in time, by how long the slowest one took."""
        took = [run["took_s"] for run in runs(self.tally.entries(), stack, fault)]
        lasts_s = FAULTS[fault].lasts_s if fault in FAULTS else 0.0
        needed = max(took, default=GUESS_S[stack] + lasts_s) + beside + DOWN_S
        return time.monotonic() - self.began + needed < self.seconds

    async def _floor(self) -> None:
        entries = self.tally.entries()
        for _ in range(self.wanted["floor"] - len(runs(entries, "floor", "promote"))):
            if not self._time_for("floor", "promote"):
                return
            began = time.monotonic()
            found = round(await promote_s(self.tally.path.parent), 4)
            took = round(time.monotonic() - began, 1)
            self.tally.add(
                {"stack": "floor", "fault": "promote", "outage_s": found, "took_s": took}
            )
            self.say(f"floor: a bare standby accepts writes {1000 * found:.1f} ms after pg_promote")

    async def _series(self, stack: Stack) -> None:
        """The runs of one stack; a lab in which one did not end is made anew, a few times."""
        for _ in range(LABS):
            lacking = self._lacking(stack.name)
            if not lacking or not self._time_for(stack.name, lacking[0].name, UP_S[stack.name]):
                return
            try:
                await stack.up(self.say)
                await self._runs(stack, lacking)
            except NotSeen as error:
                self.say(f"this run did not end: {error}")
                self.keep = False
            finally:
                if not self.keep:
                    await stack.lab.down(say=self.say)
        if self._lacking(stack.name):
            raise LabError(f"{stack.name}: runs did not end in {LABS} labs; see {self.tally.path}")

    async def _runs(self, stack: Stack, lacking: Sequence[Fault]) -> None:
        if stack.name == "tricast" and not latest(self.tally.entries(), "rest"):
            await self._rest(stack)
        for fault in lacking:
            if self._time_for(stack.name, fault.name):
                await self._measure(stack, fault)

    async def _rest(self, stack: Stack) -> None:
        """What a controller costs that has nothing to do."""
        await stack.ready()
        async with only(stack.lab, "wallet"):
            await stack.ready()
            await asyncio.sleep(SETTLE_S)
            found = await at_rest(stack.lab)
        self.tally.add({"stack": "rest", **found})
        self.say(f"at rest, one service: {found}")

    async def _measure(self, stack: Stack, fault: Fault) -> None:
        began, named = time.monotonic(), {"stack": stack.name, "fault": fault.name}
        number = len(runs(self.tally.entries(), stack.name, fault.name)) + 1
        try:
            found = await self._strike(stack, fault)
        except NotSeen as error:
            self.tally.add({**named, "at": _now_text(), "failed": str(error)})
            raise
        took = round(time.monotonic() - began, 1)
        self.tally.add({**named, "at": _now_text(), "took_s": took, **found})
        self.say(
            f"{stack.name}, {fault.title}, run {number} of {self.wanted[stack.name]}:"
            f" outage {found['outage_s']:.3f} s, {found['failed_attempts']} failed attempts,"
            f" missing {found['missing']} of {found['acked']}"
        )

    async def _strike(self, stack: Stack, fault: Fault) -> dict[str, Any]:
        holder = await stack.ready()
        writer = await Writer.start(stack.lab, CLIENT)
        await writer.acked(60, within_s=20)
        await asyncio.sleep(PHASE_S * secrets.randbelow(1000) / 1000)
        before = usage()
        at = await fault.strike(stack, holder)
        blow = Blow(fault=fault.name, holder=holder, at=at, stamp=_wall() + at - time.monotonic())
        await asyncio.sleep(LOOK_S)
        await wait_for(
            f"{stack.name}: the service moved after {fault.title}",
            lambda: stack.moved(blow),
            within_s=MOVED_WITHIN_S,
            every_s=LOOK_S,
        )
        used = usage().since(before)
        await writer.acked(40, after=time.monotonic(), within_s=30)
        await asyncio.sleep(max(0.0, at + fault.lasts_s - time.monotonic()))
        await fault.mend(stack, holder)
        winner = await stack.recovered(blow)
        await writer.stop()
        log = writer.log()
        return {
            "holder": holder,
            "winner": winner,
            **outage(log.attempts, at),
            "acked": len(acked_keys(log)),
            "missing": await stack.missing(winner, acked_keys(log)),
            "used": used,
            **await stack.parts(blow, winner, list(log.attempts)),
        }


def outage(attempts: Sequence[Attempt], at: float) -> dict[str, Any]:
    """The longest time without an acknowledgement since just before the blow at `at`."""
    since = [attempt for attempt in attempts if attempt.at > at - 1]
    acks = [attempt.at for attempt in since if attempt.outcome is Outcome.OK]
    begin, end = longest_gap(acks, at - 1, max(acks, default=at))
    return {
        "outage_s": round(end - begin, 4),
        "resumed_s": round(end - at, 4),
        "failed_attempts": sum(attempt.outcome is not Outcome.OK for attempt in since),
    }


def tally_beside(out: Path) -> Tally:
    """The tally of the bench whose figures go to `out`."""
    return Tally(out.with_name("runs.jsonl"))


def save(found: dict[str, Any], path: Path) -> None:
    """The file holds the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
