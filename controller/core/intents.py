"""Everything the deciding code can ask of the world. `runtime/act.py` carries intents out.

A lane is a queue of one: intents of different lanes run side by side, never two of one lane.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from bgp.policy import Stance
from controller.core.model import DatabaseName, Epoch, LogEnd, SiteName
from controller.core.position import Position
from controller.core.requests import State


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseEpoch:
    """Own `epoch`, by compare-and-swap on the revision of the record that was seen."""

    epoch: Epoch
    kind: str
    reason: str
    expected_revision: int
    previous: SiteName | None
    holder: SiteName | None = None  # None: this site
    request: int = 0
    asked_by: str = ""  # an operator; else this site asks by itself
    excused: tuple[SiteName, ...] = ()
    learners: tuple[SiteName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLearners:
    """Rewrite the record with other learners, by compare-and-swap."""

    expected_revision: int
    learners: tuple[SiteName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLease:
    """Rewrite the record with a higher renewal, by compare-and-swap."""

    expected_revision: int
    renewal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Never again take anything from an epoch below `epoch`. Durable."""

    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDatabase:
    """Start a server that is down, closed."""

    database: DatabaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDatabase:
    """Cut every session unanswered and restart closed."""

    database: DatabaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class SealDatabase:
    """Receive from nobody below `epoch`."""

    database: DatabaseName
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Fetch the log from a sealed voter that is further."""

    database: DatabaseName
    source: SiteName
    target: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Become writable under `epoch`, and let these voters replicate from it. The epoch's first
    record waits for a voter, unless it could only wait for the very one that has to be copied.
    """

    database: DatabaseName
    epoch: Epoch
    voters: frozenset[SiteName]
    waits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Let exactly these voters replicate."""

    database: DatabaseName
    voters: frozenset[SiteName]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGate:
    """Open or close the database to clients."""

    database: DatabaseName
    opened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoin:
    """Become a follower of the new primary in quarantine, rewound where needed; or a new copy of
    it, whatever is there.
    """

    database: DatabaseName
    upstream: SiteName
    epoch: Epoch
    fresh: int = 0  # the request that wants a copy made anew; 0: none does


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Follow the primary of `epoch`, as a voter or in quarantine."""

    database: DatabaseName
    upstream: SiteName
    epoch: Epoch
    quarantine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Send this site's traffic to the app servers of `site`; to nobody when None. Requests that
    were held go there.
    """

    site: SiteName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldTraffic:
    """Let new requests wait at this site's haproxy; those under way go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardStrays:
    """Packets of TCP connections to the service that are unknown on this host go on to the edge of
    `site`; with None they are answered with a reset.
    """

    site: SiteName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitAlone:
    """Whether commits of this primary are acknowledged without any other voter."""

    database: DatabaseName
    alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRequest:
    """Say how far an operator's request is, by compare-and-swap on the revision that was seen."""

    number: int
    expected_revision: int
    state: State
    why: str
    copied: bool = False
    ends: tuple[LogEnd, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSwitchover:
    """Open a request to hand this service over to `target`, as the drain of this site needs."""

    target: SiteName
    asked_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAlone:
    """Forget this site's own order to serve alone: redundancy is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Make this site's routes say `stance`."""

    stance: Stance
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceOthers:
    """Close the databases of the other data sites over their host agents, once, as far as they
    are reached. No safety rests on it: it shortens stale reads and cleans up.

    With `orders` only of those sites, which an operator keeps out.
    """

    epoch: Epoch
    orders: tuple[tuple[SiteName, int], ...] = ()  # site, and number of the operator's order


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumeAddresses:
    """Put the service addresses on this host."""


Intent: TypeAlias = (
    RaiseEpoch
    | RenewLease
    | SetLearners
    | Promise
    | StartDatabase
    | CloseDatabase
    | SealDatabase
    | CatchUp
    | Promote
    | Admit
    | SetGate
    | Rejoin
    | Follow
    | Direct
    | HoldTraffic
    | ForwardStrays
    | CommitAlone
    | SettleRequest
    | AskSwitchover
    | EndAlone
    | Announce
    | FenceOthers
    | AssumeAddresses
)

EPOCH_LANE = "epoch"
PROMISE_LANE = "promise"
TRAFFIC_LANE = "traffic"
ROUTES_LANE = "routes"
ADDRESS_LANE = "addresses"
STRAYS_LANE = "strays"
FENCE_LANE = "fence"
REQUEST_LANE = "request"
ORDER_LANE = "order"

Database: TypeAlias = (
    StartDatabase
    | CloseDatabase
    | SealDatabase
    | CatchUp
    | Promote
    | Admit
    | SetGate
    | CommitAlone
    | Rejoin
    | Follow
)


_LANES: Final[dict[type, str]] = {
    RaiseEpoch: EPOCH_LANE,
    RenewLease: EPOCH_LANE,
    SetLearners: EPOCH_LANE,
    Promise: PROMISE_LANE,
    Direct: TRAFFIC_LANE,
    HoldTraffic: TRAFFIC_LANE,
    SettleRequest: REQUEST_LANE,
    AskSwitchover: REQUEST_LANE,
    EndAlone: ORDER_LANE,
    Announce: ROUTES_LANE,
    FenceOthers: FENCE_LANE,
    AssumeAddresses: ADDRESS_LANE,
    ForwardStrays: STRAYS_LANE,
}


def lane(intent: Intent) -> str:
    """The queue of one that `intent` belongs to; a database is a lane of its own."""
    if isinstance(intent, Database):
        return f"database:{intent.database}"
    return _LANES[type(intent)]


def name(intent: Intent) -> str:
    """What the journal and the metrics call it."""
    return type(intent).__name__
