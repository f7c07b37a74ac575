"""How a MariaDB or MySQL server is started so that it forgets nothing and lets nobody in.

Two things would be lost by a plain start. A replica throws relay logs away when replication is
configured anew; so what they hold beyond the server's own log is replayed first. And a primary
that fell has transactions at its end of which clients may or may not have been told: recovered as
a primary it would show them all, which no other history may have; recovered as a replica it cuts
them, even some that were acknowledged. So the end of its log is saved before it is cut, counts as
held, and is put back, or dropped, when it is known which of it the next history has.
"""

import json
import os
import shutil
from pathlib import Path

from controller.hostagent.contract import Failed, sync_directory, write_file
from controller.hostagent.mysql_log import (
    LogScan,
    covers,
    log_files,
    position_text,
    read_position,
    scan,
)
from controller.hostagent.mysql_server import (
    Server,
    kill,
    replay,
    spawn,
    sql,
    wait_until_up,
)

KEEP_DISCARDED = 5
_STARTED = (
    "INSERT INTO tricast.start (id, pending, tail, tail_epoch, diverged)"
    " VALUES (1, 1, '{tail}', {epoch}, '')"
    " ON DUPLICATE KEY UPDATE pending=1, tail='{tail}', tail_epoch={epoch};"
)
_FINISHED = "SET sql_log_bin=0; UPDATE tricast.start SET pending=0{tail} WHERE id = 1"
_LOCK_ALL = (
    "BEGIN NOT ATOMIC FOR a IN (SELECT user, host FROM mysql.global_priv"
    " WHERE JSON_VALUE(priv, '$.is_role') IS NULL AND user <> 'PUBLIC'"
    " AND COALESCE(JSON_VALUE(priv, '$.account_locked'), 0) NOT IN ('1', 'true')"
    " AND user NOT IN ({exempt}) AND LEFT(user, 7) <> 'rejoin_'{voters}) DO"
    " BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
    " IF LEFT(a.user, 6) <> 'voter_' THEN"
    " INSERT IGNORE INTO tricast.gated (user, host) VALUES (a.user, a.host); END IF;"
    " EXECUTE IMMEDIATE CONCAT('ALTER USER ', QUOTE(a.user), '@', QUOTE(a.host),"
    " ' ACCOUNT LOCK'); END; END FOR; END;"
)
_OPEN_MYSQL = (
    "FROM mysql.user WHERE account_locked = 'N' AND user NOT IN ({exempt})"
    " AND LEFT(user, 7) <> 'rejoin_'"
    " AND user NOT IN (SELECT from_user FROM mysql.role_edges)"
)
# A statement that fails ends the file, and the server starts all the same: so locking comes first,
# and what needs our own tables last. There are no compound statements; the list of accounts becomes
# one prepared statement.
_LOCK_ALL_MYSQL = (
    "SET SESSION group_concat_max_len = 16777216;",
    "SET @clients = (SELECT JSON_ARRAYAGG(JSON_ARRAY(user, host)) {open}"
    " AND LEFT(user, 6) <> 'voter_');",
    "SET @accounts = (SELECT GROUP_CONCAT(QUOTE(user), '@', QUOTE(host)) {open}{voters});",
    "SET @lock_all = IFNULL(CONCAT('ALTER USER ', @accounts, ' ACCOUNT LOCK'), 'DO 0');",
    "PREPARE lock_all FROM @lock_all;",
    "EXECUTE lock_all;",
    "INSERT IGNORE INTO tricast.gated (user, host) SELECT user, host FROM JSON_TABLE(@clients,"
    " '$[*]' COLUMNS (user VARCHAR(128) PATH '$[0]', host VARCHAR(255) PATH '$[1]')) AS clients;",
)
_NOT_VOTERS = " AND LEFT(user, 6) <> 'voter_'"
_SYSTEM = ("root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema")


def prepare(server: Server) -> str:
    """The next start is closed, and what it could lose is saved. Answers the recovery role."""
    server.state_dir.mkdir(parents=True, exist_ok=True)
    server.who.own(server.state_dir)
    if not server.data_dir.exists() and server.old_data.is_dir():
        server.old_data.rename(server.data_dir)  # a copy was being put in its place
    if server.kind == "mysql":
        # It would take any process that has the dead one's number by now for its owner.
        Path(f"{server.socket}.lock").unlink(missing_ok=True)
    _save_relay_logs(server)
    role = _save_tail(server) if server.kind == "mariadb" else ""
    write_file(server.init_file, _closed_sql(server), server.who)
    set_role(server, role)
    return role


