"""Named predicates over the View, shared by the role table and the ladders' goals.

Phrased positively, so that the journal can say which held. None looks at a wall clock.
"""

from dataclasses import dataclass

from bgp.policy import Stance
from controller.core.model import (
    FOREVER_S,
    DatabaseName,
    DatabaseState,
    Durability,
    Epoch,
    Liveness,
    Role,
    Seen,
    SiteName,
)
from controller.core.quorum import (
    holder_report,
    holds_nothing,
    is_sealed,
    own_voter,
    prove,
    voters_of,
)
from controller.core.view import OtherSite, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that keeps a holder from serving, and how long it is borne."""

    kind: str
    text: str
    patience_s: float


RESTARTED_PATIENCE_S = 0.2
ATTRACTING = frozenset({Stance.PREFERRED, Stance.OVERRIDE})
RETIRED = frozenset({Stance.BACKUP, Stance.ISOLATED, Stance.DRAINED, Stance.WITHDRAWN})


# --- the epoch record ----------------------------------------------------------------------------


def record_known(view: View) -> bool:
    """The epoch record has been read, or seen to be absent, since this daemon started."""
    return view.record is not None or view.record_seen_s < FOREVER_S


def record_unknown(view: View) -> bool:
    """Nothing was ever read from the store by this daemon."""
    return not record_known(view)


def no_epoch_exists(view: View) -> bool:
    """The store answered, and there is no record."""
    return view.record is None and view.store_ok


def store_answers(view: View) -> bool:
    """The store's majority answered this turn."""
    return view.store_ok


def own_epoch(view: View) -> bool:
    """This site is the record's holder."""
    return view.record is not None and view.record.holder == view.me


def other_epoch(view: View) -> bool:
    """Another site is the record's holder."""
    return view.record is not None and view.record.holder != view.me


def record_below_floor(view: View) -> bool:
    """The store offers less than what this site promised never to go under."""
    return view.record is not None and view.record.epoch < view.own.promised


def record_missing_above_floor(view: View) -> bool:
    """The store has lost the record of an epoch this site has promised."""
    return no_epoch_exists(view) and view.own.promised > 0


def first_holder(view: View) -> bool:
    """The configuration names this site as the first holder."""
    return view.spec.initial_holder == view.me


def paused(view: View) -> bool:
    """An operator has frozen the automation of this service."""
    return bool(view.paused)


def quorum_durability(view: View) -> bool:
    """The service promises that no acknowledged transaction is lost."""
    return view.spec.durability is Durability.QUORUM


def lease_durability(view: View) -> bool:
    """The service rests on a lease."""
    return view.spec.durability is Durability.LEASE


# --- this site -----------------------------------------------------------------------------------


def used_up_for_sure(view: View) -> bool:
    """`epoch_used_up`, and not only in one late look."""
    return view.own.trouble_s.get("restarted", 0.0) >= 2 * RESTARTED_PATIENCE_S


def any_writable(view: View) -> bool:
    """A database of this site takes writes."""
    return any(state.writable for state in view.own.databases)


def acting_as_primary(view: View) -> bool:
    """Something here still behaves as the holder would."""
    return (
        any_writable(view)
        or view.own.stance in ATTRACTING
        or any(state.gate_open for state in view.own.databases)
    )


def commits_flow(view: View) -> bool:
    """Every database here had a write of ours acknowledged by another voter a moment ago."""
    stale = view.spec.timings.commit_stale_s
    return bool(view.own.databases) and all(
        state.writable and view.own.commit_age_s.get(state.name, FOREVER_S) <= stale
        for state in view.own.databases
    )


def serving_by_evidence(view: View) -> bool:
    """All databases here are open, of one epoch, and another voter acknowledges."""
    epochs = {state.epoch for state in view.own.databases}
    return commits_flow(view) and len(epochs) == 1 and view.own.promised in epochs


def nobody_hears(view: View) -> bool:
    """No other site has been heard for the suspicion time."""
    limit = view.spec.timings.suspect_after_s
    return all(other.seen.control_s > limit for other in view.others.values())


