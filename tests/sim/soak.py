"""Many histories in parallel processes: python -m tests.sim.soak --histories N --seed S

Can be stopped at any time and goes on where it stopped when it is started again with the same seed.
Writes build/sim/report.json; each violation is made short and written to build/sim/violations/.
"""

import argparse
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tests.sim.draw import drawn
from tests.sim.history import play
from tests.sim.plan import Plan
from tests.sim.replay import explain
from tests.sim.tally import Tally

BUILD = Path("build/sim")
CHUNK = 50  # histories
LET_GO_OF = 8  # histories
GIVE_UP = 10  # violations
SHORTENED = 5  # violations that are made short and explained


def seed_of(seed: int, number: int) -> int:
    """Of one history of a run: no two runs share any unless they share the seed."""
    return seed * 10_000_000 + number


def collect_by_hand() -> None:
    """A history is one knot of references: it is let go of as a whole, at its end. What is there
    already stays, and is not looked through each time.
    """
    gc.disable()
    gc.collect()
    gc.freeze()


def let_go(number: int) -> None:
    """After history `number`: a few are let go of at once, which is cheaper than one by one."""
    if number % LET_GO_OF == 0:
        gc.collect()


def work(seed: int, first: int, count: int) -> Tally:
    """`count` histories, in this process."""
    tally = Tally()
    began = time.process_time()
    collect_by_hand()
    for number in range(first, first + count):
        tally.add(play(drawn(seed_of(seed, number))))
        let_go(number)
    tally.core_s = time.process_time() - began
    return tally


class Soak:
    """One run, its state on disk."""

    def __init__(
        self,
        seed: int,
        histories: int,
        build: Path,
        say: Callable[[str], None],
        *,
        fresh: bool = False,
    ) -> None:
        self.seed, self.histories, self.say = seed, histories, say
        self._build = build
        self._state = build / f"soak-{seed}.json"
        self.tally, self.done = Tally(), set[int]()
        if self._state.exists() and not fresh:
            data = json.loads(self._state.read_text())
            self.tally = Tally.from_json(json.dumps(data["tally"]))
            self.done = set(data["chunks"])
            say(f"goes on after {self.tally.histories} histories")

    def chunks(self) -> Iterable[int]:
        """First histories of what is left to do."""
        return (first for first in range(0, self.histories, CHUNK) if first not in self.done)

    def run(self, processes: int) -> Tally:
        """All of it, or until there are too many violations."""
        self._build.mkdir(parents=True, exist_ok=True)
        left = iter(self.chunks())
        began = told = time.monotonic()
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            running: dict[Future[Tally], int] = {}
            while True:
                while len(running) < 2 * processes and (first := next(left, None)) is not None:
                    count = min(CHUNK, self.histories - first)
                    running[pool.submit(work, self.seed, first, count)] = first
                if not running:
                    break
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._take(running.pop(future), future.result())
                if time.monotonic() - told > 2.0:
                    told = time.monotonic()
                    self._progress(told - began)
                if self.tally.violations >= GIVE_UP:
                    left = iter(())
        self._progress(time.monotonic() - began)
        return self.tally

    def _take(self, first: int, tally: Tally) -> None:
        self.tally.join(tally)
        self.done.add(first)
        state = {"tally": json.loads(self.tally.to_json()), "chunks": sorted(self.done)}
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self._state)

    def _progress(self, seconds: float) -> None:
        tally = self.tally
        self.say(
            f"{tally.histories}/{self.histories} histories, {tally.faults} faults, "
            f"{tally.role_changes} role changes, {tally.violations} violations, "
            f"{tally.per_second_per_core:.1f}/s/core, {seconds:.0f} s"
        )


def write_violations(plans: Iterable[Plan], build: Path, say: Callable[[str], None]) -> None:
    """Each is made short, with its trace and the command that replays it."""
    folder = build / "violations"
    folder.mkdir(parents=True, exist_ok=True)
    for number, plan in enumerate(plans):
        short, text = explain(plan)
        (folder / f"{number}.json").write_text(short.to_json())
        (folder / f"{number}.txt").write_text(text)
        say(text.partition("\n")[0])
        say(f"  {folder / f'{number}.txt'}: python -m tests.sim.replay {folder}/{number}.json")


def main(arguments: list[str]) -> int:
    """The command; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", type=Path, default=BUILD)
    parser.add_argument("--fresh", action="store_true", help="not on from where it stopped")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    soak = Soak(asked.seed, asked.histories, asked.build, say, fresh=asked.fresh)
    tally = soak.run(asked.processes)
    report = {"seed": asked.seed, **json.loads(tally.to_json())}
    (asked.build / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    write_violations(tally.plans()[:SHORTENED], asked.build, say)
    return 1 if tally.violations else 0


def say(text: str) -> None:
    """Progress, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
