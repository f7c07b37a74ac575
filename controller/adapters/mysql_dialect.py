"""What MariaDB and MySQL call the same things: one table of words per dialect, no behaviour.

MariaDB 10.11 and MySQL 9.7 are what the contract tests run; the MySQL words are those of 8.4 and 9,
which have dropped the old replication statements altogether.
"""

from dataclasses import dataclass
from typing import Final

from controller.core.model import DatabaseKind
from controller.core.position import LogFormat

EPOCH_INSERT: Final = "INSERT INTO tricast.epoch (epoch, holder) VALUES ({epoch:d}, {holder})"
# Our login may write on a read-only server, so the statement itself looks whether it is one: a
# write of ours on a closed server would be a record that no other history has.
CANARY_BEGINS: Final = "INSERT INTO tricast.canary "
CANARY: Final = (
    "INSERT INTO tricast.canary (site, token)"
    " SELECT {site}, {token} FROM DUAL WHERE @@global.read_only = 0"
    " ON DUPLICATE KEY UPDATE token = {token}, at = CURRENT_TIMESTAMP(3)"
)
WRITTEN: Final = "SELECT ROW_COUNT() AS written"
NOTE_DIVERGED: Final = "UPDATE tricast.start SET diverged={reason} WHERE id=1"
NOTE_LEVEL: Final = "UPDATE tricast.start SET level={level} WHERE id=1"
NOTE_GATED: Final = "INSERT IGNORE INTO tricast.gated (user, host) VALUES ({user}, {host})"
FORGET_GATED: Final = "DELETE FROM tricast.gated WHERE user={user} AND host={host}"
# What stands in the log from here on stands in a file of its own, however long the last one was.
NEW_FILE: Final = "FLUSH NO_WRITE_TO_BINLOG BINARY LOGS"
FOREVER_MS: Final = 4294967295  # 49.7 days, the longest wait MariaDB accepts


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusColumns:
    """Columns of the replica status row."""

    host: str
    port: str
    user: str
    receiver: str
    applier: str
    received: str
    read_file: str
    read_offset: str
    done_file: str
    done_offset: str
    applier_state: str
    by_gtid: str  # No: by file and offset; MySQL: Auto_Position
    relay_file: str = "Relay_Log_File"
    relay_offset: str = "Relay_Log_Pos"
    receiver_errno: str = "Last_IO_Errno"
    receiver_error: str = "Last_IO_Error"
    applier_errno: str = "Last_SQL_Errno"
    applier_error: str = "Last_SQL_Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The statements of one dialect. `{...}` is filled with quoted literals only."""

    kind: DatabaseKind
    format: LogFormat
    log_end: str
    log_owned: str  # what the log may hold beyond `log_end`: GTIDs of sessions that commit
    log_state: str
    replica_status: str
    columns: StatusColumns
    start: str
    start_until: str
    stop: str
    stop_receiver: str
    appliers: str  # sessions to kill, where one cut inside a transaction does not stop; "": it does
    forget_source: str
    change_source: str
    change_source_exact: str  # from a file and offset on
    change_to_exact: str  # the same source, from there on
    gtids_at: str  # which GTIDs stand before a file and offset of the source; "": it cannot say
    log_place: str  # file and offset of the source's own end, where it cannot say that
    tells_received: bool  # which GTIDs were received is told, also when it asks by file and offset
    kill_client: str  # cuts a session off without ending its wait, where that can be had
    history_differs: tuple[str, ...]  # how a source refuses a log that its own does not continue
    copies_itself: bool  # a server can make itself a copy of another, while both run
    adopt_own_log: tuple[str, ...]  # replication goes on where this server's own log ends
    wait_applied: str  # arguments: GTIDs, seconds; one row, 0 when they were applied in time
    replica_side: str  # variable: this server acknowledges as a replica
    source_side: str  # variable: commits here wait for an acknowledgement
    source_settings: tuple[tuple[str, str, str], ...]  # variable, literal to set, value read back
    durable_settings: tuple[tuple[str, str, str], ...]
    replica_settings: tuple[tuple[str, str], ...]
    open_writes: tuple[str, ...]
    read_only: str
    waiting: str  # how the state of the session begins whose commit waits first in line
    queued: tuple[str, ...]  # states of sessions whose commits wait behind it
    source_status: str
    source_clients: str
    source_waiting: str
    counters: str
    accounts: str  # user, host, locked
    sessions: str  # id, user, host, command, state, info


