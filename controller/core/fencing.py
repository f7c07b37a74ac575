"""Fencing as an operator asks: what stands against it, and whose databases are closed from here."""

from collections.abc import Iterator

from controller.core import asked, fenced, guards, troubles
from controller.core.intents import FenceOthers
from controller.core.model import SiteName
from controller.core.view import View


def refusals(view: View, site: SiteName) -> tuple[str, ...]:
    """Why `site` must not be kept out of this service now; each names what is missing."""
    found: list[str] = []
    held = view.record is not None and view.record.holder == site
    if held and (why := guards.pause_reason(view)):
        found.append(
            f"{site} holds it and automation is paused ({why}): nobody would take over; "
            f"tricast resume --service {view.spec.name} first"
        )
    unfit = {other: tuple(_unfit(view, other)) for other in view.spec.data_sites if other != site}
    if all(unfit.values()):
        each = "; ".join(f"{other}: {', '.join(why)}" for other, why in unfit.items())
        found.append(f"no other data site could serve: {each or 'there is none'}")
    for database in view.spec.databases:
        out = frozenset((site, *fenced.fenced_sites(view)))
        absent = asked.missing_voters(view, database)
        if not asked.provable(view, len(absent | out)):
            names = ", ".join(sorted(absent - {site})) or ", ".join(sorted(out))
            found.append(
                f"{database}: without {site} no majority of voters is left; missing: {names}"
            )
    return tuple(found)


def _unfit(view: View, site: SiteName) -> Iterator[str]:
    """Why `site` could not serve in the place of the one that is to be fenced."""
    if site == view.me:
        yield from (*troubles.ineligible_reasons(view), *troubles.service_reasons(view))
        return
    other, timings = view.others[site], view.spec.timings
    if fenced.fenced(view, site):
        yield fenced.said(view, site)
    if other.seen.control_s > timings.suspect_after_s:
        yield "not heard"
    elif other.report is None or other.report_age_s > timings.report_fresh_s:
        yield f"no report for longer than {timings.report_fresh_s:g} s"
    elif not other.report.eligible:
        yield from other.report.not_eligible_because or ("not eligible",)


def close_fenced(view: View) -> FenceOthers | None:
    """Each fenced data site's databases are asked to close, once per order; never a holder's, for
    whoever relieves it may still need its log. Who that is, a record below the promise does
    not say.
    """
    if view.record is None or guards.record_below_floor(view) or fenced.fenced_here(view):
        return None
    orders = tuple(
        (site, view.fences[site].request.number)
        for site in fenced.fenced_sites(view)
        if site in view.spec.data_sites and site != view.record.holder and not _tried(view, site)
    )
    return FenceOthers(epoch=view.record.epoch, orders=orders) if orders else None


def _tried(view: View, site: SiteName) -> bool:
    number = view.fences[site].request.number
    return any((done.site, done.order) == (site, number) for done in view.own.closings)
