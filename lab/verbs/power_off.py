"""`lab power-off`."""

import argparse

from lab.netns.lab import Lab

HELP = "take the power from a node or a whole site: silent, no goodbye, disks keep what they had"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("target", metavar="SITE|NODE")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It is off."""
    await lab.power_off(options.target)
    print(f"{options.target} is off")
    return 0
