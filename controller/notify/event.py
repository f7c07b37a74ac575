"""The events that are told, and one table of what is true of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """How much it matters, the least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return tuple(Severity).index(self)


class EventKind(StrEnum):
    """What can be told."""

    ROLE_CHANGE_BEGUN = "role_change_begun"
    ROLE_CHANGE_FINISHED = "role_change_finished"
    ROLE_CHANGE_UNDONE = "role_change_undone"
    TAKEOVER_REFUSED = "takeover_refused"
    SEAL_REFUSED = "seal_refused"
    VOTER_LOST = "voter_lost"
    VOTER_BACK = "voter_back"
    LAG_HIGH = "lag_high"
    LAG_GONE = "lag_gone"
    APPROVAL_WANTED = "approval_wanted"
    APPROVAL_LAPSED = "approval_lapsed"
    GLASS_BROKEN = "glass_broken"
    PAUSE_SET = "pause_set"
    PAUSE_ENDED = "pause_ended"
    SITE_ISOLATED = "site_isolated"
    SITE_REJOINED = "site_rejoined"
    SITE_LOST = "site_lost"
    SITE_BACK = "site_back"
    SITE_FENCED = "site_fenced"
    SITE_UNFENCED = "site_unfenced"
    STORE_LOST = "store_lost"
    STORE_BACK = "store_back"
    AUDIT_TROUBLE = "audit_trouble"
    AUDIT_WELL = "audit_well"
    DRILL_OVERDUE = "drill_overdue"
    DROPPED = "dropped"
    TEST = "test"


class Teller(StrEnum):
    """Which site tells, so that not each one does."""

    HOLDER = "holder"  # the service's holder; while it is not heard, as FIRST
    FIRST = "first"  # the first data site, in the order of the file, that is heard here
    OWN = "own"  # the site that it happens at


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """What is true of every event of a kind."""

    severity: Severity
    teller: Teller
    next_step: str
    patience_s: float = 0.0  # a condition is told when it has held, or been gone, this long
    end: EventKind | None = None  # what is told when the condition is over


_HISTORY: Final = "tricast history --verbose shows each step"
_NOTHING: Final = "nothing"

TRAITS: Final[Mapping[EventKind, Trait]] = {
    EventKind.ROLE_CHANGE_BEGUN: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        next_step="watch it: tricast status --watch",
    ),
    EventKind.ROLE_CHANGE_FINISHED: Trait(
        severity=Severity.WARNING, teller=Teller.HOLDER, next_step=_HISTORY
    ),
    EventKind.ROLE_CHANGE_UNDONE: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        next_step="tricast requests says why; ask again when that is mended",
    ),
    EventKind.TAKEOVER_REFUSED: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.OWN,
        patience_s=1.0,
        next_step="tricast explain says what stands against it",
    ),
    EventKind.SEAL_REFUSED: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.OWN,
        next_step="bring another voter of the database back: tricast explain names them",
    ),
    EventKind.VOTER_LOST: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        patience_s=10.0,
        end=EventKind.VOTER_BACK,
        next_step="look at that database or keeper; docs/runbook.md, Warnings and alarms",
    ),
    EventKind.VOTER_BACK: Trait(severity=Severity.INFO, teller=Teller.HOLDER, next_step=_NOTHING),
    EventKind.LAG_HIGH: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        patience_s=10.0,
        end=EventKind.LAG_GONE,
        next_step="look at the load of that database and the way to it",
    ),
    EventKind.LAG_GONE: Trait(severity=Severity.INFO, teller=Teller.HOLDER, next_step=_NOTHING),
    EventKind.APPROVAL_WANTED: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        next_step="look at it and answer: tricast proposals, tricast approve or decline",
    ),
    EventKind.APPROVAL_LAPSED: Trait(
        severity=Severity.WARNING, teller=Teller.HOLDER, next_step="ask again if it is still wanted"
    ),
    EventKind.GLASS_BROKEN: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.HOLDER,
        next_step="ask that person; tricast audit show and tricast requests --all have the rest",
    ),
    EventKind.PAUSE_SET: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        end=EventKind.PAUSE_ENDED,
        next_step="nothing fails over until tricast resume",
    ),
    EventKind.PAUSE_ENDED: Trait(severity=Severity.INFO, teller=Teller.HOLDER, next_step=_NOTHING),
    EventKind.SITE_ISOLATED: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.OWN,
        patience_s=3.0,
        end=EventKind.SITE_REJOINED,
        next_step="look at the private network between the sites",
    ),
    EventKind.SITE_REJOINED: Trait(severity=Severity.INFO, teller=Teller.OWN, next_step=_NOTHING),
    EventKind.SITE_FENCED: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.FIRST,
        end=EventKind.SITE_UNFENCED,
        next_step="it is kept out until somebody types: tricast unfence SITE",
    ),
    EventKind.SITE_UNFENCED: Trait(severity=Severity.INFO, teller=Teller.FIRST, next_step=_NOTHING),
    EventKind.SITE_LOST: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.FIRST,
        patience_s=3.0,
        end=EventKind.SITE_BACK,
        next_step="is the site up, and the way to it? tricast status shows what moves",
    ),
    EventKind.SITE_BACK: Trait(severity=Severity.INFO, teller=Teller.FIRST, next_step=_NOTHING),
    EventKind.STORE_LOST: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.FIRST,
        patience_s=5.0,
        end=EventKind.STORE_BACK,
        next_step="no role can change: bring a majority of the etcd members back",
    ),
    EventKind.STORE_BACK: Trait(severity=Severity.INFO, teller=Teller.FIRST, next_step=_NOTHING),
    EventKind.AUDIT_TROUBLE: Trait(
        severity=Severity.CRITICAL,
        teller=Teller.OWN,
        patience_s=5.0,
        end=EventKind.AUDIT_WELL,
        next_step="tricast audit verify names the first bad entry",
    ),
    EventKind.AUDIT_WELL: Trait(severity=Severity.INFO, teller=Teller.OWN, next_step=_NOTHING),
    EventKind.DRILL_OVERDUE: Trait(
        severity=Severity.WARNING,
        teller=Teller.HOLDER,
        patience_s=60.0,
        next_step="rehearse the failover by day: tricast drill plan, then tricast drill run",
    ),
    EventKind.DROPPED: Trait(
        severity=Severity.WARNING,
        teller=Teller.OWN,
        next_step="tricast status and tricast history have what was not told",
    ),
    EventKind.TEST: Trait(severity=Severity.INFO, teller=Teller.OWN, next_step=_NOTHING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened that people may want to know."""

    id: str  # the same at every site and at every attempt, so that a reader can fold repeats
    kind: EventKind
    severity: Severity
    at: str  # RFC 3339
    what: str  # one sentence
    service: str = ""  # "" for what is of no service
    epoch: int = 0
    teller: str = ""  # the site that tells it
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A few words for a subject line."""
        name = self.kind.value.replace("_", " ")
        return f"{self.service}: {name}" if self.service else name

    @property
    def next_step(self) -> str:
        """What an operator does about it."""
        return TRAITS[self.kind].next_step
