"""`tricast weights`: which of the sites that could take over goes first."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import planned, told_to
from controller.cli.names import SERVICE, SITE
from controller.cli.options import Asked
from controller.cli.output import console, print_json
from controller.cli.progress import confirm, finish, past
from controller.cli.status_view import weights_line
from controller.cli.table import Cell, Column, Table
from controller.config import WEIGHT_MAX
from controller.web.schema import Ask, Status
from controller.web.weights_schema import ServiceWeights, SiteWeight, Weights

COLUMNS: Final = (
    Column(title="Service"),
    Column(title="Site"),
    Column(title="Weight", right=True),
    Column(title="Configured", right=True, drop=1),
    Column(title="From"),
    Column(title="Now"),
)

if TYPE_CHECKING:
    _Pair = click.ParamType[tuple[str, int]]
else:
    _Pair = click.ParamType


class WeightParam(_Pair):
    """SITE=WEIGHT."""

    name = "site=weight"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """The site, and its weight; whether there is such a site is said by who answers."""
        site, equals, weight = str(value).partition("=")
        if not site or not equals:
            self.fail(f"{value!r} is not SITE=WEIGHT; write for example dc1=200", param, ctx)
        if not re.fullmatch("[0-9]{1,9}", weight) or int(weight) > WEIGHT_MAX:
            self.fail(
                f"{value!r}: a weight is a whole number from 0 to {WEIGHT_MAX}; write for example "
                f"{site}=200",
                param,
                ctx,
            )
        return site, int(weight)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The sites of the cluster file."""
        found = SITE.shell_complete(ctx, param, incomplete)
        return [CompletionItem(f"{item.value}=") for item in found]


@click.group()
def weights() -> None:
    """Order the sites that could take a service over.

    Of several eligible sites the heavier one goes first, when a holder is lost and where nobody
    names a target. That is never a reason to move. Each site has a weight in the cluster file; what
    is set here goes before it, at every site, at once and without a restart.
    """


@weights.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
def show(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """Show the weight of each data site, where it comes from, and who would go first now."""
    status = status_of(options.endpoint(where))
    found = Weights(
        cluster=status.cluster, site=status.site, services=tuple(_known(status, service))
    )
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in (*_table(found).lines(out.width), *_below(found)):
        out.print(line)
    return ExitCode.DONE


@weights.command("set")
@options.telling
@options.breaking_glass
@click.argument("pairs", metavar="SITE=WEIGHT...", type=WeightParam(), nargs=-1, required=True)
def set_weights(asked: Asked, *, pairs: tuple[tuple[str, int], ...], break_glass: bool) -> int:
    """Set the weights of the sites named, for one service. Needs --reason.

    The order among eligible sites changes at every site as soon as it stands in etcd, and nothing
    else. A weight is a whole number from 0 to 1000; sites that are not named keep theirs.
    """
    found: dict[str, int] = {}
    for site, weight in pairs:
        if site in found:
            raise CliError(
                ExitCode.USAGE,
                f"{site} stands twice, {site}={found[site]} and {site}={weight}: name it once",
            )
        found[site] = weight
    order = Ask(
        kind="weights",
        service=asked.service,
        reason=asked.reason,
        weights=found,
        break_glass=break_glass,
    )
    plan = planned(asked, order)
    confirm(asked, f"Change the weights of {plan.statement}{past(plan)}?")
    return finish(asked, told_to(asked, order, plan))


@weights.command()
@options.telling
@options.breaking_glass
def clear(asked: Asked, *, break_glass: bool) -> int:
    """Give every weight of a service back to the configuration. Needs --reason."""
    order = Ask(kind="weights", service=asked.service, reason=asked.reason, break_glass=break_glass)
    return finish(asked, told_to(asked, order, planned(asked, order)))


def _known(status: Status, name: str | None) -> Iterator[ServiceWeights]:
    """Of every service, or the one that is meant. Raises CliError."""
    names = [service.name for service in status.services]
    if name and name not in names:
        raise CliError(
            ExitCode.USAGE, f"there is no service {name!r}; there are {', '.join(names)}"
        )
    for service in status.services:
        if name in (None, service.name):
            if service.weights is None:
                raise CliError(
                    ExitCode.REFUSED,
                    f"{status.site} does not know the weights of {service.name}: it is a witness, "
                    "or has only just started; ask at a data site (--url)",
                )
            yield ServiceWeights(
                service=service.name,
                holder=service.holder,
                paused=service.paused,
                **dict(service.weights),
            )


def _table(found: Weights) -> Table:
    table = Table(f"Cluster: {found.cluster} | weights as seen by {found.site}", COLUMNS)
    for service in found.services:
        for number, site in enumerate(service.sites):
            table.add(
                Cell("" if number else service.service),
                Cell(site.site),
                Cell(str(site.weight)),
                Cell(str(site.configured)),
                Cell("set" if site.was_set else "configuration", "yellow" if site.was_set else ""),
                Cell(_now(service, site)),
                rule=not number,
            )
    return table


def _now(service: ServiceWeights, site: SiteWeight) -> str:
    if site.site == service.holder:
        return "holds it"
    return "goes first" if site.site == service.first else ""


def _below(found: Weights) -> Iterable[Text]:
    """Who set what, and what it means now."""
    for service in found.services:
        if service.order is not None:
            yield Text(f" {service.service}: {weights_line(service)}")
        if service.paused:
            told = f"paused, nobody takes over by itself: {service.paused}"
        elif service.first:
            told = f"if {service.holder or 'its holder'} were lost, {service.first} would go first"
        else:
            told = "no site could take over now: tricast explain says why"
        yield Text(f" {service.service}: {told}")
