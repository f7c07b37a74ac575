"""`tricast plan`: what a move would do now, before anybody asks for it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click

from controller.cli import elsewhere, options
from controller.cli.endpoint import Endpoint, ask, status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE, SITE
from controller.cli.output import console, print_json
from controller.cli.plan_view import plan_lines
from controller.cli.stall import expected_stall
from controller.web.plan_schema import Plan, PlanService
from controller.web.schema import Status

PATH: Final = "/api/v1/plan"
EPOCHS: Final = {"switchover": "handover", "failover": "failover", "drain": "handover"}
SERVICE_OPTION = click.option(
    "--service", type=SERVICE, default="", help="Which service; needed when there are several."
)
Where = Mapping[str, Path | str | None]


@click.group()
def plan() -> None:
    """Say what a switchover, failover or drain would do now.

    Whether it would be accepted, who holds the service and who would, the ladders that would be
    climbed with the steps whose goals hold already, how long requests would wait, what the routes
    would say, what may be lost, whose approval it needs and the plan that would be approved.

    A step is known to the daemon of the site that climbs it. The daemon of this node is asked, and
    with a cluster file (--config, TRICAST_CONFIG, or /etc/tricast/tricast.yml) those of the other
    sites; with --url only that one, with --server each of those that it names. Nothing is changed.
    """


@plan.command()
@options.asking
@SERVICE_OPTION
@click.option(
    "--to", type=SITE, default="", help="Which site would take over (default: the best candidate)."
)
def switchover(*, as_json: bool, service: str, to: str, **where: Path | str | None) -> int:
    """Say what tricast switchover would do now.

    A holder that is not heard hands nothing over: that is said, although it may be asked.
    """
    return _shown(where, {"kind": "switchover", "service": service, "target": to}, as_json=as_json)


@plan.command()
@options.asking
@SERVICE_OPTION
@click.option("--to", type=SITE, required=True, help="Which site would take over.")
@click.option("--allow-data-loss", is_flag=True, help="Do without voters that cannot be reached.")
def failover(
    *, as_json: bool, service: str, to: str, allow_data_loss: bool, **where: Path | str | None
) -> int:
    """Say what tricast failover would do now.

    With --allow-data-loss, at the site that would take over, what may be lost.
    """
    wanted = {"kind": "failover", "service": service, "target": to}
    if allow_data_loss:
        wanted["allow_data_loss"] = "true"
    return _shown(where, wanted, as_json=as_json)


@plan.command()
@options.asking
@click.argument("site", type=SITE)
def drain(*, as_json: bool, site: str, **where: Path | str | None) -> int:
    """Say what tricast drain SITE would do now.

    To each service: which it would hand over and to whom, and what its routes would say.
    """
    return _shown(where, {"kind": "drain", "target": site}, as_json=as_json)


def _shown(where: Where, wanted: dict[str, str], *, as_json: bool) -> int:
    first = options.endpoint(where)
    found = ask(first, f"{PATH}?{urlencode(wanted)}", Plan)
    if wanted["kind"] == "switchover":
        wanted |= {"target": found.target}
    if first.url is None:
        config = where["config"]
        sites = first.one_by_one() or _concerned(found, Path(config) if config else None)
        found = completed(found, *_others(sites, wanted))
    found = _with_stalls(found, status_of(first))
    if as_json:
        print_json(found)
    else:
        out = console()
        for line in plan_lines(found, out.width):
            out.print(line)
    return ExitCode.DONE if found.accepted else ExitCode.REFUSED


def _concerned(found: Plan, config: Path | None) -> Mapping[str, Endpoint]:
    """Other sites that know more of what they would climb."""
    climbing = {ladder.site for each in found.services for ladder in each.ladders}
    known = elsewhere.endpoints(elsewhere.cluster_of(config))
    return {
        site: where
        for site, where in known.items()
        if site != found.site and site in climbing | {found.judge}
    }


def _others(
    sites: Mapping[str, Endpoint], wanted: Mapping[str, str]
) -> tuple[dict[str, Plan], tuple[str, ...]]:
    """The same plan as each of `sites` knows it, and a sentence for each that did not answer."""
    if not sites:
        return {}, ()
    path = f"{PATH}?{urlencode(wanted)}"

    def asked(where: Endpoint) -> Plan | CliError:
        try:
            return ask(where, path, Plan)
        except CliError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(sites)) as pool:
        answers = dict(zip(sites, pool.map(asked, sites.values()), strict=True))
    plans = {answer.site: answer for answer in answers.values() if isinstance(answer, Plan)}
    silent = tuple(
        f"{site}: {answer.sentence.partition('. ')[0]}"
        for site, answer in answers.items()
        if isinstance(answer, CliError)
    )
    return plans, silent


def completed(first: Plan, others: Mapping[str, Plan], silent: tuple[str, ...] = ()) -> Plan:
    """`first`, where each site says itself what only it knows, and the one that decides whether it
    would refuse.
    """
    judge = others.get(first.judge)
    if judge is None or judge.site == first.site:
        judge = first
    against = () if judge is first else tuple(f"{judge.site} says: {why}" for why in judge.reasons)
    accepted = first.accepted and judge.accepted
    return first.model_copy(
        update={
            "accepted": accepted,
            "reasons": first.reasons or against,
            "plan": first.plan if accepted else "",
            "statement": first.statement or judge.statement,
            "services": tuple(
                _completed(_same(judge, each) or each, (*others.values(), first))
                for each in first.services
            ),
            "unanswered": silent,
        }
    )


def _same(plan: Plan, wanted: PlanService) -> PlanService | None:
    """The same service of the same epoch in another site's plan."""
    known = (wanted.service, wanted.holder, wanted.epoch)
    return next((e for e in plan.services if (e.service, e.holder, e.epoch) == known), None)


def _completed(service: PlanService, plans: tuple[Plan, ...]) -> PlanService:
    ladders = {(ladder.site, ladder.ladder): ladder for ladder in service.ladders}
    routes = {each.site: each for each in service.routes}
    for plan in plans:
        found = _same(plan, service)
        if found is None or found.target != service.target:
            continue
        ladders |= {
            (ladder.site, ladder.ladder): ladder
            for ladder in found.ladders
            if ladder.site == plan.site and (ladder.site, ladder.ladder) in ladders
        }
        routes |= {each.site: each for each in found.routes if each.site == plan.site}
    return service.model_copy(
        update={"ladders": tuple(ladders.values()), "routes": tuple(routes.values())}
    )


def _with_stalls(plan: Plan, status: Status) -> Plan:
    """How long requests would wait, for each service that moves."""
    known = {service.name: service for service in status.services}
    filled = []
    for each in plan.services:
        stall: dict[str, object] = {}
        if each.ladders and each.service in known:
            found = expected_stall(known[each.service], status.history, EPOCHS[plan.kind])
            stall = dict(zip(("stall_s", "stall_from"), found, strict=True))
        filled.append(each.model_copy(update=stall))
    return plan.model_copy(update={"services": tuple(filled)})
