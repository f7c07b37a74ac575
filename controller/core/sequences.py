"""The ladders of a takeover, of stepping down, and of coming back as a standby."""

from dataclasses import replace

from controller.core import copies, fenced, guards, margin, receiver, repair, troubles, voters
from controller.core.intents import (
    EPOCH_LANE,
    Admit,
    AssumeAddresses,
    CatchUp,
    CloseDatabase,
    CommitAlone,
    EndAlone,
    FenceOthers,
    Follow,
    Intent,
    Promise,
    Promote,
    Rejoin,
    SealDatabase,
    SetGate,
    StartDatabase,
)
from controller.core.ladder import AnyStep, DatabaseStep, Step, unfinished
from controller.core.model import DatabaseState, Liveness
from controller.core.position import Order, compare
from controller.core.quorum import holder_promoted, is_quiet, promoted_by_hand, prove
from controller.core.view import View

# --- rungs of TAKE_OVER --------------------------------------------------------------------------


def _epoch_promised(view: View) -> bool:
    return view.record is not None and view.own.promised >= view.record.epoch


def _promise(view: View) -> Intent | None:
    """Not while a log here is nobody's: with a higher promise it would pass for an honest one. What
    is just being closed or started shows its log in a moment.
    """
    assert view.record is not None
    if not all(_honest(view, s) and not _hidden(view, s) for s in view.own.databases):
        return None
    return Promise(epoch=view.record.epoch)


def _fenced(view: View) -> bool:
    """Tried once; not needed where the others know of the epoch and step down by themselves, nor by
    who serves already: what it has tried is forgotten with its daemon, and its record may be old.
    """
    assert view.record is not None
    if view.own.fenced >= view.record.epoch or view.record.kind != "failover":
        return True
    if guards.established(view):
        return True
    return not guards.previous_holder_silent(view)


def _fence(view: View) -> Intent:
    assert view.record is not None
    return FenceOthers(epoch=view.record.epoch)


def _started(view: View, state: DatabaseState) -> bool:
    return state.liveness is not Liveness.DOWN


def _start(view: View, state: DatabaseState) -> Intent:
    return StartDatabase(database=state.name)


def _closed_before_climbing(view: View, state: DatabaseState) -> bool:
    """Regaining is not resuming: writable under an older epoch, it closes first."""
    return not state.writable or copies.promoted_here(view, state)


def _close(view: View, state: DatabaseState) -> Intent:
    return CloseDatabase(database=state.name)


def database_proved(view: View, state: DatabaseState) -> bool:
    """A majority of voters of this database is sealed at the record's epoch, or it is promoted."""
    return copies.promoted_here(view, state) or prove(view, state).complete


def _seal_own(view: View, state: DatabaseState) -> Intent | None:
    assert view.record is not None
    if is_quiet(state):
        return None  # this site's part is done; the other voters seal by themselves
    return SealDatabase(database=state.name, epoch=view.record.epoch)


def _caught_up(view: View, state: DatabaseState) -> bool:
    if copies.promoted_here(view, state):
        return True
    proof = prove(view, state)
    if not proof.complete or proof.target is None or state.position is None:
        return False
    return compare(state.position, proof.target) in (Order.EQUAL, Order.AHEAD)


def _catch_up(view: View, state: DatabaseState) -> Intent | None:
    proof = prove(view, state)
    if not proof.complete or proof.target is None or proof.source in (None, view.me):
        return None
    assert proof.source is not None
    return CatchUp(database=state.name, source=proof.source, target=proof.target)


def _promote(view: View, state: DatabaseState) -> Intent | None:
    """Never twice under one epoch: what was primary of it and fell needs a new one."""
    assert view.record is not None
    if state.epoch >= view.record.epoch:
        return None
    return Promote(
        database=state.name,
        epoch=view.record.epoch,
        voters=voters.wanted_admitted(view, replace(state, admitted=frozenset())),
        waits=not margin.all_needed(view),
    )


def _admitted(view: View, state: DatabaseState) -> bool:
    return copies.promoted_here(view, state) and (
        state.admitted == voters.wanted_admitted(view, state)
    )


def _admit(view: View, state: DatabaseState) -> Intent:
    return Admit(database=state.name, voters=voters.wanted_admitted(view, state))


def _committing(view: View, state: DatabaseState) -> bool:
    """Another voter follows and has acknowledged a write of ours under this epoch, so it holds all
    that is visible here: what only this site has must not be read, or taken for done by a retry.
    Or an operator has ordered that none is waited for.
    """
    acknowledged = state.name in view.own.commit_age_s
    if view.alone is not None:
        return state.alone  # connections to dead voters may look alive for long
    return acknowledged and copies.voter_follows(view, state)


