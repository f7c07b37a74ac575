"""Who votes: what operators change in the commit quorum of a service, one site at a time.

A learner counts for nothing: its primary does not let it in as a voter, so no commit is released
by it, and no takeover asks for its seal. Who learns stands in the epoch record, and is handed on
with each epoch. Everything else, the primary's own setting among it, stays as configured: a commit
needs as many copies as ever, so each learner is one copy that a takeover can do without.

The order is the safe one in both directions. To demote, the database first: the primary lets the
site in no more, and enough other voters hold all that it had committed by then; only then does the
record say so. To promote, the record first: then the primary lets it in as any other copy. In
between the record asks for at least as many seals as meet every commit. Source: D. Ongaro,
Consensus: Bridging Theory and Practice, 4.2.1 (one server at a time) and 4.1.
"""

from controller.core import copies, fenced, guards, margin, repair
from controller.core.intents import SetLearners
from controller.core.model import DatabaseState, EpochRecord, LogEnd, SiteName
from controller.core.position import Order, Position, compare
from controller.core.quorum import learners, voters_of
from controller.core.requests import VOTERS, Kind, Request, State, in_force
from controller.core.view import View


def asked_now(view: View) -> Request | None:
    """The change that is in force and was asked for in the record's epoch."""
    seen, record = view.request, view.record
    if seen is None or record is None or seen.request.kind not in VOTERS or not in_force(seen):
        return None
    return seen.request if seen.request.epoch == record.epoch else None


def wanted_admitted(view: View, state: DatabaseState) -> frozenset[SiteName]:
    """The voters that this primary should let replicate: not one that is to be demoted, if the
    others can acknowledge without it.
    """
    wanted = repair.wanted_admitted(view, state)
    request = asked_now(view)
    if request is None or request.kind is not Kind.DEMOTE or request.state is not State.RUNNING:
        return wanted
    leaving = SiteName(request.target)
    if leaving in state.admitted and not margin.enough_without(view, state, leaving):
        return wanted
    return wanted - {leaving}


def ends_seen(view: View) -> tuple[LogEnd, ...]:
    """Where this primary's logs end, read when the site that is to be demoted was let in no more:
    nothing that it ever confirmed lies beyond. Empty where that is noted already, or not so yet.
    """
    request = asked_now(view)
    if request is None or request.kind is not Kind.DEMOTE or request.ends:
        return ()
    if request.state is not State.RUNNING or not _serves(view):
        return ()
    site, ends = SiteName(request.target), []
    for state in view.own.databases:
        if not _is_out(state, site) or state.position is None:
            return ()
        ends.append(LogEnd(database=state.name, position=state.position))
    return tuple(ends)


def change(view: View) -> SetLearners | None:
    """The record that names other learners, once it may be written: by the holder. It takes a vote
    away only while it serves, and gives one back also while its commits wait for that very one.
    """
    request, record = asked_now(view), view.record
    if request is None or record is None or request.state is not State.RUNNING:
        return None
    site, known = SiteName(request.target), frozenset(record.learners)
    if not guards.own_epoch(view) or not view.store_ok:
        return None
    if request.kind is Kind.PROMOTE and site in known:
        return _named(record, known - {site})
    if request.kind is Kind.DEMOTE and site not in known and _does_without(view, request, site):
        return _named(record, known | {site})
    return None


def _named(record: EpochRecord, learn: frozenset[SiteName]) -> SetLearners:
    return SetLearners(expected_revision=record.revision, learners=tuple(sorted(learn)))


def _serves(view: View) -> bool:
    return guards.own_epoch(view) and guards.established(view) and view.store_ok


def _is_out(state: DatabaseState, site: SiteName) -> bool:
    """This primary lets `site` in as a voter no more, and its stream has ended."""
    return site not in state.admitted and not any(
        follower.site == site and not follower.quarantined for follower in state.followers
    )


def _does_without(view: View, request: Request, site: SiteName) -> bool:
    """Of every database enough other voters hold all that `site` may have confirmed."""
    ends = {end.database: end.position for end in request.ends}
    return guards.established(view) and all(
        _is_out(state, site) and state.name in ends and _held(view, state, site, ends[state.name])
        for state in view.own.databases
    )


