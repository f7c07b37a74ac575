"""The weights of a service: what is asked is merged into what is set, and how it is told.

They say which of several eligible sites goes first, in a takeover (`guards.my_turn`) and where
nobody names a target. That they differ between two sites for a moment costs nothing: the epoch is
raised by compare-and-swap.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from controller.config import WEIGHT_MAX
from controller.core.model import SiteName
from controller.core.requests import Request, State, approvers, moved
from controller.core.view import ServiceSpec, View
from controller.daemon.refusals import REFUSED, WRONG
from controller.web.schema import Ask
from controller.web.source import NotAsked
from controller.web.weights_schema import SiteWeight, WeightsOrder, WeightsView


def weighed(request: Request, order: Ask, view: View, before: Request | None) -> Request:
    """`request` for the weights that `order` names, beside those that are set. Raises NotAsked."""
    if not order.reason.strip():
        raise NotAsked(WRONG, "weights need a --reason, for whoever finds them")
    service, sites = view.spec.name, view.spec.data_sites
    set_before = {} if before is None else before.weights
    if not order.weights and not set_before:
        raise NotAsked(REFUSED, f"the weights of {service} are as configured: nothing to clear")
    for site, weight in order.weights.items():
        _check(view, site, weight)
    wanted = {SiteName(site): weight for site, weight in order.weights.items()}
    known = {site: set_before.get(site, view.spec.weights.get(site, 0)) for site in sites}
    if wanted and all(known[site] == weight for site, weight in wanted.items()):
        raise NotAsked(
            REFUSED,
            f"nothing changes: {_words(wanted)} holds for {service} already, see tricast weights "
            "show",
        )
    kept = {site: weight for site, weight in set_before.items() if site in sites}
    after = {**kept, **wanted} if wanted else {}
    return replace(
        request,
        weights=after,
        target=_words(after) or "those configured",
        statement=f"{service}: {_change(known, wanted) or f'{_words(set_before)} is over'}",
    )


def weighed_now(request: Request) -> Request:
    """`request`, carried out where it waits for nobody: that it stands in the store is all."""
    if request.approvals_needed:
        return request
    return moved(request, State.DONE, by=request.asked_by, why="", at=request.at)


def weights_view(
    view: View, configured: ServiceSpec, order: Request | None, eligible: Collection[str]
) -> WeightsView:
    """What is in force, where it comes from, and which of the `eligible` sites goes first."""
    in_force = {site: view.spec.weights.get(site, 0) for site in configured.data_sites}
    heaviest = sorted(in_force, key=lambda site: (in_force[site], site), reverse=True)
    set_by = {} if order is None else order.weights
    return WeightsView(
        sites=tuple(
            SiteWeight(
                site=site,
                weight=in_force[site],
                configured=configured.weights.get(site, 0),
                was_set=site in set_by,
            )
            for site in heaviest
        ),
        first=next((site for site in heaviest if site in eligible), ""),
        order=None
        if order is None or not order.weights
        else WeightsOrder(
            number=order.number,
            by=order.asked_by,
            at_site=order.asked_at,
            at=order.state_at or order.at,
            reason=order.reason,
            approved_by=tuple(sorted(approvers(order))),
        ),
    )


def _check(view: View, site: str, weight: int) -> None:
    if site in view.spec.witnesses:
        raise NotAsked(
            WRONG,
            f"{site} is a witness and never takes over: weigh {', '.join(view.spec.data_sites)}",
        )
    if site not in view.spec.data_sites:
        known = ", ".join(view.spec.data_sites)
        raise NotAsked(WRONG, f"{site!r} is no data site of {view.spec.name}; there are {known}")
    if not 0 <= weight <= WEIGHT_MAX:
        raise NotAsked(WRONG, f"{site}={weight}: a weight is a whole number from 0 to {WEIGHT_MAX}")


def _change(known: Mapping[SiteName, int], wanted: Mapping[SiteName, int]) -> str:
    return ", ".join(f"{site} {known[site]} -> {wanted[site]}" for site in sorted(wanted))


def _words(weights: Mapping[SiteName, int]) -> str:
    return " ".join(f"{site}={weights[site]}" for site in sorted(weights))
