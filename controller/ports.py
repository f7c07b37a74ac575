"""Every way out of the deciding code, as Protocols, and the errors that may come back.

An adapter is named after the foreign system behind it, holds no policy and never imports another.
Every call has a deadline; what a library raises is translated at the wall into a `PortError`.
All actions are idempotent: calling one again when its effect is there already returns at once.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bgp.policy import Stance
from controller.core.model import DatabaseState, Epoch, Instant, SiteName, Sites, VoterState
from controller.core.position import Position


class PortError(Exception):
    """The outside did not do what was asked. The message names the thing, the value, the cause."""


class Refused(PortError):
    """It answered, and said no. The effect is not there."""


class Unreachable(PortError):
    """Nothing was sent, or nothing listens. The effect is not there."""


class TimedOut(PortError):
    """No answer within the deadline. The effect may or may not be there."""


class Clock(Protocol):
    """Time as this node has it."""

    def monotonic(self) -> Instant:
        """Seconds that only rise; for deciding."""

    def stamp(self) -> str:
        """UTC, RFC 3339 with milliseconds; for records only."""


# --- the databases of this site ------------------------------------------------------------------


class Database(Protocol):
    """One database server of this site, which belongs to exactly one service."""

    async def observe(self, deadline_s: float) -> DatabaseState:
        """One look. Never raises PortError: what cannot be seen is `Liveness.UNKNOWN` or DOWN."""

    def tell_of_loss(self, told: Callable[[], None]) -> None:
        """`told` is called at once when the server ends the connection that looks are made over:
        it has fallen, or was stopped. Not when it stands still, or the network does.
        """

    async def seal(self, epoch: Epoch, deadline_s: float) -> None:
        """Receives from nobody, and a restart keeps it so. The receiver has been seen to be gone.

        The caller has made the promise durable before. A server that is writable is refused:
        it must be closed.
        """

    async def catch_up(self, source: SiteName, target: Position, deadline_s: float) -> None:
        """Holds and has applied everything up to `target`, taken from the sealed voter `source`.

        Receives nothing from a primary meanwhile, and is left sealed.
        """

    async def close(self, deadline_s: float) -> None:
        """No session waits any more: all were cut unanswered. Runs, read-only, gate closed,
        follows nobody, admits nobody; a crash-restart keeps all of this.

        Nothing of its log is lost: every record it ever had durable still counts in `position`,
        because one of them may have been acknowledged.
        """

    async def start(self, deadline_s: float) -> None:
        """A server that was down runs as after `close`."""

    async def promote(
        self, epoch: Epoch, deadline_s: float, *, voters: Sites = frozenset(), waits: bool = True
    ) -> None:
        """Writable under `epoch`: PostgreSQL on its timeline, MariaDB and MySQL with the epoch row
        as the first transaction. Gate closed. Commits wait for another voter, of `voters` admitted;
        so does the epoch row, if it `waits`.
        """

    async def admit(self, voters: Sites, deadline_s: float) -> None:
        """Lets exactly these voters replicate under their voter credential; others are cut."""

    async def set_gate(self, *, opened: bool, deadline_s: float) -> None:
        """Whether clients may log in. Closing also cuts the sessions they have."""

    async def follow(
        self, upstream: SiteName, epoch: Epoch, *, quarantine: bool, deadline_s: float
    ) -> None:
        """Replicates from `upstream`, which is primary of `epoch`; under the rejoin credential,
        which no commit waits for, when `quarantine`.
        """

    async def rejoin(
        self, upstream: SiteName, epoch: Epoch, deadline_s: float, *, fresh: bool = False
    ) -> str:
        """Its log is a prefix of the primary's: rewound if it had diverged; then it follows in
        quarantine. Returns what was thrown away ("" for nothing). Refused, with the reason, when
        only an operator can mend it; then nothing was changed. `fresh`: as a copy made now.
        """

    async def commit_alone(self, *, alone: bool, deadline_s: float) -> None:
        """Whether commits of this primary are acknowledged without any other voter. What waited is
        acknowledged when `alone`. A server that is closed or promoted waits again.
        """

    async def canary(self, token: str, deadline_s: float) -> None:
        """A write of our own was acknowledged by the quorum."""

    async def aclose(self) -> None:
        """Connections are closed."""


class Keeper(Protocol):
    """One log keeper of a witness site."""

    async def observe(self, deadline_s: float) -> VoterState:
        """One look, or PortError. `promised` is left 0: the caller knows its promises."""

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        """Receives from nobody; a restart keeps it so. Returns the true end of its log."""

    async def follow(self, upstream: SiteName, epoch: Epoch, deadline_s: float) -> None:
        """Receives from `upstream`, primary of `epoch`, and acknowledges durably."""

    async def aclose(self) -> None:
        """Whatever it started has ended."""


# --- the shared records --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value in the store, and the revision that wrote it."""

    value: bytes
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All keys under one prefix at one revision of the store."""

    revision: int
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """The store as one of its members sees it."""

    member: str  # name of the member that answered
    leader: str  # name of the leader; "" for none
    version: str
    db_size_bytes: int
    alarms: tuple[str, ...] = ()


class Store(Protocol):
    """The records the sites share. Linearizable; never retries a write by itself."""

    async def read(self, prefix: str, deadline_s: float) -> Snapshot:
        """Every key under `prefix`, read by the majority."""

    async def swap(self, key: str, value: bytes, expected: int, deadline_s: float) -> int | None:
        """The revision at which `value` was written, if `key` was at revision `expected`
        (0: absent); None if it was not. TimedOut means unknown: read again.
        """

    async def put_leased(self, key: str, value: bytes, ttl_s: float, deadline_s: float) -> None:
        """`key` holds `value` and goes away by itself about `ttl_s` after the last put."""

    async def put(self, key: str, value: bytes, deadline_s: float) -> int:
        """`key` holds `value`; the revision."""

    async def delete(self, key: str, deadline_s: float) -> None:
        """`key` is absent."""

    def watch(self, prefix: str) -> AsyncIterator[int]:
        """The revision of each change under `prefix`, 0 for perhaps one: a hint to read again."""

    async def status(self, deadline_s: float) -> StoreStatus:
        """What the nearest member says of itself and its cluster."""

    async def move_leader(self, member: str, deadline_s: float) -> None:
        """The member called `member` leads the store's own cluster."""

    async def aclose(self) -> None:
        """Connections are closed."""


