"""Options that several verbs share."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from controller.cli.elsewhere import DEFAULT_CONFIG
from controller.cli.endpoint import DEFAULT_SOCKET, Endpoint, choose
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE, SITE
from controller.cli.remote import Servers, servers

Verb = TypeVar("Verb", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
WHERE = ("socket_path", "url", "server", "cert", "key", "ca", "config")


def asking(verb: Verb) -> Verb:
    """Options of a verb that asks a daemon: --socket, --url, --server with --cert, --key and --ca,
    --config, --json.
    """
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="TRICAST_CONFIG",
            help="Cluster file that names the socket.",
        ),
        click.option(
            "--ca",
            type=FILE,
            envvar="TRICAST_CA",
            show_envvar=True,
            help="Who signed the servers' certificates (default: this machine's authorities).",
        ),
        click.option(
            "--key",
            type=FILE,
            envvar="TRICAST_KEY",
            show_envvar=True,
            help="Its key (default: in the same file).",
        ),
        click.option(
            "--cert",
            type=FILE,
            envvar="TRICAST_CERT",
            show_envvar=True,
            help="Your certificate: who you are.",
        ),
        click.option(
            "--server",
            envvar="TRICAST_SERVER",
            show_envvar=True,
            help="Ask from anywhere, over mutual TLS: https://HOST:7802; several with commas, the "
            "first that answers is asked.",
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
    return telling_for(60.0)(verb)


def telling_for(seconds: float) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """As `telling`, of a verb for which one waits so long."""
    return functools.partial(_telling, seconds)


def _telling(seconds: float, verb: Callable[..., int]) -> Callable[..., int]:

    @functools.wraps(verb)
    def told(**given: Any) -> int:  # noqa: ANN401 - whatever click has read
        where = {name: given.pop(name) for name in WHERE}
        names = [field.name for field in fields(Asked) if field.name != "endpoint"]
        common = {name: given.pop(name) for name in names}
        return verb(Asked(endpoint=endpoint(where), **common), **given)

    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(min=0.1, max=86_400),
            default=seconds,
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


def breaking_glass(verb: Verb) -> Verb:
    """The option of a verb that a policy may be about: --break-glass."""
    return click.option(
        "--break-glass",
        is_flag=True,
        help="At once, past the policy, where it lets you; everybody is told. Needs --reason.",
    )(verb)


def endpoint(where: Mapping[str, Path | str | None]) -> Endpoint:
    """Where the options of `asking` point to. What is typed goes before the environment."""
    return _chosen(where)


def endpoint_or_store(where: Mapping[str, Path | str | None]) -> Endpoint:
    """The same; where no daemon answers on this host, the store of its cluster file is read."""
    found = _chosen(where)
    config = Path(where["config"] or DEFAULT_CONFIG)
    if found.socket is None or not config.exists():
        return found
    return replace(found, store_of=config)


def _chosen(where: Mapping[str, Path | str | None]) -> Endpoint:
    paths = {name: Path(found) if (found := where[name]) else None for name in WHERE}
    return choose(
        socket_path=paths["socket_path"],
        url=str(where["url"]) if where["url"] else None,
        config=paths["config"],
        servers=_servers(where, paths),
    )


def _servers(
    where: Mapping[str, Path | str | None], paths: Mapping[str, Path | None]
) -> Servers | None:
    server, nearby = where["server"], where["url"] or where["socket_path"]
    if server and not (nearby and not _typed("server")):
        return servers(str(server), paths["cert"], paths["key"], paths["ca"])
    for name in ("cert", "key", "ca"):
        if _typed(name):
            raise CliError(
                ExitCode.USAGE, f"--{name} is for --server https://HOST:7802 (TRICAST_SERVER)"
            )
    return None


def _typed(name: str) -> bool:
    """Whether the option stands on the command line, and not in the environment."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


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
