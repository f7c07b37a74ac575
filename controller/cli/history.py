"""`tricast history`: finished role changes."""

from pathlib import Path
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.history_view import change_lines, history_table
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.web.schema import History, HistoryEntry

LIMIT_MAX = 1000


@click.command()
@options.asking
@click.argument("change", required=False, metavar="[ID]")
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option(
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=20,
    show_default=True,
    help="At most so many.",
)
@click.option("--verbose", "-v", is_flag=True, help="Everything that is known of each.")
def history(
    *,
    as_json: bool,
    change: str | None,
    service: str | None,
    limit: int,
    verbose: bool,
    **where: Path | str | None,
) -> int:
    """List finished role changes, newest first; with ID, all that is known of one.

    An ID is an epoch, 7, or service and epoch, wallet/7. Of each change: from where to where, by
    whose order or which rule, how long it took (Took), how long the service address gave no answer
    (Out), whether acknowledged transactions are lost (Lost: none, possible, unknown). With ID or
    --verbose also the evidence, who approved, what exactly was thrown away and by whom, what the
    routes of each site said before and after, where requests entered as the witness saw it, and
    each step with its time.
    """
    endpoint = options.endpoint_or_store(where)
    wanted_service, epoch = _meant(change, service)
    query = {"limit": str(limit if epoch is None else LIMIT_MAX)}
    query |= {"service": wanted_service} if wanted_service else {}
    found = ask(endpoint, f"/api/v1/history?{urlencode(query)}", History)
    if epoch is not None:
        found = found.model_copy(update={"changes": (_one(found, epoch, str(change)),)})
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    if not found.changes:
        out.print(Text(f"cluster {found.cluster}: no role change on record"))
        return ExitCode.DONE
    for line in history_table(found).lines(out.width):
        out.print(line)
    for each in found.changes if verbose or epoch is not None else ():
        for line in change_lines(each, out.width):
            out.print(line)
    return ExitCode.DONE


def _meant(change: str | None, service: str | None) -> tuple[str | None, int | None]:
    """Which service and which epoch."""
    if change is None:
        return service, None
    named, slash, number = change.rpartition("/")
    if len(number) > 10 or not number.isdecimal() or (slash and not named):
        raise CliError(
            ExitCode.USAGE, f"{change[:60]!r} is no role change; write its epoch, 7, or wallet/7"
        )
    if named and service not in (None, named):
        raise CliError(ExitCode.USAGE, f"{change} is of {named}, and --service says {service}")
    return named or service, int(number)


def _one(found: History, epoch: int, meant: str) -> HistoryEntry:
    changes = [each for each in found.changes if each.epoch == epoch]
    if len(changes) == 1:
        return changes[0]
    if changes:
        several = ", ".join(f"{each.service}/{epoch}" for each in changes)
        raise CliError(ExitCode.USAGE, f"several services changed at epoch {epoch}: {several}")
    known = ", ".join(f"{each.service}/{each.epoch}" for each in found.changes[:10])
    raise CliError(
        ExitCode.USAGE,
        f"no role change {meant} is on record; the newest are {known}"
        if known
        else f"no role change {meant} is on record, nor any other",
    )