def cut_off(view: View) -> bool:
    """Neither the store nor another site is reached, and nothing is acknowledged."""
    store_gone = not view.store_ok and view.record_seen_s > view.spec.timings.suspect_after_s
    return store_gone and nobody_hears(view) and not commits_flow(view)


def lease_lapsed(view: View) -> bool:
    """This holder's own authority has run out by its own clock."""
    return lease_durability(view) and view.own.lease_left_s <= 0


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
    for state in view.own.databases:
        if state.liveness is Liveness.DOWN:
            text = f"database {state.name} here is down"
            found.append(Trouble(kind=f"database:{state.name}", text=text, patience_s=0.2))
        elif state.liveness is Liveness.UNKNOWN and not _committed_lately(view, state):
            text = f"database {state.name} here does not answer"
            found.append(Trouble(kind=f"database:{state.name}", text=text, patience_s=0.5))
    found.extend(_behind(view))
    if own_epoch(view) and databases_idle(view) and epoch_used_up(view):
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
    found.extend(
        Trouble(kind=text, text=text, patience_s=0.0) for text in view.own.unhealthy_because
    )
    return tuple(found)


def _committed_lately(view: View, state: DatabaseState) -> bool:
    """A write of ours was acknowledged: a look that came too late is no evidence against that."""
    age = view.own.commit_age_s.get(state.name, FOREVER_S)
    return age <= view.spec.timings.commit_stale_s


def _behind(view: View) -> list[Trouble]:
    """A climbing holder whose proof points at another data site: that one has less to do."""
    if not own_epoch(view) or established(view):
        return []
    found: list[Trouble] = []
    for state in view.own.databases:
        if state.liveness is not Liveness.RUNNING or state.writable:
            continue
        proof = prove(view, state)
        if proof.complete and proof.source != view.me and proof.source in view.spec.data_sites:
            text = f"{proof.source} holds more of {state.name} than {view.me}"
            found.append(Trouble(kind=f"behind:{state.name}", text=text, patience_s=1.0))
    return found


def yield_reasons(view: View) -> tuple[str, ...]:
    """Why this holder would be better relieved: troubles that outlasted their patience."""
    return tuple(
        trouble.text
        for trouble in troubles(view)
        if view.own.trouble_s.get(trouble.kind, 0.0) >= trouble.patience_s
    )


def relief_expected(view: View) -> bool:
    """Another data site could take over right now, and has not been given its time to do so."""
    longest = max(view.own.trouble_s.values(), default=0.0)
    if longest > view.spec.timings.yield_grace_s:
        return False
    fresh = view.spec.timings.report_fresh_s
    return outside_flap_window(view) and any(
        other.report is not None
        and other.report.eligible
        and other.report_age_s <= fresh
        and other.seen.control_s <= view.spec.timings.suspect_after_s
        for site, other in view.others.items()
        if site in view.spec.data_sites
    )


def ineligible_reasons(view: View) -> tuple[str, ...]:
    """What a takeover by this site would fail on, whatever else is true: data first."""
    reasons: list[str] = []
    for state in view.own.databases:
        if state.liveness is not Liveness.RUNNING:
            reasons.append(f"database {state.name} here is {state.liveness}")
        elif state.diverged:
            reasons.append(f"database {state.name} here has diverged and was not rewound")
        elif state.quarantined:
            reasons.append(f"database {state.name} here is still in quarantine")
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
    """Nothing in this site's databases stands against taking over."""
    return not ineligible_reasons(view)


def fully_eligible(view: View) -> bool:
    """This site could serve at once: data, app servers, haproxy, routes."""
    return not ineligible_reasons(view) and not service_reasons(view)


# --- the holder, seen from another site ----------------------------------------------------------


def holder(view: View) -> OtherSite | None:
    """What is known of the holder, when it is another site."""
    return None if view.record is None else view.others.get(view.record.holder)


def _gone(seen: Seen, limit: float) -> bool:
    data_path_alive = seen.front_s <= limit and seen.data_s <= limit
    return seen.control_s > limit and not data_path_alive


def _observers(view: View, other: OtherSite) -> tuple[Seen, ...]:
    """How the witnesses this site can hear see the other site."""
    limit = view.spec.timings.suspect_after_s
    heard = {w for w in view.spec.witnesses if view.others[w].seen.control_s <= limit}
    return tuple(seen for site, seen in other.seen_by.items() if site in heard)


