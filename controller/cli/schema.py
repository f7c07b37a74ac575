"""`tricast schema`: the JSON schema of what the API answers."""

import click

from controller.web.schema import json_schema


@click.command(hidden=True)
def schema() -> None:
    """Print the JSON schema of the API's answers (kept as docs/api/status.v1.json)."""
    print(json_schema(), end="")
