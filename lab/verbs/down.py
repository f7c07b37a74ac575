"""`lab down`."""

import argparse

from lab.netns.lab import Lab
from lab.verbs._progress import Progress

HELP = "remove every namespace, process, mount and file of the lab, but for its logs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument(
        "--force", action="store_true", help="also namespaces that this program has not made"
    )


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The lab is gone."""
    progress = Progress()
    existed = await lab.down(say=progress, force=options.force)
    progress(f"lab {lab.name} is down" if existed else f"lab {lab.name} was not up")
    return 0