def holder_silent(view: View) -> bool:
    """Silent to this site and to every witness heard, at least one: controller and data path."""
    other = holder(view)
    if other is None:
        return False
    limit = view.spec.timings.suspect_after_s
    observers = _observers(view, other)
    return bool(observers) and all(_gone(seen, limit) for seen in (other.seen, *observers))


def holder_controller_gone(view: View) -> bool:
    """Its data path answers, but its controller has been silent beyond its grace to everybody."""
    other = holder(view)
    if other is None:
        return False
    limit = view.spec.timings.controller_grace_s
    observers = _observers(view, other)
    return bool(observers) and all(s.control_s > limit for s in (other.seen, *observers))


def holder_yields(view: View) -> bool:
    """The holder asks to be relieved, and is heard saying so."""
    report = holder_report(view)
    other = holder(view)
    fresh = view.spec.timings.report_fresh_s
    return (
        report is not None
        and bool(report.yielding)
        and other is not None
        and (other.report_age_s <= fresh)
    )


def lease_waited_out(view: View) -> bool:
    """The record has been seen unchanged for a whole lease and its margin, by this clock."""
    timings = view.spec.timings
    return view.record_unchanged_s > timings.lease_s + timings.lease_margin_s


def outside_flap_window(view: View) -> bool:
    """The last role change is long enough ago for another automatic one."""
    return view.changed_s > view.spec.timings.flap_window_s


def admitted_by_holder(view: View, database: DatabaseName) -> bool:
    """The holder lets this site's copy replicate as a voter."""
    report = holder_report(view)
    return report is not None and any(
        found.state.name == database and view.me in found.state.admitted
        for found in report.databases
    )


def holder_serves(view: View) -> bool:
    """The holder says it serves clients under the record's epoch."""
    report = holder_report(view)
    return report is not None and report.role is Role.PRIMARY


def others_retired(view: View) -> bool:
    """Every other data site is known, freshly, not to attract traffic any more."""
    fresh = view.spec.timings.report_fresh_s
    for site in view.spec.data_sites:
        if site == view.me:
            continue
        other = view.others[site]
        if other.report is None or other.report_age_s > fresh:
            return False
        if other.report.stance not in RETIRED or view.record is None:
            return False
        if other.report.epoch < view.record.epoch:
            return False
    return True


def my_turn(view: View) -> bool:
    """Eligible sites with more weight have had their chance: two never duel."""
    other = holder(view)
    if other is None:
        return False
    mine = view.spec.weights.get(view.me, 0)
    before = sum(
        1
        for site, rival in view.others.items()
        if site in view.spec.data_sites
        and rival is not other
        and rival.report is not None
        and rival.report.eligible
        and rival.seen.control_s <= view.spec.timings.suspect_after_s
        and (view.spec.weights.get(site, 0), site) > (mine, view.me)
    )
    limit = view.spec.timings.suspect_after_s
    return other.seen.control_s > limit * (1 + before)


def established(view: View) -> bool:
    """Every database here is writable under the record's epoch and open to clients."""
    return own_epoch(view) and all(
        promoted_here(view, state) and state.gate_open for state in view.own.databases
    )


def out_of_sight(view: View) -> bool:
    """A database here does not answer, and nothing else about this serving holder has changed."""
    assert view.record is not None
    served = view.own.stance in ATTRACTING and view.own.stance_epoch == view.record.epoch
    unseen = [s for s in view.own.databases if s.liveness is Liveness.UNKNOWN]
    seen = [s for s in view.own.databases if s.liveness is not Liveness.UNKNOWN]
    return (
        served
        and bool(unseen)
        and all(promoted_here(view, state) and state.gate_open for state in seen)
    )


def had_its_chance(view: View) -> bool:
    """The epoch is old enough that its holder has had the time to climb: two never duel."""
    return view.record_unchanged_s >= view.spec.timings.yield_grace_s


def raised_here(view: View) -> bool:
    """This daemon raised the record's epoch since it started."""
    return view.raised_here


