"""`lab freeze`."""

import argparse

from lab.netns.lab import Lab

HELP = "stop everything a site or node runs, or the named programs, where it stands (SIGSTOP)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("target", metavar="SITE|NODE")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It stands still."""
    print(f"{lab.freeze(options.target, options.programs)} processes frozen")
    return 0
