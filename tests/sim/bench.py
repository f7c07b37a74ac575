"""How fast the simulator is: python -m tests.sim.bench [HISTORIES]; writes build/bench/sim.json.

Drawn fault histories, every checker watching, mended and settled, in one process; processor time.
"""

import gc
import json
import sys
import time
from pathlib import Path

from controller.core.decide import decide
from tests.sim.draw import drawn
from tests.sim.history import play
from tests.sim.world import World

OUT = Path("build/bench/sim.json")


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


def main(count: int) -> int:
    """Plays and measures; the exit code."""
    gc.disable()
    play(drawn(0))  # imports, caches
    simulated, steps, violations = 0.0, 0, 0
    began = time.process_time()
    for number in range(1, count + 1):
        told = play(drawn(number))
        simulated += told.seconds
        steps += len(told.events)
        violations += told.violation is not None
        if number % 20 == 0:
            gc.collect()
    took = time.process_time() - began
    found = {
        "histories": count,
        "violations": violations,
        "histories_per_second_per_core": round(count / took, 1),
        "simulated_seconds_each": round(simulated / count, 1),
        "simulated_seconds_per_second": round(simulated / took),
        "events_each": round(steps / count),
        "decide_us": round(decide_us(), 1),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    for name, value in found.items():
        print(f"{name:32} {value}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