def _wait_for_voter(view: View, state: DatabaseState) -> Intent | None:
    if view.alone is None or state.alone:
        return None
    return CommitAlone(database=state.name, alone=True)


def _opened(view: View, state: DatabaseState) -> bool:
    return state.gate_open


def _open(view: View, state: DatabaseState) -> Intent:
    return SetGate(database=state.name, opened=True)


def _apps_running(view: View) -> bool:
    return not view.own.apps_total or view.own.apps_up >= view.spec.min_healthy


def _wait(view: View) -> Intent | None:
    return None


def _serving(view: View) -> bool:
    return view.own.directed_to == frozenset({view.me}) and view.own.front_ok


def _attracting(view: View) -> bool:
    return view.own.stance in guards.ATTRACTING and view.own.stance_epoch == view.own.promised


def _verified(view: View) -> bool:
    fresh_s = view.spec.timings.report_fresh_s
    return (view.own.canary_age_s < fresh_s or not view.spec.has_canary) and all(
        view.own.commit_age_s.get(state.name, float("inf")) < fresh_s
        for state in view.own.databases
    )


def _addresses_here(view: View) -> bool:
    return not view.own.addresses_missing


def _assume_addresses(view: View) -> Intent:
    return AssumeAddresses()


TAKE_OVER: tuple[AnyStep, ...] = (
    Step(name="promised", goal=_epoch_promised, apply=_promise),
    Step(name="fenced", goal=_fenced, apply=_fence, needs=("promised",)),
    Step(name="addressed", goal=_addresses_here, apply=_assume_addresses),
    DatabaseStep(name="started", goal=_started, apply=_start, needs=("promised",)),
    DatabaseStep(name="closed", goal=_closed_before_climbing, apply=_close, needs=("promised",)),
    DatabaseStep(
        name="logs_sealed",
        goal=database_proved,
        apply=_seal_own,
        needs=("promised", "started", "closed"),
    ),
    DatabaseStep(name="caught_up", goal=_caught_up, apply=_catch_up, needs=("logs_sealed",)),
    DatabaseStep(
        name="promoted",
        goal=copies.promoted_here,
        apply=_promote,
        needs=("logs_sealed", "caught_up"),
    ),
    DatabaseStep(name="admitted", goal=_admitted, apply=_admit, needs=("promoted",)),
    DatabaseStep(
        name="committing",
        goal=_committing,
        apply=_wait_for_voter,
        needs=("promoted", "admitted"),
    ),
    DatabaseStep(name="opened", goal=_opened, apply=_open, needs=("promoted", "committing")),
    Step(name="apps_running", goal=_apps_running, apply=_wait),
    Step(name="serving", goal=_serving, apply=_wait, needs=("opened",)),
    Step(name="attracting", goal=_attracting, apply=_wait),
    Step(name="verified", goal=_verified, apply=_wait, needs=("serving", "attracting")),
)


# --- rungs of STEP_DOWN and REJOIN ---------------------------------------------------------------


def _close_deposed(view: View, state: DatabaseState) -> Intent | None:
    """At once to clients, for what they read may be old; nothing is acknowledged here any more. Its
    restart waits while the new holder climbs: on the same machines, or over the same network, it
    would only slow it down. Where a lease is all that keeps two sites from serving, nothing waits;
    nor what this site is about to take back.
    """
    if receiver.due_back(view):
        return _close(view, state)
    if guards.left_in_peace(view) and not guards.lease_durability(view):
        return SetGate(database=state.name, opened=False) if state.gate_open else None
    if _has_its_time(view) and not state.gate_open:
        return None
    return _close(view, state)


def _has_its_time(view: View) -> bool:
    """This site has handed over a moment ago, and the controller of the new holder lives."""
    other, timings = guards.holder(view), view.spec.timings
    heard = other is not None and other.seen.control_s <= timings.suspect_after_s
    return heard and view.record_unchanged_s < timings.hand_over_s and guards.handed_over(view)


def shut_out(view: View) -> Intent | None:
    """While relief is on its way for a database that has fallen, nobody writes to the others here:
    whatever they wrote, the other site would have to fetch before it can serve.
    """
    fallen = [s.name for s in view.own.databases if s.liveness is Liveness.DOWN]
    if not any(troubles.outlasted(view, f"database:{name}") for name in fallen):
        return None
    for state in view.own.databases:
        if state.gate_open and f"database:{state.name}" not in view.busy:
            return SetGate(database=state.name, opened=False)
    return None


def _not_writable(view: View, state: DatabaseState) -> bool:
    return not state.writable and not state.gate_open


def order_ended(view: View) -> bool:
    """No order to serve alone is in force here."""
    return view.alone is None


