"""What becomes of a request: asked again and again until it is over, and what its end means."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import click

from controller.cli.endpoint import Endpoint, ask, status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.options import Asked
from controller.cli.output import print_json
from controller.cli.status_view import PROMOTION, REPAIRS, aim, voter_cell
from controller.notify.derive import LOUD
from controller.web.schema import Requests, RequestView, ServiceView, Status

POLL_S: Final = 0.2
OF_COPIES: Final = REPAIRS | {PROMOTION}
CODES: Final = {
    "done": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "refused": ExitCode.REFUSED,
    "lapsed": ExitCode.REFUSED,
    "withdrawn": ExitCode.REFUSED,
}


@dataclass(slots=True)
class Teller:
    """Says each thing once and when it was seen, in seconds since the order, on standard error:
    standard output is the answer alone.
    """

    said: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, sentence: str) -> None:
        """`sentence`, unless it was the last one."""
        if sentence and self.said[-1:] != [sentence]:
            self.said.append(sentence)
            passed_s = time.monotonic() - self.began
            print(f"{passed_s:6.1f} s  {sentence}", file=sys.stderr, flush=True)


def confirm(asked: Asked, question: str) -> None:
    """The asker agreed, on a terminal or with --yes. Raises CliError."""
    if asked.yes:
        return
    if not sys.stdin.isatty():
        raise CliError(ExitCode.USAGE, f"{question} Nobody can be asked back here: add --yes")
    if not click.confirm(question, err=True):
        raise CliError(ExitCode.REFUSED, "nothing was asked")


def typed(asked: Asked, phrase: str, given: str | None) -> None:
    """The asker has typed `phrase`. Raises CliError."""
    if given is None and sys.stdin.isatty():
        given = click.prompt(f"Type {phrase} to go on", err=True)
    if given is None:
        raise CliError(ExitCode.USAGE, f"nobody can be asked back here: add --confirm {phrase}")
    if given != phrase:
        raise CliError(ExitCode.REFUSED, f"{given!r} is not {phrase!r}: nothing was asked")


def past(request: RequestView) -> str:
    """What is passed over, in a question; nothing where the glass stays whole."""
    return f", past the policy of {request.broke_glass}" if request.broke_glass else ""


def told(request: RequestView) -> str:
    """One sentence."""
    what = f"request {request.number} ({request.kind}{aim(request)})"
    why = f": {request.state_why}" if request.state_why else ""
    waits = f", waits for {request.waits_for}" if request.waits_for else ""
    if request.approved_by:
        waits = f", approved by {', '.join(request.approved_by)}{waits}"
    loud = request.broke_glass and LOUD not in why
    glass = f", {LOUD} past {request.broke_glass}" if loud else ""
    return f"{what} is {request.state}{glass}{waits}{why}"


def finish(asked: Asked, request: RequestView) -> int:
    """The request is printed as it stands; its exit code."""
    if asked.as_json:
        print_json(request)
    else:
        print(told(request))
    if request.state in CODES:
        return CODES[request.state]
    return (
        ExitCode.WAITING if request.approvals_needed > len(request.approved_by) else ExitCode.DONE
    )


def ended(asked: Asked, request: RequestView) -> int:
    """As `finish`, of an order that was to end: that it was withdrawn or refused is what was
    asked; it may wait for an approval.
    """
    return ExitCode.WAITING if finish(asked, request) == ExitCode.WAITING else ExitCode.DONE


def follow(
    asked: Asked,
    request: RequestView,
    over: Callable[[RequestView, Status], bool],
    end: Callable[[Asked, RequestView], int] = finish,
) -> int:
    """`request` is followed until it is `over`, and then its `end`; a daemon that is restarted
    meanwhile is found again. Raises CliError when the time is up.
    """
    teller, until = Teller(), time.monotonic() + asked.timeout
    if not asked.wait or request.approvals_needed > len(request.approved_by):
        return finish(asked, request)
    while True:
        stands = told(request)
        try:
            request, status = as_it_stands(asked.endpoint, request)
        except CliError as error:
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            teller.say(error.sentence)
        else:
            teller.say(stands := told_with_step(request, status))
            if request.state in CODES or over(request, status):
                return end(asked, request)
        if time.monotonic() >= until:
            raise CliError(
                ExitCode.UNKNOWN,
                f"after {asked.timeout:g} s {stands}; it goes on: tricast requests",
            )
        time.sleep(POLL_S)


def as_it_stands(endpoint: Endpoint, request: RequestView) -> tuple[RequestView, Status]:
    """`request` now, and the status beside it. Raises CliError."""
    query = f"?{urlencode({'service': request.service})}" if request.service else ""
    known = ask(endpoint, f"/api/v1/requests{query}", Requests)
    found = next(
        (
            r
            for r in known.requests
            if (r.service, r.number, r.kind) == (request.service, request.number, request.kind)
            and (r.service or r.target == request.target)
        ),
        request,
    )
    return found, status_of(endpoint)


def told_with_step(request: RequestView, status: Status) -> str:
    """One sentence, with the step of the role change that is under way, or how far copies are."""
    for service in status.services:
        if service.name == request.service and request.kind in OF_COPIES:
            far = ", ".join(_far(service, request))
            return f"{told(request)} [{far}]" if far else told(request)
        if service.name == request.service and service.open_change is not None:
            return f"{told(request)} [{service.open_change.ladder}: {service.open_change.step}]"
    return told(request)


def _far(service: ServiceView, request: RequestView) -> Iterator[str]:
    """Each copy that is meant, as far as it has come; a percent at a time."""
    for site in service.sites:
        for copy in site.databases if site.site == request.target else ():
            if request.database not in ("", copy.name):
                continue
            if copy.rejoin is None:
                yield f"{copy.name} {copy.liveness}, {voter_cell(service, site, copy).text}"
            else:
                done, total = copy.rejoin.done_bytes, copy.rejoin.total_bytes
                share = f" {100 * done // total}%" if total and done is not None else ""
                yield f"{copy.name} {copy.rejoin.phase}{share}"
