"""`lab thaw`."""

import argparse

from lab.netns.lab import Lab

HELP = "let what was frozen go on (SIGCONT)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("target", metavar="SITE|NODE")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It goes on."""
    print(f"{lab.thaw(options.target, options.programs)} processes thawed")
    return 0
