"""Serving alone: what an operator orders when no majority is left, and what it may cost.

No guarantee but this remains: nothing is promoted here that this site does not hold. Two sites that
are ordered to serve alone both acknowledge writes, and one of the two histories is thrown away when
they meet; so is what this site acknowledges alone, if the others go on without it. The statement
says so, and the order is refused where anything less would do.
"""

from typing import Final

from controller.core import asked, copies, guards, troubles
from controller.core.intents import CommitAlone, Intent
from controller.core.ladder import AnyStep, DatabaseStep, Step
from controller.core.model import DatabaseState, Epoch, EpochRecord, SiteName
from controller.core.quorum import learners_under, voters_of
from controller.core.raising import next_epoch
from controller.core.requests import Request
from controller.core.sequences import end_order, order_ended
from controller.core.view import View

FORCED: Final = "forced"  # of an epoch that databases here may have before its record is written
GAP = 10  # below an assumed epoch: numbers that the others may use meanwhile


def refusals(view: View) -> tuple[str, ...]:
    """Why this site must not be ordered to serve alone."""
    if view.record is None:
        return ("the epoch record is not known here: it is not clear what this site holds",)
    if view.alone is not None:
        return (f"{view.me} serves alone already, as {view.alone.asked_by} ordered",)
    found = list(troubles.copy_reasons(view))
    fresh = view.spec.timings.suspect_after_s
    for site in view.spec.data_sites:
        if site != view.me and view.others[site].seen.control_s <= fresh:
            found.append(f"{site} is heard: failover or switchover moves the service provably")
    for state in view.own.databases:
        if copies.living_voter_follows(view, state):
            found.append(f"{state.name}: another voter follows, its commits are acknowledged")
    return tuple(found)


def needs_epoch(view: View) -> bool:
    """A database has to be promoted before this site can serve."""
    return not guards.own_epoch(view) or not all(
        copies.promoted_here(view, state) for state in view.own.databases
    )


def assumed_record(view: View, request: Request) -> EpochRecord | None:
    """The epoch to serve under, where the store may not be there to be asked. Far above what is
    known, and by a different distance for each site, so that nobody else uses the same number.
    """
    if not needs_epoch(view):
        return None
    distance = GAP * (1 + view.spec.data_sites.index(view.me))
    return EpochRecord(
        epoch=Epoch(next_epoch(view) - 1 + distance),
        holder=view.me,
        kind=FORCED,
        reason=request.reason,
        asked_by=request.asked_by,
        at=request.at,
        previous=None if view.record is None else view.record.holder,
        excused=absent(view),
        learners=learners_under(view, view.me),
    )


def absent(view: View) -> tuple[SiteName, ...]:
    """Every site whose copy of some database cannot be expected to seal."""
    missing = (asked.missing_voters(view, name) for name in view.spec.databases)
    return tuple(sorted(frozenset[SiteName]().union(*missing) - {view.me}))


def statement(view: View) -> str:
    """What the order costs, and what it asserts."""
    others = ", ".join(absent(view)) or "the other sites"
    held = asked.loss_statement(view) if needs_epoch(view) else "Nothing is lost now"
    return (
        f"{held}. From now on {view.me} acknowledges writes that no other site has: they are lost "
        f"if {view.me} dies, or if {others} go on without it. You assert that {others} "
        "acknowledge nothing now and will not be started apart from this site."
    )


def standing(view: View) -> str:
    """One loud sentence while the order is in force; empty otherwise."""
    if view.alone is None:
        return ""
    apart = [
        site
        for name in view.spec.databases
        for site in voters_of(view, name).keys() - {view.me}
        if not any(
            follower.site == site and follower.streaming
            for state in view.own.databases
            if state.name == name
            for follower in state.followers
        )
    ]
    lacking = f"; not following: {', '.join(sorted(set(apart)))}" if apart else ""
    return (
        f"{view.me} SERVES ALONE since {view.alone.at}, as {view.alone.asked_by} ordered: what it "
        f"acknowledges exists once{lacking}"
    )


# --- the ladder back -----------------------------------------------------------------------------


def _guarded(view: View, state: DatabaseState) -> bool:
    return not state.alone


def _guard(view: View, state: DatabaseState) -> Intent:
    return CommitAlone(database=state.name, alone=False)


NO_LONGER_ALONE: tuple[AnyStep, ...] = (
    DatabaseStep(name="guarded", goal=_guarded, apply=_guard),
    Step(name="order_ended", goal=order_ended, apply=end_order, needs=("guarded",)),
)