def set_role(server: Server, role: str) -> None:
    """The option file that the server's own includes says how it recovers from a crash."""
    mariadb = server.kind == "mariadb"
    group, follower = ("mariadbd", "slave") if mariadb else ("mysqld", "replica")
    lines = [f"[{group}]", f"init-file={server.init_file}", "read-only=1"]
    lines.append(f"skip-{follower}-start=1")
    if role:
        lines.append(f"init-rpl-role={role}")
    write_file(server.start_file, "\n".join(lines) + "\n", server.who, mode=0o644)


def _save_relay_logs(server: Server) -> None:
    shutil.rmtree(server.salvage, ignore_errors=True)
    files = log_files(server.data_dir, server.relay)
    if not files:
        return
    server.salvage.mkdir(mode=0o700)
    for path in files:
        _link_or_copy(path, server.salvage / path.name)
    sync_directory(server.salvage)


def _link_or_copy(path: Path, target: Path) -> None:
    """A second name for a file that nobody writes any more, or a copy on another file system."""
    try:
        os.link(path, target)
    except OSError:
        copy_durably(path, target)


def copy_durably(path: Path, target: Path) -> None:
    """`target` holds what `path` does, on the disk."""
    shutil.copyfile(path, target)
    with target.open("rb") as copied:
        os.fsync(copied.fileno())


def _save_tail(server: Server) -> str:
    """The end of the own log is saved if recovery may cut it; only then may it be cut."""
    files = log_files(server.data_dir, server.binlog)
    if not files or not server.eligible:
        return "MASTER"
    last = scan(files[-1:])
    held, _ = read_tail(server)
    if held and not covers(last.end, read_position(held)):
        return "MASTER"  # What an earlier start cut is still held; nothing was written since.
    if not last.in_use or not _wrote_last(last):
        drop_tail(server)
        return "MASTER"
    names = [path.name for path in files]
    since = names.index(last.checkpoint) if last.checkpoint in names else 0
    _write_tail(server, files[since:])
    return "SLAVE"


def _wrote_last(found: LogScan) -> bool:
    """Only a server that was primary wrote the last record of its log itself."""
    return found.last_writer == found.server_id


def _write_tail(server: Server, files: list[Path]) -> None:
    fresh = server.state_dir / "tail.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    for path in files:
        copy_durably(path, fresh / path.name)
    found = scan(sorted(fresh.iterdir()))
    note = {"end": position_text(found.end), "epoch": found.epoch}
    (fresh / "tail.json").write_text(json.dumps(note), encoding="utf-8")
    sync_directory(fresh)
    drop_tail(server)
    fresh.rename(server.tail)
    sync_directory(server.state_dir)


