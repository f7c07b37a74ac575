"""The nouns every part shares. Frozen values; an `Instant` is this node's monotonic clock.

Only differences of `Instant`s of one node are ever compared; no wall clock decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, TypeAlias

from bgp.policy import Stance
from controller.core.position import Position

SiteName = NewType("SiteName", str)
Sites: TypeAlias = frozenset[SiteName]
ServiceName = NewType("ServiceName", str)
DatabaseName = NewType("DatabaseName", str)
Epoch = NewType("Epoch", int)
Instant = NewType("Instant", float)

NO_EPOCH = Epoch(0)
FOREVER_S = float("inf")


class SiteKind(StrEnum):
    """What a site is for."""

    DATA = "data"
    WITNESS = "witness"


class DatabaseKind(StrEnum):
    """Which dialect a database speaks."""

    POSTGRES = "postgres"
    MARIADB = "mariadb"
    MYSQL = "mysql"


class Durability(StrEnum):
    """Which guarantee a service has (docs/architecture.md, guarantees)."""

    QUORUM = "quorum"
    LEASE = "lease"


class Outcome(StrEnum):
    """How an intent ended. A timeout is UNKNOWN, never read as "it did not happen"."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Liveness(StrEnum):
    """What is known of a database server process."""

    RUNNING = "running"
    STARTING = "starting"
    DOWN = "down"  # refused: nothing listens, or it says it is shutting down
    UNKNOWN = "unknown"  # no answer within the deadline: hung, or unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """One replication connection as the primary sees it."""

    name: str  # application_name, or the replica's host
    site: SiteName | None  # the voter it is, by credential; None for a stranger
    streaming: bool
    flushed: Position | None
    quarantined: bool  # connected under the rejoin credential: never counts as a voter


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """One database server of this site, as its adapter saw it in one look."""

    name: DatabaseName
    kind: DatabaseKind
    liveness: Liveness
    writable: bool = False
    epoch: Epoch = NO_EPOCH  # epoch of the last record in its log (timeline; epoch row)
    position: Position | None = None  # furthest durable record it holds
    applied: Position | None = None
    upstream: SiteName | None = None  # whom it is configured to follow; None: nobody
    quarantined: bool = False  # it follows under the rejoin credential
    receiving: bool = False  # a receiver is alive, streaming or trying to
    streaming: bool = False  # a receiver is connected and streaming from `upstream`
    diverged: bool = False  # it is known to hold records its upstream's history does not
    gate_open: bool = False  # clients may log in
    admitted: frozenset[SiteName] = frozenset()  # voters this server lets replicate
    followers: tuple[Follower, ...] = ()
    waiting_commits: int = 0
    alone: bool = False  # its commits wait for no other voter
    lag_bytes: int | None = None
    problems: tuple[str, ...] = ()  # alarms, each a sentence that names thing and value


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterState:
    """One durable copy of a database's log, as its own site reports it."""

    database: DatabaseName
    promised: Epoch  # durable: takes nothing more from an epoch below this
    sealed: bool  # its receiver is seen to be gone, and a restart keeps it so
    position: Position | None  # final while sealed
    following: SiteName | None = None
    following_epoch: Epoch = NO_EPOCH
    streaming: bool = False
    whole: bool = True  # its log has no gap: it can serve a catch-up
    problems: tuple[str, ...] = ()


class Role(StrEnum):
    """What a site is for a service, as reported."""

    STARTING = "starting"
    STANDBY = "standby"
    TAKING_OVER = "taking over"
    PRIMARY = "primary"
    HANDING_OVER = "handing over"
    STEPPING_DOWN = "stepping down"
    REJOINING = "rejoining"
    ISOLATED = "isolated"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How long ago one site last gave a sign of life to another, in seconds."""

    control_s: float = FOREVER_S  # authenticated heartbeat
    front_s: float = FOREVER_S  # its haproxy answered
    data_s: float = FOREVER_S  # every one of the service's databases there answered


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """Who owns a service. Changed only by compare-and-swap on `revision`."""

    epoch: Epoch
    holder: SiteName
    kind: str  # bootstrap | failover | handover | regained
    reason: str
    asked_by: str
    at: str  # RFC 3339, for humans
    previous: SiteName | None = None  # who held the epoch before
    request: int = 0  # number of the operator's request that asked for it
    excused: tuple[SiteName, ...] = ()  # voters whose seal an operator does without
    learners: tuple[SiteName, ...] = ()  # sites that count neither for commits nor for takeovers
    renewal: int = 0  # durability lease: the holder rewrites the record with a higher number
    revision: int = 0  # etcd mod_revision; 0: not read from the store


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """Where the log of a primary ended when that was read."""

    database: DatabaseName
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseReport:
    """What a site tells the others about one of its databases."""

    state: DatabaseState
    voter: VoterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One try of a site to close the databases of a fenced one."""

    site: SiteName  # the fenced one
    order: int  # number of the operator's order
    at: str = ""  # RFC 3339, for humans
    failed: tuple[str, ...] = ()  # what could not be closed, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """What a site tells the others about itself and one service."""

    service: ServiceName
    role: Role
    epoch: Epoch  # the epoch this site acts under
    stance: Stance | None  # what its routes say, as read back from the speaker
    rule: int
    reason: str
    healthy: bool
    eligible: bool
    not_eligible_because: tuple[str, ...] = ()
    yielding: str = ""  # the holder asks the other site to take over, and why
    failing: tuple[str, ...] = ()  # links of its own health chain that are down, by name
    terms: str = ""  # fingerprint of what every site's configuration has to say alike
    moving: bool = False  # a hand-over is under way: where its log ends is told at once
    gate: bool = True  # its haproxy can let new requests wait
    held: bool = False  # and does
    quiet: bool = False  # held, and none that came before is under way
    databases: tuple[DatabaseReport, ...] = ()
    voters: tuple[VoterState, ...] = ()  # of a witness: its keepers
    seen: Mapping[SiteName, Seen] = field(default_factory=dict)
    lands_at: str = ""  # of a witness: which site answers on the service address
    sessions_down: int = 0  # providers that do not hear its routes, and may keep old ones
    more_specifics: tuple[str, ...] = ()  # halves of its prefixes that a neighbor was told of
    warnings: tuple[str, ...] = ()
    fenced: tuple[SiteName, ...] = ()  # sites that this daemon takes for kept out
    closings: tuple[Closing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A site's record in etcd, under a short lease."""

    site: SiteName
    boot: str  # changes with every start of the daemon
    version: str
    at: str  # RFC 3339, for humans
    services: tuple[ServiceReport, ...] = ()
