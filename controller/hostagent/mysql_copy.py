"""Verbs that put a copy of another server in the place of this host's own data.

A MySQL server fetches the copy itself; for MariaDB `mysql_fetch` does it. Either lies beside the
data, and only a whole copy is put in place, by renaming, so that a call that is cut short leaves
the old data or the new. The logs of what is thrown away are kept aside.
"""

import json
import shutil
from pathlib import Path

from controller.hostagent import mysql_start
from controller.hostagent.contract import Failed, Refused, Request, sync_directory
from controller.hostagent.mysql_log import lacking, log_files, reach, scan, since_known, span
from controller.hostagent.mysql_server import Server, kill, locked, pids, server_of, sql
from controller.hostagent.progress import course

START_S = 60.0
KILL_S = 10.0
_LAST_COPIED = "mysql.ibd"


def room(request: Request) -> dict[str, str]:
    """There is an empty place for a copy, which the server may write to."""
    server = server_of(request)
    if server.kind != "mysql":
        raise Refused(f"{server.name} is {server.kind}: only MySQL copies itself")
    with locked(server):
        if not pids(server):
            raise Refused(f"{server.name} does not run: it cannot fetch a copy")
        if sql(server, "SELECT @@global.read_only") != [["1"]]:
            raise Refused(f"{server.name} is writable: it must be closed first")
        shutil.rmtree(server.copy_room, ignore_errors=True)
        server.copy_room.mkdir(mode=0o700)
        server.who.own(server.copy_room)
        return {"directory": str(server.fresh_data)}


def adopt(request: Request) -> dict[str, str]:
    """The copy is this server's data, and it runs, closed; its old logs are aside."""
    server = server_of(request)
    with locked(server), course(server.state_dir) as told:
        told.phase("put in place")
        copied = _whole(server, request)
        if pids(server) and sql(server, "SELECT @@global.read_only") != [["1"]]:
            raise Refused(f"{server.name} is writable: it must be closed first")
        kill(server, timeout_s=KILL_S)
        aside, dropped = _keep_logs(server, copied)
        shutil.rmtree(server.old_data, ignore_errors=True)
        server.data_dir.rename(server.old_data)
        server.fresh_data.rename(server.data_dir)
        sync_directory(server.data_dir.parent)
        told.phase("start")
        state = mysql_start.start(server, timeout_s=START_S)
        _check_log(server, copied)
        shutil.rmtree(server.copy_room, ignore_errors=True)
        return {"state": state, "aside": str(aside), "dropped": dropped}


def _whole(server: Server, request: Request) -> str:
    """The binlog state of the copy, "" for MySQL's; refused when it is not whole, or another."""
    if server.kind == "mysql":
        if not (server.fresh_data / _LAST_COPIED).is_file():
            raise Refused(f"{server.name}: no whole copy at {server.fresh_data}")
        return ""
    wanted = {"source": request.need("source"), "epoch": str(request.number("epoch"))}
    try:
        found = json.loads(server.whole_copy.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{server.name}: no whole copy at {server.fresh_data}") from None
    if {key: found[key] for key in wanted} != wanted:
        raise Refused(f"{server.name}: the copy at {server.fresh_data} is of {found}, not {wanted}")
    return str(found["state"])


def _keep_logs(server: Server, copied: str) -> tuple[Path, str]:
    """The logs with records that the copy has not are aside; where, and which records, if known."""
    aside = mysql_start.aside(server)
    aside.mkdir(mode=0o700)
    files, dropped = log_files(server.data_dir, server.binlog), ""
    if server.kind == "mariadb":
        files = since_known(files, copied)
        held, _ = mysql_start.read_tail(server)
        tail = scan(mysql_start.tail_files(server)).groups if held else []
        dropped = span(lacking([*scan(files).groups, *tail], copied))
    for path in files:
        mysql_start.copy_durably(path, aside / path.name)
    if server.tail.is_dir():
        server.tail.rename(aside / "tail")
        sync_directory(server.state_dir)
    sync_directory(aside)
    return aside, dropped


def _check_log(server: Server, copied: str) -> None:
    """The server has taken over which records its data hold."""
    found = sql(server, "SELECT @@global.gtid_binlog_state")[0][0] if copied else ""
    if reach(found) != reach(copied):
        raise Failed(f"{server.name} holds {copied}, but its log begins after {found or 'nothing'}")
