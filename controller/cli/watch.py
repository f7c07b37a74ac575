"""`tricast watch`: the status, refreshed in place, and what happened since."""

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from controller.adapters.clock import SystemClock
from controller.cli import options
from controller.cli.changes import events, settled, summary
from controller.cli.endpoint import Endpoint
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.explain import ladder_lines
from controller.cli.names import SERVICE
from controller.cli.output import console
from controller.cli.status import asked as asked_status
from controller.cli.status_view import BAD, DIM, status_lines
from controller.web.printed_schema import Event
from controller.web.schema import Status

KEPT: Final = 200
SHOWN_LEAST: Final = 5  # events, whatever else there is to show
CLIMBING_S: Final = 0.2  # while steps are climbed, whatever --interval says


@dataclass(slots=True)
class Watch:
    """What was seen last, and what happened."""

    endpoint: Endpoint
    service: str | None
    last: Status | None = None
    silent: str = ""
    happened: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT))

    def look(self) -> list[Event]:
        """What happened since the last look. A daemon that does not answer is an event, and what
        changed while it was away is said when it is back. Raises CliError for any other failure.
        """
        try:
            status = settled(self.last, asked_status(self.endpoint, self.service))
        except CliError as error:
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            new = [] if self.silent else [_daemon(error.sentence, bad=True)]
            self.silent = error.sentence
        else:
            new = self._answered(status)
            self.last, self.silent = status, ""
        self.happened.extend(new)
        return new

    def _answered(self, status: Status) -> list[Event]:
        back = [_daemon(f"{self.endpoint} answers again", bad=False)] if self.silent else []
        told = summary(status) if self.last is None else events(self.last, status)
        return [*back, *told]

    def pause_s(self, interval: float) -> float:
        """How long to wait for the next look."""
        climbing = self.last is not None and any(s.open_change for s in self.last.services)
        return min(interval, CLIMBING_S) if climbing and not self.silent else interval


def _daemon(sentence: str, *, bad: bool) -> Event:
    return Event(at=SystemClock().stamp(), kind="daemon", sentence=sentence, bad=bad)


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks; shorter by itself while a role changes.",
)
def watch(
    *, as_json: bool, service: str | None, interval: float, **where: Path | str | None
) -> int:
    """Watch live: status, steps, and what happened.

    On a terminal the page is refreshed in place until Ctrl-C, and its last state stays. On a pipe
    there is one line per change, with --json one record per line: first how things stand, then role
    changes, alarms that came and went, steps with their times, requests, health, routes.

    A daemon that is restarted is waited for: that it was gone is said, and what changed meanwhile.
    What came and went between two looks is not seen, except finished role changes, which are read
    from the history.
    """
    seen, out = Watch(options.endpoint(where), service), console()
    try:
        if as_json or not out.is_terminal:
            _follow(seen, interval, out, as_json=as_json)
        else:
            _refresh(seen, interval, out)
    except KeyboardInterrupt:
        return ExitCode.DONE
    return ExitCode.DONE


def _follow(seen: Watch, interval: float, out: Console, *, as_json: bool) -> None:
    while True:
        for event in seen.look():
            if as_json:
                print(event.model_dump_json(), flush=True)
            else:
                out.print(event_line(event))
                sys.stdout.flush()
        time.sleep(seen.pause_s(interval))


def _refresh(seen: Watch, interval: float, out: Console) -> None:
    seen.look()
    last = page(seen, out.width, out.height)
    try:
        with Live(last, console=out, screen=True, auto_refresh=False) as live:
            live.refresh()
            while True:
                time.sleep(seen.pause_s(interval))
                seen.look()
                last = page(seen, out.width, out.height)
                live.update(last, refresh=True)
    finally:
        # The alternate screen is gone; what was last seen stays readable.
        out.print(last)
        sys.stdout.flush()


def page(seen: Watch, width: int, height: int) -> Group:
    """The status, an open ladder where there is room for it, and as many events as fit below."""
    status, ladder = _state(seen, width), _ladders(seen)
    room = height - 1 - SHOWN_LEAST
    if _rows([*status, *ladder], width) <= room:
        status += ladder
    if _rows(status, width) > room:
        while len(status) > 1 and _rows(status, width) > room - 1:
            status.pop()
        status.append(_cut(Text(" ... a taller window, or --service, shows more", DIM), width))
    tail = [_cut(event_line(event, brief=True), width) for event in seen.happened]
    left = max(SHOWN_LEAST, height - 1 - _rows(status, width))
    return Group(*status, Text("Events", style="bold"), *tail[-left:])


def _state(seen: Watch, width: int) -> list[Text]:
    above: list[Text] = []
    if seen.silent:
        above.append(Text(seen.silent, style=BAD))
        above += [Text("What follows is what it said last.", style=DIM)] if seen.last else []
    if seen.last is not None:
        above.extend(status_lines(seen.last, width, seen.service))
    return above


def _ladders(seen: Watch) -> list[Text]:
    services = () if seen.last is None else seen.last.services
    return [
        line
        for service in services
        if service.open_change is not None
        for line in (Text(f" {service.name}", "bold"), *ladder_lines(service.open_change))
    ]


def _rows(lines: Sequence[Text], width: int) -> int:
    return sum(max(1, -(-line.cell_len // max(1, width))) for line in lines)


def _cut(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width - 1)
        line.append("~")
    return line


def event_line(event: Event, *, brief: bool = False) -> Text:
    """One line: when (`brief`: without the day), of which service and site, and the sentence."""
    line = Text(f"{event.at[11:] if brief else event.at} ")
    line.stylize(DIM)
    about = " ".join(part for part in (event.service, event.site) if part)
    line.append(f"{about or '-'} {event.kind}: ", style="bold")
    return line.append(event.sentence, style=BAD if event.bad else "")