def relief_due(view: View) -> bool:
    """This holder was primary, cannot serve now, and another site may still relieve it."""
    assert view.record is not None
    was_primary = view.own.stance in ATTRACTING and view.own.stance_epoch == view.record.epoch
    return was_primary and bool(troubles(view)) and relief_expected(view)


def databases_idle(view: View) -> bool:
    """No intent is at work on a database here."""
    return not any(lane.startswith("database:") for lane in view.busy)


def previous_holder_silent(view: View) -> bool:
    """Every other data site is silent to this site."""
    limit = view.spec.timings.suspect_after_s
    return all(_gone(view.others[s].seen, limit) for s in view.spec.data_sites if s != view.me)


# --- one database --------------------------------------------------------------------------------


def running(view: View, state: DatabaseState) -> bool:
    """The server answers."""
    return state.liveness is Liveness.RUNNING


def promoted_here(view: View, state: DatabaseState) -> bool:
    """Writable here under the record's epoch."""
    assert view.record is not None
    return state.writable and state.epoch == view.record.epoch


def sealed_here(view: View, state: DatabaseState) -> bool:
    """This copy takes nothing from an epoch below the record's."""
    assert view.record is not None
    return is_sealed(own_voter(view, state), view.record.epoch, view.record.holder)


def voter_follows(view: View, state: DatabaseState) -> bool:
    """Another voter of this epoch streams from this primary, so commits are acknowledged."""
    voters = voters_of(view, state.name)
    return any(
        follower.streaming
        and not follower.quarantined
        and follower.site is not None
        and follower.site in state.admitted
        and (voter := voters.get(follower.site)) is not None
        and voter.promised == view.own.promised
        for follower in state.followers
    )


def wanted_admitted(view: View, state: DatabaseState) -> frozenset[SiteName]:
    """The voters this primary should let replicate.

    A log keeper that has promised this epoch: what it holds beyond the fork it drops by itself,
    or it was part of the proof. A data site only after it has shown, in quarantine, that it
    streams records of this very epoch; it stays admitted until it is known to be something else.
    """
    assert view.record is not None
    epoch = view.record.epoch
    wanted: set[SiteName] = set()
    for site, other in view.others.items():
        voter = voters_of(view, state.name).get(site)
        if voter is None:
            if site in state.admitted:
                wanted.add(site)
        elif site in view.spec.witnesses:
            if voter.promised == epoch and (voter.whole or holds_nothing(voter)):
                wanted.add(site)
        elif _proven_follower(view, state, site, epoch) or (
            site in state.admitted and not _known_strange(other, state.name, epoch)
        ):
            wanted.add(site)
    return frozenset(wanted)


def _copy_at(other: OtherSite, database: DatabaseName) -> DatabaseState | None:
    if other.report is None:
        return None
    return next((r.state for r in other.report.databases if r.state.name == database), None)


def _proven_follower(view: View, state: DatabaseState, site: SiteName, epoch: Epoch) -> bool:
    other = view.others[site]
    theirs = _copy_at(other, state.name)
    if theirs is None or other.report_age_s > view.spec.timings.report_fresh_s:
        return False
    connected = any(f.site == site and f.streaming for f in state.followers)
    return (
        connected
        and theirs.streaming
        and theirs.epoch == epoch
        and not theirs.writable
        and not theirs.diverged
        and theirs.upstream == view.me
    )


def _known_strange(other: OtherSite, database: DatabaseName, epoch: Epoch) -> bool:
    theirs = _copy_at(other, database)
    return theirs is not None and (
        theirs.writable or theirs.diverged or theirs.epoch not in (0, epoch)
    )


def follows_as_voter(view: View, state: DatabaseState) -> bool:
    """This copy streams the record's epoch from its holder, and its acknowledgement counts."""
    assert view.record is not None
    return (
        state.streaming
        and not state.quarantined
        and state.upstream == view.record.holder
        and state.epoch == view.record.epoch
    )


def follows_in_any_way(view: View, state: DatabaseState) -> bool:
    """This copy streams the record's epoch from its holder, perhaps in quarantine."""
    assert view.record is not None
    return (
        state.streaming
        and state.upstream == view.record.holder
        and state.epoch == view.record.epoch
    )
