"""`tricast notify`: who is told what, and whether telling them works."""

from pathlib import Path

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import ask, tell
from controller.cli.exit_codes import ExitCode
from controller.cli.output import console, print_json
from controller.cli.table import Cell, Column, Table
from controller.web.notify_schema import (
    Notifications,
    NotifyAsk,
    NotifyTest,
    TargetView,
)

PATH = "/api/v1/notifications"
COLUMNS = (
    Column(title="Target"),
    Column(title="Where"),
    Column(title="Events", drop=2, cut=40),
    Column(title="Services", drop=3),
    Column(title="From", drop=4),
    Column(title="Sent", right=True),
    Column(title="Failed", right=True),
    Column(title="Dropped", right=True),
    Column(title="Waiting", right=True),
    Column(title="Problem", cut=40),
)


@click.group()
def notify() -> None:
    """Who is told of what happens, and whether telling them works.

    Targets stand in the cluster file under `notifications`. Each data site tells for itself:
    of a service its holder, of anything else the first data site that is heard.
    """


@notify.command("list")
@options.asking
def list_targets(*, as_json: bool, **where: Path | str | None) -> int:
    """List the targets of the answering site, and what has come of telling them."""
    found = ask(options.endpoint(where), PATH, Notifications)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    view = found.notifications
    if not view.targets:
        out.print(Text(f"{found.site}: nobody is told; see `notifications` in the cluster file"))
        return ExitCode.DONE
    table = Table(f"Cluster: {found.cluster} | notifications of {found.site}", COLUMNS)
    for target in view.targets:
        table.add(*_row(target))
    for line in table.lines(out.width):
        out.print(line)
    for alarm in view.alarms:
        out.print(Text(f" {alarm}", style="bold red"))
    return ExitCode.DONE


@notify.command()
@options.asking
@click.argument("target", default="")
def test(*, target: str, as_json: bool, **where: Path | str | None) -> int:
    """Send a test to TARGET, or to every target, and say what came back.

    One attempt each, from the daemon of this node, whatever events the target is told of.
    Exit code 0: each took it; 1: one did not; 3: there is no such target.
    """
    found = tell(options.endpoint(where), f"{PATH}/test", NotifyAsk(target=target), NotifyTest)
    if as_json:
        print_json(found)
    else:
        _print_tested(found)
    return ExitCode.DONE if all(each.ok for each in found.tested) else ExitCode.FAILED


def _row(target: TargetView) -> tuple[Cell, ...]:
    return (
        Cell(target.name),
        Cell(target.where),
        Cell(", ".join(target.events) or "all"),
        Cell(", ".join(target.services) or "all"),
        Cell(target.min_severity),
        Cell(str(target.sent)),
        Cell(str(target.failed), "red" if target.failed else ""),
        Cell(str(target.dropped), "red" if target.dropped else ""),
        Cell(str(target.waiting), "yellow" if target.waiting else ""),
        Cell(target.problem, "red"),
    )


def _print_tested(found: NotifyTest) -> None:
    out = console()
    for each in found.tested:
        said = f"{each.target}: {each.detail}" + (f" ({each.where})" if each.ok else "")
        out.print(Text(said, style="green" if each.ok else "bold red"))
    if not found.tested:
        out.print(Text(f"{found.site}: nobody is told; see `notifications` in the cluster file"))
