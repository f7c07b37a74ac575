"""`tricast rejoin`, `tricast reinit`: a site's copies come back now, or one is made anew."""

import sys

import click

from controller.cli import options
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import planned, told_to
from controller.cli.names import SITE
from controller.cli.options import Asked
from controller.cli.progress import follow, past, typed
from controller.web.schema import Ask

COPY_S = 86_400.0


@click.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
@click.option("--database", default="", help="Only this one (default: every one of the service).")
def rejoin(asked: Asked, *, site: str, database: str, break_glass: bool) -> int:
    """Let SITE try again now to bring its databases back.

    Coming back is automatic; after failures it rests, longer each time. This ends the rest, and
    shows how far each database is until every one votes again, or why it does not.
    """
    order = Ask(
        kind="rejoin",
        service=asked.service,
        target=site,
        database=database,
        reason=asked.reason,
        break_glass=break_glass,
    )
    plan = planned(asked, order)
    return follow(asked, told_to(asked, order, plan), lambda _request, _status: False)


@click.command()
@options.telling_for(COPY_S)
@options.breaking_glass
@click.argument("site", type=SITE)
@click.option("--database", required=True, help="Whose copy is made anew.")
def reinit(asked: Asked, *, site: str, database: str, break_glass: bool) -> int:
    """Throw the copy of a database at SITE away, and make it anew from the holder's.

    For a copy that is corrupt, or that nobody trusts. It leaves the quorum first; its own data
    stay until the new copy is whole; then it catches up in quarantine, and votes again. Needs
    --reason, and wants the name of the site typed once more, or --yes.
    """
    order = Ask(
        kind="reinit",
        service=asked.service,
        target=site,
        database=database,
        reason=asked.reason,
        break_glass=break_glass,
    )
    plan = planned(asked, order)
    print(f"{plan.statement}{past(plan)}", file=sys.stderr)
    if not asked.yes:
        if not sys.stdin.isatty():
            raise CliError(ExitCode.USAGE, "Nobody can be asked back here: add --yes")
        typed(asked, site, None)
    return follow(asked, told_to(asked, order, plan), lambda _request, _status: False)
