"""How fast the simulator is: python -m tests.sim.bench [HISTORIES]; writes build/bench/sim.json.

Drawn fault histories, every checker watching, mended and settled, in one process; processor time.
Other programs on the same cores make it slower: how many there were is in the report.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

from controller.core.decide import decide
from tests.sim.draw import drawn
from tests.sim.history import play
from tests.sim.soak import collect_by_hand, let_go
from tests.sim.world import World

OUT = Path("build/bench/sim.json")
HISTORIES = 300


def decide_us() -> float:
    """Microseconds of one decision of a serving holder, the best of ten rounds."""
    world = World(1)
    world.run(6.0)
    (loop,) = world.controllers[world.site("dc1")].loops.values()
    view = loop.last_view
    assert view is not None
    best = float("inf")
    for _ in range(10):
        began = time.process_time()
        for _ in range(300):
            decide(view)
        best = min(best, (time.process_time() - began) / 300)
    return best * 1e6


def machine() -> dict[str, object]:
    """What it ran on, and what else ran there."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def measure(count: int) -> dict[str, object]:
    """So many histories, one after the other."""
    play(drawn(0))  # imports, caches
    collect_by_hand()
    lengths: list[float] = []
    faults = events = violations = 0
    began = time.process_time()
    for number in range(1, count + 1):
        told = play(drawn(number))
        lengths.append(told.seconds)
        faults += told.faults
        events += len(told.events)
        violations += told.violation is not None
        let_go(number)
    took = time.process_time() - began
    return {
        "histories": count,
        "violations": violations,
        "histories_per_second_per_core": round(count / took, 1),
        "simulated_seconds_each": round(sum(lengths) / count, 1),
        "simulated_seconds_shortest": round(min(lengths), 1),
        "simulated_seconds_per_second": round(sum(lengths) / took),
        "faults_each": round(faults / count, 1),
        "events_each": round(events / count),
        "decide_us": round(decide_us(), 1),
    }


def main(count: int) -> int:
    """Plays and measures; the exit code."""
    found = {**machine(), **measure(count)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    for name, value in found.items():
        print(f"{name:32} {value}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else HISTORIES))
