"""What a request would do, foreseen from the newest view: the rules and ladders that will decide
are asked about the world as it would be then. Pure; what only another site knows stays unknown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from bgp.policy import Stance
from controller.core import asked, handover, wants
from controller.core.decide import decide
from controller.core.ladder import Step, climb
from controller.core.model import FOREVER_S, Role, ServiceReport, SiteName
from controller.core.raising import next_epoch
from controller.core.reason import Reason
from controller.core.requests import Kind, Request, SeenRequest, State, closed, described
from controller.core.rules import RULES
from controller.core.view import OtherSite, OwnSide, View
from controller.web.plan_schema import PlanLadder, PlanRoutes, PlanService, PlanStep

LADDERS: Final = {rule.ladder_name: rule.ladder for rule in RULES if rule.ladder_name}
BEGINS: Final = {
    Kind.SWITCHOVER: Reason.HANDING_OVER,
    Kind.FAILOVER: Reason.FAILOVER_ASKED,
    Kind.DRAIN: Reason.DRAINING,
}


def judge(request: Request) -> str:
    """The site whose daemon decides about `request` in the end."""
    return request.holder if request.kind is Kind.SWITCHOVER else request.target


def moved(view: View, request: Request, *, accepted: bool) -> PlanService:
    """What becomes of a service that is asked to move; of a refused one what would have."""
    assert view.record is not None
    target = SiteName(request.target)
    plan = PlanService(
        service=view.spec.name, epoch=view.record.epoch, holder=view.record.holder, target=target
    )
    again = request.kind is Kind.FAILOVER and asked.asked_behind(view, target)
    if target == view.record.holder and not (again or request.allow_data_loss):
        return plan.model_copy(update={"begins": False})
    begins: bool | None = False
    why: tuple[str, ...] = ()
    if accepted:
        begins, why = _begins(_asked(view, request), request.kind, SiteName(judge(request)))
    kind = "handover" if request.kind is Kind.SWITCHOVER else "failover"
    after = _raised(view, target, kind, request)
    return plan.model_copy(
        update={
            "begins": begins,
            "held_back": why,
            "ladders": tuple(_ladders(_asked(view, request), after, request.kind)),
            "routes": tuple(_routes(view, after, drained=None)),
        }
    )


def drained(view: View, request: Request, default: SiteName) -> PlanService:
    """What becomes of a service when a site is drained; `default` is who takes over as far as is
    known here, if the site holds it.
    """
    assert view.record is not None
    site, epoch, holder = SiteName(request.target), view.record.epoch, view.record.holder
    plan = PlanService(service=view.spec.name, epoch=epoch, holder=holder, target=holder)
    view = replace(view, drains={**view.drains, site: _seen(request)})
    begins, why = _begins(view, Kind.DRAIN, site)
    if holder != site:
        routes = tuple(_routes(view, view, drained=site))
        return plan.model_copy(
            update={"begins": _heard(view, site), "held_back": why, "routes": routes}
        )
    target = handover.best_candidate(view) if site == view.me else default
    if begins is False:
        why = (*why, *_unfit(view))
    if target is None:
        stay = tuple(PlanRoutes(site=s, now=n, after=(n,) if n else ()) for s, n in _stances(view))
        return plan.model_copy(update={"begins": begins, "held_back": why, "routes": stay})
    move = replace(
        request,
        kind=Kind.SWITCHOVER,
        service=view.spec.name,
        target=target,
        epoch=epoch,
        holder=holder,
    )
    after = _raised(view, target, "handover", move)
    return plan.model_copy(
        update={
            "target": target,
            "begins": begins,
            "held_back": why,
            "ladders": tuple(_ladders(_asked(view, move), after, Kind.SWITCHOVER)),
            "routes": tuple(_routes(view, after, drained=site)),
        }
    )


# --- the world as it would be --------------------------------------------------------------------


def _seen(request: Request) -> SeenRequest:
    """`request`, in force."""
    free = replace(request, approvals_needed=0, not_before_s=0.0, state=State.OPEN)
    return SeenRequest(request=free, revision=0, age_s=0.0, unchanged_s=0.0)


def _asked(view: View, request: Request) -> View:
    return replace(view, request=_seen(request))


def _raised(view: View, target: SiteName, kind: str, request: Request) -> View:
    """The moment after `target` was given the next epoch."""
    assert view.record is not None
    record = replace(
        view.record,
        epoch=next_epoch(view),
        holder=target,
        previous=view.record.holder,
        kind=kind,
        request=request.number,
        excused=request.excused if request.allow_data_loss else (),
        renewal=0,
    )
    return replace(view, record=record, record_unchanged_s=0.0)


def _begins(view: View, kind: Kind, site: SiteName) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the rule of `kind` would hold at `site`, and which does instead."""
    if site != view.me:
        if site not in view.others or _heard(view, site):
            return None, ()
        ask = f"; if it is dead: tricast plan failover --service {view.spec.name} --to SITE"
        return False, (f"{site} is not heard{ask if kind is Kind.SWITCHOVER else ''}",)
    decision = decide(view)
    moves = view.record is not None and view.record.holder == site
    if decision.reason is BEGINS[kind] or (kind is Kind.DRAIN and not moves):
        return True, ()
    instead = f"rule {decision.rule} would hold at {site}: {decision.reason.value}"
    return False, (instead, *decision.refused_because)