_MARIADB_SOURCE: Final = (
    "CHANGE MASTER TO MASTER_HOST={host}, MASTER_PORT={port}, MASTER_USER={user}, "
    "MASTER_PASSWORD={password}, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1"
)
_MARIADB_EXACT: Final = "MASTER_LOG_FILE={file}, MASTER_LOG_POS={offset}, MASTER_USE_GTID=no"
_MYSQL_SOURCE: Final = (
    "CHANGE REPLICATION SOURCE TO SOURCE_HOST={host}, SOURCE_PORT={port}, SOURCE_USER={user}, "
    "SOURCE_PASSWORD={password}, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=0, "
    "SOURCE_HEARTBEAT_PERIOD=1, GET_SOURCE_PUBLIC_KEY=1"
)
_MYSQL_EXACT: Final = "SOURCE_AUTO_POSITION=0, SOURCE_LOG_FILE={file}, SOURCE_LOG_POS={offset}"

MARIADB: Final = Dialect(
    kind=DatabaseKind.MARIADB,
    format=LogFormat.MARIADB_GTID,
    log_end="@@global.gtid_binlog_pos",
    log_owned="''",
    log_state="@@global.gtid_binlog_state",
    replica_status="SHOW SLAVE STATUS",
    columns=StatusColumns(
        host="Master_Host",
        port="Master_Port",
        user="Master_User",
        receiver="Slave_IO_Running",
        applier="Slave_SQL_Running",
        received="Gtid_IO_Pos",
        read_file="Master_Log_File",
        read_offset="Read_Master_Log_Pos",
        done_file="Relay_Master_Log_File",
        done_offset="Exec_Master_Log_Pos",
        applier_state="Slave_SQL_Running_State",
        by_gtid="Using_Gtid",
    ),
    start="START SLAVE",
    start_until="START SLAVE UNTIL master_gtid_pos={target}",
    stop="STOP SLAVE",
    stop_receiver="STOP SLAVE IO_THREAD",
    appliers="",
    forget_source="RESET SLAVE ALL",
    change_source=f"{_MARIADB_SOURCE}, MASTER_USE_GTID=slave_pos",
    # Two commits at most get into the log while the first of them waits. A voter that has received
    # both, and whose acknowledgements were lost, is sent nothing more that it could acknowledge:
    # asking by GTID it would leave them waiting for ever. Asking by file and offset says at the
    # same time what it has, and that counts as its acknowledgement.
    change_source_exact=f"{_MARIADB_SOURCE}, {_MARIADB_EXACT}",
    change_to_exact=f"CHANGE MASTER TO {_MARIADB_EXACT}",
    gtids_at="SELECT BINLOG_GTID_POS({file}, {offset}) AS gtids",
    log_place="",
    tells_received=False,
    # Killed the hard way, the first of a group of commits would end the wait of all the others,
    # and they would answer OK.
    kill_client="KILL SOFT CONNECTION {id:d}",
    history_differs=("not in the master's binlog", "required binlog files have been purged"),
    copies_itself=False,
    adopt_own_log=("SET GLOBAL gtid_slave_pos=@@global.gtid_binlog_pos",),
    wait_applied="SELECT MASTER_GTID_WAIT({target}, {seconds}) AS late",
    replica_side="rpl_semi_sync_slave_enabled",
    source_side="rpl_semi_sync_master_enabled",
    source_settings=(
        ("rpl_semi_sync_master_timeout", str(FOREVER_MS), str(FOREVER_MS)),
        ("rpl_semi_sync_master_wait_point", "'AFTER_SYNC'", "AFTER_SYNC"),
        ("rpl_semi_sync_master_wait_no_slave", "1", "1"),
    ),
    durable_settings=(
        ("sync_binlog", "1", "1"),
        ("innodb_flush_log_at_trx_commit", "1", "1"),
        ("gtid_strict_mode", "1", "1"),
        ("binlog_annotate_row_events", "1", "1"),
    ),
    replica_settings=(("sync_relay_log", "1"), ("log_slave_updates", "1")),
    open_writes=("SET GLOBAL read_only=0",),
    read_only="@@global.read_only",
    waiting="Waiting for semi-sync ACK",
    queued=("Commit", "Writing to binlog", "Waiting for prior transaction to commit"),
    source_status="Rpl_semi_sync_master_status",
    source_clients="Rpl_semi_sync_master_clients",
    source_waiting="Rpl_semi_sync_master_wait_sessions",
    counters="SHOW GLOBAL STATUS LIKE 'Rpl\\_semi\\_sync\\_master\\_%'",
    accounts=(
        "SELECT user, host, COALESCE(JSON_VALUE(priv, '$.account_locked'), 0) IN ('1', 'true')"
        " AS locked FROM mysql.global_priv"
        " WHERE JSON_VALUE(priv, '$.is_role') IS NULL AND user <> 'PUBLIC'"
    ),
    sessions=(
        "SELECT id, user, host, command, state, info FROM information_schema.processlist"
        " WHERE id <> connection_id()"
    ),
)

