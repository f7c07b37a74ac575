"""Positions in a transaction log, and which of two is further.

*Further* compares as in Raft: first the epoch under which the last record was written, then the
position inside it (LSN in PostgreSQL; GTID set, by inclusion, in MariaDB and MySQL). Two positions
of one epoch of which neither contains the other have DIVERGED: no rule may choose between them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Intervals = tuple[tuple[int, int], ...]


class Order(StrEnum):
    """How a first position compares to a second."""

    BEHIND = "behind"
    EQUAL = "equal"
    AHEAD = "ahead"
    DIVERGED = "diverged"


class LogFormat(StrEnum):
    """How `Position.text` is written."""

    LSN = "lsn"  # PostgreSQL: 0/3000060
    MARIADB_GTID = "mariadb_gtid"  # domain-server-sequence, comma separated
    MYSQL_GTID = "mysql_gtid"  # uuid:1-5:7,uuid:1-3


class BadPosition(ValueError):
    """A position that cannot be read; the message names the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The end of a log: the epoch of its last record, and where that record ends."""

    epoch: int
    format: LogFormat
    text: str

    def __str__(self) -> str:
        return f"{self.text}@{self.epoch}"


def lsn_to_int(text: str) -> int:
    """Bytes from the start of the log (PostgreSQL: 32 bits, slash, 32 bits, hexadecimal)."""
    high, slash, low = text.partition("/")
    try:
        value = (int(high, 16) << 32) | int(low, 16)
    except ValueError:
        raise BadPosition(f"not an LSN: {text!r}") from None
    if not slash or len(high) > 8 or len(low) > 8:
        raise BadPosition(f"not an LSN: {text!r}")
    return value


def int_to_lsn(value: int) -> str:
    """The inverse of `lsn_to_int`, as PostgreSQL prints it."""
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def parse_mariadb_gtids(text: str) -> dict[int, int]:
    """Highest sequence number per domain; the server id of the last writer does not order."""
    result: dict[int, int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        fields = part.split("-")
        if len(fields) != 3 or not all(f.isdigit() for f in fields):
            raise BadPosition(f"not a MariaDB GTID position: {text!r}")
        domain, _server, sequence = (int(f) for f in fields)
        result[domain] = max(result.get(domain, 0), sequence)
    return result


def parse_mysql_gtids(text: str) -> dict[str, Intervals]:
    """Executed intervals per source, merged; tags (MySQL 8.3+) count as part of the source."""
    found: dict[str, list[tuple[int, int]]] = {}
    for part in filter(None, (p.strip() for p in text.replace("\n", "").split(","))):
        source, *rest = part.split(":")
        key = source.lower()
        if not rest:
            raise BadPosition(f"not a MySQL GTID set: {text!r}")
        for piece in rest:
            low, _, high = piece.partition("-")
            if not low.isdigit():
                key = f"{source.lower()}:{piece.lower()}"
                continue
            if high and not high.isdigit():
                raise BadPosition(f"not a MySQL GTID set: {text!r}")
            found.setdefault(key, []).append((int(low), int(high or low)))
    return {source: _merge(intervals) for source, intervals in found.items()}


def _merge(intervals: list[tuple[int, int]]) -> Intervals:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _contains(whole: Intervals, part: Intervals) -> bool:
    return all(any(a <= low and high <= b for a, b in whole) for low, high in part)


def _mysql_includes(whole: dict[str, Intervals], part: dict[str, Intervals]) -> bool:
    return all(_contains(whole.get(source, ()), found) for source, found in part.items())


def _mariadb_includes(whole: dict[int, int], part: dict[int, int]) -> bool:
    return all(whole.get(domain, 0) >= sequence for domain, sequence in part.items())


_BY_INCLUSION: Final = {
    (True, True): Order.EQUAL,
    (True, False): Order.AHEAD,
    (False, True): Order.BEHIND,
    (False, False): Order.DIVERGED,
}


def compare(first: Position, second: Position) -> Order:
    """Whether `first` is ahead of, equal to, behind or diverged from `second`."""
    if first.format is not second.format:
        raise BadPosition(f"cannot compare {first.format} with {second.format}")
    if first.epoch != second.epoch:
        return Order.AHEAD if first.epoch > second.epoch else Order.BEHIND
    match first.format:
        case LogFormat.LSN:
            a, b = lsn_to_int(first.text), lsn_to_int(second.text)
            return _BY_INCLUSION[(a >= b, b >= a)]
        case LogFormat.MARIADB_GTID:
            x, y = parse_mariadb_gtids(first.text), parse_mariadb_gtids(second.text)
            return _BY_INCLUSION[(_mariadb_includes(x, y), _mariadb_includes(y, x))]
        case LogFormat.MYSQL_GTID:
            p, q = parse_mysql_gtids(first.text), parse_mysql_gtids(second.text)
            return _BY_INCLUSION[(_mysql_includes(p, q), _mysql_includes(q, p))]


def holds(mine: Position, wanted: Position) -> bool:
    """Whether a log that ends at `mine` holds everything up to `wanted`."""
    return compare(mine, wanted) in (Order.EQUAL, Order.AHEAD)
