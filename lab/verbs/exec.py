"""`lab exec`."""

import argparse
import os

from lab.netns.error import LabError
from lab.netns.lab import Lab

HELP = "run a command inside a node: lab exec NODE -- COMMAND"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("node")
    parser.add_argument("command", nargs=argparse.REMAINDER)


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """This program has become the command."""
    arguments = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not arguments:
        raise LabError("say what to run: lab exec NODE -- COMMAND")
    command = lab.inside.command(options.node, arguments)
    environment = lab.inside.environment(lab.topology.node(options.node))
    terminal = {name: os.environ[name] for name in ("TERM", "COLUMNS") if name in os.environ}
    os.execvpe(command[0], command, {**environment, **terminal})
