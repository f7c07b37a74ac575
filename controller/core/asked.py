"""What an operator's request means to this site now: who is asked, what stands against it, and
when it is over. Predicates are phrased positively, for the role table.
"""

from dataclasses import replace

from controller.core import copies, fenced, guards, repair, sequences, troubles, voters
from controller.core.intents import Intent, SettleRequest
from controller.core.model import DatabaseName, EpochRecord, SiteName
from controller.core.quorum import learners, majority, voters_of
from controller.core.requests import (
    AT_ANY_TIME,
    Kind,
    Request,
    SeenRequest,
    State,
    approved,
    closed,
    expired,
    in_force,
    waits_for,
)
from controller.core.view import View


def asked_now(view: View, kind: Kind) -> Request | None:
    """The request of `kind` that is in force and was made in the record's epoch."""
    seen = view.request
    if seen is None or seen.request.kind is not kind or not in_force(seen):
        return None
    made_now = view.record is not None and seen.request.epoch == view.record.epoch
    return seen.request if made_now else None


# --- failover on request -------------------------------------------------------------------------


def failover(view: View) -> Request | None:
    """What this site is asked to take over, or to open although it cannot prove it."""
    request = asked_now(view, Kind.FAILOVER)
    if request is None or request.target != view.me:
        return None
    unproved = request.allow_data_loss and cannot_prove(view)
    behind = asked_behind(view, view.me)
    return request if guards.other_epoch(view) or unproved or behind else None


def asked_behind(view: View, target: SiteName) -> bool:
    """A failover to `target`, this site, writes a newer record although the old one may name it:
    the store was set back behind its promises. Of another site's promises only that site knows.
    """
    return target == view.me and guards.record_below_floor(view)


def failover_asked(view: View) -> bool:
    """An operator asks this site, which is not the holder or cannot open as one, to take over."""
    return failover(view) is not None


def put_right_asked(view: View) -> bool:
    """An operator asks this site to take over where the store was set back behind its promises:
    the record that it writes is above them. One that served by a lease has stopped before.
    """
    if not asked_behind(view, view.me) or not failover_asked(view):
        return False
    return not (guards.lease_forgotten(view) and guards.traffic_here(view))


def cannot_prove(view: View) -> bool:
    """This holder's databases stay closed: too many voters that would prove them are missing."""
    return guards.own_epoch(view) and any(
        not sequences.database_proved(view, state)
        and not provable(view, len(missing_voters(view, state.name)))
        for state in view.own.databases
    )


def failover_allowed(view: View) -> bool:
    """What is asked can be proved, or the operator does without what is missing."""
    return not failover_refusals(view)


def failover_refusals(view: View) -> tuple[str, ...]:
    """Why this site does not take over as asked; empty when nobody asks."""
    request = failover(view)
    return () if request is None else takeover_refusals(view, request)


def refuse_failover(view: View) -> Intent | None:
    """The request is closed as refused, with what stands against it."""
    assert view.request is not None
    return settle(view.request, State.REFUSED, "; ".join(failover_refusals(view)))


def takeover_refusals(view: View, request: Request) -> tuple[str, ...]:
    """Why this site could not take over as `request` asks."""
    found = list(troubles.copy_reasons(view))
    if fenced.fenced_here(view):
        found.append(f"{fenced.said(view, view.me)}; unfence it first: tricast unfence {view.me}")
    if not view.store_ok:
        found.append("the store's majority does not answer: no epoch can be raised")
    waited = not guards.lease_durability(view) or guards.lease_waited_out(view)
    if not waited and not request.allow_data_loss:
        found.append("the holder's lease has not been waited out")
    for database in view.spec.databases:
        absent = missing_voters(view, database)
        excused = frozenset(request.excused if request.allow_data_loss else ())
        if not provable(view, len(absent - excused)):
            names = ", ".join(sorted(absent - excused))
            found.append(
                f"{database}: it cannot be proved that nothing is lost without {names}; "
                "--allow-data-loss does without, and says what may be lost"
            )
    return tuple(found)


def provable(view: View, missing: int) -> bool:
    """A majority of voters is left when so many are missing."""
    total = len(view.spec.data_sites) + len(view.spec.witnesses)
    return total - missing >= majority(total)


def missing_voters(view: View, database: DatabaseName) -> frozenset[SiteName]:
    """Sites whose copy cannot be expected to seal: not heard, unknown, empty or with a gap."""
    voters = voters_of(view, database)
    limit = view.spec.timings.suspect_after_s
    everybody = frozenset((*view.spec.data_sites, *view.spec.witnesses))
    voting = everybody - (learners(view) - {view.me})  # who raises an epoch votes in it
    present = {
        site
        for site, voter in voters.items()
        if (site == view.me or view.others[site].seen.control_s <= limit) and voter.whole
    }
    return voting - present


def loss_statement(view: View) -> str:
    """Which voters would be missing, and what of each database may then be lost."""
    parts: list[str] = []
    for state in view.own.databases:
        absent = missing_voters(view, state.name)
        if provable(view, len(absent)):
            parts.append(f"{state.name}: nothing is lost")
            continue
        ends = [
            f"{site} was last seen at {voter.position}"
            for site, voter in sorted(voters_of(view, state.name).items())
            if site in absent and voter.position is not None
        ]
        parts.append(
            f"{state.name}: without {', '.join(sorted(absent))}, everything acknowledged beyond "
            f"{state.position} is lost ({'; '.join(ends) or 'how far that is, is not known'})"
        )
    return ". ".join(parts) if parts else "the service has no database: no record is lost"


