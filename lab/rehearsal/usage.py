"""Processor time, by kind of program: what ran, and what waited for its turn.

Every site, app server and client of a lab shares the cores of one machine, and only there do they
wait for each other. What ran is told by the processor clock of each process, which keeps what its
threads did when they have ended (clock_getcpuclockid(3)); what waited, thread by thread, by
`/proc/PID/task/TID/schedstat`.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from lab.netns.processes import Process, look
from lab.netns.programs import PROGRAMS

BENCH: Final = "the bench itself"
CLIENT: Final = "clients"
OTHER: Final = "anything else"
PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED; the number of a process is in the bits above it


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has had, in seconds."""

    ran_s: float
    waited_s: dict[str, float]  # of each thread that lives


NOTHING: Final = Share(0.0, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What every process of the lab has used so far, and when that was."""

    at: float
    of: dict[tuple[int, int], tuple[str, Share]]  # by number and start

    def since(self, before: "Usage") -> dict[str, Any]:
        """Between `before` and this, by program; what has ended meanwhile is not in it."""
        totals: dict[str, list[float]] = {}
        for key, (name, share) in self.of.items():
            was = before.of.get(key, (name, NOTHING))[1]
            total = totals.setdefault(name, [0.0, 0.0])
            total[0] += share.ran_s - was.ran_s
            total[1] += sum(
                waited - was.waited_s.get(thread, 0.0) for thread, waited in share.waited_s.items()
            )
        return {
            "seconds": round(self.at - before.at, 3),
            "cores": os.cpu_count(),
            "programs": {
                name: {"ran_s": round(ran, 4), "waited_s": round(waited, 4)}
                for name, (ran, waited) in sorted(totals.items(), key=lambda pair: -pair[1][0])
                if ran >= 0.0005
            },
        }


def usage() -> Usage:
    """As it is now: of this process, and of every process in a namespace of its own."""
    at, found = time.monotonic(), {}
    for process in _processes():
        share = share_of(process.pid)
        if share is not None:
            found[process.pid, process.started] = (_name(process), share)
    return Usage(at=at, of=found)


def _processes() -> Iterable[Process]:
    ours = os.stat("/proc/self/ns/pid").st_ino
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            outside = os.stat(f"/proc/{entry}/ns/pid").st_ino == ours
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if outside and int(entry) != os.getpid():
            continue
        if (process := look(int(entry))) is not None:
            yield process


def _name(process: Process) -> str:
    if process.pid == os.getpid():
        return BENCH
    if " lab.client " in process.command:
        return CLIENT
    named = (name for name, each in PROGRAMS.items() if each.pattern.search(process.command))
    return next(named, OTHER)


def share_of(pid: int) -> Share | None:
    """So far; None where there is no such process."""
    try:
        ran_s = time.clock_gettime((~pid << 3) | PROCESS_CLOCK)
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return None
    return Share(ran_s, {thread: waited_s(pid, thread) for thread in threads})


def waited_s(pid: int, thread: str) -> float:
    """How long a thread was ready to run and did not; 0 for one that has ended."""
    try:
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as told:
            return int(told.read().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
