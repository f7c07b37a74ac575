"""Handing over: the holder of an epoch gives the service to another site, as an operator asked.

Nothing is lost: writes are stopped before the epoch is handed, and the candidate promotes only on
the same proof as in any takeover. Nobody sees an error: new requests wait at haproxy meanwhile, and
as long as the epoch has not moved everything is taken back by opening again under it, which no seal
forbids: a voter that has sealed for a newer epoch would not acknowledge.
"""

from collections.abc import Iterable

from controller.core import asked, copies, fenced, guards
from controller.core.intents import AskSwitchover, Intent, RaiseEpoch, SetGate
from controller.core.ladder import AnyStep, DatabaseStep, Step
from controller.core.model import DatabaseState, SiteName
from controller.core.position import Order, Position, compare
from controller.core.quorum import learners_under, majority
from controller.core.raising import next_epoch
from controller.core.requests import Kind, Request, SeenRequest, State, closed, in_force
from controller.core.view import OtherSite, View
from controller.core.wants import HOLD, Keep

AGAIN_S = 30.0  # a drained holder asks again so long after a hand-over that failed


def switchover(view: View) -> Request | None:
    """What this holder is asked to hand over."""
    return asked.asked_now(view, Kind.SWITCHOVER) if guards.own_epoch(view) else None


def hand_over_begins(view: View) -> bool:
    """It is asked for, this site serves, and has not begun to hand over."""
    request = switchover(view)
    return request is not None and request.state is State.OPEN and guards.established(view)


def hand_over_under_way(view: View) -> bool:
    """This site has begun to hand over, and its databases are still writable, open or not."""
    return hand_over_announced(view) and all(
        copies.promoted_here(view, state) for state in view.own.databases
    )


def hand_over_on(view: View) -> bool:
    """This serving holder is asked to hand over, or has begun."""
    return hand_over_begins(view) or hand_over_under_way(view)


def hand_over_announced(view: View) -> bool:
    """It stands in the request's record that this site hands over."""
    request = switchover(view)
    return request is not None and request.state is State.RUNNING


def hand_over_in_time(view: View) -> bool:
    """It has not begun, or not long ago: else what was begun is taken back."""
    if view.request is None or view.request.request.state is State.OPEN:
        return True
    return view.request.unchanged_s <= view.spec.timings.hand_over_s


def candidate_ready(view: View) -> bool:
    """Nothing stands against the site that is to take over."""
    request = switchover(view)
    return request is not None and not candidate_reasons(view, SiteName(request.target))


def candidate_reasons(view: View, site: SiteName) -> tuple[str, ...]:
    """Why this holder cannot hand over to `site` now."""
    if site == view.me:
        return (f"{site} holds {view.spec.name} already",)
    if site in view.spec.witnesses:
        return (f"{site} is a witness: it has no database and no app server",)
    other = view.others.get(site)
    if other is None:
        known = ", ".join(name for name in view.spec.data_sites if name != view.me)
        return (f"there is no site {site}; the service can go to {known}",)
    found = list(_presence_reasons(view, site, other))
    for state in view.own.databases:
        found.extend(_copy_reasons(view, site, other, state))
    return tuple(found)


def _presence_reasons(view: View, site: SiteName, other: OtherSite) -> Iterable[str]:
    timings = view.spec.timings
    drain = view.drains.get(site)
    if fenced.fenced(view, site):
        yield f"{fenced.said(view, site)}; unfence it first: tricast unfence {site}"
    if in_force(drain):
        yield f"{site} is drained; undrain it first: tricast undrain {site}"
    if other.seen.control_s > timings.suspect_after_s:
        yield f"{site} is not heard"
    elif other.report is None or other.report_age_s > timings.report_fresh_s:
        yield f"{site} has not reported for longer than {timings.report_fresh_s:g} s"
    else:
        yield from (f"{site}: {reason}" for reason in other.report.not_eligible_because)


def _copy_reasons(
    view: View, site: SiteName, other: OtherSite, state: DatabaseState
) -> Iterable[str]:
    """Its copy follows as a voter, is near, and another voter is there to acknowledge to it."""
    voting = {
        follower.site
        for follower in state.followers
        if follower.streaming and not follower.quarantined and follower.site in state.admitted
    }
    if site not in voting:
        yield f"{state.name}: the copy at {site} does not follow as a voter"
        return
    if len(voting) < majority(len(view.spec.data_sites) + len(view.spec.witnesses)):
        yield (
            f"{state.name}: no voter but {site} follows; after the move commits would wait until "
            f"{view.me} has rejoined (failover --to {site} does it all the same)"
        )
    theirs = copies.copy_at(other, state.name)
    lag, limit = (theirs.lag_bytes if theirs else None), view.spec.max_lag_bytes
    if lag is not None and 0 < limit < lag:
        yield f"{state.name}: the copy at {site} lags by {lag} bytes, allowed are {limit}"


def best_candidate(view: View) -> SiteName | None:
    """The heaviest data site to which this holder could hand over now."""
    fit = [site for site in view.spec.data_sites if not candidate_reasons(view, site)]
    return max(fit, key=lambda site: (view.spec.weights.get(site, 0), site), default=None)


def drain_moves(view: View) -> bool:
    """This drained holder can ask for a hand-over: nothing is open, and a candidate is ready."""
    seen = view.request
    free = seen is None or (closed(seen.request) and not _failed_lately(seen))
    return free and best_candidate(view) is not None


