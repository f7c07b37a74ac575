"""What truly happened, by the world's own time: events in order, told to whoever watches.

The world appends; no node of it may read. Events are frozen, hold plain values, and say nothing of
what a node believes. `Decided` alone repeats a node's own words, for the checks on explanations.
The world tells each event at the instant it becomes true; a `Violation` that a watcher raises from
`see` goes straight through the world to whoever runs it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bgp.policy import Stance
from controller.core.intents import Intent
from controller.core.model import DatabaseName, Durability, Outcome, ServiceName, SiteName

Write = int  # the number of one write in one history; retries under one key are one write
End = tuple[int, int]  # of a log: epoch of its last record, how many records; compares as written


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true at `at`, in true seconds."""

    at: float


# --- clients -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteAsked(Event):
    """A client sent a write to the service address; a retry repeats the number."""

    service: ServiceName
    client: str
    write: Write


@dataclass(frozen=True, slots=True)
class Acknowledged(Event):
    """A database released a waiting commit: its session is told that it is committed."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int  # under which the database is writable
    write: Write
    by: frozenset[SiteName]  # the voters whose confirmation released it, `site` not among them
    held_by: frozenset[SiteName]  # the sites whose durable log truly holds it now, keepers included
    confirmed_at: float  # when the confirmation that released it left its voter; `at`: none needed
    written_under: int = 0  # the epoch of its record in the log; 0: the same
    told_at: tuple[tuple[SiteName, float], ...] = ()  # when each of `by` said so; else all at once


@dataclass(frozen=True, slots=True)
class CommitCancelled(Event):
    """A waiting session was cancelled: its write is visible, and counts as unknown."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    write: Write


@dataclass(frozen=True, slots=True)
class ClientTold(Event):
    """A client's write was answered through the address: done in every database of the service."""

    service: ServiceName
    client: str
    write: Write
    ok: bool  # False: an error, or no answer in time; the client does not know
    entry: SiteName | None  # the site its packets went in at; None: no route
    site: SiteName | None  # the site whose database answered


@dataclass(frozen=True, slots=True)
class ClientRead(Event):
    """A client read one write back through the service address."""

    service: ServiceName
    database: DatabaseName
    client: str
    write: Write
    found: bool
    asked_at: float
    site: SiteName


# --- databases -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """One voter as it truly is: the promise on its disk, and the end of its durable log."""

    site: SiteName
    promised: int
    end: End
    receiving: int = 0  # the epoch of the primary it takes records from now; 0: of nobody


@dataclass(frozen=True, slots=True)
class Promoted(Event):
    """A database became writable under `epoch`, holding exactly these writes."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int
    holds: frozenset[Write]
    end: End  # before the first record of `epoch`
    copies: tuple[Copy, ...]  # every voter of the database at this instant, its own included
    by_hand: bool = False  # somebody went around tricast: a fault
    learners: frozenset[SiteName] = frozenset()  # as the store says at this instant


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """A database is not writable any more, and no session of it waits."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int  # it was writable under
    fell: bool  # it crashed or was killed; else it was closed


@dataclass(frozen=True, slots=True)
class GateSet(Event):
    """Application logins are let in, or refused."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    opened: bool


@dataclass(frozen=True, slots=True)
class Admitted(Event):
    """The voters whose acknowledgement this primary counts, from now on."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int
    voters: frozenset[SiteName]


@dataclass(frozen=True, slots=True)
class LogCut(Event):
    """Records were thrown away from a copy: by a rewind, a recovery, a torn tail, a wipe."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    lost: frozenset[Write]
    saved: bool  # kept aside, listed
    why: str


# --- epochs, promises, seals ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EpochChanged(Event):
    """The record in the store was written (renewals of a lease are not told)."""

    service: ServiceName
    epoch: int
    holder: SiteName
    kind: str
    by: str  # the site that wrote it; "restored" when the store was set back to a snapshot
    rule: int  # of the decision that asked for it; 0: none did
    reason: str
    # For how long without a break, until it was asked for, heartbeats of the holder before had
    # reached some witness whose own heartbeats had reached `by`; 0: they did not.
    witnessed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PromiseKept(Event):
    """A site's promise for a service is on its disk."""

    service: ServiceName
    site: SiteName
    epoch: int


@dataclass(frozen=True, slots=True)
class PromiseRead(Event):
    """A daemon started, and this is the promise it took from its disk."""

    service: ServiceName
    site: SiteName
    epoch: int


@dataclass(frozen=True, slots=True)
class Sealed(Event):
    """A voter's receiver is gone, under its promise; it says that this is its end."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int  # promised
    end: End  # of what its durable log truly holds


@dataclass(frozen=True, slots=True)
class Following(Event):
    """A copy began to take records from a primary that is writable under `epoch`."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    upstream: SiteName
    epoch: int  # 0: it is not writable, and hands on what it holds itself
    voter: bool  # its acknowledgement counts; else it is in quarantine
    prefix: bool  # its log truly is a beginning of the primary's


SERVES_ALONE = "serves alone"  # its commits wait for nobody


@dataclass(frozen=True, slots=True)
class LossStated(Event):
    """A promotion or an opening with less than a proof, as an operator asked: what was said."""

    service: ServiceName
    database: DatabaseName
    site: SiteName
    epoch: int
    missing: frozenset[SiteName]  # voters that were not heard
    holds: frozenset[Write]  # what the copy held: nothing of it may be lost
    statement: str


