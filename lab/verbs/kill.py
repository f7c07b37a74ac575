"""`lab kill`."""

import argparse

from lab.netns.lab import Lab

HELP = "kill a program (SIGKILL); its supervisor starts it again unless --stay-down"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("node")
    parser.add_argument("program")
    parser.add_argument("--stay-down", action="store_true")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """It was killed."""
    count = lab.kill(options.node, options.program, stay_down=options.stay_down)
    print(f"{count} processes killed")
    return 0