def _unfit(view: View) -> Iterator[str]:
    """What keeps a drained holder from handing over."""
    if view.request is not None and not closed(view.request.request):
        yield f"request {view.request.request.number} is open: {described(view.request.request)}"
    for site in view.spec.data_sites:
        if site != view.me and (reasons := handover.candidate_reasons(view, site)):
            yield f"{site} cannot take over: {'; '.join(reasons)}"


# --- ladders -------------------------------------------------------------------------------------


def _ladders(asked: View, after: View, kind: Kind) -> Iterator[PlanLadder]:
    """Who climbs what, in the order in which it is begun."""
    assert after.record is not None
    assert after.record.previous is not None
    target, before = after.record.holder, after.record.previous
    if kind is Kind.SWITCHOVER:
        yield _ladder("HAND_OVER", before, asked)
    if kind is Kind.FAILOVER or target != before:
        yield _ladder("TAKE_OVER", target, after)
    if target != before:
        once = "" if _heard(after, before) else f"once {before} is heard again"
        yield _ladder("STEP_DOWN", before, after, once)
        yield _ladder("REJOIN", before, after, once or f"once {target} has promoted")


def _ladder(name: str, site: SiteName, view: View, once: str = "") -> PlanLadder:
    steps = _known(name, view) if site == view.me else _unknown(name, view)
    return PlanLadder(ladder=name, site=site, once=once, steps=tuple(steps))


def _known(name: str, view: View) -> Iterator[PlanStep]:
    for rung in climb(LADDERS[name], view):
        yield PlanStep(name=rung.step, database=rung.database or "", met=rung.done)


def _unknown(name: str, view: View) -> Iterator[PlanStep]:
    for step in LADDERS[name]:
        for database in ("",) if isinstance(step, Step) else view.spec.databases:
            yield PlanStep(name=step.name, database=database)


# --- routes --------------------------------------------------------------------------------------


def _heard(view: View, site: SiteName) -> bool:
    return site == view.me or view.others[site].seen.control_s <= view.spec.timings.suspect_after_s


def _stances(view: View) -> Iterator[tuple[SiteName, Stance | None]]:
    """What the routes of each data site say; None for one that has not said so lately."""
    for site in view.spec.data_sites:
        if site == view.me:
            yield site, view.own.stance
            continue
        other = view.others[site]
        fresh = other.report_age_s <= view.spec.timings.report_fresh_s and _heard(view, site)
        yield site, other.report.stance if fresh and other.report is not None else None


def _routes(view: View, after: View, drained: SiteName | None) -> Iterator[PlanRoutes]:
    """Each data site's, now and then; in `after` the service has its next holder, if it moves."""
    assert view.record is not None
    assert after.record is not None
    holder = after.record.holder
    moves = after.record.epoch != view.record.epoch
    for site, now in _stances(view):
        said: tuple[Stance | None, ...] = (now,)
        if not _heard(view, site):
            said = ()
        elif site == drained:
            said = (_drained(after, site, Stance.BACKUP), _drained(after, site, Stance.PREFERRED))
        elif moves and site == holder:
            said = (_attracting(after, None), _attracting(after, Stance.BACKUP))
        elif moves and site == view.record.holder:
            said = (wants.backup(after),)
        known = dict.fromkeys(stance.value for stance in said if stance is not None)
        yield PlanRoutes(
            site=site,
            now=None if now is None else now.value,
            after=tuple(known),
            more_specifics=view.spec.more_specifics if Stance.OVERRIDE.value in known else (),
        )


def _others(
    view: View, sites: Iterable[SiteName], stance: Stance | None
) -> dict[SiteName, OtherSite]:
    """Sites that say `stance` under the record's epoch."""
    assert view.record is not None
    said = ServiceReport(
        service=view.spec.name,
        role=Role.STANDBY,
        epoch=view.record.epoch,
        stance=stance,
        rule=0,
        reason="",
        healthy=True,
        eligible=True,
    )
    return {site: OtherSite(report=said, report_age_s=0.0) for site in sites}


def _attracting(view: View, others_say: Stance | None) -> Stance:
    """What the new holder's routes say, once they attract, while the other sites' say so."""
    assert view.record is not None
    me = view.record.holder
    others = _others(view, (site for site in view.spec.data_sites if site != me), others_say)
    own = OwnSide(promised=view.record.epoch)
    return wants.attracting_stance(replace(view, me=me, own=own, others=others))


def _drained(view: View, site: SiteName, holder_says: Stance) -> Stance | None:
    """What a drained site's routes say for ever while the holder's say so."""
    assert view.record is not None
    order = replace(view.drains[site], age_s=FOREVER_S)
    others = _others(view, (view.record.holder,), holder_says)
    return wants.drained(replace(view, me=site, drains={site: order}, others=others))
