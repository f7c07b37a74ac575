"""`tricast doctor`: what an incident would need, looked at before it is needed."""

import asyncio
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console
from rich.text import Text

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.output import console, print_json
from controller.config import Cluster, Inspection, inspect
from controller.core.model import SiteName
from controller.ports import PortError
from controller.web.doctor_schema import CHECK_NAMES, Checkup, CheckupRow

STYLES = {"ok": "green", "unknown": "magenta", "warn": "yellow", "bad": "bold red"}
GRADE_WIDTH = max(len(grade) for grade in STYLES)
CODES = {
    "ok": ExitCode.DONE,
    "warn": ExitCode.DONE,
    "unknown": ExitCode.UNKNOWN,
    "bad": ExitCode.FAILED,
}


@click.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TRICAST_CONFIG",
    help="Cluster file.",
)
@click.option("--site", help="Which site this node is; found by its address otherwise.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    type=click.Choice(CHECK_NAMES),
    help=f"Only this check; may be repeated: {', '.join(CHECK_NAMES)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, config: Path, site: str | None, only: tuple[str, ...], as_json: bool) -> int:
    """Check everything that an incident would need, from this site; the daemon may be dead.

    Changes nothing but a key in etcd that goes away by itself. What cannot be seen is `unknown`,
    with the reason. Exit code 1: something is bad; 2: nothing is, but something is unknown; 0
    otherwise, warnings or not.
    """
    # The doctor's room is above the daemon's, and heavy: only this verb loads it.
    room: Any = importlib.import_module("controller.doctor")
    found = inspect(config)
    if found.cluster is None or found.problems:
        told: Checkup = room.examine_file(str(config), found)
    else:
        name = _site(found.cluster, site, _here(room, found.cluster))
        told = _examined(room, config, name, found, only)
    if as_json:
        print_json(told)
    else:
        _print(console(), told)
    unsure = told.counts.get("unknown", 0) and told.verdict != "bad"
    return CODES["unknown" if unsure else told.verdict]


def _here(
    room: Any,  # noqa: ANN401 - loaded by name
    cluster: Cluster,
) -> Sequence[str]:
    try:
        return cast("Sequence[str]", asyncio.run(room.here(cluster)))
    except PortError as error:
        raise CliError(ExitCode.FAILED, f"{error}: say which site this is: --site") from None


def _site(cluster: Cluster, asked: str | None, here: Sequence[str]) -> SiteName:
    known = ", ".join(cluster.sites)
    if asked is not None and asked not in cluster.sites:
        raise CliError(ExitCode.USAGE, f"there is no site {asked!r}, only {known}: check --site")
    if asked is not None:
        return SiteName(asked)
    if len(here) != 1:
        many = f"the addresses of {', '.join(here)}" if here else "no site's address"
        raise CliError(ExitCode.USAGE, f"this host has {many}: say which it is, --site {known}")
    return SiteName(here[0])


def _examined(
    room: Any,  # noqa: ANN401 - loaded by name
    config: Path,
    site: SiteName,
    found: Inspection,
    only: tuple[str, ...],
) -> Checkup:
    around = room.Around(file=config, cluster=found.cluster, site=site)
    if not sys.stderr.isatty():
        return Checkup.model_validate(asyncio.run(room.examine(around, found, only, _say_nothing)))
    with console(sys.stderr).status("looking") as shown:

        def say(left: Sequence[str]) -> None:
            shown.update(Text(f"waiting for {', '.join(left)}" if left else "done"))

        return Checkup.model_validate(asyncio.run(room.examine(around, found, only, say)))


def _say_nothing(_left: Sequence[str]) -> None:
    """Nobody watches."""


def _print(out: Console, told: Checkup) -> None:
    """Rows by check; what has to be done stands below the row that says so."""
    check = ""
    for row in told.rows:
        if row.check != check:
            check = row.check
            out.print(Text(check, style="bold"))
        for line in _lines(row):
            out.print(line)
    counts = ", ".join(f"{told.counts.get(grade, 0)} {grade}" for grade in STYLES)
    where = f"{told.cluster}, from {told.site}" if told.cluster else "the configuration"
    out.print(Text(f"{where}: {counts}", style=STYLES[told.verdict]))


def _lines(row: CheckupRow) -> list[Text]:
    line = Text("  ")
    line.append(row.grade.ljust(GRADE_WIDTH), style=STYLES[row.grade])
    line.append(f"  {row.subject}: {row.seen}" if row.subject else f"  {row.seen}")
    indent = " " * (GRADE_WIDTH + 4)
    return [line, *([Text(f"{indent}next: {row.next_step}")] if row.next_step else ())]
