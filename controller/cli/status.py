"""`tricast status`: what runs where, and what it is worth."""

import sys
import time
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import Endpoint, status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.cli.status_view import status_lines
from controller.web.schema import Status


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option("--watch", is_flag=True, help="Refresh in place until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds between refreshes.",
)
def status(
    *,
    as_json: bool,
    watch: bool,
    interval: float,
    service: str | None,
    **where: Path | str | None,
) -> int:
    """Show services, sites, databases, voters and routes.

    One table per service, and below it what a failure now would cost, warnings and alarms. The
    columns are explained in docs/runbook.md. With --watch the page is shown again and again.
    """
    if watch:
        return _watch(options.endpoint(where), service, interval, as_json=as_json)
    found = asked(options.endpoint_or_store(where), service)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in status_lines(found, out.width, service):
        out.print(line)
    return ExitCode.DONE


def asked(endpoint: Endpoint, service: str | None) -> Status:
    """What the daemon says, of one service or of all. Raises CliError, also for an unknown one."""
    found = status_of(endpoint)
    names = [known.name for known in found.services]
    if service is not None and service not in names:
        raise CliError(
            ExitCode.USAGE,
            f"cluster {found.cluster} has no service {service!r}; it has {', '.join(names)}",
        )
    if service is not None:
        chosen = tuple(known for known in found.services if known.name == service)
        return found.model_copy(update={"services": chosen})
    return found


def _watch(endpoint: Endpoint, service: str | None, interval: float, *, as_json: bool) -> int:
    """Until Ctrl-C. A daemon that dies is shown as such, and asked again."""
    out = console()
    try:
        if as_json or not out.is_terminal:
            _follow(endpoint, service, interval, out, as_json=as_json)
        else:
            _refresh(endpoint, service, interval, out)
    except KeyboardInterrupt:
        return ExitCode.DONE
    return ExitCode.DONE


def _follow(
    endpoint: Endpoint, service: str | None, interval: float, out: Console, *, as_json: bool
) -> None:
    while True:
        if as_json:
            print(asked(endpoint, service).model_dump_json(), flush=True)
        else:
            out.print(_page(endpoint, service, out.width))
        time.sleep(interval)


def _refresh(endpoint: Endpoint, service: str | None, interval: float, out: Console) -> None:
    page = _page(endpoint, service, out.width)
    try:
        with Live(page, console=out, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                page = _page(endpoint, service, out.width)
                live.update(page, refresh=True)
    finally:
        # The alternate screen is gone; what was last seen stays readable.
        out.print(page)
        sys.stdout.flush()


def _page(endpoint: Endpoint, service: str | None, width: int) -> Group:
    try:
        found = asked(endpoint, service)
    except CliError as error:
        if error.code is not ExitCode.UNAVAILABLE:
            raise
        return Group(Text(error.sentence, style="bold red"))
    return Group(*status_lines(found, width, service))
