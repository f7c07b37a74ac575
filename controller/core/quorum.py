"""Majorities of voters: who is sealed, how far the furthest is, whose acknowledgement may count.

Invariant: a commit was acknowledged only if it is durable at its primary and at least one other
voter of three (in general: a majority of voters). Hence any majority of sealed voters contains a
voter that holds it, and the furthest of them holds every acknowledged commit of its database.
Not guaranteed: that an unacknowledged record is absent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.core.model import (
    DatabaseName,
    DatabaseState,
    Epoch,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import Order, Position, compare
from controller.core.view import View


def majority(voters: int) -> int:
    """The smallest number of voters of which any two sets share a member."""
    assert voters > 0
    return voters // 2 + 1


def learners(view: View) -> frozenset[SiteName]:
    """Sites that an operator lets only learn; a holder always votes."""
    record = view.record
    return frozenset() if record is None else frozenset(record.learners) - {record.holder}


def learners_under(view: View, holder: SiteName) -> tuple[SiteName, ...]:
    """Who learns under the next epoch, of `holder`: as before, but a holder votes."""
    known = () if view.record is None else view.record.learners
    return tuple(site for site in known if site != holder)


def holder_report(view: View) -> ServiceReport | None:
    """The holder's report, if it speaks of the record's epoch."""
    if view.record is None:
        return None
    other = view.others.get(view.record.holder)
    if other is None or other.report is None:
        return None
    return other.report if other.report.epoch == view.record.epoch else None


def holder_promoted(view: View, database: DatabaseName) -> bool:
    """The holder says its copy of `database` is writable under the record's epoch."""
    report = holder_report(view)
    return report is not None and any(
        found.state.name == database and found.state.writable and found.state.epoch == report.epoch
        for found in report.databases
    )


def own_voter(view: View, state: DatabaseState) -> VoterState:
    """This site's copy as the others will read it in the report.

    A receiver that points at the holder counts as following this epoch only once the holder is
    promoted under it (or its records have arrived): before, it may be a receiver of an older one.
    While something is at work on it, a promotion of an epoch that is over for all anyone can tell,
    it is not sealed for another site's. The end of a log that was promoted by hand says nothing
    about commits: it is not told.
    """
    following = state.upstream if state.receiving else None
    follows_holder = (
        view.record is not None
        and following == view.record.holder
        and view.own.promised == view.record.epoch
        and (state.epoch == view.record.epoch or holder_promoted(view, state.name))
    )
    return VoterState(
        database=state.name,
        promised=view.own.promised,
        sealed=is_quiet(state) and not _at_work_for_another(view, state),
        position=None if promoted_by_hand(view, state) else state.position,
        following=following,
        following_epoch=view.own.promised if follows_holder else Epoch(0),
        streaming=state.streaming,
        whole=not state.diverged,
        problems=state.problems,
    )


def _at_work_for_another(view: View, state: DatabaseState) -> bool:
    """Something is under way that may make it follow somebody, however quiet it still looks."""
    own = view.record is not None and view.record.holder == view.me
    return state.name in view.rejoining or (not own and f"database:{state.name}" in view.busy)


def promoted_by_hand(view: View, state: DatabaseState) -> bool:
    """Its log is of an epoch that this site never promised, and no primary has sent it that.

    Such an epoch is nobody's, whatever its number: it must not be taken for the furthest.
    """
    sent = state.receiving and view.record is not None and state.upstream == view.record.holder
    return 0 < view.own.promised < state.epoch and not sent


def is_quiet(state: DatabaseState) -> bool:
    """It is seen to run, takes nothing from anybody and acknowledges nothing."""
    return (
        state.liveness == "running"
        and not state.writable
        and not state.receiving
        and state.position is not None
    )


