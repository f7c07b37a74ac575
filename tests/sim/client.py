"""Clients: each behind one provider, writing, timing out, retrying under the same key, reading.

While nothing happens for a while they write seldom; shortly before a fault, and from anything that
happens on, at their full pace.

A request goes where the provider's routes lead, then where that site's haproxy sends it, to an app
that uses the databases of its own site. A retry whose key is found committed is answered at once,
as applications with idempotency keys do; one whose key still waits waits with it.
"""

from typing import TYPE_CHECKING

from controller.core.model import ServiceName, SiteName
from tests.sim import truth
from tests.sim.network import Traffic

if TYPE_CHECKING:
    from tests.sim.world import World

TIMEOUT_S = 1.5
RETRIES = 4
READS = 0.25  # of the answered writes, so many are read back


class Attempt:
    """One request under way."""

    __slots__ = ("counted", "entry", "left", "number", "over", "site")

    def __init__(self, number: int, left: int) -> None:
        self.number, self.left = number, left
        self.entry: SiteName | None = None
        self.site: SiteName | None = None
        self.over = self.counted = False


class Client:
    """One client of one service."""

    def __init__(self, world: "World", service: ServiceName, provider: str, pace_s: float) -> None:
        self._world, self._service, self._provider = world, service, provider
        self._engine, self._pace_s = world.engine, pace_s
        self.name = f"{service} client at {provider}"
        self.stopped = False
        self.timeout_s = TIMEOUT_S
        self._due = 0.0
        self._write_in(self._engine.draw(0.5, 1.0 + pace_s))

    def stir(self) -> None:
        """Something is about to happen: the next write comes at full pace."""
        if self._due > self._engine.now + self._pace_s:
            self._write_in(self._pace_s * self._engine.dice.random())

    def _write_in(self, seconds: float) -> None:
        self._due = self._engine.now + seconds
        self._engine.after(seconds, self._write_next, self._due)

    def _write_next(self, due: float) -> None:
        if self.stopped or due != self._due:
            return
        self._world.writes += 1
        self._try(self._world.writes, RETRIES)

    def _try(self, number: int, left: int) -> None:
        now = self._engine.now
        self._world.tell(truth.WriteAsked(now, self._service, self.name, number))
        attempt = Attempt(number, left)
        self._engine.after(self.timeout_s, self._timed_out, attempt)
        entry = self._world.table(self._provider).entry(self._service)
        attempt.entry = entry
        if entry is None or not self._world.network.internet(entry):
            return
        self._engine.after(self._engine.draw(0.002, 0.01), self._at_balancer, attempt)

    def _at_balancer(self, attempt: Attempt) -> None:
        if attempt.over:
            return
        entry = attempt.entry
        assert entry is not None
        balancer = self._world.balancers[entry]
        if not balancer.process.alive:
            self._told(attempt, ok=False)
        elif balancer.answers:
            waiting = balancer.held.get(self._service)
            if waiting is not None:
                waiting.append(lambda: self._at_balancer(attempt))
                return
            if not attempt.counted:
                attempt.counted = True
                balancer.count(self._service, 1)
            to = balancer.directed[self._service]
            attempt.site = to
            if to is None:
                self._told(attempt, ok=False)
            elif self._world.network.path(entry, to, Traffic.DATA):
                delay = self._world.network.delay(entry, to)
                self._engine.after(delay, self._at_app, attempt)

    def _at_app(self, attempt: Attempt) -> None:
        world, site, service = self._world, attempt.site, self._service
        assert site is not None
        if not world.apps_up[site, service]:
            self._told(attempt, ok=False)
            return
        databases = world.specs[service].databases
        if not databases:
            world.lease_served(service, site)
            self._engine.after(0.001, self._answered, attempt)
            return
        missing = set(databases)
        for name in databases:
            server = world.servers[name][site]
            if not server.process.alive or not server.gate_open:
                self._told(attempt, ok=False)
                return
            if not server.up:
                return  # no answer: the client's patience ends it

            def done(committed: bool, name: str = name) -> None:
                missing.discard(name)
                if not committed:
                    missing.add("never")  # type: ignore[arg-type]
                if not missing:
                    self._engine.after(0.001, self._answered, attempt)

            if server.sees(attempt.number):
                if attempt.number not in server.cancelled:
                    done(committed=True)
            elif not server.commit(attempt.number, done):
                self._told(attempt, ok=False)
                return

    def _answered(self, attempt: Attempt) -> None:
        """The answer goes back the way the request came."""
        world, entry, site = self._world, attempt.entry, attempt.site
        assert entry is not None
        assert site is not None
        if (
            world.balancers[entry].answers
            and world.network.path(entry, site, Traffic.DATA)
            and world.network.internet(entry)
        ):
            self._told(attempt, ok=True)

    def _timed_out(self, attempt: Attempt) -> None:
        self._told(attempt, ok=False)

    def _told(self, attempt: Attempt, *, ok: bool) -> None:
        if attempt.over:
            return
        attempt.over = True
        if attempt.counted and attempt.entry is not None:
            self._world.balancers[attempt.entry].count(self._service, -1)
        engine, world = self._engine, self._world
        world.tell(
            truth.ClientTold(
                engine.now,
                self._service,
                self.name,
                attempt.number,
                ok,
                attempt.entry,
                attempt.site,
            )
        )
        lively = world.lively
        reads = READS if lively else 2 * READS
        if ok and world.specs[self._service].databases and engine.chance(reads):
            engine.after(engine.draw(0.001, 0.5), self._read, attempt.number)
        if not ok and attempt.left:
            engine.after(engine.draw(0.05, 0.6), self._try, attempt.number, attempt.left - 1)
        else:
            pace_s = self._pace_s if lively else world.shape.calm * self._pace_s
            self._write_in(pace_s * engine.draw(0.5, 1.5))

    def _read(self, number: int) -> None:
        """Reads one write back through the address; no answer is no read."""
        world = self._world
        asked = self._engine.now
        entry = world.table(self._provider).entry(self._service)
        if entry is None or not world.network.internet(entry):
            return
        balancer = world.balancers[entry]
        to = balancer.directed[self._service] if balancer.answers else None
        if to is None or not world.network.path(entry, to, Traffic.DATA):
            return
        if not world.apps_up[to, self._service]:
            return
        for name in world.specs[self._service].databases:
            server = world.servers[name][to]
            if server.up and server.gate_open and server.writable:
                world.tell(
                    truth.ClientRead(
                        self._engine.now,
                        self._service,
                        name,
                        self.name,
                        number,
                        server.sees(number),
                        asked,
                        to,
                    )
                )