def read_tail(server: Server) -> tuple[str, int]:
    """Where the saved tail ends, and the last epoch written in it; "" for no tail."""
    try:
        note = json.loads((server.tail / "tail.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "", 0
    return str(note["end"]), int(note["epoch"])


def tail_files(server: Server) -> list[Path]:
    """The saved log files, oldest first."""
    return sorted(path for path in server.tail.iterdir() if path.name != "tail.json")


def drop_tail(server: Server) -> str:
    """No tail is held. The newest few are kept aside for whoever wants to look: where, if any."""
    if not server.tail.is_dir():
        return ""
    kept = aside(server)
    server.tail.rename(kept)
    sync_directory(server.state_dir)
    return str(kept)


def aside(server: Server) -> Path:
    """A new name among what was discarded, of which only the newest few are kept."""
    discarded = server.state_dir / "discarded"
    discarded.mkdir(mode=0o700, exist_ok=True)
    kept = sorted(int(path.name) for path in discarded.iterdir() if path.name.isdigit())
    for number in kept[: len(kept) + 1 - KEEP_DISCARDED]:
        shutil.rmtree(discarded / str(number), ignore_errors=True)
    return discarded / str(kept[-1] + 1 if kept else 1)


def _closed_sql(server: Server) -> str:
    """Run by the server before its first connection. One line is one statement."""
    tail, epoch = read_tail(server) if server.kind == "mariadb" else ("", 0)
    note = _STARTED.format(tail=tail, epoch=epoch)
    exempt = ", ".join(f"'{name}'" for name in (*_SYSTEM, *server.exempt))
    voters = "" if server.eligible else _NOT_VOTERS
    if server.kind == "mysql":
        chosen = _OPEN_MYSQL.format(exempt=exempt)
        lines = [*(line.format(open=chosen, voters=voters) for line in _LOCK_ALL_MYSQL), note]
    else:
        # A statement that fails ends the file, and then nobody would be locked out.
        handler = "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
        guarded = f"BEGIN NOT ATOMIC {handler} {note} END;"
        lines = [guarded, _LOCK_ALL.format(exempt=exempt, voters=voters)]
    return "\n".join(["SET sql_log_bin=0;", *lines]) + "\n"


def start(server: Server, *, timeout_s: float) -> str:
    """A prepared server runs; answers whether its log was cut on the way."""
    role = prepare(server)
    if not wait_until_up(server, spawn(server), timeout_s=timeout_s):
        if role != "SLAVE":
            raise Failed(f"{server.name} ended while it was starting; see {server.log}")
        # A tail with a statement that cannot be undone (DDL) is not cut: the server refuses to
        # start as a replica, and then has to keep all of it.
        set_role(server, "MASTER")
        if not wait_until_up(server, spawn(server), timeout_s=timeout_s):
            kill(server, timeout_s=timeout_s)
            raise Failed(f"{server.name} ended while it was starting; see {server.log}")
    if _pending(server) != "1":
        kill(server, timeout_s=timeout_s)
        raise Failed(f"{server.name} started, but its init-file did not; see {server.log}")
    return finish(server, timeout_s=timeout_s)


def _pending(server: Server) -> str:
    found = sql(server, "SELECT pending FROM tricast.start WHERE id = 1")
    if not found:
        raise Failed(f"{server.name} has no row in tricast.start: did its init-file run?")
    return found[0][0]


def finish(server: Server, *, timeout_s: float) -> str:
    """What the start saved has been put back where it belongs, and the server may be used."""
    if not wait_until_up(server, None, timeout_s=timeout_s):
        raise Failed(f"{server.name} does not run")
    pending = _pending(server)
    if server.kind == "mariadb":
        set_role(server, "MASTER")
    if pending == "0":
        return "ready before"
    _replay_relay_logs(server, timeout_s=timeout_s)
    adopt = "SET GLOBAL gtid_slave_pos=@@global.gtid_binlog_pos; RESET SLAVE ALL"
    sql(server, "RESET REPLICA ALL" if server.kind == "mysql" else adopt)
    cut = _tail_still_missing(server)
    tail = "" if cut else ", tail='', tail_epoch=0"
    sql(server, _FINISHED.format(tail=tail))
    shutil.rmtree(server.salvage, ignore_errors=True)
    return f"log cut, tail kept up to {cut}" if cut else "ready"


def own_end(server: Server) -> str:
    """Where the server's own log ends."""
    return sql(server, "SELECT @@global.gtid_binlog_pos")[0][0]


def _tail_still_missing(server: Server) -> str:
    if server.kind != "mariadb":
        return ""
    held, _ = read_tail(server)
    if held and covers(read_position(own_end(server)), read_position(held)):
        drop_tail(server)
        return ""
    return held


def _replay_relay_logs(server: Server, *, timeout_s: float) -> None:
    if not server.salvage.is_dir():
        _save_relay_logs(server)
    files = sorted(server.salvage.iterdir()) if server.salvage.is_dir() else []
    if not files:
        return
    names = [str(path) for path in files]
    if server.kind == "mysql":
        executed = sql(server, "SELECT @@global.gtid_executed")[0][0].replace("\\n", "")
        known = [f"--exclude-gtids={executed}"] if executed else []
        replay(server, [*known, *names], timeout_s=timeout_s)
        return
    end = own_end(server)
    if covers(read_position(end), scan(files).end):
        return
    begin = [f"--start-position={end}"] if end else []
    replay(server, [*begin, *names], timeout_s=timeout_s)
