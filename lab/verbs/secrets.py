"""`lab secrets`."""

import argparse
from pathlib import Path

from lab.netns.lab import Lab
from lab.netns.secrets import make_secrets
from lab.netns.topology import TOPOLOGY_FILE

HELP = "make passwords and keys for containerlab, which runs the same topology with containers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    directory = TOPOLOGY_FILE.parent / "clab-tricast"
    parser.add_argument("--into", type=Path, default=directory, metavar="DIRECTORY")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """They are in the directory where containerlab looks for them."""
    make_secrets(lab.topology, options.into)
    (options.into / "shared").mkdir(exist_ok=True)
    print(f"secrets are in {options.into}")
    return 0
