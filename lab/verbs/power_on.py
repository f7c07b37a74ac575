"""`lab power-on`."""

import argparse

from lab.netns.lab import Lab

HELP = "start a node or a whole site again from its own disk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("target", metavar="SITE|NODE")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It is on."""
    await lab.power_on(options.target)
    print(f"{options.target} is on")
    return 0
