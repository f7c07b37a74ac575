"""What operators ask, as records. Pure; a record is changed only by compare-and-swap.

    requests/<service>/<number>   a request for one service; numbers rise, one is open at a time
    requests/sites/<site>         the standing order to drain a site
    fences/<site>                 the standing order to keep a site out
    weights/requests/...          the weights of a service, in a row of their own: the newest
                                  that is done is in force

Invariant: a closed request never opens again, and number n+1 is made only by one who has read that
every lower one is closed, so of two operators one wins and the other is told whose is open. A
request is good for the epoch it was made in, and an approval for the plan that was approved: when
the world has changed they lapse, with the reason. Durations are counted by each reader on its own
monotonic clock, from the moment it first saw the record; no wall clock decides.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.core.model import FOREVER_S, NO_EPOCH, Epoch, LogEnd, ServiceName, SiteName


class Kind(StrEnum):
    """What is asked."""

    SWITCHOVER = "switchover"  # the holder hands over; nothing is lost, nobody sees an error
    FAILOVER = "failover"  # the target takes over, whatever the holder does
    PAUSE = "pause"  # no automation for this service
    ACK = "ack"  # the last role change was looked at: the next may be automatic
    FORCE_SINGLE = "force-single"  # the last survivor serves without any other voter
    DRAIN = "drain"  # a site gives up its roles and its routes
    FENCE = "fence"  # a site is kept out, at once, whatever its daemon does
    WEIGHTS = "weights"  # which of the eligible sites goes first; moves nothing
    REJOIN = "rejoin"  # a site's copies come back now, whatever rests after failures
    REINIT = "reinit"  # a site's copy is thrown away and made anew from the holder's
    DEMOTE = "demote-voter"  # a site counts neither for commits nor for takeovers any more
    PROMOTE = "promote-voter"  # it does again


class State(StrEnum):
    """How far it is. The last five are final."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # it was tried and taken back
    REFUSED = "refused"  # nothing was changed
    LAPSED = "lapsed"  # the world changed, or its time was over
    WITHDRAWN = "withdrawn"


CLOSED: Final = frozenset({State.DONE, State.FAILED, State.REFUSED, State.LAPSED, State.WITHDRAWN})
OF_A_SITE: Final = frozenset({Kind.DRAIN, Kind.FENCE})
STANDING: Final = frozenset({Kind.PAUSE, Kind.FORCE_SINGLE, *OF_A_SITE})  # in force until ended
REPAIRS: Final = frozenset({Kind.REJOIN, Kind.REINIT})
VOTERS: Final = frozenset({Kind.DEMOTE, Kind.PROMOTE})
AT_ANY_TIME: Final = REPAIRS | VOTERS  # may be given up while they run: nothing is half
EXPIRES_S: Final = 120.0  # a request that could not begin for this long lapses
DRAIN_NUMBER: Final = 1


class NotAllowed(Exception):
    """The request cannot be changed like that. The sentence names who, what and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody else has looked at the plan and agrees."""

    by: str
    site: str
    at: str  # RFC 3339, for humans
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as stored."""

    number: int
    kind: Kind
    asked_by: str
    asked_at: str  # the site whose daemon was asked
    at: str  # RFC 3339, for humans
    service: ServiceName | None = None  # None: a whole site's
    target: str = ""  # a site; "" for the best candidate, or for none
    database: str = ""  # of a repair; "" for every one of the service
    copied: bool = False  # the copy was made anew; it has to catch up and to vote
    ends: tuple[LogEnd, ...] = ()  # of the primaries, once they let the site in as a voter no more
    reason: str = ""
    epoch: Epoch = NO_EPOCH  # what it was made in; a later epoch makes it void
    holder: str = ""
    revision: int = 0  # of the epoch record
    plan: str = ""  # hash of what was shown to the operator
    allow_data_loss: bool = False
    excused: tuple[SiteName, ...] = ()  # voters whose seal the operator does without
    statement: str = ""  # what may be lost, as shown to and accepted by the operator
    not_before_s: float = 0.0
    expires_s: float = EXPIRES_S  # while it has not begun
    lasts_s: float = FOREVER_S  # of a pause
    approvals_needed: int = 0
    approvals: tuple[Approval, ...] = ()
    weights: Mapping[SiteName, int] = field(default_factory=dict, hash=False)
    state: State = State.OPEN
    state_by: str = ""
    state_why: str = ""
    state_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request as this node knows it."""

    request: Request
    revision: int  # of its own key
    age_s: float  # since this node first saw its number
    unchanged_s: float  # since this node first saw this revision


def closed(request: Request) -> bool:
    """Nothing will happen to it any more."""
    return request.state in CLOSED