# --- drain, and serving alone --------------------------------------------------------------------


def drained_here(view: View) -> bool:
    """An operator wants this site without roles."""
    return in_force(view.drains.get(view.me))


def served_elsewhere(view: View) -> bool:
    """Another site holds the epoch and serves, as far as is seen."""
    other = guards.holder(view)
    late_s = view.spec.timings.suspect_after_s
    return other is not None and other.seen.control_s <= late_s and guards.holder_serves(view)


def alone_ordered(view: View) -> bool:
    """An operator has ordered this holder to serve without any other voter.

    Under an epoch that can be opened; for another one the store has to be there. And not while a
    majority that does answer holds more than this site could fetch.
    """
    if view.alone is None or not guards.own_epoch(view) or troubles.held_elsewhere(view):
        return False
    used_up = troubles.epoch_used_up(view) and troubles.used_up_for_sure(view)
    return not (used_up and guards.databases_idle(view) and view.store_ok)


def redundancy_back(view: View) -> bool:
    """The store answers, and of every database a living voter follows."""
    following = (copies.living_voter_follows(view, state) for state in view.own.databases)
    return view.store_ok and all(following)


def alone_is_over(view: View) -> bool:
    """Redundancy is back after this holder served alone, or nobody ordered that it should."""
    if not guards.own_epoch(view):
        return False
    if view.alone is not None:
        return redundancy_back(view) and assumed_recorded(view)
    return any(state.alone for state in view.own.databases)


def assumed_recorded(view: View) -> bool:
    """The record stands in the store: it was not assumed by force, or has been written since."""
    return view.record is not None and view.record.revision > 0


# --- how a request ends --------------------------------------------------------------------------


def settlement(view: View) -> SettleRequest | None:
    """The open request's next state, where no rule says it by itself; told by the holder, or by
    the site whose copies it is about.
    """
    seen = view.request
    if seen is None or view.record is None or closed(seen.request) or not view.store_ok:
        return None
    if not guards.own_epoch(view):
        next_state = repair.moved(view)
        return None if next_state is None else _told(seen, *next_state)
    if (ended := _ended(view, view.record, seen)) is not None:
        return settle(seen, ended[0], ended[1])
    ends = voters.ends_seen(view)
    return replace(settle(seen, State.RUNNING, voters.LEFT), ends=ends) if ends else None


def settle(seen: SeenRequest, state: State, why: str) -> SettleRequest:
    """The intent that moves `seen` to `state`."""
    return replace(_told(seen, state, why, seen.request.copied), ends=seen.request.ends)


def _told(seen: SeenRequest, state: State, why: str, copied: bool) -> SettleRequest:  # noqa: FBT001
    return SettleRequest(
        number=seen.request.number,
        expected_revision=seen.revision,
        state=state,
        why=why,
        copied=copied,
    )


def _ended(view: View, record: EpochRecord, seen: SeenRequest) -> tuple[State, str] | None:
    request = seen.request
    if expired(seen):
        waited = waits_for(seen) or "the service to settle"
        return State.LAPSED, f"it waited {request.expires_s:.0f} s for {waited}"
    match request.kind:
        case Kind.SWITCHOVER | Kind.FAILOVER:
            return _move_ended(view, record, request)
        case Kind.ACK if approved(request):
            return _ack_ended(record, request)
        case Kind.PAUSE if approved(request):
            return _pause_moved(seen)
        case kind if kind in AT_ANY_TIME and request.epoch != record.epoch:
            state = State.FAILED if request.state is State.RUNNING else State.LAPSED
            return state, f"{record.holder} raised epoch {record.epoch} meanwhile: {record.reason}"
        case _:
            return voters.moved(view)


def _ack_ended(record: EpochRecord, request: Request) -> tuple[State, str]:
    if request.epoch != record.epoch:
        return State.LAPSED, f"epoch {record.epoch} was raised meanwhile: {record.reason}"
    return State.DONE, f"the role change of epoch {record.epoch} is acknowledged"


def _pause_moved(seen: SeenRequest) -> tuple[State, str] | None:
    if seen.age_s > seen.request.lasts_s:
        return State.LAPSED, f"its {seen.request.lasts_s:.0f} s are over"
    if seen.request.state is State.OPEN and in_force(seen):
        return State.RUNNING, "automation is paused"
    return None


def _move_ended(view: View, record: EpochRecord, request: Request) -> tuple[State, str] | None:
    """A move is over when its own epoch serves, or when any other epoch was raised.

    What was never approved is never done, though the world has come to be what it asked for.
    """
    if record.epoch <= request.epoch:
        opened = request.target == record.holder and guards.established(view)
        return (State.DONE, _serves(record)) if opened and approved(request) else None
    wanted = request.target == record.holder and approved(request)
    if request.number != record.request and not wanted:
        state = State.FAILED if request.state is State.RUNNING else State.LAPSED
        return state, f"{record.holder} raised epoch {record.epoch} meanwhile: {record.reason}"
    if not guards.established(view):
        return None
    return State.DONE, _serves(record)


def _serves(record: EpochRecord) -> str:
    return f"{record.holder} serves under epoch {record.epoch}"
