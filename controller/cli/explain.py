"""`tricast explain`: which rule holds at each site, on what evidence."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from controller.cli import options
from controller.cli.endpoint import ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.cli.status_view import fence_lines, request_line
from controller.web.schema import Explanation, OpenChange, ServiceExplanation, SiteExplanation


@click.command()
@options.asking
@click.argument("service", type=SERVICE, required=False)
def explain(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """Say why: rule, reason and evidence at each site.

    Of SERVICE, or of all. A role change that is under way is shown step by step: which are reached,
    the time each took, and what the first of the others waits for.
    """
    endpoint = options.endpoint_or_store(where)
    found = _chosen(ask(endpoint, "/api/v1/explain", Explanation), service)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in explain_lines(found):
        out.print(line)
    return ExitCode.DONE


def _chosen(found: Explanation, service: str | None) -> Explanation:
    if service is None:
        return found
    chosen = tuple(known for known in found.services if known.name == service)
    if not chosen:
        names = ", ".join(known.name for known in found.services)
        raise CliError(
            ExitCode.USAGE, f"cluster {found.cluster} has no service {service!r}; it has {names}"
        )
    return found.model_copy(update={"services": chosen})


def explain_lines(found: Explanation) -> Iterator[Text]:
    """The whole page."""
    for service in found.services:
        yield from _service_lines(service)
        yield Text("")
    yield from fence_lines(found.fences)
    if not found.store.ok:
        yield Text(f"Store: {found.store.detail or 'no majority answers'}", style="bold red")
    yield Text(f"{found.now} as seen by {found.site}", style="dim")


def _service_lines(service: ServiceExplanation) -> Iterator[Text]:
    head = Text().append(service.name, style="bold")
    head.append(f": epoch {service.epoch}, held by {service.holder or 'nobody'}")
    yield head
    if record := service.record:
        by = f" (asked by {record.asked_by})" if record.asked_by else ""
        yield Text(f"  since {record.at}: {record.kind}, {record.reason}{by}")
    if service.paused:
        yield Text(f"  paused: {service.paused}", style="bold red")
    if service.request is not None:
        yield Text(f"  request {request_line(service.request)}", style="yellow")
    if service.guarantee:
        yield Text(f"  guarantee: {service.guarantee}")
    for warning in service.warnings:
        yield Text(f"  warning: {warning}", style="yellow")
    for site in service.sites:
        yield from _site_lines(site)
    if service.open_change is not None:
        yield from ladder_lines(service.open_change)


def _site_lines(site: SiteExplanation) -> Iterator[Text]:
    line = Text().append(f"  {site.site}", style="bold")
    line.append(f" ({site.role}): rule {site.rule}, {site.reason}")
    yield line
    if site.report_age_s is not None:
        yield Text(f"    as it said {site.report_age_s:.1f} s ago", style="dim")
    for name, value in site.evidence.items():
        yield Text(f"    {name} = {value}")
    for reason in site.not_eligible_because:
        yield Text(f"    not eligible: {reason}", style="yellow")


def ladder_lines(change: OpenChange) -> Iterator[Text]:
    """The steps of a role change that is under way, each with its time."""
    yield Text(f"  open role change {change.ladder}, for {change.since_s:.1f} s:", style="bold")
    for step in change.steps:
        mark = "x" if step.done else (">" if step.name == change.step else " ")
        name = f"{step.name} ({step.database})" if step.database else step.name
        took = f", {step.took_s:.3f} s" if step.took_s is not None else ""
        detail = f": {step.detail}" if step.detail else ""
        style = "green" if step.done else ("yellow" if mark == ">" else "")
        yield Text(f"    [{mark}] {name}{took}{detail}", style=style)
    yield Text(f"    next: {change.step}")
