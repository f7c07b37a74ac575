"""Verbs for a MariaDB or MySQL server of this host: database=NAME, and what the verb says."""

from controller.hostagent import mysql_copy, mysql_fetch, mysql_serve, mysql_start, progress
from controller.hostagent.contract import Failed, Refused, Request, Verb
from controller.hostagent.mysql_log import (
    Gtid,
    covers,
    position_text,
    reach,
    read_position,
    scan,
    span,
)
from controller.hostagent.mysql_server import Server, kill, locked, pids, replay, server_of, sql

START_S = 60.0
KILL_S = 10.0
ASK_S = 0.5  # of the three seconds a fence has
REPLAY_S = 30.0


def prepare(request: Request) -> dict[str, str]:
    """The server, which does not run, starts closed and whole whoever starts it next."""
    server = server_of(request)
    with locked(server):
        if pids(server):
            raise Refused(f"{server.name} runs: there is no start to prepare")
        return {"role": mysql_start.prepare(server)}


def finish(request: Request) -> dict[str, str]:
    """The server, started by somebody else after `prepare`, may be used."""
    server = server_of(request)
    with locked(server):
        return {"state": mysql_start.finish(server, timeout_s=START_S)}


def start(request: Request) -> dict[str, str]:
    """The server runs, closed; one that runs already is left as it is."""
    server = server_of(request)
    with locked(server):
        if pids(server):
            return {"state": mysql_start.finish(server, timeout_s=START_S)}
        return {"state": mysql_start.start(server, timeout_s=START_S)}


def close(request: Request) -> dict[str, str]:
    """Every session was cut without an answer, and the server runs again, closed.

    With `epoch`, by another site in the name of that epoch: refused by a server that has seen a
    newer one. A server that does not say what it has seen is closed.
    """
    server = server_of(request)
    with locked(server):
        if request.args.get("epoch") and pids(server):
            request.refuse_outdated(server.name, _newest_epoch(server))
        killed = kill(server, timeout_s=KILL_S)
        return {"killed": str(killed), "state": mysql_start.start(server, timeout_s=START_S)}


def _newest_epoch(server: Server) -> int:
    """The highest that its log has applied; 0 if it does not say at once."""
    try:
        rows = sql(server, "SELECT COALESCE(MAX(epoch), 0) FROM tricast.epoch", timeout_s=ASK_S)
    except Failed:
        return 0
    return int(rows[0][0])


def stop(request: Request) -> dict[str, str]:
    """The server does not run; its sessions got no answer."""
    server = server_of(request)
    with locked(server):
        return {"killed": str(kill(server, timeout_s=KILL_S))}


def settle(request: Request) -> dict[str, str]:
    """The saved tail is gone: what `keep` has of it stands in the log, the rest is aside.

    `keep` is "all", or the binlog state of the history that this server is going to follow.
    """
    server = server_of(request)
    keep = request.need("keep")
    with locked(server):
        held, _ = mysql_start.read_tail(server)
        if not held:
            _forget_tail(server)
            return {"restored": "", "dropped": ""}
        rows = sql(server, "SELECT @@global.rpl_semi_sync_master_enabled, @@global.read_only")
        if rows[0] != ["0", "1"]:
            raise Refused(f"{server.name} is writable, or waits for acknowledgements")
        missing = _missing(server)
        kept = missing if keep == "all" else _common(missing, keep)
        if kept:
            _restore(server, kept)
        dropped = missing[len(kept) :]
        at = mysql_start.drop_tail(server)
        _forget_tail(server)
        return {"restored": span(kept), "dropped": span(dropped), "aside": at}


def _missing(server: Server) -> list[Gtid]:
    """The transactions of the tail that the log does not have, in order."""
    end = read_position(mysql_start.own_end(server))
    found = scan(mysql_start.tail_files(server))
    return [gtid for gtid in found.groups if not covers(end, {gtid.domain: gtid})]


def _common(missing: list[Gtid], state: str) -> list[Gtid]:
    """The longest beginning of `missing` that the history with binlog state `state` has too."""
    reached = reach(state)
    for at, gtid in enumerate(missing):
        if reached.get((gtid.domain, gtid.server), 0) < gtid.number:
            return missing[:at]
    return missing


def _restore(server: Server, kept: list[Gtid]) -> None:
    end = mysql_start.own_end(server)
    begin = [f"--start-position={end}"] if end else []
    target = {gtid.domain: gtid for gtid in kept}
    names = [str(path) for path in mysql_start.tail_files(server)]
    stop_at = f"--stop-position={position_text(target)}"
    replay(server, [*begin, stop_at, *names], timeout_s=REPLAY_S)
    reached = read_position(mysql_start.own_end(server))
    if not covers(reached, target):
        raise Failed(f"{server.name} has its tail back only to {position_text(reached)}")


def _forget_tail(server: Server) -> None:
    change = "UPDATE tricast.start SET tail='', tail_epoch=0 WHERE id = 1"
    sql(server, f"SET sql_log_bin=0; {change}")


def status(request: Request) -> dict[str, str]:
    """Whether the server runs, and what is held for it."""
    server = server_of(request)
    found = pids(server)
    held, epoch = mysql_start.read_tail(server)
    return {
        "running": "yes" if found else "no",
        "pids": " ".join(str(pid) for pid in found),
        "tail": held,
        "tail_epoch": str(epoch),
    }


def how_far(request: Request) -> dict[str, str]:
    """How far a copy is that another call works on."""
    return progress.read(server_of(request).state_dir)


VERBS: dict[str, Verb] = {
    "mysql-prepare": prepare,
    "mysql-finish": finish,
    "mysql-start": start,
    "mysql-close": close,
    "mysql-stop": stop,
    "mysql-settle": settle,
    "mysql-room": mysql_copy.room,
    "mysql-serve": mysql_serve.serve,
    "mysql-fetch": mysql_fetch.fetch,
    "mysql-adopt": mysql_copy.adopt,
    "mysql-progress": how_far,
    "mysql-status": status,
}
