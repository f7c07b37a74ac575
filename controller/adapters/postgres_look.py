"""What one look at a PostgreSQL server asks, and how the answer is read.

The position of a standby is what it has received and flushed, or replayed, whichever is further.
While a restarted server is still replaying its own log, its position is not known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.adapters.postgres_link import Row
from controller.core.model import Epoch
from controller.core.position import LogFormat, Position
from controller.hostagent import wal

# The followers are read first and our own flush position after them, so that a follower that
# reports more than we have flushed really claims what nobody has.
FAST: Final = """
with server as materialized (
    select pg_is_in_recovery() as recovering,
           pg_last_wal_receive_lsn() as received,
           pg_last_wal_replay_lsn() as replayed,
           current_setting('tricast.gate_dir', true) as gate
), followers as materialized (
    select coalesce(json_agg(json_build_object(
        'pid', pid, 'user', usename, 'name', application_name, 'state', state,
        'flushed', flush_lsn, 'sync', sync_state)), '[]') as listed
    from pg_stat_replication
), activity as materialized (
    select backend_type, wait_event, usename, pid from pg_stat_activity
), names as (
    select string_agg(name, ' ') as listed
    from server, pg_ls_dir('pg_wal') as name
    where name like '%.history' or (length(name) = 24 and substr(name, 9) = (
        select upper(lpad(to_hex(number / 256), 8, '0') || lpad(to_hex(number % 256), 8, '0'))
        from (select greatest(0, pg_wal_lsn_diff(greatest(received, replayed), '0/1')::bigint)
                     / 16777216 as number) as segment))
)
select recovering, received, replayed,
    (select wait_event from activity where backend_type = 'startup') as startup_wait,
    (select count(*) from activity where backend_type = 'walreceiver') as receivers,
    (select json_build_object('status', status, 'timeline', received_tli,
        'latest', latest_end_lsn,
        'silent_s', extract(epoch from clock_timestamp() - last_msg_receipt_time))
     from pg_stat_wal_receiver) as receiver,
    current_setting('primary_conninfo'),
    current_setting('primary_slot_name'),
    current_setting('restore_command'),
    (select count(*) from activity where wait_event = 'SyncRep'),
    (select listed from followers),
    gate,
    coalesce(pg_read_file(gate || '/clients', 0, 100000, true), ''),
    (select json_object_agg(name, pg_read_file(gate || '/' || name, 0, 100000, true))
     from pg_ls_dir(gate) as name where name like 'voter\\_%' and name not like '%.%'),
    case when recovering then (select listed from names) end,
    case when not recovering then pg_walfile_name(pg_current_wal_lsn()) end,
    current_setting('synchronous_standby_names'),
    case when not recovering then pg_current_wal_flush_lsn() end,
    (select string_agg(slot_name, ' ') from pg_replication_slots where wal_status <> 'lost')
from server
"""

SLOW: Final = """
select 'setting', name, setting from pg_settings where name in ('fsync', 'full_page_writes',
    'synchronous_commit', 'wal_log_hints', 'data_checksums', 'restart_after_crash')
union all
select 'override', coalesce(r.rolname, 'every role') || ' in '
    || coalesce(d.datname, 'every database'), c
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole
    left join pg_database d on d.oid = s.setdatabase, unnest(setconfig) as c
