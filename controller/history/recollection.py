"""What one site saw of one role change, as it is kept beside the history.

    recollections/<service>/<epoch>/<site>   put by that site alone, and put again when it saw more

The history says that a change is complete, and how; what only other sites know, or what is seen
only later, stands here: how the routes went on, how long requests waited, where each log ended.
Times are seconds from the moment at which that site first saw the epoch; before it they are below
zero. A reader ignores fields that it does not know; one that it misses has its default.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from controller.core.codec import BadField, Codec
from controller.core.model import Epoch, ServiceName
from controller.core.position import Order, Position, compare
from controller.core.wire import EPOCH_MAX, BadRecord

RECOLLECTIONS: Final = "recollections/"
FORMAT: Final = 1
BYTES_MAX: Final = 256 * 1024
STAGES_MAX: Final = 30
DISCARDED_MAX: Final = 10
Several = TypeVar("Several", bound=tuple[object, ...])
_KEY: Final = re.compile(r"recollections/([^/]+)/([1-9][0-9]{0,9})/([^/]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Something was so from then on."""

    what: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """A rung of a ladder was first seen reached."""

    ladder: str
    name: str
    database: str = ""
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """At which site a vantage's requests to the service address entered."""

    vantage: str
    entered: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """Where a copy's log ended that was written before the epoch."""

    database: str
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """What of a copy was thrown away when it came back, and where it was saved first."""

    database: str
    what: str  # one sentence of its host agent


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBegin:
    """What the new holder's history goes on from, and by whose word."""

    database: str
    position: Position
    source: str = ""  # a voter that held all of it
    sealed: tuple[str, ...] = ()
    needed: int = 0  # voters, to be sure of every acknowledged commit
    excused: tuple[str, ...] = ()  # voters that an operator did without


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an operator ordered, where one did."""

    request: int = 0
    kind: str = ""
    asked_at: str = ""
    approved_by: tuple[str, ...] = ()
    statement: str = ""  # what was said to be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """What `site` saw of the change that made `epoch`."""

    format: int = FORMAT
    service: ServiceName
    epoch: Epoch
    site: str
    seen_at: str = ""  # RFC 3339: when this site first saw the epoch; for humans
    routes: tuple[Stage, ...] = ()  # what its own routes said; the first: when the epoch came
    outside: tuple[Outside, ...] = ()
    held_s: float | None = None  # its haproxy let new requests wait so long
    outage_s: float | None = None  # of the new holder: until its service address answered
    outage_from: str = ""  # since when that is counted
    begins: tuple[LogBegin, ...] = ()
    ends: tuple[LogEnd, ...] = ()
    discarded: tuple[Discarded, ...] = ()
    steps: tuple[StepSeen, ...] = ()  # but for those of TAKE_OVER, which the history has
    asked: Asked | None = None


def recollection_key(said: Recollection) -> str:
    """Where it stands."""
    return f"{RECOLLECTIONS}{said.service}/{said.epoch}/{said.site}"


def encode_recollection(said: Recollection) -> bytes:
    """As stored."""
    value = json.dumps(_CODEC.encode(said), separators=(",", ":"), allow_nan=False).encode()
    if len(value) > BYTES_MAX:
        raise BadRecord(recollection_key(said), "record", f"{len(value)} bytes are too many")
    return value


def decode_recollection(key: str, value: bytes) -> Recollection:
    """What stands at `key`. Raises BadRecord, nothing else."""
    if len(value) > BYTES_MAX:
        raise BadRecord(key, "record", f"{len(value)} bytes are more than a record may have")
    try:
        said = _CODEC.decode(Recollection, json.loads(value))
    except BadField as error:
        raise BadRecord(key, error.path, error.problem) from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(key, "record", f"not JSON: {error}") from None
    if said.format != FORMAT:
        problem = f"{said.format!r} is not understood; this version reads {FORMAT}"
        raise BadRecord(key, "format", problem)
    if _KEY.fullmatch(key) is None or recollection_key(said) != key or said.epoch > EPOCH_MAX:
        raise BadRecord(key, "epoch", f"{recollection_key(said)[:100]} stands under another key")
    return said


def merged(before: Recollection | None, now: Recollection) -> Recollection:
    """All that a site has said of a change: a daemon that was started anew knows less of it."""
    if before is None:
        return now
    return replace(
        now,
        seen_at=before.seen_at or now.seen_at,
        routes=_longer(before.routes, now.routes),
        outside=_seen_longer((*before.outside, *now.outside)),
        held_s=before.held_s if now.held_s is None else now.held_s,
        outage_s=before.outage_s if now.outage_s is None else now.outage_s,
        outage_from=now.outage_from or before.outage_from,
        begins=_newest_begins((*before.begins, *now.begins)),
        ends=furthest_ends((*before.ends, *now.ends)),
        discarded=tuple(dict.fromkeys((*before.discarded, *now.discarded)))[-DISCARDED_MAX:],
        steps=_longer(before.steps, now.steps),
        asked=before.asked or now.asked,
    )


def furthest_ends(ends: tuple[LogEnd, ...]) -> tuple[LogEnd, ...]:
    """For each database the furthest that was seen: a copy that is rewound ends earlier."""
    found: dict[str, LogEnd] = {}
    for end in ends:
        if _further(end.position, found.get(end.database)):
            found[end.database] = end
    return tuple(found[name] for name in sorted(found))


def _seen_longer(views: tuple[Outside, ...]) -> tuple[Outside, ...]:
    found: dict[str, Outside] = {}
    for view in views:
        known = found.get(view.vantage)
        if known is None or len(view.entered) > len(known.entered):
            found[view.vantage] = view
    return tuple(found[vantage] for vantage in sorted(found))


def _newest_begins(begins: tuple[LogBegin, ...]) -> tuple[LogBegin, ...]:
    """Each database is proved by itself: one may be before the other is."""
    found = {begin.database: begin for begin in begins}
    return tuple(found[name] for name in sorted(found))


def _further(position: Position, known: LogEnd | None) -> bool:
    if known is None or known.position.format is not position.format:
        return True
    return compare(position, known.position) is Order.AHEAD


def _longer(before: Several, now: Several) -> Several:
    return now if len(now) > len(before) else before


def _check_position(value: object) -> None:
    """A position that was read can be compared."""
    position = cast("Position", value)
    if not position.text.isascii() or position.epoch > EPOCH_MAX:
        raise ValueError(f"not a position: {str(position)[:60]!r}")
    compare(position, position)


_CODEC: Final = Codec({}, {Position: _check_position})
