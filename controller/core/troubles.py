"""What keeps a holder from serving, and what would keep a site from taking over.

A trouble is borne for its patience before the holder asks to be relieved.
"""

from dataclasses import dataclass

from controller.core import fenced, guards, terms
from controller.core.model import FOREVER_S, DatabaseState, Liveness
from controller.core.quorum import holder_promoted, learners, promoted_by_hand, prove
from controller.core.requests import in_force
from controller.core.view import View

FALLEN_PATIENCE_S = 0.05  # nobody listens: more than one look says so
RESTARTED_PATIENCE_S = 0.2
UNSEEN_PATIENCE_S = 0.5
TELLING_S = 1.0  # what a site has found is decided there, put into the store and read, by then
UNPROVEN_PATIENCE_S = 2.0  # no write of ours yet: a controller that has just started may be slow
OTHER_TERMS = "sites, databases or durability of the service differ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that keeps a holder from serving, and how long it is borne."""

    kind: str
    text: str
    patience_s: float


def used_up_for_sure(view: View) -> bool:
    """`epoch_used_up`, and not only in one late look."""
    return view.own.trouble_s.get("restarted", 0.0) >= 2 * RESTARTED_PATIENCE_S


def epoch_used_up(view: View) -> bool:
    """A database here already has records of this epoch but is not writable: it was restarted.

    PostgreSQL cannot open the same timeline twice, and what was waiting when it fell is unknown,
    so it takes a new epoch to open it again.
    """
    assert view.record is not None
    return any(
        state.liveness is Liveness.RUNNING
        and not state.writable
        and state.epoch >= view.record.epoch
        for state in view.own.databases
    )


def troubles(view: View) -> tuple[Trouble, ...]:
    """What keeps this holder from serving; empty when nothing does."""
    found: list[Trouble] = []
    if guards.own_epoch(view) and fenced.fenced_here(view):
        said = fenced.said(view, view.me)
        found.append(Trouble(kind="fenced", text=said, patience_s=0.0))
    for state in view.own.databases:
        if state.liveness is Liveness.DOWN:
            text = f"database {state.name} here is down"
            patience_s = FALLEN_PATIENCE_S
            found.append(Trouble(kind=f"database:{state.name}", text=text, patience_s=patience_s))
        elif state.liveness is Liveness.UNKNOWN and not _committed_lately(view, state):
            text = f"database {state.name} here does not answer"
            proven = state.name in view.own.commit_age_s
            patience_s = UNSEEN_PATIENCE_S if proven else UNPROVEN_PATIENCE_S
            found.append(Trouble(kind=f"database:{state.name}", text=text, patience_s=patience_s))
    found.extend(_behind(view))
    if guards.own_epoch(view) and guards.databases_idle(view) and epoch_used_up(view):
        text = "a database here was restarted and is closed"
        found.append(Trouble(kind="restarted", text=text, patience_s=RESTARTED_PATIENCE_S))
    if not view.own.front_ok:
        found.append(Trouble(kind="front", text="haproxy here does not answer", patience_s=1.5))
    if view.own.apps_total and view.own.apps_up < view.spec.min_healthy:
        text = (
            f"{view.own.apps_up} of {view.own.apps_total} app servers here are up, "
            f"{view.spec.min_healthy} needed"
        )
        found.append(Trouble(kind="apps", text=text, patience_s=1.0))
    if view.own.sessions_total and not view.own.sessions_up:
        text = "no BGP session here is up"
        found.append(Trouble(kind="bgp", text=text, patience_s=8.0))
    found.extend(_failing(view))
    return tuple(found)


def failing_links(view: View) -> tuple[str, ...]:
    """Links of this site's own health chain that are down, by name."""
    return tuple(found.link for found in view.own.failing if not found.shared)


def _failing(view: View) -> list[Trouble]:
    """Failing links, where another data site has only some of them: else moving would not help.

    Borne until the other site has had the time to find the same, and to tell it.
    """
    if not view.own.failing or not healthier_elsewhere(view):
        return []
    return [
        Trouble(
            kind=f"link:{found.link}",
            text=f"{found.link}: {found.detail}",
            patience_s=found.settles_s + TELLING_S,
        )
        for found in view.own.failing
        if not found.shared
    ]


def healthier_elsewhere(view: View) -> bool:
    """Another data site says, freshly, that only some of the links that fail here fail there."""
    here = frozenset(failing_links(view))
    return any(
        other.report is not None
        and other.report_age_s <= view.spec.timings.report_fresh_s
        and frozenset(other.report.failing) < here
        for site, other in view.others.items()
        if site in view.spec.data_sites
    )


def _committed_lately(view: View, state: DatabaseState) -> bool:
    """A write of ours was acknowledged: a look that came too late is no evidence against that."""
    age = view.own.commit_age_s.get(state.name, FOREVER_S)
    return age <= view.spec.timings.commit_stale_s


def _behind(view: View) -> list[Trouble]:
    """A climbing holder whose proof points at another data site: that one has less to do."""
    if not guards.own_epoch(view):
        return []
    found: list[Trouble] = []
    for state in view.own.databases:
        if state.liveness is not Liveness.RUNNING or state.writable:
            continue
        if state.diverged:
            text = f"database {state.name} here has diverged and was not rewound"
            found.append(Trouble(kind=f"diverged:{state.name}", text=text, patience_s=0.0))
            continue
        proof = prove(view, state)
        if proof.complete and proof.source != view.me and proof.source in view.spec.data_sites:
            text = f"{proof.source} holds more of {state.name} than {view.me}"
            found.append(Trouble(kind=f"behind:{state.name}", text=text, patience_s=1.0))
    return found


