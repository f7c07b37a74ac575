"""Options that several verbs share."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from controller.cli.endpoint import DEFAULT_SOCKET, Endpoint, choose
from controller.cli.names import SERVICE, SITE

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every verb that asks for a change is given."""

    endpoint: Endpoint
    service: str
    reason: str
    as_json: bool
    yes: bool
    wait: bool
    timeout: float


def telling(verb: Callable[..., int]) -> Callable[..., int]:
    """Options of a verb that asks for a change, as one `Asked`: those of `asking`, --service,
    --reason, --yes, --wait, --timeout.
    """

    @functools.wraps(verb)
    def told(**given: Any) -> int:  # noqa: ANN401 - whatever click has read
        where = {name: given.pop(name) for name in ("socket_path", "url", "config")}
        names = [field.name for field in fields(Asked) if field.name != "endpoint"]
        common = {name: given.pop(name) for name in names}
        return verb(Asked(endpoint=endpoint(where), **common), **given)

    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(min=0.1, max=86_400),
            default=60.0,
            show_default=True,
            help="Seconds to wait; what was asked goes on without.",
        ),
        click.option("--wait/--no-wait", default=True, help="Wait until it is done or refused."),
        click.option("--yes", is_flag=True, help="Do not ask back."),
        click.option("--reason", default="", help="Why; it is kept with the request."),
        click.option(
            "--service",
            type=SERVICE,
            default="",
            help="Which service; needed when there are several.",
        ),
    ):
        told = option(told)
    return asking(told)


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
    verb = click.option(
        "--site", type=SITE, required=True, help="Which site of the cluster this node is."
    )(verb)
    return click.option(
        "--config",
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="TRICAST_CONFIG",
        help="Cluster file.",
    )(verb)