def _held(view: View, state: DatabaseState, site: SiteName, end: Position) -> bool:
    """By their own words, or as they have confirmed it to this primary."""
    voters = voters_of(view, state.name)
    confirmed = {f.site: f.flushed for f in state.followers if f.streaming}
    hold = {
        other
        for other in copies.voters_following(view, state) - {site}
        if _reaches(voters[other].position, end) or _reaches(confirmed.get(other), end)
    }
    return 1 + len(hold) >= margin.needed(view)


def _reaches(position: Position | None, end: Position) -> bool:
    return position is not None and compare(position, end) in (Order.EQUAL, Order.AHEAD)


# --- what stands against it ----------------------------------------------------------------------


def refusals(view: View, kind: Kind, site: SiteName) -> tuple[str, ...]:
    """Why `site` cannot be demoted or promoted now; empty when nothing stands against it."""
    record = view.record
    assert record is not None
    if not view.spec.databases:
        return (f"{view.spec.name} has no database: nobody votes on its commits",)
    found = _demoting(view, record, site) if kind is Kind.DEMOTE else _promoting(view, record, site)
    if why := guards.pause_reason(view):
        return (*found, f"automation is paused: {why}; tricast resume")
    return found


def _demoting(view: View, record: EpochRecord, site: SiteName) -> tuple[str, ...]:
    name = view.spec.name
    if site in record.learners:
        return (f"{site} is a learner of {name} already",)
    if site == record.holder:
        return (
            f"{site} holds {name}: its primary always votes; move it first: "
            f"tricast switchover --service {name}",
        )
    least = margin.needed(view)
    left = len(view.spec.data_sites) + len(view.spec.witnesses) - len(learners(view)) - 1
    if left < least:
        first = " or ".join(sorted(learners(view)))
        said = f"a commit of {name} needs {least} voters, and only {left} would be left"
        return (f"{said}; promote {first} first" if first else said,)
    short = (margin.short_without(view, database, site) for database in view.spec.databases)
    return tuple(why for why in short if why)


def _promoting(view: View, record: EpochRecord, site: SiteName) -> tuple[str, ...]:
    if site not in record.learners:
        return (f"{site} is a voter of {view.spec.name} already",)
    if fenced.fenced(view, site):
        return (f"{fenced.said(view, site)}; unfence it first: tricast unfence {site}",)
    if site not in view.others and site != view.me:
        return (f"{site} is not in the configuration any more",)
    if not margin.heard(view, site):
        return (f"{site} is not heard: a voter that is not there only makes takeovers harder",)
    return ()


# --- how it goes on ------------------------------------------------------------------------------


def moved(view: View) -> tuple[State, str] | None:
    """The next state of what is asked, and why; told by the holder."""
    request, record = asked_now(view), view.record
    if request is None or record is None:
        return None
    site = SiteName(request.target)
    learns = site in record.learners
    if request.state is State.RUNNING and learns == (request.kind is Kind.DEMOTE):
        return _changed(view, request, site)
    against = refusals(view, request.kind, site)
    if request.state is State.OPEN:
        if against:
            return State.REFUSED, "; ".join(against)
        return State.RUNNING, _BEGINS[request.kind].format(site=site)
    return (State.FAILED, "; ".join(against)) if against else None


LEFT = "the primary lets it in no more; enough others are to hold all that it confirmed"
_BEGINS = {
    Kind.DEMOTE: "the primary lets {site} in no more; then the record says so",
    Kind.PROMOTE: "the record counts {site} again; then the primary lets it in",
}


def _changed(view: View, request: Request, site: SiteName) -> tuple[State, str] | None:
    """The record says what was asked. Who votes again is seen to follow as a voter, too."""
    name = view.spec.name
    if request.kind is Kind.DEMOTE:
        return State.DONE, f"{site} is a learner of {name}"
    if all(site in copies.voters_following(view, state) for state in view.own.databases):
        return State.DONE, f"{site} votes for {name}"
    return None
