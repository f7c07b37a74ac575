"""`tricast config`: what the cluster file says, what runs, and how one becomes the other."""

import click

from controller.cli.config_check import check
from controller.cli.config_diff import diff
from controller.cli.config_edit import edit
from controller.cli.config_show import show


@click.group()
def config() -> None:
    """Check, show, compare and edit the cluster file."""


for _verb in (check, show, diff, edit):
    config.add_command(_verb)
