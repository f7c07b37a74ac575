"""`tricast run`: the daemon of a data site."""

import importlib
from pathlib import Path

import click

from controller.cli import options


@click.command()
@options.daemon
def run(config: Path, site: str) -> int:
    """Run the controller of a data site.

    It observes, decides and acts for this site alone, until a signal: databases, haproxy, routes.
    """
    # The daemon's room is beside this one, and heavy: only its process loads it.
    return int(importlib.import_module("controller.daemon").main(config, site))
