"""A service as it is found before a drill: from the daemon's status, and from one request."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from controller.cli.endpoint import status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import planned
from controller.cli.options import Asked
from controller.cli.stall import expected_stall
from controller.cli.status_view import health_word, request_line, state_cell, voter_cell
from controller.drill.checks import Finding, Standing, examined, reasons
from controller.drill.measure import Sample
from controller.web.drill_schema import DrillCheck, DrillPlan
from controller.web.schema import Ask, RequestView, ServiceView, SiteView, Status

VOTING: Final = frozenset({"primary", "following"})


def service_of(status: Status, name: str) -> ServiceView:
    """The service that is meant. Raises CliError when there is none, or several."""
    found = [service for service in status.services if name in ("", service.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(service.name for service in status.services)
    said = f"which service? --service one of {names}" if found else f"no service {name!r}: {names}"
    raise CliError(ExitCode.USAGE, said)


def found_standing(
    status: Status, service: ServiceView, target: str, home: str = "", canary: Sample | None = None
) -> Standing:
    """`service`, which is to go to `target`."""
    sites = {site.site: site for site in service.sites}
    chosen = target or _other(service)
    holder, other = sites.get(service.holder), sites.get(chosen)
    both = [site for site in (holder, other) if site is not None]
    return Standing(
        service=service.name,
        holder=service.holder,
        target=chosen,
        home=home,
        store_ok=status.store.ok,
        holder_role="unknown" if holder is None else holder.role,
        healthy={site.site: site.healthy for site in both},
        apps={site.site: (site.apps.up, site.apps.total) for site in both},
        missing=tuple(_missing(service)),
        eligible=other is not None and other.eligible,
        not_eligible_because=() if other is None else other.not_eligible_because,
        request="" if service.request is None else request_line(service.request),
        drains=tuple(order.target for order in status.drains),
        fences=tuple(found.site for found in status.fences if found.in_force),
        change="" if service.open_change is None else service.open_change.ladder,
        paused=service.paused,
        settled=service.drill is None or service.drill.settled,
        canary_url="" if service.drill is None else service.drill.canary_url,
        canary_trouble="" if canary is None or canary.ok else canary.detail,
        lands_at="" if canary is None else canary.site,
    )


def _other(service: ServiceView) -> str:
    """The other data site, an eligible one first."""
    others = [s for s in service.sites if s.kind == "data" and s.site != service.holder]
    others.sort(key=lambda site: not site.eligible)
    return others[0].site if others else ""


def _missing(service: ServiceView) -> Iterator[str]:
    """Copies that do not vote, or have an alarm; sites that have no copy at all."""
    if not any(site.databases for site in service.sites):
        return
    for site in service.sites:
        if health_word(site) == "silent" or (not site.databases and site.role == "unknown"):
            yield f"nothing fresh is known of the copies at {site.site}"
        yield from _missing_at(service, site)


def _missing_at(service: ServiceView, site: SiteView) -> Iterator[str]:
    for copy in site.databases:
        where, word = f"{copy.name} at {site.site}", voter_cell(service, site, copy).text
        if word not in VOTING:
            yield f"{where} is {word}"
        elif word == "primary" and not copy.gate_open:
            yield f"{where}: {state_cell(copy).text}"
        yield from (f"{where}: {problem}" for problem in copy.problems)


def plan_of(asked: Asked, to: str, kind: str, once: Callable[[str], Sample]) -> DrillPlan:
    """Whether a drill may begin now, and what it would do. Nothing is changed."""
    status = status_of(asked.endpoint)
    service = service_of(status, asked.service)
    url = "" if service.drill is None else service.drill.canary_url
    standing = found_standing(status, service, to, canary=once(url) if url else None)
    order = Ask(
        kind=kind, service=service.name, target=standing.target, reason=asked.reason, dry=True
    )
    request: RequestView | None = None
    try:
        request = planned(asked, order)
    except CliError as error:
        if error.code is not ExitCode.REFUSED:
            raise
        standing = replace(standing, refused=error.sentence)
    else:
        standing = replace(standing, target=request.target)
    return _planned(status, service, kind, examined(standing), standing, request)


def _planned(
    status: Status,
    service: ServiceView,
    kind: str,
    findings: tuple[Finding, ...],
    standing: Standing,
    request: RequestView | None,
) -> DrillPlan:
    stall_s, stall_from = expected_stall(service, status.history)
    drill = service.drill
    why = reasons(findings)
    return DrillPlan(
        cluster=status.cluster,
        site=status.site,
        now=status.now,
        service=service.name,
        kind=kind,
        holder=standing.holder,
        target=standing.target,
        may_run=not why,
        reasons=why,
        warnings=service.warnings,
        checks=tuple(DrillCheck(name=f.name, ok=f.ok, detail=f.detail) for f in findings),
        steps=steps_of(standing),
        stall_s=stall_s,
        stall_from=stall_from,
        rto_s=drill.rto_s if drill else 0.0,
        rpo_transactions=drill.rpo_transactions if drill else 0,
        approvals_needed=0 if request is None else request.approvals_needed,
        canary_url=standing.canary_url,
        last=drill.last if drill else None,
        age_days=drill.age_days if drill else None,
    )


def steps_of(seen: Standing) -> tuple[str, ...]:
    """What a drill does, in order."""
    name, home, target = seen.service, seen.holder, seen.target
    return (
        f"ask {seen.canary_url} ten times a second, until the drill is over",
        f"switch {name} over to {target}, as tricast switchover does",
        f"see that {target} serves: its role, the history, answers from there",
        f"hold it there (--hold), and wait until {home} votes and may take over again",
        f"switch {name} back to {home}",
        f"see that {home} serves, that every copy votes, that requests are answered",
        "measure, write the report, note the drill where every site sees it",
    )
