"""One look at a MariaDB or MySQL server: a few reads over a kept connection, one frozen `Look`.

A position is only true while nothing received waits to be applied: relay logs are thrown away
whenever replication is configured anew, so what counts is what stands in the server's own log.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.adapters.mysql_dialect import Dialect
from controller.adapters.mysql_gtid import includes, joined, owned_by
from controller.adapters.mysql_relay import holds_whole_transaction
from controller.adapters.mysql_session import Row, Session
from controller.core.position import Position

_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_EPOCH: Final = "SELECT epoch, holder FROM tricast.epoch ORDER BY epoch DESC LIMIT 1"
_STARTED: Final = (
    "SELECT pending, tail, tail_epoch, diverged, level FROM tricast.start WHERE id = 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The replication this server is configured for."""

    address: str
    port: int
    user: str
    receiver: str  # Yes, No, Connecting, Preparing
    applier: str
    by_gtid: bool  # it asks by GTID, not by file and offset
    tells_received: bool
    received: str  # end of what was received, where that is told
    read: tuple[str, int]  # the source's file and offset up to which was received
    done: tuple[str, int]  # and up to which whole transactions were applied
    relay: tuple[str, int]  # own relay log file and offset of what comes next
    applier_state: str
    receiver_errno: int
    receiver_error: str
    applier_errno: int
    applier_error: str

    @property
    def receiving(self) -> bool:
        """A receiver thread is alive, connected or trying."""
        return self.receiver != "No"

    @property
    def streaming(self) -> bool:
        """A receiver thread is connected."""
        return self.receiver == "Yes"

    @property
    def lag_bytes(self) -> int | None:
        """Received and not applied; unknown across files."""
        return self.read[1] - self.done[1] if self.read[0] == self.done[0] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What this start of the server found on its disk (table tricast.start, never replicated)."""

    pending: bool  # relay logs may hold records that are not applied yet
    tail: str  # end of the log as it was before crash recovery cut it; "" for not cut
    tail_epoch: int
    diverged: str  # GTIDs the primary's history does not have
    level: bool  # at a keeper: its log holds everything it ever acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A login, and whether it is locked."""

    user: str
    host: str
    locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSession:
    """A connection as the server lists it."""

    id: int
    user: str
    host: str
    state: str
    info: str
    dumping: bool  # it streams the log to a replica
    receiver: bool  # it is this server's own receiver (MariaDB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything one look saw."""

    dialect: Dialect
    read_only: bool
    log_end: str
    log_state: str
    replica_side: bool
    source_side: bool
    settings: Row
    epoch: int  # of the last record in the log, a record that waits included
    holder: str  # of the newest visible epoch row
    started: Started | None
    source: Source | None
    sessions: tuple[ServerSession, ...]
    accounts: tuple[Account, ...]
    counters: Row
    drained: bool  # every whole transaction received has been applied, so stands in the own log

    @property
    def tail_missing(self) -> bool:
        """Crash recovery cut records from the own log that stand only in the saved tail."""
        tail = self.started.tail if self.started else ""
        return bool(tail) and not includes(self.dialect.format, self.log_end, tail)

    @property
    def waiting(self) -> tuple[ServerSession, ...]:
        """Sessions whose commit waits for an acknowledgement, or in line behind one that does."""
        return _waiting(self.dialect, self.sessions)

    @property
    def waiting_commits(self) -> int:
        """How many commits wait; the server itself counts only the first in line."""
        return max(len(self.waiting), _count(self.counters.get(self.dialect.source_waiting)))

    @property
    def acknowledging(self) -> int:
        """How many replicas are connected with semi-synchronous replication on."""
        return _count(self.counters.get(self.dialect.source_clients))

    def position(self) -> Position | None:
        """The furthest durable record this server can prove; None while it cannot tell."""
        if self.started is None or self.started.pending:
            return None
        epoch, text = self.epoch, self.log_end
        if self.tail_missing:
            return Position(
                epoch=max(epoch, self.started.tail_epoch),
                format=self.dialect.format,
                text=self.started.tail,
            )
        if self.source is not None:
            if not self.source.receiving:
                # Half sealed: the last record may be in the log and its epoch row not yet visible.
                return None
            if self.source.tells_received:
                text = joined(self.dialect.format, self.log_end, self.source.received)
        return Position(epoch=epoch, format=self.dialect.format, text=text)

    def applied(self) -> Position:
        """The end of the own log, whatever else is known."""
        return Position(epoch=self.epoch, format=self.dialect.format, text=self.log_end)


