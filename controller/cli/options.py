"""Options that several verbs share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from controller.cli.endpoint import DEFAULT_SOCKET, Endpoint, choose

Verb = TypeVar("Verb", bound=Callable[..., Any])


def asking(verb: Verb) -> Verb:
    """Options of a verb that asks a daemon: --socket, --url, --config, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="TRICAST_CONFIG",
            help="Cluster file that names the socket.",
        ),
        click.option("--url", help="Ask the daemon of another site: http://ADDRESS:7800."),
        click.option(
            "--socket",
            "socket_path",
            type=click.Path(path_type=Path),
            help=f"Socket of the local daemon (default {DEFAULT_SOCKET}).",
        ),
    ):
        verb = option(verb)
    return verb


def endpoint(where: Mapping[str, Path | str | None]) -> Endpoint:
    """Where the options of `asking` point to."""
    socket_path, url, config = where["socket_path"], where["url"], where["config"]
    return choose(
        socket_path=Path(socket_path) if socket_path else None,
        url=str(url) if url else None,
        config=Path(config) if config else None,
    )


def daemon(verb: Verb) -> Verb:
    """Options of a verb that becomes a daemon: --config, --site."""
    verb = click.option("--site", required=True, help="Which site of the cluster this node is.")(
        verb
    )
    return click.option(
        "--config",
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="TRICAST_CONFIG",
        help="Cluster file.",
    )(verb)