# --- traffic -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """One haproxy backend: how many servers of each site may take traffic, and are found up."""

    enabled: Mapping[SiteName, int]
    up: Mapping[SiteName, int]
    total: Mapping[SiteName, int]
    can_hold: bool = False  # it has the gate behind which new requests wait
    held: bool = False
    in_flight: int = 0  # requests under way at any server; looked at only while held


class LoadBalancer(Protocol):
    """This site's haproxy, through its runtime socket."""

    async def observe(self, deadline_s: float) -> Mapping[str, BackendState]:
        """Every backend we own, by name."""

    async def direct(self, backend: str, site: SiteName | None, deadline_s: float) -> None:
        """`backend` sends traffic to the servers of `site` only; to nobody (503) when None.

        Servers are named "<site>-<name>". Sessions at other sites' servers are cut. Requests that
        were held go on, after that.
        """

    async def hold(self, backend: str, deadline_s: float) -> None:
        """New requests for `backend` wait, no longer than the gate lets them; others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShedGate:
    """The gate by which a low-priority backend is switched off at this site's haproxy."""

    off: bool
    for_s: float  # since it was switched last, or since haproxy started


class ShedGates(Protocol):
    """What this site's haproxy may refuse, so that the rest is served."""

    async def shed_gates(self, deadline_s: float) -> Mapping[str, ShedGate]:
        """Every gate that haproxy has, by the backend it is for."""

    async def shed(self, backend: str, *, off: bool, deadline_s: float) -> None:
        """`backend` answers 503 at once, with Retry-After; or is served again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedService:
    """What the speaker has told its neighbors for one service."""

    stance: Stance
    epoch: Epoch
    confirmed: bool  # seen leaving on the wire to every session that is up
    more_specifics: tuple[str, ...] = ()  # halves of its prefixes that a neighbor was told of


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncerState:
    """The speaker as it describes itself."""

    sessions: Mapping[str, bool]  # neighbor address -> established
    services: Mapping[str, AnnouncedService]
    permit_left_s: float
    problems: tuple[str, ...] = ()


class Announcer(Protocol):
    """The BGP speaker, over its unix socket."""

    async def observe(self, deadline_s: float) -> AnnouncerState:
        """What it announces now."""

    async def announce(
        self, wanted: Mapping[str, tuple[Stance, Epoch]], permit_s: float, deadline_s: float
    ) -> None:
        """The whole wanted set, service by service, good for `permit_s` from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """TCP connections from one address to another address and port."""

    source: str
    destination: str
    port: int


