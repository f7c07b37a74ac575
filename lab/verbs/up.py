"""`lab up`."""

import argparse

from lab.netns.lab import Lab
from lab.netns.programs import Selection, program
from lab.verbs._progress import Progress

HELP = "bring the lab up and wait until every program is ready"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument(
        "--only", default="", metavar="NAMES", help="only these programs; `network` for the routers"
    )
    parser.add_argument("--without", default="", metavar="NAMES", help="all programs but these")
    parser.add_argument("--ready-within", type=float, default=60, metavar="S")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The lab is up."""
    progress = Progress()
    only, without = (
        frozenset(filter(None, text.split(","))) for text in (options.only, options.without)
    )
    for name in (only | without) - {"network"}:
        program(name)
    selection = Selection(only=only, without=without)
    await lab.up(selection, say=progress, ready_within_s=options.ready_within)
    progress(f"lab {lab.name} is up")
    return 0
