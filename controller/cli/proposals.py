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
from controller.cli.progress import finish
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
    return _shown(where, service, as_json=as_json, keep=lambda r: everything or r.state in OPEN)


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
def proposals(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """List what waits for an approval.

    With the plan that tricast approve wants, and who has agreed so far.
    """
    return _shown(
        where,
        service,
        as_json=as_json,
        keep=lambda r: r.state in OPEN and len(r.approved_by) < r.approvals_needed,
    )


def _shown(
    where: Mapping[str, Path | str | None],
    service: str | None,
    *,
    as_json: bool,
    keep: Callable[[RequestView], bool],
) -> int:
    endpoint = options.endpoint(where)
    query = f"?{urlencode({'service': service})}" if service else ""
    found = ask(endpoint, f"{PATH}{query}", Requests)
    found = found.model_copy(update={"requests": tuple(r for r in found.requests if keep(r))})
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    if not found.requests:
        out.print(Text(f"cluster {found.cluster}: nothing is asked"))
    else:
        for line in requests_table(found).lines(out.width):
            out.print(line)
    return ExitCode.DONE


def requests_table(found: Requests) -> Table:
    """One row per request."""
    table = Table(f"Cluster: {found.cluster} | requests", COLUMNS)
    for request in found.requests:
        table.add(
            Cell(request.service or "(site)"),
            Cell(str(request.number)),
            Cell(request.kind),
            Cell(request.target),
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
@click.option("--site", type=SITE, default="", help="Of a drain: the site.")
def approve(
    asked: Asked,
    *,
    number: int,
    plan: str,
    site: str,
) -> int:
    """Agree to request NUMBER.

    It begins when as many persons agree as requests.approvals says for its kind.
    """
    verdict = Verdict(
        number=number, service=asked.service, plan=plan, target=site, reason=asked.reason
    )
    request = tell(asked.endpoint, f"{PATH}/approve", verdict, RequestAnswer).request
    return finish(asked, request)


@click.command()
@options.telling
@click.argument("number", type=click.IntRange(min=0))
def decline(
    asked: Asked,
    *,
    number: int,
) -> int:
    """End request NUMBER before it begins.

    Withdrawn when you asked for it, refused otherwise; the reason is kept with it.
    """
    verdict = Verdict(number=number, service=asked.service, reason=asked.reason)
    finish(asked, tell(asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer).request)
    return ExitCode.DONE
