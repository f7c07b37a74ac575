"""Named predicates over the View, shared by the role table and the ladders' goals.

Phrased positively, so that the journal can say which held. None looks at a wall clock.
"""

from bgp.policy import Stance
from controller.core import copies, fenced
from controller.core.model import (
    FOREVER_S,
    DatabaseName,
    Durability,
    Liveness,
    Role,
    Seen,
)
from controller.core.quorum import holder_promoted, holder_report
from controller.core.requests import Kind, State, in_force
from controller.core.view import OtherSite, View

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


def lease_forgotten(view: View) -> bool:
    """The store has lost an epoch, and what it knew of its lease: it may lease it to another."""
    lost = record_below_floor(view) or record_missing_above_floor(view)
    return lost and lease_durability(view) and view.alone is None


def first_holder(view: View) -> bool:
    """The configuration names this site as the first holder."""
    return view.spec.initial_holder == view.me


def pause_reason(view: View) -> str:
    """Why an operator has frozen the automation of this service; empty while nobody has."""
    seen = view.request
    if view.paused or seen is None or seen.request.kind is not Kind.PAUSE or not in_force(seen):
        return view.paused
    return f"{seen.request.reason or 'no reason given'} ({seen.request.asked_by})"


def paused(view: View) -> bool:
    """An operator has frozen the automation of this service."""
    return bool(pause_reason(view))


def lease_durability(view: View) -> bool:
    """The service rests on a lease."""
    return view.spec.durability is Durability.LEASE


# --- this site -----------------------------------------------------------------------------------


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
    forced = view.alone is not None
    return store_gone and nobody_hears(view) and not commits_flow(view) and not forced


def without_lease(view: View) -> bool:
    """This site has no authority of its own, by its own clock."""
    return lease_durability(view) and view.own.lease_left_s <= 0 and view.alone is None


def traffic_here(view: View) -> bool:
    """Haproxy here sends clients to this site's own servers."""
    return view.me in view.own.directed_to


def lease_lapsed(view: View) -> bool:
    """This holder's own authority has run out, and not because it hands over or was handed to."""
    limit = view.spec.timings.hand_over_s
    handing = view.own.held and holder_hands_over(view, limit)
    return without_lease(view) and not handing and not lease_awaited(view)


def lease_awaited(view: View) -> bool:
    """This site was handed the epoch a moment ago, and has not renewed its lease yet."""
    record = view.record
    fresh = view.record_unchanged_s <= view.spec.timings.hold_s
    new = record is not None and record.renewal == 0 and handed_over(view)
    return new and fresh and without_lease(view)


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
    """Its data path answers, but its controller is silent beyond its grace: none if fenced."""
    timings, out = view.spec.timings, fenced.holder_fenced(view)
    limit = timings.suspect_after_s if out else timings.controller_grace_s
    return controller_silent_for(view, limit)


def controller_silent_for(view: View, limit: float) -> bool:
    """The holder's controller is silent for so long to this site and every witness heard."""
    other = holder(view)
    if other is None:
        return False
    observers = _observers(view, other)
    return bool(observers) and all(s.control_s > limit for s in (other.seen, *observers))


def holder_yields(view: View) -> bool:
    """The holder asks to be relieved, and is heard saying so; by a lease it has let go as well."""
    report = holder_report(view)
    if report is None or not report.yielding:
        return False
    if lease_durability(view) and report.role is not Role.ISOLATED:
        return False
    assert view.record is not None
    age_s = view.others[view.record.holder].report_age_s
    return age_s <= view.spec.timings.report_fresh_s


def lease_waited_out(view: View) -> bool:
    """The record has been seen unchanged for a whole lease and its margin, by this clock."""
    timings = view.spec.timings
    return view.record_unchanged_s > timings.lease_s + timings.lease_margin_s


def outside_flap_window(view: View) -> bool:
    """The last role change is long ago or acknowledged, or an operator keeps the holder out."""
    looked_at = view.record is not None and view.acknowledged >= view.record.epoch
    out = fenced.holder_fenced(view)
    return looked_at or out or view.changed_s > view.spec.timings.flap_window_s


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