# --- routes and traffic --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteSeen(Event):
    """What a provider's table says of one site's route."""

    service: ServiceName
    provider: str
    site: SiteName
    stance: Stance | None  # None: no route
    epoch: int  # in whose name it was announced


@dataclass(frozen=True, slots=True)
class Directed(Event):
    """The haproxy of `site` sends requests to the app servers of `to`."""

    service: ServiceName
    site: SiteName
    to: SiteName | None


@dataclass(frozen=True, slots=True)
class LearnersSet(Event):
    """The record of an epoch was rewritten: exactly these sites do not vote."""

    service: ServiceName
    epoch: int
    learners: frozenset[SiteName]


@dataclass(frozen=True, slots=True)
class LeaseServed(Event):
    """A service without a quorum answered a request at `site`."""

    service: ServiceName
    site: SiteName
    epoch: int  # the newest epoch that `site` holds or held


# --- the nodes' own words ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """A decision that asks for something, or differs from the last in rule, role or ladder."""

    service: ServiceName
    site: SiteName
    rule: int
    role: str
    reason: str
    evidence: tuple[str, ...]
    refused: tuple[str, ...]
    yielding: str
    ladder: str
    climbed: bool  # every rung of the ladder is reached
    waiting: tuple[str, ...]  # rungs not reached, "step" or "step database"
    intents: tuple[Intent, ...]
    epoch: int  # of the record it looked at; 0: none
    read_at: float  # true time of its last answer from the store; -inf: none since its start
    paused: bool  # it has read of a pause


@dataclass(frozen=True, slots=True)
class IntentBegan(Event):
    """A daemon began to carry an intent out."""

    service: ServiceName
    site: SiteName
    rule: int
    intent: Intent
    number: int  # counts the intents of one history: a place where a crash can be put


@dataclass(frozen=True, slots=True)
class IntentEnded(Event):
    """An intent ended, or its daemon did (UNKNOWN)."""

    service: ServiceName
    site: SiteName
    intent: Intent
    number: int
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alarmed(Event):
    """A node shows a problem or a warning for the first time, in its own words."""

    service: ServiceName
    site: SiteName
    text: str


# --- people and faults ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PauseSet(Event):
    """The pause of a service is in the store."""

    service: ServiceName
    reason: str


@dataclass(frozen=True, slots=True)
class PauseCleared(Event):
    """It is not in the store any more."""

    service: ServiceName


@dataclass(frozen=True, slots=True)
class RequestMade(Event):
    """An operator's request is in the store."""

    service: ServiceName
    request: str
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class SiteFenced(Event):
    """The order to keep a site out is in the store, or is ended."""

    site: SiteName
    stands: bool


@dataclass(frozen=True, slots=True)
class RequestEnded(Event):
    """An operator's request is done, refused, lapsed or withdrawn."""

    service: ServiceName
    request: str
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class FaultBegan(Event):
    """Something was broken, by name: the World method and its arguments."""

    fault: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultEnded(Event):
    """It was mended."""

    fault: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AllHealed(Event):
    """Every fault is mended, every process runs or is being restarted; none comes any more."""


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something for the trace only."""

    site: str
    text: str


# --- the end of a history ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalDatabase:
    """One database of one service at the end, in truth."""

    name: DatabaseName
    holds: Mapping[SiteName, frozenset[Write]]  # durable log of each voter, keepers included
    writable: Mapping[SiteName, int]  # site -> the epoch it is writable under
    gates: frozenset[SiteName]  # open to clients
    voting: frozenset[SiteName]  # stream from the holder's primary, and are counted by it


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalService:
    """One service at the end."""

    name: ServiceName
    durability: Durability
    data_sites: tuple[SiteName, ...]
    witnesses: tuple[SiteName, ...]
    epoch: int
    holder: SiteName | None
    learners: frozenset[SiteName]
    paused: bool
    databases: tuple[FinalDatabase, ...]
    directed: Mapping[SiteName, SiteName | None]
    routes: Mapping[tuple[str, SiteName], Stance | None]  # provider, site


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Everything at the end of a history, in truth; `World.final()` builds it."""

    at: float
    services: tuple[FinalService, ...]


# --- watching ------------------------------------------------------------------------------------


class Watcher(Protocol):
    """Whoever wants to be told of some kinds of events."""

    @property
    def sees(self) -> tuple[type[Event], ...]:
        """The kinds it wants to be told of."""

    def see(self, event: Event) -> None:
        """One more event of these kinds; may raise a `Violation`."""


@dataclass(slots=True)
class Truth:
    """The history so far."""

    watchers: tuple[Watcher, ...] = ()
    events: list[Event] = field(default_factory=list)
    _table: dict[type[Event], tuple[Watcher, ...]] = field(default_factory=dict)

    def tell(self, event: Event) -> None:
        """`event` has happened."""
        self.events.append(event)
        kind = type(event)
        found = self._table.get(kind)
        if found is None:
            found = tuple(w for w in self.watchers if issubclass(kind, w.sees))
            self._table[kind] = found
        for watcher in found:
            watcher.see(event)

    def tell_all(self, events: Iterable[Event]) -> None:
        """Several, in order."""
        for event in events:
            self.tell(event)