def _failed_lately(seen: SeenRequest) -> bool:
    refused = seen.request.state in (State.FAILED, State.REFUSED)
    return refused and seen.unchanged_s < AGAIN_S


def candidate_holds(view: View, state: DatabaseState) -> bool:
    """The candidate's copy has everything that this one has, durably."""
    request = switchover(view)
    assert request is not None
    if state.position is None:
        return False
    return any(
        compare(position, state.position) in (Order.EQUAL, Order.AHEAD)
        for position in _positions_at(view, SiteName(request.target), state)
    )


def _positions_at(view: View, site: SiteName, state: DatabaseState) -> Iterable[Position]:
    for follower in state.followers:
        if follower.site == site and follower.streaming and follower.flushed is not None:
            yield follower.flushed
    theirs = copies.copy_at(view.others[site], state.name)
    if theirs is not None and theirs.position is not None:
        yield theirs.position


def traffic_held(view: View) -> bool:
    """New requests wait at every site that is heard, or cannot be made to."""
    mine = view.own.held or not view.own.can_hold
    return mine and all(
        other.report is not None and (other.report.held or not other.report.gate)
        for site, other in view.others.items()
        if site in view.spec.data_sites
        and other.seen.control_s <= view.spec.timings.suspect_after_s
    )


def traffic_quiet(view: View) -> bool:
    """What came before has been answered, or has had its time."""
    if not traffic_held(view):
        return False
    if view.own.held_s >= view.spec.timings.drain_s or not view.own.can_hold:
        return True
    return view.own.in_flight == 0 and all(
        other.report is not None and other.report.quiet
        for site, other in view.others.items()
        if site in view.spec.data_sites
        and other.seen.control_s <= view.spec.timings.suspect_after_s
    )


def hand_over_refusals(view: View) -> tuple[str, ...]:
    """Why the hand-over is not begun, or is taken back."""
    request = switchover(view)
    assert request is not None
    found = list(candidate_reasons(view, SiteName(request.target)))
    if not view.store_ok:
        found.append("the store's majority does not answer: the epoch cannot be handed over")
    if not hand_over_in_time(view):
        limit = view.spec.timings.hand_over_s
        found.append(f"it was not through after {limit:g} s")
    return tuple(found)


def held_once_announced(view: View) -> SiteName | Keep | None:
    """New requests wait as soon as every site can know why."""
    return HOLD if hand_over_announced(view) else view.me


# --- the other sites -----------------------------------------------------------------------------


def hand_over_to_me(view: View) -> bool:
    """The holder has begun to hand over to this site."""
    request = asked.asked_now(view, Kind.SWITCHOVER)
    if request is None or request.state is not State.RUNNING:
        return False
    return request.target == view.me and guards.other_epoch(view)


# --- the ladder ----------------------------------------------------------------------------------


def _announce(view: View) -> Intent:
    assert view.request is not None
    return asked.settle(view.request, State.RUNNING, f"{view.me} hands over")


def _wait(view: View) -> Intent | None:
    return None


def _gate_closed(view: View, state: DatabaseState) -> bool:
    return not state.gate_open


def _close_gate(view: View, state: DatabaseState) -> Intent:
    return SetGate(database=state.name, opened=False)


def _wait_for_log(view: View, state: DatabaseState) -> Intent | None:
    return None


def _handed(view: View) -> bool:
    return not guards.own_epoch(view)


def _hand(view: View) -> Intent:
    request, record = switchover(view), view.record
    assert request is not None
    assert record is not None
    return RaiseEpoch(
        epoch=next_epoch(view),
        kind="handover",
        reason=request.reason or "an operator asked for a switchover",
        expected_revision=record.revision,
        previous=view.me,
        holder=SiteName(request.target),
        learners=learners_under(view, SiteName(request.target)),
        request=request.number,
        asked_by=request.asked_by,
    )


def refuse(view: View) -> Intent | None:
    """The request is closed as refused, with what stands against it."""
    assert view.request is not None
    return asked.settle(view.request, State.REFUSED, "; ".join(hand_over_refusals(view)))


def take_back(view: View) -> Intent | None:
    """The request is closed as failed, with what stood against it; not before clients can come here
    again, for until then they wait at every site.
    """
    assert view.request is not None
    waits = not copies.all_open(view) and view.request.unchanged_s <= view.spec.timings.hold_s
    if waits or not view.store_ok:
        return None
    return asked.settle(view.request, State.FAILED, "; ".join(hand_over_refusals(view)))


def ask_for_drain(view: View) -> Intent | None:
    """A switchover to the best candidate, in the name of who drains."""
    candidate, order = best_candidate(view), view.drains[view.me].request
    assert candidate is not None
    return AskSwitchover(
        target=candidate,
        asked_by=order.asked_by,
        reason=f"{view.me} is drained: {order.reason}",
    )


HAND_OVER: tuple[AnyStep, ...] = (
    Step(name="announced", goal=hand_over_announced, apply=_announce),
    Step(name="held", goal=traffic_held, apply=_wait, needs=("announced",)),
    Step(name="quiet", goal=traffic_quiet, apply=_wait, needs=("held",)),
    DatabaseStep(name="gate_closed", goal=_gate_closed, apply=_close_gate, needs=("quiet",)),
    DatabaseStep(
        name="log_equal", goal=candidate_holds, apply=_wait_for_log, needs=("gate_closed",)
    ),
    Step(name="handed", goal=_handed, apply=_hand, needs=("quiet", "gate_closed", "log_equal")),
)
