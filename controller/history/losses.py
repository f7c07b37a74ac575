"""What a role change cost: of each database, exactly which records were thrown away.

With a complete proof no acknowledged record can be among them (docs/architecture.md, G1), however
many a deposed copy held beyond. Without one, when an operator did without voters, what they come
back with says how much it can have been at most; one that does not come back leaves it unknown.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.core.model import Epoch
from controller.core.position import (
    BadPosition,
    LogFormat,
    Order,
    Position,
    compare,
    lsn_to_int,
    parse_mariadb_gtids,
    parse_mysql_gtids,
)
from controller.history.recollection import LogBegin, Recollection


class Acknowledged(StrEnum):
    """Whether transactions of which somebody was told are lost."""

    NONE = "none"
    POSSIBLE = "possible"  # what a voter that was done without held beyond may be among them
    UNKNOWN = "unknown"  # such a voter has not come back


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Records that one site's copy held alone, and that were thrown away."""

    site: str
    after: str
    up_to: str
    size: int | None  # None: the two logs are not in one order
    unit: str  # bytes | transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Of one database."""

    database: str
    acknowledged: Acknowledged
    begins: str  # where the new history goes on
    source: str  # a voter that held all of it
    sealed: tuple[str, ...]
    needed: int
    excused: tuple[str, ...]
    beyond: tuple[Beyond, ...]


def losses(
    epoch: Epoch, holder: str, said: Iterable[Recollection], epochs: Iterable[Epoch]
) -> tuple[Loss, ...]:
    """Of each database at the change that made `epoch`, as far as anybody has said; `said` is all
    that is kept of the service, `epochs` those of all its changes.
    """
    told, known = tuple(said), sorted({*epochs, epoch})
    ends: dict[str, dict[str, Position]] = {}
    for each in told:
        for end in each.ends:
            if each.site != holder and _thrown_away_by(end.position, known) == epoch:
                ends.setdefault(end.database, {})[each.site] = end.position
    begins = (b for each in told if (each.epoch, each.site) == (epoch, holder) for b in each.begins)
    return tuple(_loss(begin, ends.get(begin.database, {})) for begin in begins)


def _thrown_away_by(end: Position, epochs: list[Epoch]) -> Epoch | None:
    """The first change after the epoch of its last record."""
    return next((epoch for epoch in epochs if epoch > end.epoch), None)


def _loss(begin: LogBegin, ends: Mapping[str, Position]) -> Loss:
    found = [
        beyond
        for site, end in sorted(ends.items())
        if (beyond := _beyond(site, begin.position, end)) is not None
    ]
    excused = begin.excused if len(begin.sealed) < begin.needed else ()
    acknowledged = Acknowledged.NONE
    if any(beyond.site in excused for beyond in found):
        acknowledged = Acknowledged.POSSIBLE
    elif any(not _told(site, begin, ends) for site in excused):
        acknowledged = Acknowledged.UNKNOWN
    return Loss(
        database=begin.database,
        acknowledged=acknowledged,
        begins=str(begin.position),
        source=begin.source,
        sealed=begin.sealed,
        needed=begin.needed,
        excused=excused,
        beyond=tuple(found),
    )


def _told(site: str, begin: LogBegin, ends: Mapping[str, Position]) -> bool:
    """It came back with the log of the epoch that was gone on from."""
    return site in ends and ends[site].epoch >= begin.position.epoch


def _beyond(site: str, begin: Position, end: Position) -> Beyond | None:
    try:
        order = compare(end, begin)
    except BadPosition:
        return None
    if order not in (Order.AHEAD, Order.DIVERGED):
        return None
    alike = order is Order.AHEAD and end.epoch == begin.epoch
    return Beyond(
        site=site,
        after=str(begin),
        up_to=str(end),
        size=_SIZES[end.format](end.text, begin.text) if alike else None,
        unit="bytes" if end.format is LogFormat.LSN else "transactions",
    )


def _lsn(end: str, begin: str) -> int:
    return lsn_to_int(end) - lsn_to_int(begin)


def _mariadb(end: str, begin: str) -> int:
    before = parse_mariadb_gtids(begin)
    return sum(last - before.get(domain, 0) for domain, last in parse_mariadb_gtids(end).items())


def _mysql(end: str, begin: str) -> int:
    return _count(end) - _count(begin)


def _count(text: str) -> int:
    return sum(high - low + 1 for runs in parse_mysql_gtids(text).values() for low, high in runs)


_SIZES: Final[Mapping[LogFormat, Callable[[str, str], int]]] = {
    LogFormat.LSN: _lsn,
    LogFormat.MARIADB_GTID: _mariadb,
    LogFormat.MYSQL_GTID: _mysql,
}
