"""`lab start`."""

import argparse

from lab.netns.lab import Lab

HELP = "start a program that was killed with --stay-down, and wait until it is ready"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("node")
    parser.add_argument("program")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It runs."""
    await lab.start(options.node, options.program)
    print(f"{options.program} runs on {options.node}")
    return 0
