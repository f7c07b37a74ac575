"""Builds the desk of a data site: where operators ask, and others agree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from controller.core.model import ServiceName, SiteName
from controller.core.view import View
from controller.core.wire import WEIGHTS
from controller.daemon.desk import DaemonDesk
from controller.daemon.endings import ENDINGS, Endings
from controller.daemon.found import Drawers
from controller.daemon.here import Here
from controller.daemon.known import Known
from controller.daemon.policy import Policies, policies_of
from controller.daemon.site import Site
from controller.daemon.verdicts import Verdicts
from controller.runtime.loop import ServiceLoop
from controller.runtime.orders import Orders
from controller.runtime.requests import WEIGHTS_FROM, RequestBook, RequestDesk

Views = Callable[[], Mapping[ServiceName, View | None]]


def desk_of(site: Site, loops: Sequence[ServiceLoop], wake: Callable[[], None]) -> DaemonDesk:
    """The desk of a daemon whose services `loops` turn."""
    cluster, hands = site.node.cluster, site.services[0].hands
    known = Known(
        data_sites=cluster.data_sites,
        views=lambda: {loop.hands.service: loop.last_view for loop in loops},
    )
    policies = policies_of(cluster)
    return build_desk(known, hands.desk, site.records.weights, hands.orders, policies, wake)


def build_desk(
    known: Known,
    desk: RequestDesk,
    weights: RequestBook,
    orders: Orders,
    policies: Policies,
    wake: Callable[[], None],
) -> DaemonDesk:
    """A desk, with the drawers for what stands beside the store's requests."""
    clock, site = desk.clock, SiteName(desk.site)
    ends = replace(desk, prefix=f"{desk.prefix}{ENDINGS}", book=RequestBook(clock=clock))
    drawers = Drawers(
        known=known,
        desk=desk,
        weights=replace(desk, prefix=f"{desk.prefix}{WEIGHTS}", book=weights, first=WEIGHTS_FROM),
        endings=Endings(desk=ends, orders=desk.book, known=known),
        here=Here(site=site, book=RequestBook(clock=clock), orders=orders, known=known, wake=wake),
    )
    return DaemonDesk(
        site=site,
        clock=clock,
        known=known,
        book=desk.book,
        desk=desk,
        policies=policies,
        verdicts=Verdicts(site=site, clock=clock, policies=policies, drawers=drawers),
    )