def held_elsewhere(view: View) -> bool:
    """Another data site is proven to hold more, and it was not fetched in its time."""
    return any(_outlasted(view, found) for found in _behind(view))


def _outlasted(view: View, found: Trouble) -> bool:
    return view.own.trouble_s.get(found.kind, 0.0) >= found.patience_s


def outlasted(view: View, kind: str) -> bool:
    """A trouble of this kind has been borne for its patience."""
    return any(found.kind == kind and _outlasted(view, found) for found in troubles(view))


def yield_reasons(view: View) -> tuple[str, ...]:
    """Why this holder would be better relieved: troubles that outlasted their patience."""
    return tuple(found.text for found in troubles(view) if _outlasted(view, found))


def patience_left_s(view: View) -> float:
    """Until the next of this site's troubles outlasts its patience; FOREVER_S when none will."""
    lasted = view.own.trouble_s
    left = [found.patience_s - lasted.get(found.kind, 0.0) for found in troubles(view)]
    return min((seconds for seconds in left if seconds > 0), default=FOREVER_S)


def relief_expected(view: View) -> bool:
    """Another data site could take over right now, and has not been given its time to do so."""
    longest = max(view.own.trouble_s.values(), default=0.0)
    if longest > view.spec.timings.yield_grace_s:
        return False
    fresh = view.spec.timings.report_fresh_s
    return guards.outside_flap_window(view) and any(
        other.report is not None
        and other.report.eligible
        and other.report_age_s <= fresh
        and other.seen.control_s <= view.spec.timings.suspect_after_s
        for site, other in view.others.items()
        if site in view.spec.data_sites
    )


def ineligible_reasons(view: View) -> tuple[str, ...]:
    """What stands against a takeover by this site: an operator's order, or its data."""
    found: list[str] = []
    if fenced.fenced_here(view):
        found.append(fenced.said(view, view.me))
    drain = view.drains.get(view.me)
    if drain is not None and in_force(drain):
        found.append(f"{view.me} is drained by {drain.request.asked_by}")
    if view.me in learners(view):
        found.append(f"{view.me} only learns: tricast voters promote {view.me}")
    return (*found, *copy_reasons(view))


def copy_reasons(view: View) -> tuple[str, ...]:
    """What a takeover by this site would fail on, whatever else is true."""
    reasons: list[str] = []
    if terms.agrees_with_nobody(view):
        reasons.append(f"the configuration here agrees with that of no other site: {OTHER_TERMS}")
    for state in view.own.databases:
        if state.liveness is not Liveness.RUNNING:
            reasons.append(f"database {state.name} here is {state.liveness}")
        elif state.name in view.rejoining:
            reasons.append(f"database {state.name} here is being rejoined")
        elif state.diverged:
            reasons.append(f"database {state.name} here has diverged and was not rewound")
        elif state.quarantined:
            reasons.append(f"database {state.name} here is still in quarantine")
        elif promoted_by_hand(view, state):
            reasons.append(
                f"database {state.name} here has records of epoch {state.epoch}, "
                f"above this site's promise of {view.own.promised}: it was promoted by hand"
            )
    return tuple(reasons)


def service_reasons(view: View) -> tuple[str, ...]:
    """What would keep this site from serving after a takeover."""
    reasons: list[str] = []
    if not view.own.front_ok:
        reasons.append("haproxy here does not answer")
    if view.own.apps_total and view.own.apps_up < view.spec.min_healthy:
        reasons.append(f"{view.own.apps_up} of {view.own.apps_total} app servers here are up")
    if view.own.sessions_total and not view.own.sessions_up:
        reasons.append("no BGP session here is up")
    return tuple(reasons)


def data_eligible(view: View) -> bool:
    """Neither this site's databases nor an operator stand against taking over."""
    return not ineligible_reasons(view)


def fully_eligible(view: View) -> bool:
    """This site could serve at once: data, app servers, haproxy, routes."""
    return not (ineligible_reasons(view) or unfollowed_reasons(view) or service_reasons(view))


def unfollowed_reasons(view: View) -> tuple[str, ...]:
    """Copies here that are about to follow a primary which lives: what they hold of older epochs
    may be nobody else's, and then they could not fetch the rest. Where it fails again and again,
    the other voters may still have what is missing.
    """
    holder, record = guards.holder(view), view.record
    if holder is None or record is None:
        return ()
    if holder.seen.control_s > view.spec.timings.suspect_after_s:
        return ()
    missing = f"has not followed {record.holder} under epoch {record.epoch} yet"
    return tuple(
        f"database {state.name} here {missing}"
        for state in view.own.databases
        if state.epoch < record.epoch
        and holder_promoted(view, state.name)
        and f"database:{state.name}" not in view.failed
    )


def lets_lease_go(view: View) -> bool:
    """This holder by a lease asks to be relieved: nobody else may serve while it still does."""
    return guards.lease_durability(view) and bool(yield_reasons(view)) and relief_expected(view)


def relief_due(view: View) -> bool:
    """This holder was primary, cannot serve now, and another site may still relieve it."""
    assert view.record is not None
    was_primary = (
        view.own.stance in guards.ATTRACTING and view.own.stance_epoch == view.record.epoch
    )
    return was_primary and bool(troubles(view)) and relief_expected(view)
