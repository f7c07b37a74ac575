"""`tricast witness`: the daemon of a witness site."""

import importlib
from pathlib import Path

import click

from controller.cli import options


@click.command()
@options.daemon
def witness(config: Path, site: str) -> int:
    """Run the vantage and the log keepers of a witness site.

    It watches both data sites from a third place, keeps a copy of each log, and seals its votes.
    """
    # The witness knows the controller's rooms, never the other way round.
    return int(importlib.import_module("witness.daemon").main(config, site))