MYSQL: Final = Dialect(
    kind=DatabaseKind.MYSQL,
    format=LogFormat.MYSQL_GTID,
    # A commit that waits for its acknowledgement stands in the log and is not executed yet.
    log_end="@@global.gtid_executed",
    log_owned="@@global.gtid_owned",
    log_state="@@global.gtid_executed",
    replica_status="SHOW REPLICA STATUS",
    columns=StatusColumns(
        host="Source_Host",
        port="Source_Port",
        user="Source_User",
        receiver="Replica_IO_Running",
        applier="Replica_SQL_Running",
        received="Retrieved_Gtid_Set",
        read_file="Source_Log_File",
        read_offset="Read_Source_Log_Pos",
        done_file="Relay_Source_Log_File",
        done_offset="Exec_Source_Log_Pos",
        applier_state="Replica_SQL_Running_State",
        by_gtid="Auto_Position",
    ),
    start="START REPLICA",
    start_until="START REPLICA UNTIL SQL_AFTER_GTIDS={target}",
    stop="STOP REPLICA",
    stop_receiver="STOP REPLICA IO_THREAD",
    # Told to stop, it waits for the rest, which a primary that is gone never sends.
    appliers=(
        "SELECT processlist_id AS id FROM performance_schema.threads"
        " WHERE name = 'thread/sql/replica_sql' AND processlist_id IS NOT NULL"
    ),
    forget_source="RESET REPLICA ALL",
    change_source=f"{_MYSQL_SOURCE}, SOURCE_AUTO_POSITION=1",
    # As in MariaDB, what a dump by GTID leaves out because the voter has it counts for nothing.
    # What is sent twice is acknowledged and left out by its GTID: the place must not be too late.
    change_source_exact=f"{_MYSQL_SOURCE}, {_MYSQL_EXACT}",
    change_to_exact=f"CHANGE REPLICATION SOURCE TO {_MYSQL_EXACT}",
    gtids_at="",
    log_place="SHOW BINARY LOG STATUS",
    tells_received=True,
    kill_client="KILL CONNECTION {id:d}",
    history_differs=("more GTIDs than the source has", "purged required binary logs"),
    copies_itself=True,
    adopt_own_log=(),
    wait_applied="SELECT WAIT_FOR_EXECUTED_GTID_SET({target}, {seconds}) AS late",
    replica_side="rpl_semi_sync_replica_enabled",
    source_side="rpl_semi_sync_source_enabled",
    source_settings=(
        ("rpl_semi_sync_source_timeout", str(FOREVER_MS), str(FOREVER_MS)),
        ("rpl_semi_sync_source_wait_no_replica", "1", "1"),
        ("rpl_semi_sync_source_wait_for_replica_count", "1", "1"),
    ),
    durable_settings=(
        ("sync_binlog", "1", "1"),
        ("innodb_flush_log_at_trx_commit", "1", "1"),
    ),
    replica_settings=(
        ("rpl_semi_sync_source_wait_point", "AFTER_SYNC"),
        ("sync_relay_log", "1"),
        ("log_replica_updates", "1"),
        ("gtid_mode", "ON"),
        ("replica_preserve_commit_order", "1"),
    ),
    # Closed is read_only, not super_read_only: what a start found is noted on a closed server.
    open_writes=("SET GLOBAL super_read_only=0", "SET GLOBAL read_only=0"),
    read_only="@@global.read_only",
    waiting="Waiting for semi-sync ACK",
    queued=("waiting for handler commit",),
    source_status="Rpl_semi_sync_source_status",
    source_clients="Rpl_semi_sync_source_clients",
    source_waiting="Rpl_semi_sync_source_wait_sessions",
    counters="SHOW GLOBAL STATUS LIKE 'Rpl\\_semi\\_sync\\_source\\_%'",
    accounts=(
        "SELECT user, host, account_locked = 'Y' AS locked FROM mysql.user"
        " WHERE user NOT IN (SELECT from_user FROM mysql.role_edges)"
    ),
    sessions=(
        "SELECT id, user, host, command, state, info FROM performance_schema.processlist"
        " WHERE id <> connection_id()"
    ),
)

DIALECTS: Final = {DatabaseKind.MARIADB: MARIADB, DatabaseKind.MYSQL: MYSQL}
