"""Verbs that put a copy of another MySQL server in the place of this host's own data.

The server itself fetches the copy, beside its data; only a whole copy is put in place, by renaming,
so that a call that is cut short leaves the old data or the new. The logs of what is thrown away are
kept aside.
"""

import shutil
from pathlib import Path

from controller.hostagent import mysql_start
from controller.hostagent.contract import Refused, Request, sync_directory
from controller.hostagent.mysql_log import log_files
from controller.hostagent.mysql_server import Server, kill, locked, pids, server_of, sql

START_S = 60.0
KILL_S = 10.0
_LAST_COPIED = "mysql.ibd"


def room(request: Request) -> dict[str, str]:
    """There is an empty place for a copy, which the server may write to."""
    server = _copied(request)
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
    server = _copied(request)
    with locked(server):
        if not (server.fresh_data / _LAST_COPIED).is_file():
            raise Refused(f"{server.name}: no whole copy at {server.fresh_data}")
        kill(server, timeout_s=KILL_S)
        aside = _keep_logs(server)
        shutil.rmtree(server.old_data, ignore_errors=True)
        server.data_dir.rename(server.old_data)
        server.fresh_data.rename(server.data_dir)
        sync_directory(server.data_dir.parent)
        state = mysql_start.start(server, timeout_s=START_S)
        shutil.rmtree(server.copy_room, ignore_errors=True)
        return {"state": state, "aside": str(aside)}


def _copied(request: Request) -> Server:
    server = server_of(request)
    if server.kind != "mysql":
        raise Refused(f"{server.name} is {server.kind}: only MySQL copies itself")
    return server


def _keep_logs(server: Server) -> Path:
    aside = mysql_start.aside(server)
    aside.mkdir(mode=0o700)
    for path in log_files(server.data_dir, server.binlog):
        shutil.copy2(path, aside / path.name)
    sync_directory(aside)
    return aside
