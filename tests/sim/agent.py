"""What the host agent does to a database server: close, start, rejoin. Steps of the host, not of
the daemon that asked.
"""

from contextlib import suppress

from controller.core.model import SiteName
from controller.ports import PortError, Refused, TimedOut
from tests.sim.engine import Steps
from tests.sim.server import Server

LOCK_WAIT_S = 0.5
CHECKPOINT_S = 0.4  # after a promotion, until the control file names the new timeline


def alone(server: Server, steps: Steps) -> Steps:
    """No other call of the agent works on the server meanwhile; its lock dies with the host."""
    host = server.world.hosts[server.site]
    until = server.engine.now + LOCK_WAIT_S
    while server.agent_life == host.life:
        if server.engine.now >= until:
            raise Refused(f"another call of the agent is working on {server.name}")
        yield 0.05
    server.agent_life = host.life
    try:
        yield from steps
    except PortError:
        server.agent_life = 0
        raise
    server.agent_life = 0


def close(server: Server) -> Steps:
    """Killed, whatever state it is in; restarted closed; up."""
    engine = server.engine
    yield engine.draw(0.02, 0.1)
    if not server.is_closed():
        server.close()
        yield engine.draw(0.05, 0.4)
    yield from start(server)


def start(server: Server) -> Steps:
    """A server that was down runs, closed."""
    engine = server.engine
    yield engine.draw(0.02, 0.2)
    if server.rebuilding:
        raise Refused(f"{server.name} at {server.site}: its files are half rebuilt")
    if server.disk.full:
        raise Refused(f"{server.name} at {server.site} cannot start: no space on its disk")
    if not server.process.alive:
        server.boot()
    while server.process.alive and not server.up:
        yield 0.05
    if not server.process.alive:
        raise TimedOut(f"{server.name} at {server.site} is not up")


def rejoin(server: Server, upstream: SiteName, epoch: int, *, fresh: bool = False) -> Steps:
    """Its log is a prefix of the primary's, or a copy made now, and it follows in quarantine."""
    engine, world = server.engine, server.world
    yield engine.draw(0.02, 0.15)
    primary = world.servers[server.name][upstream]
    _check_source(server, primary, epoch)
    if server.writable:
        raise Refused(f"{server.name} at {server.site} is writable: close it first")
    afresh = server.rebuilding
    if server.process.alive:
        server.unfollow()
        server.close()
    yield engine.draw(0.05, 0.2)
    if not afresh and (fresh or server.must_be_copied(primary)):
        yield engine.draw(0.5, 2.0)  # it is fetched beside the data
        _check_source(server, primary, epoch)
        server.become_copy_of(primary)
    elif afresh or not server.log.begins(primary.durable):
        server.rebuilding = True
        yield engine.draw(0.1, 1.0) + (1.0 if afresh else 0.0)
        try:
            _check_source(server, primary, epoch)
        except PortError:
            server.changed()
            raise
        if afresh:
            server.replace(primary.durable)
            server.diverged = ""
        else:
            server.make_prefix_of(primary)
        server.rebuilding = False
    server.boot()
    server.set_upstream(upstream, quarantine=True)  # as its files say from the start
    yield from start(server)
    patience = engine.now + engine.draw(0.05, 0.5)
    while engine.now < patience and server.stream is None:
        yield 0.02


def _check_source(server: Server, primary: Server, epoch: int) -> None:
    """The source is primary of `epoch`, and its control file says so."""
    if not server.world.reaches(server.site, primary):
        raise TimedOut(f"{primary.site} does not answer")
    if not primary.writable:
        raise Refused(f"{primary.site} is not a primary")
    young = server.engine.now < primary.promoted_at + CHECKPOINT_S
    if primary.opened_under != epoch or young:
        raise Refused(f"{primary.site} has its last checkpoint on another timeline than {epoch}")


def if_it_can(steps: Steps) -> Steps:
    """As far as nothing refuses."""
    with suppress(PortError):
        yield from steps
