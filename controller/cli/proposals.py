"""`tricast requests`, `proposals`, `approve`, `decline`: who asked what, and who else agrees."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import ask, tell
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import PATH
from controller.cli.names import SERVICE, SITE
from controller.cli.options import Asked
from controller.cli.output import console, print_json
from controller.cli.progress import ended, finish
from controller.cli.table import Cell, Column, Table
from controller.web.schema import RequestAnswer, Requests, RequestView, Verdict

COLUMNS = (
    Column(title="Service"),
    Column(title="No", right=True),
    Column(title="What"),
    Column(title="To"),
    Column(title="Asked by"),
    Column(title="When", drop=1),
    Column(title="State"),
    Column(title="Approvals", drop=2),
    Column(title="Plan", drop=3),
    Column(title="Why", cut=40),
)
PROPOSED = (
    Column(title="Service"),
    Column(title="No", right=True),
    Column(title="What"),
    Column(title="To"),
    Column(title="Asked by"),
    Column(title="Approvals"),
    Column(title="Left", right=True),
    Column(title="Plan", drop=2),
    Column(title="Reason", drop=1, cut=40),
)
OPEN = frozenset({"open", "running"})


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
def requests(
    *, as_json: bool, service: str | None, everything: bool, **where: Path | str | None
) -> int:
    """List what operators have asked and is not over.

    Who asked on which site, when, the state it is in, what it waits for, or why it ended so.
    """
    found = _found(where, service, lambda r: everything or r.state in OPEN)
    return _shown(found, requests_table, as_json=as_json)


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
def proposals(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """List what waits for an approval.

    With the plan that tricast approve wants, who has agreed so far, whose approval is missing, and
    how long it will still wait.
    """
    waits = (where, service, lambda r: r.state in OPEN and len(r.approved_by) < r.approvals_needed)
    return _shown(_found(*waits), proposals_table, as_json=as_json)


def _found(
    where: Mapping[str, Path | str | None],
    service: str | None,
    keep: Callable[[RequestView], bool],
) -> Requests:
    query = f"?{urlencode({'service': service})}" if service else ""
    found = ask(options.endpoint_or_store(where), f"{PATH}{query}", Requests)
    return found.model_copy(update={"requests": tuple(r for r in found.requests if keep(r))})


def _shown(found: Requests, table: Callable[[Requests], Table], *, as_json: bool) -> int:
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    if not found.requests:
        out.print(Text(f"cluster {found.cluster}: nothing is asked"))
    else:
        for line in table(found).lines(out.width):
            out.print(line)
    return ExitCode.DONE


def proposals_table(found: Requests) -> Table:
    """One row per request that waits for approvals."""
    table = Table(f"Cluster: {found.cluster} | proposals", PROPOSED)
    for request in found.requests:
        groups = f", of {' or '.join(request.approvers)}" if request.approvers else ""
        left = request.lapses_in_s
        table.add(
            Cell(request.service or "(site)"),
            Cell(str(request.number)),
            Cell(request.kind),
            Cell(f"{request.target} {request.database}".rstrip()),
            Cell(_asker(request)),
            Cell(f"{_approvals(request)}{groups}"),
            Cell("" if left is None else f"{left:.0f}s"),
            Cell(request.plan),
            Cell(request.reason),
        )
    return table


def requests_table(found: Requests) -> Table:
    """One row per request."""
    table = Table(f"Cluster: {found.cluster} | requests", COLUMNS)
    for request in found.requests:
        table.add(
            Cell(request.service or "(site)"),
            Cell(str(request.number)),
            Cell(request.kind),
            Cell(f"{request.target} {request.database}".rstrip()),
            Cell(_asker(request)),
            Cell(request.at.replace("T", " ")),
            Cell(request.state, "yellow" if request.state in OPEN else ""),
            Cell(_approvals(request)),
            Cell(request.plan),
            Cell(request.waits_for or request.state_why or request.reason),
        )
    return table


def _asker(request: RequestView) -> str:
    """Who asked at which site; which certificate showed it is in the record (--json)."""
    site, proof, _ = request.asked_at.partition(" (certificate ")
    return f"{request.asked_by}@{site}{' (cert)' if proof else ''}"


def _approvals(request: RequestView) -> str:
    if not request.approvals_needed:
        return ""
    names = ", ".join(request.approved_by)
    return f"{len(request.approved_by)} of {request.approvals_needed} {names}".rstrip()


@click.command()
@options.telling
@click.argument("number", type=click.IntRange(min=0))
@click.option("--plan", default="", help="The plan you looked at (default: as it is now).")
@click.option("--site", type=SITE, default="", help="Of a drain or a fence: the site.")
def approve(
    asked: Asked,
    *,
    number: int,
    plan: str,
    site: str,
) -> int:
    """Agree to request NUMBER.

    It begins when as many persons agree as the policy of its verb says (requests.policies). It
    lapses when the world is no longer the one in which it was asked for.
    """
    verdict = Verdict(
        number=number, service=asked.service, plan=plan, target=site, reason=asked.reason
    )
    request = tell(asked.endpoint, f"{PATH}/approve", verdict, RequestAnswer).request
    return finish(asked, request)


@click.command()
@options.telling
@click.argument("number", type=click.IntRange(min=0))
@click.option("--site", type=SITE, default="", help="Of a drain or a fence: the site.")
def decline(
    asked: Asked,
    *,
    number: int,
    site: str,
) -> int:
    """End request NUMBER before it begins.

    Withdrawn when you asked for it, refused otherwise; the reason is kept with it.
    """
    verdict = Verdict(number=number, service=asked.service, target=site, reason=asked.reason)
    return ended(asked, tell(asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer).request)
