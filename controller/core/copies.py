"""Predicates over one copy of a database: who it is, whom it follows, who may follow it.

Phrased positively, as the goals of rungs.
"""

from controller.core import fenced
from controller.core.model import DatabaseName, DatabaseState, Epoch, SiteName
from controller.core.quorum import holds_nothing, is_sealed, learners, own_voter, voters_of
from controller.core.view import OtherSite, View


def promoted_here(view: View, state: DatabaseState) -> bool:
    """Writable here under the record's epoch."""
    assert view.record is not None
    return state.writable and state.epoch == view.record.epoch


def all_open(view: View) -> bool:
    """Every database here lets clients in, and nothing is at work that might end that."""
    working = view.busy - view.resting
    return all(s.gate_open and f"database:{s.name}" not in working for s in view.own.databases)


def sealed_here(view: View, state: DatabaseState) -> bool:
    """This copy takes nothing from an epoch below the record's."""
    assert view.record is not None
    return is_sealed(own_voter(view, state), view.record.epoch, view.record.holder)


def voter_follows(view: View, state: DatabaseState) -> bool:
    """Another voter of this epoch streams from this primary, so commits are acknowledged."""
    return bool(voters_following(view, state))


def living_voter_follows(view: View, state: DatabaseState) -> bool:
    """The same of a voter whose site is heard: a connection to a dead one looks alive for long."""
    limit = view.spec.timings.suspect_after_s
    following = voters_following(view, state)
    return any(view.others[site].seen.control_s <= limit for site in following)


def voters_following(view: View, state: DatabaseState) -> frozenset[SiteName]:
    """The voters of this epoch that stream from this primary."""
    voters = voters_of(view, state.name)
    return frozenset(
        follower.site
        for follower in state.followers
        if follower.streaming
        and not follower.quarantined
        and follower.site is not None
        and follower.site in state.admitted
        and (voter := voters.get(follower.site)) is not None
        and voter.promised == view.own.promised
    )


def wanted_admitted(view: View, state: DatabaseState) -> frozenset[SiteName]:
    """The voters this primary should let replicate.

    A log keeper that has promised this epoch: what it holds beyond the fork it drops by itself,
    or it was part of the proof. A data site only after it has shown, in quarantine, that it
    streams records of this very epoch; it stays admitted until it is known to be something else,
    or is fenced.
    """
    assert view.record is not None
    epoch, learn = view.record.epoch, learners(view)
    wanted: set[SiteName] = set()
    for site, other in view.others.items():
        if fenced.fenced(view, site) or site in learn:
            continue
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


def copy_at(other: OtherSite, database: DatabaseName) -> DatabaseState | None:
    """What another data site reports of its copy."""
    if other.report is None:
        return None
    return next((r.state for r in other.report.databases if r.state.name == database), None)


def _proven_follower(view: View, state: DatabaseState, site: SiteName, epoch: Epoch) -> bool:
    other = view.others[site]
    theirs = copy_at(other, state.name)
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
    theirs = copy_at(other, database)
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


def follows_as_wanted(view: View, state: DatabaseState) -> bool:
    """This copy streams the record's epoch from its holder, and votes unless it is to learn."""
    assert view.record is not None
    learns = view.me in learners(view)
    return follows_in_any_way(view, state) if learns else follows_as_voter(view, state)


def follows_in_any_way(view: View, state: DatabaseState) -> bool:
    """This copy streams the record's epoch from its holder, perhaps in quarantine."""
    assert view.record is not None
    return (
        state.streaming
        and state.upstream == view.record.holder
        and state.epoch == view.record.epoch
    )
