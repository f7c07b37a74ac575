"""`tricast history`: finished role changes."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import ask
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.cli.table import Cell, Column, Table
from controller.web.schema import History, HistoryEntry

COLUMNS = (
    Column(title="Service"),
    Column(title="Epoch", right=True),
    Column(title="When", drop=1),
    Column(title="From -> to"),
    Column(title="Kind"),
    Column(title="Rule", right=True, drop=3),
    Column(title="Took", right=True),
    Column(title="Outcome", drop=4),
    Column(title="Asked by", drop=2, cut=12),
    Column(title="Why", cut=30),
)


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
)
@click.option("--verbose", "-v", is_flag=True, help="Also evidence, and each step with its time.")
def history(
    *, as_json: bool, service: str | None, limit: int, verbose: bool, **where: Path | str | None
) -> int:
    """List finished role changes, newest first.

    From where to where, by whose order or which rule, how long it took; with --verbose the evidence
    it was decided on, and each step with its time.
    """
    endpoint = options.endpoint(where)
    query = {"limit": str(limit)} | ({"service": service} if service else {})
    found = ask(endpoint, f"/api/v1/history?{urlencode(query)}", History)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    if not found.changes:
        out.print(Text(f"cluster {found.cluster}: no role change on record"))
        return ExitCode.DONE
    for line in history_table(found).lines(out.width):
        out.print(line)
    for change in found.changes if verbose else ():
        for line in change_lines(change):
            out.print(line)
    return ExitCode.DONE


def history_table(found: History) -> Table:
    """One row per role change."""
    table = Table(f"Cluster: {found.cluster} | role changes", COLUMNS)
    for change in found.changes:
        table.add(
            Cell(change.service),
            Cell(str(change.epoch)),
            Cell(change.began_at.replace("T", " ")),
            Cell(f"{change.previous_holder or '-'} -> {change.holder}"),
            Cell(change.kind, "yellow" if change.kind == "failover" else ""),
            Cell(str(change.rule) if change.rule else ""),
            Cell(_seconds(change.took_s)),
            Cell(change.outcome, "" if change.outcome == "ok" else "bold red"),
            Cell(change.asked_by),
            Cell(change.reason),
        )
    return table


def change_lines(change: HistoryEntry) -> Iterator[Text]:
    """Evidence and steps of one role change."""
    yield Text("")
    yield Text(
        f"{change.service} epoch {change.epoch}, {change.previous_holder or '-'} -> "
        f"{change.holder}: {change.reason}",
        style="bold",
    )
    for name, value in change.evidence.items():
        yield Text(f"  {name} = {value}")
    for step in change.steps:
        name = f"{step.name} ({step.database})" if step.database else step.name
        mark = "x" if step.done else " "
        detail = f"  {step.detail}" if step.detail else ""
        yield Text(f"  [{mark}] {name:<32} {_seconds(step.took_s):>9}{detail}")


def _seconds(took_s: float | None) -> str:
    return "" if took_s is None else f"{took_s:.3f} s"
