"""`tricast voters`: who votes on the commits of a service, and operators change it."""

import http.client
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import Endpoint, ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import planned, told_to
from controller.cli.names import SERVICE, SITE
from controller.cli.options import Asked
from controller.cli.output import console, print_json
from controller.cli.progress import follow, typed
from controller.cli.status_view import DEMOTION, GOOD, ODD, PROMOTION
from controller.cli.table import Cell, Column, Table
from controller.web.schema import Ask, RequestView
from controller.web.voters_schema import SiteVote, Voters

CATCH_UP_S: Final = 3600.0
COLUMNS: Final = (
    Column(title="Service"),
    Column(title="Site"),
    Column(title="Kind", drop=1),
    Column(title="Votes"),
    Column(title="Counts now"),
)


@click.group()
def voters() -> None:
    """Change who votes on the commits of a service, one site at a time.

    Each commit waits for voters, and a takeover asks them. A site that was demoted only learns: it
    counts for neither until it is promoted. A commit needs as many copies as before.
    """


@voters.command("list")
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
def list_voters(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """Show who votes, who only learns, and whose copies count now."""
    found = _known(options.endpoint(where), service)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in (*_table(found).lines(out.width), *_below(found)):
        out.print(line)
    return ExitCode.DONE


@voters.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
def demote(asked: Asked, *, site: str, break_glass: bool) -> int:
    """Let SITE vote no more: it only learns. Needs --reason.

    The primary lets it in no more; once the others hold all that is committed, the epoch record
    says so. It says what each commit needs from then on, and wants the name of the site typed once
    more, or --yes.
    """
    order = _order(asked, DEMOTION, site, break_glass=break_glass)
    plan = planned(asked, order)
    _say(plan)
    if not asked.yes:
        if not sys.stdin.isatty():
            raise CliError(ExitCode.USAGE, "Nobody can be asked back here: add --yes")
        typed(asked, site, None)
    return follow(asked, told_to(asked, order, plan), lambda _request, _status: False)


@voters.command()
@options.telling_for(CATCH_UP_S)
@options.breaking_glass
@click.argument("site", type=SITE)
def promote(asked: Asked, *, site: str, break_glass: bool) -> int:
    """Let SITE vote again.

    The epoch record counts it first; then the primary lets it in, as any copy that comes back. It
    is followed until each database there votes.
    """
    return _promoted(asked, site, break_glass=break_glass)


@voters.command()
@options.telling_for(CATCH_UP_S)
@options.breaking_glass
@click.argument("site", type=SITE)
def add(asked: Asked, *, site: str, break_glass: bool) -> int:
    """Let SITE, which is new in the configuration, vote: as promote.

    First put the site into `sites` of the configuration of all sites, and into the databases' own
    lists (PostgreSQL: synchronous_standby_names). There it votes at once, unless it was demoted
    before: then this promotes it.
    """
    return _promoted(asked, site, break_glass=break_glass)


def _promoted(asked: Asked, site: str, *, break_glass: bool) -> int:
    order = _order(asked, PROMOTION, site, break_glass=break_glass)
    plan = planned(asked, order)
    _say(plan)
    return follow(asked, told_to(asked, order, plan), lambda _request, _status: False)


def _order(asked: Asked, kind: str, site: str, *, break_glass: bool) -> Ask:
    return Ask(
        kind=kind,
        service=asked.service,
        target=site,
        reason=asked.reason,
        break_glass=break_glass,
    )


def _say(plan: RequestView) -> None:
    """What it means, and what is passed over."""
    glass = f" It goes past the policy of {plan.broke_glass}." if plan.broke_glass else ""
    print(f"{plan.statement}{glass}", file=sys.stderr)


# --- how it is shown -----------------------------------------------------------------------------


def _known(endpoint: Endpoint, service: str | None) -> Voters:
    """Of every service, or the one that is meant. Raises CliError."""
    query = f"?{urlencode({'service': service})}" if service else ""
    try:
        return ask(endpoint, f"/api/v1/voters{query}", Voters)
    except CliError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        raise CliError(
            ExitCode.REFUSED,
            f"the daemon at {endpoint} does not know who votes: it is a witness, or of an older "
            "version; ask at a data site (--url)",
        ) from None


def _table(found: Voters) -> Table:
    table = Table(f"Cluster: {found.cluster} | voters as seen by {found.site}", COLUMNS)
    for service in found.services:
        for number, site in enumerate(service.sites):
            table.add(
                Cell("" if number else service.service),
                Cell(site.site),
                Cell(site.kind),
                Cell(site.votes if service.needed else "", "" if site.votes == "voter" else ODD),
                _counts(site),
                rule=not number,
            )
    return table


def _counts(site: SiteVote) -> Cell:
    told = ", ".join(f"{name} {counts}" for name, counts in site.counts.items())
    return Cell(told, ODD if "no" in site.counts.values() else GOOD)


def _below(found: Voters) -> Iterable[Text]:
    """What a commit needs, and what the next failure would cost."""
    for service in found.services:
        if not service.needed:
            yield Text(f" {service.service}: no database, so nobody votes on its commits")
            continue
        copies = "one copy" if service.needed == 1 else f"{service.needed} copies"
        yield Text(f" {service.service}: a commit needs {copies}")
        yield Text(f" {service.service}: {service.guarantee}")
