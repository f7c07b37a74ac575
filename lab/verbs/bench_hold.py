"""`lab bench-hold`."""

import argparse
from pathlib import Path

from lab.holding.series import AWAY_S, HoldBench, render
from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.bench import save
from lab.verbs._progress import Progress

HELP = "let clients wait in every way that haproxy and PgBouncer have, and count what each met"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="moves, each way")
    parser.add_argument("--away", type=float, default=AWAY_S, metavar="S",
                        help=f"from hold to let go (default: {AWAY_S:g})")  # fmt: skip
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/bench/hold.json")


async def run(_lab: Lab, options: argparse.Namespace) -> int:
    """The figures are in the file. No lab is needed: everything is on this machine's loopback."""
    progress = Progress()
    try:
        found = await HoldBench(progress, options.runs, options.away).run()
    except LabError as error:
        progress(f"bench-hold failed: {error}")
        return 1
    save(found, options.out)
    print(render(found))
    return 0 if found["missing"] == 0 else 1