def left_in_peace(view: View) -> bool:
    """A new holder climbs and every other voter is heard: it needs nothing from here yet, and a
    recovery beside it would only slow it down.
    """
    late_s = view.spec.timings.suspect_after_s
    heard = all(other.seen.control_s <= late_s for other in view.others.values())
    young = view.record_unchanged_s < view.spec.timings.yield_grace_s
    return holder(view) is not None and heard and young and not holder_serves(view)


def holder_climbing(view: View) -> bool:
    """The holder has not promoted every database yet, and does not say that it serves."""
    if holder_serves(view):
        return False
    return not all(holder_promoted(view, database) for database in view.spec.databases)


def holder_opened(view: View) -> bool:
    """The holder says that every database there is open to clients under the record's epoch."""
    report = holder_report(view)
    if report is None:
        return False
    opened = {
        found.state.name
        for found in report.databases
        if found.state.writable and found.state.gate_open and found.state.epoch == report.epoch
    }
    return all(database in opened for database in view.spec.databases)


def handed_over(view: View) -> bool:
    """The record's holder was given its epoch by the holder before it, as an operator asked."""
    record = view.record
    return record is not None and record.kind == "handover" and record.request > 0


def still_held_elsewhere(view: View) -> bool:
    """Who handed over still lets requests wait: they would be cut if their packets came here."""
    record = view.record
    if record is None or record.previous is None or not handed_over(view):
        return False
    other = view.others.get(record.previous)
    held = other is not None and other.report is not None and other.report.held
    return held and view.record_unchanged_s <= view.spec.timings.hold_s


def holder_hands_over(view: View, limit_s: float) -> bool:
    """The holder has begun to hand over, no longer than this ago."""
    seen, record = view.request, view.record
    return (
        seen is not None
        and record is not None
        and seen.request.kind is Kind.SWITCHOVER
        and seen.request.state is State.RUNNING
        and seen.request.epoch == record.epoch
        and seen.unchanged_s <= limit_s
    )


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


def entrances_serve(view: View) -> bool:
    """Where more-specifics keep traffic away from the other data sites, known to have retired: it
    may enter there again, for each is well and all of its providers hear it.
    """
    if not view.spec.more_specifics:
        return True
    reports = [view.others[site].report for site in view.spec.data_sites if site != view.me]
    return all(found is not None and found.healthy and not found.sessions_down for found in reports)


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
        and rival.report is not None
        and rival.report.eligible
        and rival.seen.control_s <= view.spec.timings.suspect_after_s
        and (view.spec.weights.get(site, 0), site) > (mine, view.me)
    )
    limit = view.spec.timings.suspect_after_s
    return other.seen.control_s > limit * (1 + before)


def established(view: View) -> bool:
    """Every database here is writable under the record's epoch, which is promised, and open."""
    if view.record is None or view.own.promised < view.record.epoch:
        return False  # without databases nothing else says that this site acts under this epoch
    return own_epoch(view) and all(
        copies.promoted_here(view, state) and state.gate_open for state in view.own.databases
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
        and all(copies.promoted_here(view, state) and state.gate_open for state in seen)
    )


def had_its_chance(view: View) -> bool:
    """The epoch is old enough that its holder has had the time to climb: two never duel."""
    return view.record_unchanged_s >= view.spec.timings.yield_grace_s


def raised_here(view: View) -> bool:
    """This daemon raised the record's epoch since it started."""
    return view.raised_here


def databases_idle(view: View) -> bool:
    """No intent is at work on a database here."""
    return not any(lane.startswith("database:") for lane in view.busy - view.resting)


def previous_holder_silent(view: View) -> bool:
    """Every other data site is silent to this site."""
    limit = view.spec.timings.suspect_after_s
    return all(_gone(view.others[s].seen, limit) for s in view.spec.data_sites if s != view.me)
