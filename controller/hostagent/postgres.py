"""PostgreSQL's verbs of the host agent."""

from controller.hostagent import pg_closed, pg_rejoin, pg_server, progress, wal
from controller.hostagent.contract import Refused, Request, Verb, only_one

WAIT_S = 0.5
FENCE_WAIT_S = 2.0  # its own site may be closing it just now; of the three seconds a fence has


def _close(request: Request) -> dict[str, str]:
    """Every session was cut unanswered; the server is up again as a closed standby of nobody.

    With `epoch`, by another site in the name of that epoch: refused by a server that has seen a
    newer one, which is its timeline.
    """
    server = pg_server.server_of(request)
    if request.args.get("epoch") and server.wal_dir.exists():
        held = wal.holdings(path.name for path in server.wal_dir.iterdir())
        request.refuse_outdated(server.name, max(held.histories, default=1))
    stopped = pg_server.stop(server, at_once=True)
    pg_closed.prepare(server)
    state = pg_server.start(server, request.seconds("wait_s", 1.0))
    return {"state": state, "was_running": str(stopped).lower()}


def _restart(request: Request) -> dict[str, str]:
    """As `postgres-close`, of a server in recovery that is let save where it is."""
    server = pg_server.server_of(request)
    stopped = pg_server.stop(server, at_once=False)
    pg_closed.prepare(server)
    state = pg_server.start(server, request.seconds("wait_s", 1.0))
    return {"state": state, "was_running": str(stopped).lower()}


def _start(request: Request) -> dict[str, str]:
    """The server runs; if it was down, closed and as a standby of nobody."""
    server = pg_server.server_of(request)
    if pg_server.postmaster(server) is not None:
        return {"state": "running", "was_running": "true"}
    return _close(request)


def _stop(request: Request) -> dict[str, str]:
    """Every session was cut unanswered, and the server is down. For fencing."""
    server = pg_server.server_of(request)
    return {"was_running": str(pg_server.stop(server, at_once=True)).lower()}


def _prepare(request: Request) -> dict[str, str]:
    """Whatever starts the server next, it comes up closed. For a service manager."""
    server = pg_server.server_of(request)
    if pg_server.postmaster(server) is not None:
        raise Refused(f"{server.name} runs; its next start is prepared only while it is down")
    pg_server.stop(server, at_once=True)
    pg_closed.prepare(server)
    return {"state": "down"}


def _status(request: Request) -> dict[str, str]:
    """What can be said without asking the server."""
    server = pg_server.server_of(request)
    pid = pg_server.postmaster(server)
    rebuilding = pg_closed.rebuilding_mark(server).exists()
    found = {} if rebuilding else pg_closed.control(server)
    return {
        "pid": str(pid or ""),
        "cluster_state": found.get("Database cluster state", ""),
        "control_timeline": found.get("Latest checkpoint's TimeLineID", ""),
        "rebuilding": str(rebuilding).lower(),
        "discarded": " ".join(pg_rejoin.discarded_tails(server.gate_dir)),
    }


def _progress(request: Request) -> dict[str, str]:
    """How far a rejoin is that another call works on."""
    return progress.read(pg_server.server_of(request).gate_dir)


def _kill_receiver(request: Request) -> dict[str, str]:
    """The process that receives the log was asked to end; SQL cannot ask it to in PostgreSQL 15."""
    server = pg_server.server_of(request)
    return {"signalled": str(pg_server.end_receiver(server))}


def _alone(verb: Verb) -> Verb:
    def held(request: Request) -> dict[str, str]:
        server = pg_server.server_of(request)
        by_another = verb is _close and request.args.get("epoch")
        wait_s = FENCE_WAIT_S if by_another else WAIT_S
        with only_one(server.gate_dir / "agent.lock", server.name, wait_s=wait_s):
            return verb(request)

    return held


VERBS: dict[str, Verb] = {
    "postgres-close": _alone(_close),
    "postgres-restart": _alone(_restart),
    "postgres-start": _alone(_start),
    "postgres-stop": _alone(_stop),
    "postgres-prepare": _alone(_prepare),
    "postgres-rejoin": _alone(pg_rejoin.rejoin),
    "postgres-progress": _progress,
    "postgres-status": _status,
    "postgres-kill-receiver": _kill_receiver,
}