async def look(session: Session, dialect: Dialect) -> Look:
    """Reads everything once, in one round trip, the log's end before the epoch row it may hold."""
    names = [name for name, *_ in (*dialect.source_settings, *dialect.durable_settings)]
    names += [name for name, _ in dialect.replica_settings]
    columns = ", ".join(f"@@global.{name} AS {name}" for name in names)
    server_rows, status, sessions_rows, epochs, started, accounts, counters = await session.many(
        (
            f"SELECT {dialect.read_only} AS closed, {dialect.log_end} AS log_end,"
            f" {dialect.log_owned} AS log_owned, {dialect.log_state} AS log_state,"
            f" @@global.{dialect.replica_side} AS replica_side,"
            f" @@global.{dialect.source_side} AS source_side, {columns}",
            dialect.replica_status,
            dialect.sessions,
            _EPOCH,
            _STARTED,
            dialect.accounts,
            dialect.counters,
        )
    )
    server = server_rows[0]
    source = _source(dialect, status)
    sessions = tuple(_session(row) for row in sessions_rows)
    log_end = _log_end(dialect, server, sessions)
    visible = int(epochs[0]["epoch"]) if epochs else 0
    return Look(
        dialect=dialect,
        read_only=bool(server["closed"]),
        log_end=log_end,
        log_state=_gtids(server["log_state"]),
        replica_side=bool(server["replica_side"]),
        source_side=bool(server["source_side"]),
        settings=server,
        epoch=max(visible, _waiting_epoch(dialect, sessions, writable=not server["closed"])),
        holder=str(epochs[0]["holder"]) if epochs else "",
        started=_started(started),
        source=source,
        sessions=sessions,
        accounts=tuple(_account(row) for row in accounts),
        counters={str(row["Variable_name"]): row["Value"] for row in counters},
        drained=source is None or await _drained(session, dialect, log_end, source),
    )


async def look_at_sessions(session: Session, dialect: Dialect) -> tuple[ServerSession, ...]:
    """Every connection but our own, for whoever waits until one is gone."""
    return tuple(_session(row) for row in await session.rows(dialect.sessions))


async def look_at_source(session: Session, dialect: Dialect) -> Source | None:
    """What replication does, for whoever waits until it streams."""
    return _source(dialect, await session.rows(dialect.replica_status))


async def look_at_accounts(session: Session, dialect: Dialect) -> tuple[Account, ...]:
    """Every login, for whoever changes some."""
    return tuple(_account(row) for row in await session.rows(dialect.accounts))


async def look_at_log_end(session: Session, dialect: Dialect) -> str:
    """Where the log ends, for whoever waits until it grows."""
    end = f"SELECT {dialect.log_end} AS log_end, {dialect.log_owned} AS log_owned"
    server, sessions = await session.many((end, dialect.sessions))
    return _log_end(dialect, server[0], tuple(_session(row) for row in sessions))


def _waiting(dialect: Dialect, sessions: Sequence[ServerSession]) -> tuple[ServerSession, ...]:
    first = [s for s in sessions if s.state.startswith(dialect.waiting)]
    behind = [s for s in sessions if first and s.state in dialect.queued]
    return (*first, *behind)


def _log_end(dialect: Dialect, server: Row, sessions: Sequence[ServerSession]) -> str:
    """Commits that wait stand in the log, whether the server counts them or not."""
    end, owned = _gtids(server["log_end"]), _gtids(server["log_owned"])
    waiting = frozenset(session.id for session in _waiting(dialect, sessions)) if owned else ()
    return joined(dialect.format, end, owned_by(owned, waiting)) if waiting else end


