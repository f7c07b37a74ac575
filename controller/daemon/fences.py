"""Sites that operators keep out, as the API tells them: the orders, and what each daemon says."""

from typing import Final

from controller.core.model import Closing, ServiceReport, SiteName
from controller.core.requests import approved, closed
from controller.runtime.records import Records
from controller.web.fence_schema import ClosingView, FenceView

FRESH_S: Final = 15.0  # a daemon that has said nothing for so long does not answer


def fence_views(records: Records) -> tuple[FenceView, ...]:
    """Each site that is kept out, or that a daemon which answers still takes for kept out."""
    told = _told(records)
    orders = {
        site: seen.request
        for site, seen in records.requests.fences().items()
        if approved(seen.request) and not closed(seen.request)
    }
    said = {site for _, report in told for site in report.fenced}
    found = []
    for site in sorted(orders.keys() | said):
        order = orders.get(site)
        by = tuple(dict.fromkeys(where for where, report in told if site in report.fenced))
        if order is None:
            found.append(FenceView(site=site, in_force=False, told_by=by))
            continue
        found.append(
            FenceView(
                site=site,
                number=order.number,
                by=order.asked_by,
                at=order.at,
                reason=order.reason,
                closings=tuple(
                    _closing(where, report, done)
                    for where, report in told
                    for done in report.closings
                    if (done.site, done.order) == (site, order.number) and report.databases
                ),
                told_by=by,
            )
        )
    return tuple(found)


def _told(records: Records) -> list[tuple[SiteName, ServiceReport]]:
    return [
        (site, service)
        for site, report in sorted(records.reports.items())
        if records.report_age_s(site) <= FRESH_S
        for service in report.services
    ]


def _closing(by: SiteName, report: ServiceReport, done: Closing) -> ClosingView:
    return ClosingView(service=report.service, by=by, at=done.at, failed=done.failed)
