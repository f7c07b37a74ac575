"""What one site knows at one instant, about one service. Frozen; built once a turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bgp.policy import Stance
from controller.core.health import FailingLink
from controller.core.model import (
    FOREVER_S,
    NO_EPOCH,
    Closing,
    DatabaseName,
    DatabaseState,
    Durability,
    Epoch,
    EpochRecord,
    Instant,
    Seen,
    ServiceName,
    ServiceReport,
    SiteName,
)
from controller.core.requests import Request, SeenRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds; the inequalities between them are checked when the configuration loads."""

    suspect_after_s: float = 0.5
    controller_grace_s: float = 30.0
    flap_window_s: float = 3600.0
    report_fresh_s: float = 5.0
    commit_stale_s: float = 1.0
    lease_s: float = 3.0
    lease_margin_s: float = 0.5
    lease_renew_s: float = 0.5
    yield_grace_s: float = 2.0
    hand_over_s: float = 1.5  # a hand-over that is not through by then is taken back
    drain_s: float = 0.5  # of it, for requests under way to end
    hold_s: float = 5.0  # traffic is held no longer; each request waits less, as its gate says
    linger_s: float = 15.0  # after a planned move, connections at the other edge live on so long
    withdraw_after_s: float = 60.0  # a drained site keeps its least preferred routes so long


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """The configuration of one service, as far as deciding needs it."""

    name: ServiceName
    durability: Durability
    data_sites: tuple[SiteName, ...]
    witnesses: tuple[SiteName, ...]
    databases: tuple[DatabaseName, ...]
    initial_holder: SiteName
    min_healthy: int = 1
    max_lag_bytes: int = 0
    more_specifics: tuple[str, ...] = ()  # halves of its prefixes that `override` may announce
    has_canary: bool = True  # requests of our own go through its service address
    weights: Mapping[SiteName, int] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSide:
    """What this site sees of itself."""

    databases: tuple[DatabaseState, ...] = ()
    promised: Epoch = NO_EPOCH
    fenced: Epoch = NO_EPOCH  # the others were fenced, or it was tried, for this epoch
    closings: tuple[Closing, ...] = ()  # of fenced sites, tried from here
    commit_age_s: Mapping[DatabaseName, float] = field(default_factory=dict)
    trouble_s: Mapping[str, float] = field(default_factory=dict)  # how long each kind has lasted
    front_ok: bool = True  # haproxy answers on its runtime socket
    held: bool = False  # haproxy lets new requests wait
    held_s: float = 0.0  # since this node saw it begin
    can_hold: bool = True  # haproxy has the gate for it
    in_flight: int = 0  # requests under way at any server; known while held
    apps_up: int = 0
    apps_total: int = 0
    directed_to: frozenset[SiteName] = frozenset()  # sites whose servers may take traffic
    stance: Stance | None = None  # as read back from the speaker; None: the speaker is silent
    stance_epoch: Epoch = NO_EPOCH
    more_specifics: tuple[str, ...] = ()  # halves of its prefixes that a neighbor was told of
    sessions_up: int = 0
    sessions_total: int = 0
    addresses_missing: bool = False
    can_forward: bool = False  # this host can send packets of strays on to another edge
    strays_to: SiteName | None = None  # and sends them to this one's
    canary_age_s: float = FOREVER_S  # last success through the service address, under `promised`
    lease_left_s: float = 0.0  # durability lease: this site's own authority, monotonic
    failing: tuple[FailingLink, ...] = ()  # debounced verdicts of the local health chain


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSite:
    """What this site knows of another one: what it says, and how alive it looks to whom."""

    report: ServiceReport | None
    report_age_s: float = FOREVER_S
    seen: Seen = field(default_factory=Seen)  # by this site
    seen_by: Mapping[SiteName, Seen] = field(default_factory=dict)  # by the other observers


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything `decide` may look at."""

    now: Instant
    me: SiteName
    spec: ServiceSpec
    own: OwnSide
    record: EpochRecord | None = None  # the last one read
    record_seen_s: float = FOREVER_S  # how long ago the store last answered at all
    record_unchanged_s: float = 0.0  # how long its revision has been seen unchanged
    store_ok: bool = False  # the majority answered within the deadline this turn
    others: Mapping[SiteName, OtherSite] = field(default_factory=dict)
    paused: str = ""  # the operator's reason
    request: SeenRequest | None = None  # the newest one for this service
    acknowledged: Epoch = NO_EPOCH  # the newest role change that an operator has looked at
    drains: Mapping[SiteName, SeenRequest] = field(default_factory=dict)  # by the site drained
    fences: Mapping[SiteName, SeenRequest] = field(default_factory=dict)  # by the site kept out
    alone: Request | None = None  # this site's own order to serve without any other voter
    stored: EpochRecord | None = None  # what the store says, where `record` was assumed by force
    changed_s: float = FOREVER_S  # since the last role change of this service, as recorded
    raised_here: bool = False  # this daemon, since its start, raised the record's epoch
    busy: frozenset[str] = frozenset()  # lanes at work, or waiting after a failure
    resting: frozenset[str] = frozenset()  # those of them that only wait
    rejoining: frozenset[DatabaseName] = frozenset()  # a host agent rebuilds them, or soon will
    failed: Mapping[str, str] = field(default_factory=dict)  # again and again, by lane: why
    copied: int = 0  # the request for which this daemon has made a copy anew
