"""Who votes for a service: what stands against a change, what it means, and how it is told.

The holder's daemon carries it out, in the order that is safe (`controller/core/voters.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from controller.core import margin, outlook, voters
from controller.core.model import SiteName
from controller.core.quorum import learners
from controller.core.requests import Kind, Request
from controller.core.view import View
from controller.daemon.refusals import REFUSED, WRONG
from controller.web.source import NotAsked
from controller.web.voters_schema import ServiceVoters, SiteVote


def voting(request: Request, view: View) -> Request:
    """`request`, which says what it means for commits and takeovers. Raises NotAsked."""
    site, demotes = SiteName(request.target), request.kind is Kind.DEMOTE
    if site not in _sites(view):
        raise NotAsked(WRONG, _unknown(view, site, demotes=demotes))
    if demotes and not request.reason.strip():
        raise NotAsked(WRONG, "a demotion needs a --reason, for whoever finds it")
    if against := voters.refusals(view, request.kind, site):
        done = "demoted" if demotes else "promoted"
        raise NotAsked(REFUSED, f"{site} is not {done}: {'; '.join(against)}")
    return replace(request, statement=(_demoted if demotes else _promoted)(view, site))


def voters_view(view: View) -> ServiceVoters:
    """Who votes as the record says, and whose copy counts as far as is seen here."""
    assert view.record is not None
    live = {name: outlook.live_voters(view, name) for name in view.spec.databases}
    learn = learners(view)
    return ServiceVoters(
        service=view.spec.name,
        holder=view.record.holder,
        needed=_needed(view),
        guarantee=outlook.guarantee(view),
        sites=tuple(
            SiteVote(
                site=site,
                kind="witness" if site in view.spec.witnesses else "data",
                votes="learner" if site in learn else "voter",
                counts={name: _counts(view, site, sites - learn) for name, sites in live.items()},
            )
            for site in _sites(view)
        ),
    )


def _counts(view: View, site: SiteName, live: frozenset[SiteName]) -> str:
    assert view.record is not None
    if site not in live:
        return "no"
    return "primary" if site == view.record.holder else "acknowledges"


def _needed(view: View) -> int:
    if not view.spec.databases:
        return 0
    return 1 if view.alone is not None else margin.needed(view)


def _sites(view: View) -> tuple[SiteName, ...]:
    return (*view.spec.data_sites, *view.spec.witnesses)


# --- in words ------------------------------------------------------------------------------------


def _unknown(view: View, site: SiteName, *, demotes: bool) -> str:
    said = f"{site!r} is no site of {view.spec.name}; there are {', '.join(_sites(view))}"
    if demotes:
        return said
    return (
        f"{said}. A new site is put into `sites` of every site's configuration first, and into the "
        "databases' own lists (PostgreSQL: synchronous_standby_names)"
    )


def _demoted(view: View, site: SiteName) -> str:
    left = [each for each in _sites(view) if each != site and each not in learners(view)]
    said = (
        f"{site} counts no more for commits of {view.spec.name}, nor for a takeover: each commit "
        f"then needs {_waits(left, margin.needed(view))}."
    )
    learns = f" {site} takes nothing over while it learns."
    return said + learns if site in view.spec.data_sites else said


def _waits(left: Sequence[SiteName], needed: int) -> str:
    names = f"{', '.join(left[:-1])} and {left[-1]}"
    if len(left) > needed:
        return f"{needed} of {names}, and waits when fewer are there"
    if len(left) > 2:
        return f"all of {names}, and waits when one is missing"
    return f"{names}, and waits when one of them is missing"


def _promoted(view: View, site: SiteName) -> str:
    return (
        f"{site} counts again for commits and takeovers of {view.spec.name} once its copy has "
        "caught up."
    )
