"""What a site knows at one moment, as far as events are derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy of a database."""

    site: str
    database: str
    votes: bool | None  # None: it learns, by an operator's word
    lag_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of an operator."""

    number: int
    kind: str
    state: str
    asked_by: str
    service: str = ""
    target: str = ""
    reason: str = ""
    why: str = ""  # of its state
    missing: int = 0  # approvals
    at: str = ""
    broke_glass: str = ""  # the policy that was passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A finished role change."""

    service: str
    epoch: int
    previous: str
    holder: str
    kind: str
    reason: str
    asked_by: str = ""
    began_at: str = ""
    took_s: float | None = None
    outcome: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One service, as its loop here has seen it."""

    name: str
    epoch: int = 0  # 0: not known
    holder: str = ""
    kind: str = ""
    reason: str = ""
    asked_by: str = ""
    at: str = ""
    paused: str = ""
    isolated: bool = False  # the routes of this site say so
    refused: tuple[str, ...] = ()  # why this site would take over and may not
    unsealed_s: float = 0.0  # how long a takeover of this site has waited for seals
    copies: tuple[Copy, ...] = ()
    overdue: str | None = None  # why a drill should be made, "" for not; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything at once."""

    cluster: str
    me: str
    at: str  # RFC 3339, for people
    now_s: float  # monotonic
    data_sites: tuple[str, ...]  # in the order of the file
    store_ok: bool
    store_detail: str = ""
    heard: Mapping[str, bool] = field(default_factory=dict)  # other sites; none: not heard yet
    fenced: Mapping[str, str] | None = None  # who keeps it out, and why; None: not known
    services: tuple[Serving, ...] = ()
    requests: tuple[Asked, ...] = ()
    moves: tuple[Moved, ...] = ()
    audit_alarms: tuple[str, ...] | None = None  # None: not known
