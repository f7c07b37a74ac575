"""`tricast speaker`: becomes the process that ExaBGP starts."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--spec",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="speaker.json, as written by `tricast render`.",
)
def speaker(spec: Path) -> None:
    """Run the BGP speaker under ExaBGP (which starts it; not for terminals)."""
    # A fresh process image: the speaker stays small, whatever this one has loaded.
    os.execv(sys.executable, [sys.executable, "-m", "bgp.speaker", "--spec", str(spec)])  # noqa: S606
