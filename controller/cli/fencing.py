"""`tricast fence`, `unfence`: a site is kept out, at once, until it may come back."""

import sys
import time

import click

from controller.cli import options
from controller.cli.endpoint import status_of, tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import PATH
from controller.cli.names import SITE
from controller.cli.options import Asked
from controller.cli.progress import POLL_S, Teller, confirm, ended, follow
from controller.cli.status_view import closing_line, fence_line
from controller.web.fence_schema import FenceView
from controller.web.schema import Ask, RequestAnswer, RequestView, Status, Verdict


@click.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
def fence(
    asked: Asked,
    *,
    site: str,
    break_glass: bool,
) -> int:
    """Keep SITE out, at once, whatever its daemon does.

    Needs --reason. Ask a daemon of another site when its own is dead or frozen. What SITE holds is
    taken over, without patience; its databases do not vote, are closed by the other data sites
    over the host agents, once, and do not rejoin; nothing is replicated from them. It stays so
    until tricast unfence. Refused where no other data site could serve, or no majority of voters
    would be left: the answer names what is missing, and nothing can insist.
    """
    confirm(asked, f"Fence {site}? What it holds is taken from it now")
    order = Ask(kind="fence", target=site, reason=asked.reason, break_glass=break_glass)
    request = tell(asked.endpoint, PATH, order, RequestAnswer).request
    seen: list[FenceView] = []

    def kept_out(_request: RequestView, status: Status) -> bool:
        seen[:] = _of(status, site)
        return _kept_out(status, site)

    code = follow(asked, request, kept_out)
    for found in seen:
        for closing in found.closings:
            print(closing_line(found, closing), file=sys.stderr)
    return code


@click.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
def unfence(
    asked: Asked,
    *,
    site: str,
    break_glass: bool,
) -> int:
    """End the fence of SITE: it may rejoin.

    Its databases come back as any that were away, and it is a candidate again. It ends when every
    daemon that answers says that it does not keep SITE out any more.
    """
    verdict = Verdict(kind="fence", target=site, reason=asked.reason, break_glass=break_glass)
    request = tell(asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer).request
    if asked.wait and request.state == "withdrawn":
        _until_gone(asked, site)
    return ended(asked, request)


def _of(status: Status, site: str) -> list[FenceView]:
    return [found for found in status.fences if found.site == site]


def _kept_out(status: Status, site: str) -> bool:
    """It is fenced, holds nothing, and each holder has tried to close the databases there are."""
    tried = {(c.service, c.by) for found in _of(status, site) for c in found.closings}
    return any(found.in_force for found in _of(status, site)) and all(
        service.holder != site
        and ((service.name, service.holder) in tried or not any(s.databases for s in service.sites))
        for service in status.services
    )


def _until_gone(asked: Asked, site: str) -> None:
    """No daemon that answers keeps `site` out. Raises CliError when the time is up."""
    teller, until = Teller(), time.monotonic() + asked.timeout
    said = f"{site} is unfenced; no daemon has said so yet"
    while True:
        try:
            found = _of(status_of(asked.endpoint), site)
        except CliError as error:
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            teller.say(error.sentence)
        else:
            if not found:
                return
            said = fence_line(found[0])
            teller.say(said)
        if time.monotonic() >= until:
            raise CliError(ExitCode.UNKNOWN, f"after {asked.timeout:g} s {said}: tricast status")
        time.sleep(POLL_S)
