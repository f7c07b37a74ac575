"""The last drill of a service, as every site knows it, and when the next one is due.

    drills/<service>     the last drill that moved the service; changed by compare-and-swap

Only a drill that passed makes the days count anew. Wall clocks are compared, of two hosts: that is
good enough for days, and nothing but a reminder comes of it.
"""

import calendar
import json
import re
from dataclasses import dataclass, replace
from typing import Final

from controller.core.codec import BadField, Codec
from controller.core.model import ServiceName
from controller.core.wire import BadRecord

DRILLS: Final = "drills/"
PASSED: Final = "passed"
FORMAT: Final = 1
DAY_S: Final = 86_400.0
BYTES_MAX: Final = 64 * 1024
_CODEC: Final = Codec({}, {})
_STAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|\+00:00)", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRecord:
    """The last drill that moved the service."""

    format: int = FORMAT
    at: str  # when it was noted, by the clock of the daemon that was told
    verdict: str  # passed | failed | aborted
    by: str = ""
    site: str = ""  # whose daemon was told
    passed_at: str = ""  # of the last one that passed, this one or one before
    home: str = ""
    target: str = ""
    reason: str = ""
    epochs: tuple[int, ...] = ()  # what it raised, in order
    gap_s: float | None = None  # the longest time without an answer
    lost: int | None = None  # acknowledged transactions


def drill_key(service: ServiceName) -> str:
    """Where the last drill of `service` stands."""
    return f"{DRILLS}{service}"


def encode_drill(record: DrillRecord) -> bytes:
    """`record` as stored."""
    return json.dumps(_CODEC.encode(record), separators=(",", ":"), allow_nan=False).encode()


def decode_drill(key: str, value: bytes) -> DrillRecord:
    """The record at `key`. Raises BadRecord, nothing else."""
    if len(value) > BYTES_MAX:
        raise BadRecord(key, "record", f"{len(value)} bytes are more than a record may have")
    try:
        record = _CODEC.decode(DrillRecord, json.loads(value))
    except BadField as error:
        raise BadRecord(key, error.path, error.problem) from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(key, "record", f"not JSON: {error}") from None
    if record.format != FORMAT:
        problem = f"{record.format!r} is not understood; this version reads {FORMAT}"
        raise BadRecord(key, "format", problem)
    if seconds_of(record.at) is None:
        raise BadRecord(key, "at", f"{record.at[:60]!r} is no time")
    return record


def following(before: DrillRecord | None, record: DrillRecord) -> DrillRecord:
    """`record`, which knows when the last drill passed."""
    passed = record.at if record.verdict == PASSED else "" if before is None else before.passed_at
    return replace(record, passed_at=passed)


def seconds_of(stamp: str) -> float | None:
    """An RFC 3339 time in UTC as seconds; None when it is none."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60):
        return None
    if year < 1970:
        return None
    whole = calendar.timegm((year, month, day, hour, minute, second))
    return whole + float(found[7] or 0.0)


def days_between(earlier: str, later: str) -> float | None:
    """Days from one time to another, never below zero; None when one of them is no time."""
    first, last = seconds_of(earlier), seconds_of(later)
    if first is None or last is None:
        return None
    return max(0.0, last - first) / DAY_S


def overdue(service: str, record: DrillRecord | None, every_days: int, now: str) -> str:
    """Why a drill should be made; empty when none is due."""
    if not every_days:
        return ""
    due = f"a drill is due every {every_days} days: tricast drill plan --service {service}"
    if record is None or not record.passed_at:
        tried = "has never passed a drill" if record else "has never been rehearsed"
        return f"{service} {tried}; {due}"
    days = days_between(record.passed_at, now)
    if days is None or days <= every_days:
        return ""
    return f"{service} passed its last drill {days:.0f} days ago; {due}"
