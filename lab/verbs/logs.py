"""`lab logs`."""

import argparse
import os

from lab.netns.error import LabError
from lab.netns.lab import Lab

HELP = "show what a node's programs have said: lab logs NODE [PROGRAM] [-f]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("node")
    parser.add_argument("program", nargs="?")
    parser.add_argument("-n", "--lines", type=int, default=40)
    parser.add_argument("-f", "--follow", action="store_true")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """This program has become `tail`."""
    directory = lab.log(options.node, "node").parent
    found = sorted(path for path in directory.glob("*.log"))
    names = ", ".join(path.stem for path in found) or "none"
    if options.program:
        found = [path for path in found if path.stem == options.program]
    if not found:
        raise LabError(f"no such log of {options.node}; there are: {names}")
    arguments = ["tail", "-n", str(options.lines), *(["-F"] if options.follow else [])]
    os.execvp("tail", [*arguments, *map(str, found)])