def end_order(view: View) -> Intent:
    """It was for an epoch of this site: under a newer one of another it must not live again."""
    return EndAlone()


def _honest(view: View, state: DatabaseState) -> bool:
    return not promoted_by_hand(view, state)


def _hidden(view: View, state: DatabaseState) -> bool:
    """It does not show its log, because something here is at work on it; and not to replace it."""
    at_work = f"database:{state.name}" in view.busy and state.name not in view.rejoining
    return at_work and state.liveness is not Liveness.RUNNING


def _may_rejoin(view: View, state: DatabaseState) -> bool:
    """There is a primary to follow, no operator keeps this site out, and it is not about to take
    the epoch itself: nothing could end a rejoin that began before.
    """
    raising = EPOCH_LANE in view.busy - view.resting
    return holder_promoted(view, state.name) and not fenced.fenced_here(view) and not raising


def _rewind(view: View, state: DatabaseState) -> Intent | None:
    assert view.record is not None
    if not _may_rejoin(view, state):
        return None
    return Rejoin(database=state.name, upstream=view.record.holder, epoch=view.record.epoch)


def _seal_for_holder(view: View, state: DatabaseState) -> Intent | None:
    """To take nothing from an older epoch; one too late to be seen may well do so already."""
    assert view.record is not None
    if state.liveness is Liveness.UNKNOWN:
        return None
    return SealDatabase(database=state.name, epoch=view.record.epoch)


def _rejoin(view: View, state: DatabaseState) -> Intent | None:
    assert view.record is not None
    if not _may_rejoin(view, state):
        return None
    holder, epoch = view.record.holder, view.record.epoch
    if state.epoch == epoch and not state.diverged:
        as_voter = guards.admitted_by_holder(view, state.name)
        return Follow(database=state.name, upstream=holder, epoch=epoch, quarantine=not as_voter)
    return Rejoin(database=state.name, upstream=holder, epoch=epoch)


def _start_again(view: View, state: DatabaseState) -> Intent | None:
    """Half rebuilt files cannot be started: the rejoin that was cut short is done again."""
    assert view.record is not None
    if guards.left_in_peace(view):
        return None
    if not state.diverged:
        return StartDatabase(database=state.name)
    return _rewind(view, state)


def _vote(view: View, state: DatabaseState) -> Intent | None:
    assert view.record is not None
    if not guards.admitted_by_holder(view, state.name):
        return None
    return Follow(
        database=state.name,
        upstream=view.record.holder,
        epoch=view.record.epoch,
        quarantine=False,
    )


def _yielded(view: View) -> bool:
    return view.own.stance not in guards.ATTRACTING


def _forwarding(view: View) -> bool:
    return view.record is not None and view.own.directed_to == frozenset({view.record.holder})


STAND_READY: tuple[AnyStep, ...] = (
    Step(name="addressed", goal=_addresses_here, apply=_assume_addresses),
    DatabaseStep(name="started", goal=_started, apply=_start),
)

STEP_DOWN: tuple[AnyStep, ...] = (
    Step(name="promised", goal=_epoch_promised, apply=_promise),
    Step(name="yielded", goal=_yielded, apply=_wait),
    DatabaseStep(name="closed", goal=_not_writable, apply=_close_deposed),
)

REJOIN: tuple[AnyStep, ...] = (
    DatabaseStep(name="honest", goal=_honest, apply=_rewind),
    Step(name="promised", goal=_epoch_promised, apply=_promise),
    Step(name="order_ended", goal=order_ended, apply=end_order, needs=("promised",)),
    Step(name="addressed", goal=_addresses_here, apply=_assume_addresses),
    DatabaseStep(
        name="as_wanted", goal=repair.as_wanted, apply=repair.make_anew, needs=("promised",)
    ),
    DatabaseStep(
        name="started", goal=_started, apply=_start_again, needs=("promised", "as_wanted")
    ),
    DatabaseStep(
        name="sealed",
        goal=copies.sealed_here,
        apply=_seal_for_holder,
        needs=("promised", "as_wanted", "started"),
    ),
    DatabaseStep(
        name="following",
        goal=copies.follows_in_any_way,
        apply=_rejoin,
        needs=("as_wanted", "sealed"),
    ),
    DatabaseStep(
        name="voting",
        goal=copies.follows_as_wanted,
        apply=_vote,
        needs=("as_wanted", "following"),
    ),
    Step(name="forwarding", goal=_forwarding, apply=_wait),
    Step(name="yielded", goal=_yielded, apply=_wait),
)

NOTHING: tuple[AnyStep, ...] = ()


def rejoin_unfinished(view: View) -> bool:
    """A rung of REJOIN is not reached."""
    return unfinished(REJOIN, view)
