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
    """Run the BGP speaker under ExaBGP.

    ExaBGP starts it; it is not for terminals. It speaks ExaBGP's API on standard input and output,
    and listens on a socket for the daemon.
    """
    # A fresh process image: the speaker stays small, whatever this one has loaded.
    os.execv(sys.executable, [sys.executable, "-m", "bgp.speaker", "--spec", str(spec)])  # noqa: S606