where c like 'synchronous_commit=%'
union all
select 'hba', coalesce(line_number::text, ''), error from pg_hba_file_rules
where error is not null
union all
select 'slot', slot_name, wal_status from pg_replication_slots where wal_status = 'lost'
union all
select 'control', '', timeline_id::text from pg_control_checkpoint()
"""

IDLE_WAITS: Final = frozenset({"RecoveryWalStream", "RecoveryRetrieveRetryInterval"})
SILENT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Walsender:
    """One row of pg_stat_replication."""

    pid: int
    user: str
    name: str
    state: str
    flushed: str | None
    sync: str


@dataclass(frozen=True, slots=True)
class Look:
    """One answer to `FAST`, with its fields named."""

    recovering: bool
    received: str | None
    replayed: str | None
    startup_wait: str | None
    receivers: int
    receiver: Mapping[str, object] | None
    upstream: str
    slot: str
    restore_command: str
    waiting: int
    walsenders: tuple[Walsender, ...]
    gate_dir: str
    clients: frozenset[str]
    voters: Mapping[str, frozenset[str]]
    histories: frozenset[int]
    segment_timelines: frozenset[int]
    wal_file: str
    standby_names: str
    flushed: str | None
    slots: frozenset[str]  # those that still have their log

    @property
    def idle(self) -> bool:
        """All the log the server holds is replayed, and it waits for more."""
        return self.startup_wait in IDLE_WAITS

    @property
    def alone(self) -> bool:
        """Commits wait, or would wait, for no other voter."""
        return not self.standby_names.strip()

    @property
    def sealed(self) -> bool:
        """It receives from nobody, and is configured so."""
        return self.recovering and self.receivers == 0 and self.upstream == ""

    @property
    def end(self) -> str | None:
        """How far the log goes; None when that is not known yet."""
        if not self.recovering:
            return self.flushed
        known = [lsn for lsn in (self.received, self.replayed) if lsn is not None]
        if not known or (self.received is None and not self.idle):
            return None
        # Received and not replayed counts, even when the receiver is gone: the startup process
        # reads what it left only at its next try.
        return max(known, key=wal.to_bytes)


def read_look(row: Row) -> Look:
    """The answer to `FAST`."""
    names = (row[14] or "").split()
    segments = (wal.parse_segment(name) for name in names)
    histories = (wal.parse_history_name(name) for name in names)
    listed = json.loads(row[10] or "[]")
    voters: dict[str, str | None] = json.loads(row[13] or "{}")
    return Look(
        recovering=row[0] == "t",
        received=row[1],
        replayed=row[2],
        startup_wait=row[3],
        receivers=int(row[4] or 0),
        receiver=json.loads(row[5]) if row[5] else None,
        upstream=row[6] or "",
        slot=row[7] or "",
        restore_command=row[8] or "",
        waiting=int(row[9] or 0),
        walsenders=tuple(Walsender(**{**w, "sync": w["sync"] or ""}) for w in listed),
        gate_dir=row[11] or "",
        clients=frozenset((row[12] or "").split()),
        voters={name: frozenset((text or "").split()) for name, text in voters.items()},
        histories=frozenset(h for h in histories if h is not None),
        segment_timelines=frozenset(s.timeline for s in segments if s is not None),
        wal_file=row[15] or "",
        standby_names=row[16] or "",
        flushed=row[17],
        slots=frozenset((row[18] or "").split()),
    )


@dataclass(slots=True)
class Ancestries:
    """Histories read so far, of one run of the server."""

    known: dict[int, wal.Ancestry] = field(default_factory=dict)

    def position(self, look: Look) -> Position | None:
        """The end of the log and the epoch of its last record."""
        end = look.end
        if end is None:
            return None
        top = top_timeline(look)
        epoch = wal.timeline_at(top, self.known.get(top, ()), wal.to_bytes(end))
        return Position(epoch=epoch, format=LogFormat.LSN, text=end)

    def at(self, timeline: int, lsn: str) -> Position:
        """`lsn` of the log of `timeline`, with the epoch of the record that ends there."""
        epoch = wal.timeline_at(timeline, self.known.get(timeline, ()), wal.to_bytes(lsn))
        return Position(epoch=epoch, format=LogFormat.LSN, text=lsn)

    def excluded_by(self, look: Look, mine: Position) -> bool:
        """A newer history, fetched from the upstream, leaves our last record out."""
        newest = max(look.histories, default=1)
        if newest <= mine.epoch or newest not in self.known:
            return False
        if not self.known[newest]:
            return False  # planted: it names no parent, and says nothing
        left = dict(self.known[newest]).get(mine.epoch)
        return left is None or left < wal.to_bytes(mine.text)


def top_timeline(look: Look) -> int:
    """The newest timeline the end of the log may be on; its history decides."""
    if not look.recovering:
        return int(look.wal_file[:8], 16)
    named = {t for t in look.segment_timelines if t == 1 or t in look.histories}
    return max(named, default=1)


def wanted_histories(look: Look) -> set[int]:
    """The histories without which this look cannot be read."""
    newest = max(look.histories, default=1)
    return {t for t in (top_timeline(look), newest) if t > 1}


def settings_problems(name: str, rows: list[Row]) -> list[str]:
    """What `SLOW` found that weakens the guarantee."""
    wanted = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "restart_after_crash": "off",
    }
    problems = []
    found = {row[1]: row[2] for row in rows if row[0] == "setting"}
    for setting, good in wanted.items():
        if found.get(setting, good) != good:
            problems.append(f"{name}: {setting} is {found[setting]}, must be {good}")
    if found.get("wal_log_hints") != "on" and found.get("data_checksums") != "on":
        problems.append(f"{name}: neither wal_log_hints nor checksums are on: no rewind possible")
    for kind, what, value in rows:
        if kind == "override" and value != "synchronous_commit=on":
            problems.append(f"{name}: {value} is set for {what}: its commits wait for no quorum")
        elif kind == "hba":
            problems.append(f"{name}: pg_hba.conf line {what} is not in force: {value}")
        elif kind == "slot":
            problems.append(f"{name}: slot {what} has lost its log: its voter must be cloned")
    return problems


def control_timeline(rows: list[Row]) -> Epoch | None:
    """The timeline of the last checkpoint, on which a rewind elsewhere has to wait."""
    return next((Epoch(int(row[2] or 0)) for row in rows if row[0] == "control"), None)
