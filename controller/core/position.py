"""Positions in a transaction log, and which of two is further.

*Further* compares as in Raft: first the epoch under which the last record was written, then the
position inside it (LSN in PostgreSQL; GTID set, by inclusion, in MariaDB and MySQL). Two positions
of one epoch of which neither contains the other have DIVERGED: no rule may choose between them.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Intervals = tuple[tuple[int, int], ...]

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")  # 64 bits at most, and never `int`'s own limit
_GTID: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,20})")
_TAG: Final = re.compile(r"[a-z_][a-z0-9_]{0,31}")


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
    found = _LSN.fullmatch(text)
    if found is None:
        raise BadPosition(f"not an LSN: {text[:100]!r}")
    return (int(found[1], 16) << 32) | int(found[2], 16)


def int_to_lsn(value: int) -> str:
    """The inverse of `lsn_to_int`, as PostgreSQL prints it."""
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def parse_mariadb_gtids(text: str) -> dict[int, int]:
    """Highest sequence number per domain; the server id of the last writer does not order."""
    result: dict[int, int] = {}
    for domain, _server, sequence in mariadb_gtids(text):
        result[domain] = max(result.get(domain, 0), sequence)
    return result


def mariadb_gtids(text: str) -> list[tuple[int, int, int]]:
    """Domain, server and sequence number of each GTID in a position or a binlog state."""
    found = [_GTID.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    if None in found:
        raise BadPosition(f"not a MariaDB GTID position: {text[:100]!r}")
    return [(int(gtid[1]), int(gtid[2]), int(gtid[3])) for gtid in found if gtid]


def parse_mysql_gtids(text: str) -> dict[str, Intervals]:
    """Executed intervals per source, merged; tags (MySQL 8.3+) count as part of the source."""
    found: dict[str, list[tuple[int, int]]] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        source, *rest = part.lower().split(":")
        key = source
        for piece in rest:
            if _TAG.fullmatch(piece):
                key = f"{source}:{piece}"
            else:
                found.setdefault(key, []).append(_interval(piece, text))
        if not rest or _TAG.fullmatch(rest[-1]):
            raise BadPosition(f"not a MySQL GTID set: {text[:100]!r}")
    return {source: _merge(intervals) for source, intervals in found.items()}


def _interval(piece: str, text: str) -> tuple[int, int]:
    low, dash, high = piece.partition("-")
    if not dash:
        high = low
    if not _NUMBER.fullmatch(low) or not _NUMBER.fullmatch(high) or not 0 < int(low) <= int(high):
        raise BadPosition(f"not a MySQL GTID set: {text[:100]!r}")
    return int(low), int(high)


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

_READERS: Final[Mapping[LogFormat, tuple[Callable[[str], Any], Callable[[Any, Any], bool]]]] = {
    LogFormat.LSN: (lsn_to_int, operator.ge),
    LogFormat.MARIADB_GTID: (parse_mariadb_gtids, _mariadb_includes),
    LogFormat.MYSQL_GTID: (parse_mysql_gtids, _mysql_includes),
}


def compare(first: Position, second: Position) -> Order:
    """Whether `first` is ahead of, equal to, behind or diverged from `second`."""
    if first.format is not second.format:
        raise BadPosition(f"cannot compare {first.format} with {second.format}")
    if first.epoch != second.epoch:
        return Order.AHEAD if first.epoch > second.epoch else Order.BEHIND
    parse, includes = _READERS[first.format]
    mine, theirs = parse(first.text), parse(second.text)
    return _BY_INCLUSION[(includes(mine, theirs), includes(theirs, mine))]


def holds(mine: Position, wanted: Position) -> bool:
    """Whether a log that ends at `mine` holds everything up to `wanted`."""
    return compare(mine, wanted) in (Order.EQUAL, Order.AHEAD)