async def _drained(session: Session, dialect: Dialect, log_end: str, source: Source) -> bool:
    """The log's end was read before the status, so what is said here of it is not too much."""
    if source.tells_received:
        return includes(dialect.format, log_end, source.received)
    if source.read == source.done:
        return True
    # Cut in the middle of a transaction, the two never meet; then the relay log itself tells.
    return not source.receiving and not await holds_whole_transaction(session, source.relay)


def _session(row: Row) -> ServerSession:
    return ServerSession(
        id=int(_of(row, "id")),
        user=str(_of(row, "user") or ""),
        host=str(_of(row, "host") or ""),
        state=str(_of(row, "state") or ""),
        info=str(_of(row, "info") or ""),
        dumping=str(_of(row, "command") or "").startswith("Binlog Dump"),
        receiver=str(_of(row, "command") or "") == "Slave_IO",
    )


def _account(row: Row) -> Account:
    return Account(
        user=str(_of(row, "user") or ""),
        host=str(_of(row, "host") or ""),
        locked=bool(_of(row, "locked")),
    )


def _of(row: Row, name: str) -> Any:  # noqa: ANN401 - as the server types it
    """MySQL 8 answers system tables in upper case, MariaDB as written."""
    return row[name] if name in row else row[name.upper()]


def _started(rows: Sequence[Row]) -> Started | None:
    if not rows:
        return None
    return Started(
        pending=bool(rows[0]["pending"]),
        tail=str(rows[0]["tail"]),
        tail_epoch=int(rows[0]["tail_epoch"]),
        diverged=str(rows[0]["diverged"]),
        level=bool(rows[0]["level"]),
    )


def _source(dialect: Dialect, rows: Sequence[Row]) -> Source | None:
    if not rows or not rows[0][dialect.columns.host]:
        return None
    row, names = rows[0], dialect.columns
    by_gtid = str(row[names.by_gtid]) not in ("No", "0")
    return Source(
        address=str(row[names.host]),
        port=int(row[names.port]),
        user=str(row[names.user]),
        receiver=str(row[names.receiver]),
        applier=str(row[names.applier]),
        by_gtid=by_gtid,
        tells_received=by_gtid or dialect.tells_received,
        received=_gtids(row[names.received]),
        read=(str(row[names.read_file]), int(row[names.read_offset])),
        done=(str(row[names.done_file]), int(row[names.done_offset])),
        relay=(str(row[names.relay_file]), int(row[names.relay_offset])),
        applier_state=str(row[names.applier_state] or ""),
        receiver_errno=int(row[names.receiver_errno]),
        receiver_error=str(row[names.receiver_error]),
        applier_errno=int(row[names.applier_errno]),
        applier_error=str(row[names.applier_error]),
    )


def _waiting_epoch(dialect: Dialect, sessions: Sequence[ServerSession], *, writable: bool) -> int:
    """The epoch whose row is durable in the log but not yet acknowledged, so still invisible.

    Second in line it is in the log too, but looks like one that is not; a server becomes writable
    only after its epoch row was seen to have got there.
    """
    in_log = [s for s in sessions if s.state.startswith(dialect.waiting)]
    if writable:
        in_log += [s for s in sessions if s.state in dialect.queued]
    return max((epoch_in(s.info) for s in in_log), default=0)


def epoch_in(statement: str) -> int:
    """The epoch that an epoch statement writes; 0 for any other statement."""
    before = "INSERT INTO tricast.epoch (epoch, holder) VALUES ("
    if not statement.startswith(before):
        return 0
    digits = statement[len(before) :].partition(",")[0]
    return int(digits) if _NUMBER.fullmatch(digits) else 0


def _gtids(value: object) -> str:
    return str(value or "").replace("\n", "")


def _count(value: object) -> int:
    text = str(value or "0")
    return int(text) if _NUMBER.fullmatch(text) else 0
