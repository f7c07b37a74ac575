"""The bounded exhaustive part whole: python -m tests.sim.exhaust [--part 0.1]

Every process of either side crashes at every intent of every scene's ladders, before its effect and
after it; every set of links is cut at every intent of a takeover. Writes build/sim/exhaust.json.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.sim.history import play
from tests.sim.plan import Plan
from tests.sim.search import exhaustive
from tests.sim.soak import BUILD, SHORTENED, say, write_violations
from tests.sim.tally import Tally

CHUNK = 25


def part_of(plans: Iterable[Plan], part: float, seed: int) -> Iterator[Plan]:
    """Each with this probability, the same ones for the same seed."""
    dice = random.Random(f"part {seed}")
    return (plan for plan in plans if dice.random() < part)


def work(plans: list[Plan]) -> Tally:
    """These, in this process."""
    tally = Tally()
    began = time.process_time()
    for plan in plans:
        tally.add(play(plan))
    tally.core_s = time.process_time() - began
    return tally


def chunks(plans: Iterable[Plan]) -> Iterator[list[Plan]]:
    """So many at a time."""
    left = iter(plans)
    while found := list(itertools.islice(left, CHUNK)):
        yield found


def main(arguments: list[str]) -> int:
    """The command; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.exhaust", description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="so much of 1, drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", type=Path, default=BUILD)
    asked = parser.parse_args(arguments)
    plans = list(part_of(exhaustive(asked.seed), asked.part, asked.seed))
    say(f"{len(plans)} histories")
    tally, told = Tally(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.processes, mp_context=context) as pool:
        for found in pool.map(work, chunks(plans)):
            tally.join(found)
            if time.monotonic() - told > 2.0:
                told = time.monotonic()
                say(f"{tally.histories}/{len(plans)} histories, {tally.violations} violations")
    asked.build.mkdir(parents=True, exist_ok=True)
    (asked.build / "exhaust.json").write_text(tally.to_json() + "\n")
    say(f"{tally.histories} histories, {tally.violations} violations, {tally.core_s:.0f} s of core")
    write_violations(tally.plans()[:SHORTENED], asked.build, say)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