class Firewall(Protocol):
    """Replication to a sealed-off primary is answered with a reset, at once, on this host."""

    async def block(self, flows: frozenset[Flow]) -> None:
        """Exactly these flows are rejected, forwarded or local."""


class Strays(Protocol):
    """TCP connections to the service addresses of which this host has not seen the beginning."""

    ready: bool  # this host knows them for what they are

    async def prepare(self) -> None:
        """It does once this returns, after some seconds if it did not; none is sent anywhere."""

    def sends_to(self, addresses: frozenset[str]) -> SiteName | None:
        """To whose edge those of `addresses` go now; None when nowhere."""

    async def send(self, addresses: frozenset[str], site: SiteName | None) -> None:
        """They go to the edge of `site`, for a bounded time; nowhere when None."""


class Addresses(Protocol):
    """The service addresses of this host, and its links."""

    async def ensure(self, addresses: frozenset[str]) -> None:
        """Each address stands on this host."""

    async def missing(self, addresses: frozenset[str]) -> frozenset[str]:
        """Those that do not stand on this host."""

    async def links(self) -> Mapping[str, bool]:
        """Interface name -> operationally up."""


# --- looking at the others -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The last authentic heartbeat of one site."""

    at: Instant
    payload: Mapping[str, object]  # small JSON object, as sent


class Heartbeats(Protocol):
    """Authenticated, replay-safe datagrams between the agents."""

    def say(self, payload: Callable[[], Mapping[str, object]]) -> None:
        """Every later heartbeat carries what `payload` answers when it is made."""

    def hurry(self) -> None:
        """One goes out at once."""

    def heard(self) -> Mapping[SiteName, Heard]:
        """The last one of each site that has been heard since the start."""

    def dropped(self) -> Mapping[str, int]:
        """How many datagrams were not believed, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer, or none, of one probe."""

    ok: bool
    detail: str
    took_s: float
    facts: Mapping[str, str] = field(default_factory=dict)


class Prober(Protocol):
    """Runs one probe once."""

    async def sample(self) -> Sample:
        """Never raises PortError: what failed says so in `detail`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How far a host is with something that takes long, in bytes; unknown is None."""

    phase: str
    for_s: float  # since the phase began
    done: int | None = None
    total: int | None = None


class HostAgent(Protocol):
    """Verbs on another host (ssh with a forced command; strict host keys)."""

    async def call(self, verb: str, args: Mapping[str, str], deadline_s: float) -> dict[str, str]:
        """The verb's answer. Refused carries the agent's own sentence."""

    async def aclose(self) -> None:
        """Connections are closed."""


class Courier(Protocol):
    """Takes notices to somebody outside."""

    where: str  # for people; without anything secret

    async def deliver(self, body: bytes, content_type: str, deadline_s: float) -> str:
        """It was taken, in the words of whoever took it. Raises PortError; Refused is for good."""
