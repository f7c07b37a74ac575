"""Sites that an operator keeps out until they are unfenced. Predicates, phrased positively.

A fenced site is no candidate, its copies do not vote and do not rejoin, and as the holder it asks
to be relieved at once. No safety rests on it: what a takeover proves, it proves as without.
"""

from controller.core.model import SiteName
from controller.core.requests import in_force
from controller.core.view import View


def fenced(view: View, site: SiteName) -> bool:
    """An operator keeps `site` out."""
    return in_force(view.fences.get(site))


def fenced_sites(view: View) -> tuple[SiteName, ...]:
    """Every site that an operator keeps out."""
    return tuple(site for site in sorted(view.fences) if fenced(view, site))


def fenced_here(view: View) -> bool:
    """An operator keeps this site out."""
    return fenced(view, view.me)


def holder_fenced(view: View) -> bool:
    """The record's holder is kept out: somebody else has to serve."""
    return view.record is not None and fenced(view, view.record.holder)


def said(view: View, site: SiteName) -> str:
    """Who keeps `site` out, and why."""
    order = view.fences[site].request
    return f"{site} is fenced by {order.asked_by}: {order.reason}"
