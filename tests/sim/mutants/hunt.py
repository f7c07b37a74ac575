"""Every mutant is hunted for at most so long: python -m tests.sim.mutants.hunt [NAME ...]

Writes build/sim/mutants.json; the exit code is 1 when one was not found.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sim.history import CRASH, play
from tests.sim.mutants import MUTANTS, QUICK
from tests.sim.mutants.plant import Mutant, planted
from tests.sim.search import endless

BUILD = Path("build/sim")
PATIENCE_S = 60.0  # of processor time


@dataclass(frozen=True, slots=True)
class Catch:
    """How one hunt ended."""

    name: str
    found: bool
    seconds: float  # of processor time
    histories: int
    checker: str = ""
    text: str = ""
    plan: str = ""  # replays it, as long as the mutant is planted


def hunt(mutant: Mutant, seconds: float = PATIENCE_S, seed: int = 1) -> Catch:
    """Drawn histories until one breaks a promise that it does not break without the mutant. A crash
    of the deciding code is no find: it may be the mutant's own mistake.
    """
    began = time.process_time()
    fit = (plan for plan in endless(seed) if mutant.shape in ("", plan.shape))
    for number, plan in enumerate(fit, 1):
        with planted(mutant):
            found = play(plan).violation
        took = round(time.process_time() - began, 2)
        if found is not None and found.checker != CRASH and play(plan).violation is None:
            return Catch(mutant.name, True, took, number, found.checker, found.text, plan.to_json())
        if took > seconds:
            break
    return Catch(mutant.name, False, took, number)


def hunt_named(name: str, seconds: float, seed: int) -> Catch:
    """In a process of its own: what is planted stays there."""
    return hunt(MUTANTS[name], seconds, seed)


def hunt_all(names: Iterable[str], seconds: float, seed: int, processes: int) -> Iterator[Catch]:
    """Each as soon as it has ended."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool:
        running = [pool.submit(hunt_named, name, seconds, seed) for name in names]
        for future in as_completed(running):
            yield future.result()


def next_few(count: int, build: Path) -> list[str]:
    """Those of the quick ones whose turn it is; every run takes others."""
    turn = build / "mutants.turn"
    first = int(turn.read_text()) if turn.exists() else 0
    build.mkdir(parents=True, exist_ok=True)
    turn.write_text(str((first + count) % len(QUICK)))
    return [QUICK[(first + n) % len(QUICK)] for n in range(min(count, len(QUICK)))]


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants.hunt", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *MUTANTS], metavar="NAME")
    parser.add_argument("--some", type=int, default=0, help="only the next few, in turn")
    parser.add_argument("--seconds", type=float, default=PATIENCE_S)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", type=Path, default=BUILD)
    asked = parser.parse_args(arguments)
    names = asked.names or (next_few(asked.some, asked.build) if asked.some else list(MUTANTS))
    caught: list[Catch] = []
    for catch in hunt_all(names, asked.seconds, asked.seed, asked.processes):
        caught.append(catch)
        how = f"found by {catch.checker!r}" if catch.found else "NOT FOUND"
        sys.stdout.write(
            f"{len(caught)}/{len(names)} {catch.name}: {how} in {catch.seconds:.1f} s, "
            f"{catch.histories} histories\n"
        )
        sys.stdout.flush()
    asked.build.mkdir(parents=True, exist_ok=True)
    rows = [asdict(catch) for catch in sorted(caught, key=lambda catch: names.index(catch.name))]
    report = "few.json" if asked.some else "mutants.json"
    (asked.build / report).write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(catch.found for catch in caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
