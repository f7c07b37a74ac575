"""`lab bench-switchover`."""

import argparse
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.bench import save
from lab.rehearsal.switchover import SwitchoverBench, render
from lab.verbs._progress import Progress

HELP = "move the service there and back under load, and count what each kind of client sees"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--runs", type=int, default=6, metavar="N")
    parser.add_argument("--rate", type=float, default=120, help="requests a second, of all clients")
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/bench/switchover.json")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The figures are in the file."""
    progress = Progress()
    try:
        found = await SwitchoverBench(lab, progress, options.runs, options.rate).run()
        save(found, options.out)
    except LabError as error:
        progress(f"bench-switchover failed: {error}")
        return 1
    finally:
        if not options.keep:
            await lab.down(say=progress)
    print(render(found))
    return 0 if found["missing"] == 0 else 1