def voters_of(view: View, database: DatabaseName) -> Mapping[SiteName, VoterState]:
    """Every copy of `database` that anything is known of, this site's own included."""
    found: dict[SiteName, VoterState] = {}
    for site, other in view.others.items():
        if other.report is None:
            continue
        for voter in other.report.voters:
            if voter.database == database:
                found[site] = voter
        for report in other.report.databases:
            if report.voter.database == database:
                found[site] = report.voter
    for state in view.own.databases:
        if state.name == database:
            found[view.me] = own_voter(view, state)
    return found


def holds_nothing(voter: VoterState) -> bool:
    """It is empty: new, or wiped. It may begin to receive, but it proves nothing."""
    return not voter.whole and (voter.position is None or voter.position.epoch == 0)


def _shows_its_end(voter: VoterState) -> bool:
    """A seal says nothing about commits unless it is known where the log under it ends."""
    return voter.position is not None and not holds_nothing(voter)


def is_sealed(voter: VoterState, epoch: Epoch, holder: SiteName) -> bool:
    """It takes nothing from an epoch below `epoch` any more: quiet, or already with the holder."""
    if voter.promised != epoch:
        return False
    return voter.sealed or (voter.following == holder and voter.following_epoch == epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the sealed voters of one database prove, and what is missing."""

    sealed: tuple[SiteName, ...]
    needed: int
    target: Position | None  # furthest sealed position; None while not proved
    source: SiteName | None  # a sealed voter that holds the target
    conflict: str = ""  # two sealed positions of which neither contains the other
    excused: tuple[SiteName, ...] = ()  # not sealed, and an operator does without them

    @property
    def complete(self) -> bool:
        """A majority is sealed or excused, and the sealed positions are in one order."""
        counted = len(self.sealed) + len(self.excused)
        return counted >= self.needed and self.target is not None and not self.conflict


def prove(view: View, state: DatabaseState) -> Proof:
    """What is proved for one database of this site, which holds the record's epoch.

    A writable own server under this very epoch has been promoted already: it is its own target.
    """
    assert view.record is not None
    epoch, holder = view.record.epoch, view.record.holder
    promoted = state.writable and state.epoch == epoch
    voters = voters_of(view, state.name)
    learn = learners(view)
    sealed = {
        site: voter
        for site, voter in voters.items()
        if site not in learn
        and (
            (is_sealed(voter, epoch, holder) and _shows_its_end(voter))
            or (site == view.me and promoted)
        )
    }
    # A commit needs a majority of all: each copy that is none of these is one seal fewer to ask.
    needed = majority(len(view.spec.data_sites) + len(view.spec.witnesses)) - len(learn)
    target, source, conflict = furthest(
        (site, voter.position)
        for site, voter in sorted(sealed.items(), key=lambda pair: pair[0] != view.me)
        if voter.position is not None
    )
    excused = excused_voters(view) - sealed.keys() - learn
    enough = view.me in sealed and len(sealed) + len(excused) >= needed
    return Proof(
        sealed=tuple(sorted(sealed)),
        needed=needed,
        target=target if enough else None,
        source=source if enough else None,
        conflict=conflict,
        excused=tuple(sorted(excused)),
    )


def excused_voters(view: View) -> frozenset[SiteName]:
    """Voters that an operator does without, in the very epoch that is climbed. One that is heard
    is still given its time to seal: it may hold what would be lost.
    """
    assert view.record is not None
    timings = view.spec.timings
    waited = view.record_unchanged_s >= timings.yield_grace_s
    return frozenset(
        site
        for site in view.record.excused
        if site in view.others
        and (waited or view.others[site].seen.control_s > timings.suspect_after_s)
    )


def furthest(
    positions: Iterable[tuple[SiteName, Position]],
) -> tuple[Position | None, SiteName | None, str]:
    """The furthest position, who has it (the first named wins a tie), and a conflict if any."""
    best: Position | None = None
    whose: SiteName | None = None
    for site, position in positions:
        if best is None:
            best, whose = position, site
            continue
        order = compare(position, best)
        if order is Order.DIVERGED:
            return None, None, f"{site} has {position}, {whose} has {best}"
        if order is Order.AHEAD:
            best, whose = position, site
    return best, whose, ""
