"""Transaction logs: a record is an epoch and a write; what forks is a new history.

A history is opened by a promotion, at one point of its parent. Its number is the epoch it was
opened under (PostgreSQL: the timeline), but two histories are one only if they are one object: a
number that was used twice does not make them the same. A `Log` is a place in a history.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.core.position import LogFormat, Position, int_to_lsn

EPOCH_RECORD = 0
CANARY = -1  # a write of the controller's own: nobody misses it


@dataclass(eq=False, slots=True)
class History:
    """Records from `fork` on; before, those of the parent."""

    number: int
    parent: "History | None" = None
    fork: int = 0
    records: list[int] = field(default_factory=list)  # writes

    @property
    def end(self) -> int:
        """How many records there are, those of the parents counted."""
        return self.fork + len(self.records)


@dataclass(frozen=True, slots=True)
class Log:
    """Everything of `history` before `end`."""

    history: History
    end: int

    @property
    def epoch(self) -> int:
        """Of the last record."""
        return self.history.number

    def cut_to(self, end: int) -> "Log":
        """Its beginning; a history of which nothing is left is its parent."""
        history = self.history
        while history.parent is not None and end <= history.fork:
            history = history.parent
        return Log(history, end)

    def begins(self, other: "Log") -> bool:
        """Whether `other` goes on where this ends."""
        history: History | None = other.history
        limit = other.end
        while history is not None and history is not self.history:
            limit = min(limit, history.fork)
            history = history.parent
        return history is not None and self.end <= limit

    def shared_with(self, other: "Log") -> int:
        """How many records the two have in common."""
        mine: dict[int, int] = {}
        history: History | None = self.history
        limit = self.end
        while history is not None:
            mine[id(history)] = limit
            limit = min(limit, history.fork)
            history = history.parent
        history, limit = other.history, other.end
        while history is not None:
            found = mine.get(id(history))
            if found is not None:
                return min(found, limit)
            limit = min(limit, history.fork)
            history = history.parent
        return 0

    def part(self, start: int) -> Iterator[tuple[int, int]]:
        """Epoch and write of the records from `start` on, newest history first."""
        history: History | None = self.history
        limit = self.end
        while history is not None and limit > start:
            first = max(start, history.fork)
            for write in history.records[first - history.fork : limit - history.fork]:
                yield history.number, write
            limit = min(limit, history.fork)
            history = history.parent

    def writes(self, start: int = 0) -> frozenset[int]:
        """The clients' writes in it."""
        return frozenset(write for _, write in self.part(start) if write > 0)

    def position(self, form: LogFormat) -> Position:
        """As a server of that kind tells it."""
        return Position(epoch=self.epoch, format=form, text=_TEXT[form](self))


def _mysql_text(log: Log) -> str:
    """Each epoch's records carry the identity of the server that wrote them first."""
    parts: list[str] = []
    history: History | None = log.history
    limit = log.end
    while history is not None:
        if limit > history.fork:
            uuid = f"00000000-0000-0000-0000-{history.number:012d}"
            parts.append(f"{uuid}:{history.fork + 1}-{limit}")
        limit = min(limit, history.fork)
        history = history.parent
    return ",".join(reversed(parts))


_TEXT = {
    LogFormat.LSN: lambda log: int_to_lsn(log.end << 4),
    LogFormat.MARIADB_GTID: lambda log: f"0-1-{log.end}",
    LogFormat.MYSQL_GTID: _mysql_text,
}


def opened(parent: Log, number: int) -> Log:
    """A new history that forks off at the end of `parent`, and its first record."""
    history = History(number, parent.history, parent.end)
    history.records.append(EPOCH_RECORD)
    return Log(history, history.end)


def root() -> History:
    """The history every copy of a new cluster begins with."""
    return History(1)