def newest(requests: Iterable[SeenRequest]) -> SeenRequest | None:
    """The one with the highest number: the only one that can be open."""
    return max(requests, key=lambda seen: seen.request.number, default=None)


def approvers(request: Request) -> frozenset[str]:
    """Who agreed to this very plan; the proposer never counts, nor anybody twice."""
    return frozenset(
        approval.by
        for approval in request.approvals
        if approval.plan == request.plan and approval.by != request.asked_by
    )


def approved(request: Request) -> bool:
    """It has the approvals it needs."""
    return len(approvers(request)) >= request.approvals_needed


def in_force(seen: SeenRequest | None) -> bool:
    """It may be acted on now: not closed, approved, its time has come and is not over."""
    if seen is None or closed(seen.request) or not approved(seen.request):
        return False
    return seen.request.not_before_s <= seen.age_s <= seen.request.lasts_s


def waits_for(seen: SeenRequest) -> str:
    """What it waits for before anything happens; empty when for nothing."""
    request = seen.request
    missing = request.approvals_needed - len(approvers(request))
    if missing > 0:
        who = "another person" if missing == 1 else f"{missing} other persons"
        return f"the approval of {who}"
    if seen.age_s < request.not_before_s:
        return f"its time, in {request.not_before_s - seen.age_s:.0f} s"
    return ""


def expired(seen: SeenRequest) -> bool:
    """It has not begun within its time."""
    limit = seen.request.not_before_s + seen.request.expires_s
    return seen.request.state is State.OPEN and seen.age_s > limit


def plan_hash(request: Request) -> str:
    """What an approval is bound to: what would be done, to whom, and in which world."""
    parts = (
        request.kind.value,
        request.service or "",
        request.target,
        str(request.epoch),
        request.holder,
        str(request.allow_data_loss),
        ",".join(request.excused),
        request.statement,
        *((request.database,) if request.database else ()),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def described(request: Request) -> str:
    """A sentence for whoever comes second."""
    link = "to" if request.service and request.kind not in VOTERS else "of"
    target = f" {link} {request.target}" if request.target else ""
    if request.kind in REPAIRS:
        target = f" of {request.database or 'every database'} at {request.target}"
    why = f", because: {request.reason}" if request.reason else ""
    return (
        f"{request.kind.value}{target} asked by {request.asked_by} at {request.asked_at} "
        f"({request.state.value} since {request.state_at or request.at}{why})"
    )


def numbered(request: Request, newest_known: SeenRequest | None) -> Request:
    """`request` under the next number; refused while another one is open."""
    if newest_known is None:
        return replace(request, number=1)
    last = newest_known.request
    if not closed(last):
        raise NotAllowed(
            f"request {last.number} is open: {described(last)}; wait for it, or withdraw it: "
            f"tricast decline {last.number} --service {last.service}"
        )
    return replace(request, number=last.number + 1)


def moved(request: Request, state: State, *, by: str, why: str, at: str) -> Request:
    """`request` in `state`. A closed one never moves again."""
    if closed(request):
        raise NotAllowed(f"request {request.number} is closed: {described(request)}")
    return replace(request, state=state, state_by=by, state_why=why, state_at=at)


def with_approval(request: Request, approval: Approval) -> Request:
    """`request` with one more approval; refused where it would not count."""
    if closed(request):
        raise NotAllowed(f"request {request.number} is closed: {described(request)}")
    if approval.by == request.asked_by:
        raise NotAllowed(
            f"{approval.by} has asked for request {request.number} and cannot approve it; "
            "somebody else has to"
        )
    if approval.plan != request.plan:
        raise NotAllowed(
            f"request {request.number} has plan {request.plan}, the approval is for "
            f"{approval.plan or 'none'}: look again with tricast proposals"
        )
    if approval.by in approvers(request):
        raise NotAllowed(f"{approval.by} has approved request {request.number} already")
    if request.approvals_needed == 0:
        raise NotAllowed(f"request {request.number} needs no approval")
    return replace(request, approvals=(*request.approvals, approval))


def declined(request: Request, *, by: str, why: str, at: str) -> Request:
    """Ended by a person: withdrawn by who asked, refused by anybody else. Not while it runs,
    unless it is a standing order, which anybody may end, or may be given up at any time.
    """
    standing = request.kind in STANDING
    if request.state is State.RUNNING and not standing and request.kind not in AT_ANY_TIME:
        raise NotAllowed(
            f"request {request.number} is running: {described(request)}; it completes, or is "
            "taken back by itself"
        )
    own = by == request.asked_by or (standing and approved(request))
    state = State.WITHDRAWN if own else State.REFUSED
    verb = "ended" if standing and own else "withdrawn" if own else "declined"
    return moved(request, state, by=by, why=why or f"{verb} by {by}", at=at)
