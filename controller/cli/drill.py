"""`tricast drill`: a failover is rehearsed before it is needed."""

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from controller.cli import drill_report, options
from controller.cli.drill_pages import html_page, plan_lines, report_lines
from controller.cli.drill_run import Rehearsal
from controller.cli.drill_standing import plan_of
from controller.cli.endpoint import tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE, SITE
from controller.cli.options import Asked
from controller.cli.output import console, print_json
from controller.cli.progress import confirm
from controller.web.drill_schema import (
    DrillEvent,
    DrillNote,
    DrillNoted,
    DrillPlan,
    DrillReport,
)

PATH: Final = "/api/v1/drills"
KINDS: Final = ("switchover",)
EPOCHS_MAX: Final = 20  # of one note
ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KIND = click.option(
    "--kind", type=click.Choice(KINDS), default="switchover", show_default=True, help="What of."
)
TO = click.option("--to", type=SITE, default="", help="Where to (default: the best candidate).")
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder of the reports (default: {drill_report.DIRECTORY}, or here).",
)


@click.group()
def drill() -> None:
    """Rehearse a failover, so that it is known to work before it is needed.

    The service moves to another site and back, by the same requests as any switchover, while it is
    asked ten times a second at its canary_url. What is measured is judged by its objectives in the
    cluster file, written as a report, and noted where every site sees it.
    """


@drill.command()
@options.asking
@click.option(
    "--service", type=SERVICE, default="", help="Which service; needed when there are several."
)
@KIND
@TO
def plan(*, as_json: bool, service: str, kind: str, to: str, **where: Path | str | None) -> int:
    """Say whether a drill may begin now, and what it would do.

    The service is well, every copy votes, the other site may take over, nothing is asked, paused or
    under way, the last role change is not too young, and requests through the service address are
    answered by the holder.
    """
    asked = Asked(
        endpoint=options.endpoint(where),
        service=service,
        reason="",
        as_json=as_json,
        yes=False,
        wait=False,
        timeout=0.0,
    )
    found = plan_of(asked, to, kind, _web().asked_once)
    if as_json:
        print_json(found)
    else:
        out = console()
        for line in plan_lines(found):
            out.print(line)
    return ExitCode.DONE if found.may_run else ExitCode.REFUSED


@drill.command()
@options.telling
@KIND
@TO
@click.option("--hold", type=click.FloatRange(0, 86_400), default=60.0, show_default=True,
              help="Seconds to stay at the other site.")  # fmt: skip
@click.option("--no-return", "stays", is_flag=True, help="Leave it at the other site.")
@OUT
def run(asked: Asked, *, kind: str, to: str, hold: float, stays: bool, out: Path | None) -> int:
    """Move the service to another site and back, measure, and write the report.

    Ctrl-C, a check that fails, and an objective that is missed end it: the service goes back to
    where it was, unless nothing has moved. No request is left open. What happens is told on
    standard error, with the seconds since the first request.
    """
    if not asked.wait:
        raise CliError(ExitCode.USAGE, "a drill is watched to its end: leave --no-wait away")
    folder = drill_report.directory(out)
    found = plan_of(asked, to, kind, _web().asked_once)
    if not found.may_run:
        return _refused(asked, found)
    back = "leave it there" if stays else "and back"
    confirm(asked, f"Move {found.service} from {found.holder} to {found.target}, {back}?")
    asked = replace(asked, service=found.service, reason=_reason(asked, found))
    with _ended() as stopped, _web().Canary(found.canary_url) as canary:
        played = Rehearsal(
            asked=asked,
            plan=found,
            canary=canary,
            say=_say,
            hold_s=hold,
            goes_back=not stays,
            stopped=lambda: stopped[0] if stopped else "",
        )
        played.play()
        report = _noted(asked, drill_report.reported(played, found.now, site=found.site))
    _show(report, as_json=asked.as_json)
    for path in drill_report.write(report, folder):
        print(f"wrote {path}", file=sys.stderr)
    return _code(report, played)


@drill.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--last", "newest", is_flag=True, help="The newest report (default without FILE).")
@OUT
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False),
              help="Write it as one page to this file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(
    *, file: Path | None, newest: bool, out: Path | None, html: Path | None, as_json: bool
) -> int:
    """Print the report of a drill again: FILE, or the newest one.

    FILE is the .json that tricast drill run wrote. It asks no daemon.
    """
    if file is not None and newest:
        raise CliError(ExitCode.USAGE, f"give either {file} or --last, not both")
    found = drill_report.read(file or drill_report.last(out or drill_report.directory(None)))
    if html is not None:
        drill_report.write_page(html, html_page(found))
        print(f"wrote {html}", file=sys.stderr)
    _show(found, as_json=as_json)
    return ExitCode.DONE


def _web() -> Any:  # noqa: ANN401 - a module
    """What asks the service address; it loads a web client, which no other verb waits for."""
    return importlib.import_module("controller.cli.drill_canary")


def _show(found: DrillReport, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    out = console()
    for line in report_lines(found):
        out.print(line)


def _refused(asked: Asked, found: DrillPlan) -> int:
    if asked.as_json:
        print_json(found)
    for reason in found.reasons:
        print(f"tricast: no drill of {found.service} now: {reason}", file=sys.stderr)
    return ExitCode.REFUSED


def _reason(asked: Asked, found: DrillPlan) -> str:
    """It names this drill among all requests."""
    why = f": {asked.reason}" if asked.reason else ""
    return f"drill {found.now}{why}"[:500]


def _say(event: DrillEvent) -> None:
    # A terminal that is gone ends no drill half-way.
    with suppress(OSError):
        print(f"{event.at_s:7.1f} s  {event.sentence}", file=sys.stderr, flush=True)


@contextmanager
def _ended() -> Iterator[list[str]]:
    """Why it is to end; empty for not. A signal is noted, and ends nothing by itself."""
    said: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        said.append("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    kept = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()  # nohup
    before = {number: signal.signal(number, note) for number in ENDINGS if number not in kept}
    try:
        yield said
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(asked: Asked, found: DrillReport) -> DrillReport:
    """The report, after every site was told; a daemon that does not answer changes no verdict."""
    epochs = tuple(move.epoch for move in found.moves if move.epoch)
    if not epochs:
        return found
    longest = found.canary.longest
    note = DrillNote(
        service=found.service,
        verdict=found.verdict,
        home=found.home,
        target=found.target,
        reason=found.reason,
        epochs=epochs[-EPOCHS_MAX:],
        gap_s=None if longest is None else longest.took_s,
        lost=_lost(found),
    )
    try:
        tell(asked.endpoint, PATH, note, DrillNoted)
    except CliError as error:
        trouble = f"the drill is not noted for every site: {error.sentence}"
        return found.model_copy(update={"troubles": (*found.troubles, trouble)})
    return found.model_copy(update={"noted": True})


def _lost(found: DrillReport) -> int | None:
    lost = [move.lost for move in found.moves if move.epoch]
    return None if None in lost else sum(each or 0 for each in lost)


def _code(found: DrillReport, played: Rehearsal) -> int:
    if played.unknown:
        return ExitCode.UNKNOWN
    if found.verdict == "passed":
        return ExitCode.DONE
    moved = any(move.epoch or move.state == "done" for move in found.moves)
    return ExitCode.FAILED if moved or found.holder != found.home else ExitCode.REFUSED
