"""`tricast completion`: the script that makes a shell ask this command what could come next."""

import os
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import get_completion_class, shell_complete

PROGRAM: Final = "tricast"
VARIABLE: Final = "_TRICAST_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    It completes verbs, options, and the names of sites and services, as the cluster file has them:
    that of --config, else TRICAST_CONFIG, else /etc/tricast/tricast.yml. No daemon is asked, and
    nothing is installed: where the script goes is up to you.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}", context)
    root = context.find_root().command
    print(kind(root, {}, PROGRAM, VARIABLE).source(), end="")


def completed(root: click.Command, environment: Mapping[str, str] = os.environ) -> int | None:
    """The exit code, when this process was started by a completion script; else None."""
    instruction = environment.get(VARIABLE)
    return None if not instruction else shell_complete(root, {}, PROGRAM, VARIABLE, instruction)
