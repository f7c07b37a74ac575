"""Whether commits of a database still find enough voters when one of them is left out."""

from controller.core import copies
from controller.core.model import DatabaseName, DatabaseState, SiteName
from controller.core.quorum import holder_promoted, learners, majority
from controller.core.view import View


def needed(view: View) -> int:
    """Copies that have to hold a commit before it is acknowledged, the primary's own included."""
    return majority(len(view.spec.data_sites) + len(view.spec.witnesses))


def all_needed(view: View) -> bool:
    """Every voter has to hold a commit: none of them can be done without."""
    everybody = len(view.spec.data_sites) + len(view.spec.witnesses)
    return everybody - len(learners(view)) <= needed(view)


def only_waits(view: View, state: DatabaseState) -> bool:
    """A write into this log could only wait: every voter is needed, and not all of them follow. If
    the one that is missing has to be made a copy, the copy waits for what waits here.
    """
    if view.alone is not None or not all_needed(view):
        return False
    return 1 + len(copies.voters_following(view, state)) < needed(view)


def heard(view: View, site: SiteName) -> bool:
    """Its daemon is alive, as far as is seen here."""
    if site == view.me:
        return True
    return view.others[site].seen.control_s <= view.spec.timings.suspect_after_s


def enough_without(view: View, primary: DatabaseState, site: SiteName) -> bool:
    """The primary and the living voters that follow it are a majority, `site` left out."""
    return len(_left(view, primary, site)) >= needed(view)


def short_without(view: View, database: DatabaseName, site: SiteName) -> str:
    """Why commits of `database` cannot do without `site` now; empty when they can."""
    serving = primary(view, database)
    if serving is None:
        return unserved(view, database)
    if enough_without(view, serving, site):
        return ""
    left = " and ".join(sorted(_left(view, serving, site)))
    return (
        f"{database}: without the copy at {site} nobody is left to acknowledge but {left}: "
        f"{needed(view)} voters are needed; see to the others first: tricast status"
    )


def unserved(view: View, database: DatabaseName) -> str:
    """That there is no primary, in words."""
    assert view.record is not None
    holder, epoch = view.record.holder, view.record.epoch
    return f"no primary of {database} serves at {holder} under epoch {epoch}"


def primary(view: View, database: DatabaseName) -> DatabaseState | None:
    """The holder's copy, if it serves as far as is seen here."""
    assert view.record is not None
    holder = view.record.holder
    if holder == view.me:
        own = (s for s in view.own.databases if s.name == database)
        return next((s for s in own if copies.promoted_here(view, s) and s.gate_open), None)
    if not heard(view, holder) or not holder_promoted(view, database):
        return None
    return copies.copy_at(view.others[holder], database)


def _left(view: View, serving: DatabaseState, site: SiteName) -> frozenset[SiteName]:
    assert view.record is not None
    following = copies.voters_following(view, serving) - {site}
    return frozenset({view.record.holder, *(s for s in following if heard(view, s))})
