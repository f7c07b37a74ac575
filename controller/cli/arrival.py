"""Where a move ends: at a holder that has verified that it serves; and what it took."""

import sys
import time
from typing import Final
from urllib.parse import urlencode

from controller.cli.endpoint import ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.folded import folded
from controller.cli.history_view import WIDTH_MAX, climbed, climbed_lines, lost
from controller.cli.options import Asked
from controller.cli.output import console, print_json
from controller.cli.progress import POLL_S, finish, told
from controller.web.schema import History, HistoryEntry, Move, RequestView

VERIFIED_WITHIN_S: Final = 20.0
MEASURED_WITHIN_S: Final = 3.0  # after that it is told without the outage
NEWEST: Final = 20  # role changes among which it is looked for
HANDED: Final = "HAND_OVER"
INTENT: Final = "intent "  # what was done, not what was reached
LOST: Final = {
    "none": "nothing acknowledged is lost",
    "possible": "acknowledged transactions may be lost",
    "unknown": "what is lost is not known",
}


def arrive(asked: Asked, request: RequestView) -> int:
    """A move that was made is waited for until its new holder has verified it. Its exit code.

    Raises CliError where that does not come: the service was moved, and nobody has proved yet that
    clients reach it.
    """
    if request.state != "done":
        return finish(asked, request)
    change = _recorded(asked, request)
    if asked.as_json:
        print_json(Move(**request.model_dump(), change=change))
    elif change is None:
        print(told(request))
    else:
        _tell_steps(change)
        print(f"{told(request)}; {_measured(change)}")
    if change is None:
        raise CliError(
            ExitCode.UNKNOWN,
            f"not verified within {VERIFIED_WITHIN_S:g} s: {request.service} was moved to "
            f"{request.target}, and what its first requests and commits met is not known; look: "
            f"tricast explain {request.service}",
        )
    return ExitCode.DONE


def _recorded(asked: Asked, request: RequestView) -> HistoryEntry | None:
    """The role change that was made for this request, once it is on record, with its outage."""
    began = time.monotonic()
    seen, seen_at = None, began
    while True:
        found = _look(asked, request)
        if found is not None and seen is None:
            seen_at = time.monotonic()
        seen = found or seen
        if seen is not None:
            measured = seen.outage_s is not None and bool(seen.losses)
            if measured or time.monotonic() - seen_at > MEASURED_WITHIN_S:
                return seen
        elif time.monotonic() - began > VERIFIED_WITHIN_S:
            return None
        time.sleep(POLL_S)


def _look(asked: Asked, request: RequestView) -> HistoryEntry | None:
    query = urlencode({"service": request.service, "limit": str(NEWEST)})
    try:
        found = ask(asked.endpoint, f"/api/v1/history?{query}", History)
    except CliError as error:
        if error.code is not ExitCode.UNAVAILABLE:
            raise
        return None
    meant = (c for c in found.changes if c.order and c.order.request == request.number)
    return next(meant, None)


def _tell_steps(change: HistoryEntry) -> None:
    """When each step was reached, since the epoch was seen: before it those of the old holder."""
    out = console(sys.stderr)
    width = min(out.width, WIDTH_MAX)
    for site in change.sites:
        handed = tuple(step for step in site.steps if step.ladder == HANDED)
        for line in climbed_lines(site.model_copy(update={"steps": handed}), width):
            out.print(line)
    steps = [(s.name, s.database, s.took_s) for s in change.steps if not s.name.startswith(INTENT)]
    for line in folded("  ", climbed(change.holder, "TAKE_OVER", steps), width):
        out.print(line)


def _measured(change: HistoryEntry) -> str:
    said = ["verified"]
    if change.took_s is not None:
        said = [f"verified {change.took_s:.3f} s after its epoch"]
    if change.outage_s is not None:
        said.append(f"no answer for {change.outage_s:.3f} s")
    if worst := lost(change):
        said.append(LOST[worst])
    return ", ".join(said)
