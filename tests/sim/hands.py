"""What a daemon's intents do, each a generator: pieces of time between pieces of effect.

SQL is done by the server's own process: late if it is frozen, never if it dies. What the host agent
does goes on without whoever asked. An error is raised as the adapters raise it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from bgp.permit import Wish
from bgp.policy import Stance
from controller.core import intents as ask
from controller.core.alone import FORCED
from controller.core.intents import Intent
from controller.core.model import (
    Closing,
    DatabaseKind,
    DatabaseName,
    Epoch,
    EpochRecord,
    SiteName,
)
from controller.core.position import Position, holds
from controller.core.raising import raised, rewritten
from controller.core.wire import decode_epoch, encode_epoch
from controller.ports import PortError, Refused, TimedOut, Unreachable
from tests.sim import agent
from tests.sim.engine import Process, Signal, Steps
from tests.sim.keeper import Keeper
from tests.sim.network import Traffic
from tests.sim.requests import Desk
from tests.sim.server import Server
from tests.sim.store import LOST

if TYPE_CHECKING:
    from tests.sim.daemon import ServiceLoop

STORE_S = 1.0
LIMITS: dict[type, float] = {
    ask.RaiseEpoch: 2.0,
    ask.RenewLease: 2.0,
    ask.StartDatabase: 60.0,
    ask.CloseDatabase: 60.0,
    ask.SealDatabase: 2.0,
    ask.CatchUp: 60.0,
    ask.Promote: 15.0,
    ask.Rejoin: 1800.0,
    ask.FenceOthers: 3.0,
}
LIMIT_S = 5.0


class Hands:
    """Everything one site's daemon can do for one service."""

    def __init__(self, loop: "ServiceLoop") -> None:
        self._loop, self._world = loop, loop.world
        self._engine, self._site = loop.world.engine, loop.site
        self._desk = Desk(loop)

    @property
    def _process(self) -> Process:
        return self._loop.process

    def carry_out(self, intent: Intent) -> Steps:
        """The steps of one intent. Raises PortError."""
        draw = self._engine.draw
        match intent:
            case ask.RaiseEpoch():
                yield from self._raise(intent)
            case ask.RenewLease() | ask.SetLearners():
                yield from self._rewrite(intent)
            case ask.Promise(epoch=epoch):
                yield from self._promise(epoch)
            case ask.Direct(site=to):
                yield from self._direct(to)
            case ask.HoldTraffic():
                yield draw(0.001, 0.005)
                self._world.balancers[self._site].hold(self._loop.spec.name)
            case ask.Announce(stance=stance, epoch=epoch):
                yield from self._announce(stance, epoch)
            case ask.FenceOthers(epoch=epoch, orders=orders):
                yield from self._fence_others(epoch, orders)
            case ask.AssumeAddresses():
                yield draw(0.001, 0.01)
                self._world.addresses[self._site] = True
            case ask.ForwardStrays():
                raise Refused("the simulated hosts forward nothing")
            case ask.StartDatabase(database=name):
                yield from self._agent(_started(self._server(name)))
            case ask.CloseDatabase(database=name):
                yield from self._close(self._server(name))
            case ask.SealDatabase(database=name):
                self._fence_replication(name)
                yield from self.sql(name, draw(0.003, 0.02), self._server(name).seal)
            case ask.CatchUp(database=name, source=source, target=target):
                yield from self._catch_up(name, source, target)
            case ask.Promote(database=name, epoch=epoch, voters=voters, waits=waits):
                server = self._server(name)
                took = draw(0.02, 0.12) + server.apply_lag_s
                server.loss_said = self._world.loss_said(server, epoch)  # it may be long in coming
                yield from self.sql(name, took, lambda: server.promote(epoch, waits=waits))
                if server.opened_under != epoch:
                    yield from self._close(server)
                    raise Refused(f"{name} came up on {server.opened_under}, not {epoch}")
                yield from self.sql(name, draw(0.003, 0.01), lambda: server.admit(voters))
            case ask.Admit(database=name, voters=voters):
                server = self._server(name)
                yield from self.sql(name, draw(0.003, 0.01), lambda: server.admit(voters))
            case ask.SetGate(database=name, opened=opened):
                server = self._server(name)
                yield from self.sql(name, draw(0.003, 0.01), lambda: server.set_gate(opened=opened))
            case ask.CommitAlone(database=name, alone=alone):
                server = self._server(name)
                yield from self.sql(name, draw(0.003, 0.01), lambda: server.commit_alone(alone))
            case ask.Rejoin(database=name):
                self._fence_replication(name)
                yield from self._rejoin(self._server(name), intent)
            case ask.Follow(database=name, upstream=upstream, epoch=epoch, quarantine=alone):
                self._fence_replication(name)
                server = self._server(name)
                yield from self.sql(
                    name,
                    draw(0.003, 0.02),
                    lambda: server.follow(upstream, epoch, quarantine=alone),
                )
            case _:
                yield from self._desk.carry_out(intent)

    # --- the record and the promise ----------------------------------------------------------

    def _raise(self, intent: ask.RaiseEpoch) -> Steps:
        loop = self._loop
        record = raised(intent, self._site, "")
        holder = record.holder
        if holder == self._site:
            allowed = record.epoch if record.kind == FORCED else record.epoch - 1
            for name in loop.spec.databases:
                if self._server(name).state().epoch > allowed:
                    raise Refused(f"{name} here has records of epoch {record.epoch} already")
            loop.tried = record.epoch
        sent = self._process.clock.now()
        box: list[object] = []
        yield from self._swap(record, intent.expected_revision, box)
        revision = self._won(box)
        if holder == self._site:
            loop.raised = record.epoch
            loop.lease_until = self.lease_until(sent, self._process.clock.now())
        loop.knowledge.took(loop.epoch_key, replace(record, revision=revision), revision)
        loop.heard_epoch(record.epoch)
        yield from self._promise(record.epoch)

    def _rewrite(self, intent: ask.RenewLease | ask.SetLearners) -> Steps:
        loop = self._loop
        record = loop.knowledge.record(loop.spec.name)
        if record is None or record.revision != intent.expected_revision:
            raise Refused("the record has changed meanwhile")
        sent = self._process.clock.now()
        renewed = rewritten(record, intent)
        box: list[object] = []
        yield from self._swap(renewed, intent.expected_revision, box)
        revision = self._won(box)
        loop.lease_until = self.lease_until(sent, self._process.clock.now())
        loop.knowledge.took(loop.epoch_key, replace(renewed, revision=revision), revision)

    def lease_until(self, sent: float, answered: float) -> float:
        """Authority is counted from the moment of sending, by this node's own clock."""
        del answered
        return sent + self._world.timings.lease_s

    def _swap(self, record: EpochRecord, expected: int, box: list[object]) -> Steps:
        loop, world = self._loop, self._world
        value = encode_epoch(record)
        rule = 0 if loop.decision is None else loop.decision.rule
        before = world.record_of(loop.spec.name)

        def work() -> object:
            revision = world.store.swap(
                loop.epoch_key, lambda rev: decode_epoch(loop.epoch_key, value, rev), expected
            )
            if revision is not None and (before is None or before.epoch < record.epoch):
                world.epoch_written(loop, record, rule)
            elif revision is not None and before is not None and not record.renewal:
                world.learners_set(loop, record)
            return revision

        yield from self.ask_store(work, box)

    def ask_store(self, work: Callable[[], object], box: list[object]) -> Steps:
        """The answer is in `box`: what `work` gave, None for refused, LOST for unknown."""
        told = Signal()

        def reply(result: object) -> None:
            box.append(result)
            told.set()

        self._world.store.ask(self._process, self._site, STORE_S, work, reply)
        yield told

    def _won(self, box: list[object]) -> int:
        if box[0] is LOST:
            raise TimedOut("the store has not answered: the effect is unknown")
        if not isinstance(box[0], int):
            raise Refused("another site changed the epoch first")
        return box[0]

    def _promise(self, epoch: Epoch) -> Steps:
        yield self._world.disks[self._site].sync_s(self._engine) + 0.0005
        self._world.save_promise(self._site, self._loop.spec.name, epoch)

    # --- traffic and routes ------------------------------------------------------------------

    def _direct(self, to: SiteName | None) -> Steps:
        yield self._engine.draw(0.001, 0.005)
        balancer = self._world.balancers[self._site]
        if not balancer.process.alive:
            raise Unreachable("haproxy does not listen")
        if not balancer.answers:
            yield LIMIT_S
            raise TimedOut("haproxy does not answer")
        balancer.direct(self._loop.spec.name, to)

    def _announce(self, stance: Stance, epoch: Epoch) -> Steps:
        loop = self._loop
        loop.controller.stand_by(loop.spec.name, Wish(stance, epoch))
        yield self._engine.draw(0.001, 0.005)
        speaker = self._world.speakers[self._site]
        if not speaker.process.alive:
            raise Unreachable("the speaker does not listen")
        if speaker.process.frozen:
            yield LIMIT_S
            raise TimedOut("the speaker does not answer")
        if not loop.controller.send_wishes():
            raise Refused("the speaker refuses the wanted set")

    # --- databases ---------------------------------------------------------------------------

    def _server(self, name: DatabaseName) -> Server:
        return self._world.servers[name][self._site]

    def _fence_replication(self, name: DatabaseName) -> None:
        """No replication from here reaches a data site that does not hold the epoch."""
        record = self._loop.knowledge.record(self._loop.spec.name)
        if record is not None:
            self._world.block(
                self._server(name),
                frozenset(self._world.data_sites) - {record.holder, *self._loop.sources},
            )

    def sql(self, name: DatabaseName, seconds: float, effect: Callable[[], None]) -> Steps:
        """A statement; its effect comes at the end, unless the server dies before."""
        server = self._server(name)
        if not server.process.alive:
            raise Unreachable(f"{name} at {self._site} refuses connections")
        if self._engine.now < server.ready_at:
            raise Unreachable(f"{name} at {self._site} is starting up")
        if server.hung:
            yield LIMIT_S * 20
        told, errors = Signal(), list[PortError]()
        life = server.process.life

        def do() -> None:
            try:
                effect()
            except PortError as error:
                errors.append(error)
            told.set()

        server.process.on_end(told)
        server.process.after(seconds, do)
        yield told
        if errors:
            raise errors[0]
        if server.process.life != life:
            raise TimedOut(f"{name} at {self._site}: connection lost, effect unknown")

    def _agent(self, steps: Steps) -> Steps:
        """The host agent does it, whatever becomes of us."""
        host = self._world.hosts[self._site]
        if not host.alive:
            raise Unreachable(f"the host agent of {self._site} refuses connections")
        told, errors, life = Signal(), list[PortError](), host.life

        def guarded() -> Steps:
            try:
                yield from steps
            except PortError as error:
                errors.append(error)
            told.set()

        host.on_end(told)
        host.spawn(guarded())
        yield told
        if errors:
            raise errors[0]
        if host.life != life:
            raise TimedOut(f"the host agent of {self._site} ended, effect unknown")

    def _close(self, server: Server) -> Steps:
        if not server.is_closed():
            yield from self._agent(agent.alone(server, agent.close(server)))
        else:
            yield 0.003

    def _catch_up(self, name: DatabaseName, source: SiteName, target: Position) -> Steps:
        server = self._server(name)
        if not server.up or not server.sealed:
            raise Refused(f"{name} at {self._site} is not sealed: it cannot catch up")
        mine = server.reported_position()
        if mine.epoch >= target.epoch and holds(mine, target):
            yield server.apply_lag_s
            return
        self._loop.sources.append(source)
        try:
            self._fence_replication(name)
            yield from self._agent(self._fetch(server, source))
        finally:
            if source in self._loop.sources:  # a daemon that has just started knows of none
                self._loop.sources.remove(source)

    def _fetch(self, server: Server, source: SiteName) -> Steps:
        world = self._world
        yield self._engine.draw(0.03, 0.3)
        copy = world.copies(server.name)[source]
        if not world.network.path(self._site, source, Traffic.AGENT) or not world.power[source]:
            raise TimedOut(f"{source} does not answer")
        yield self._engine.draw(0.01, 0.3)
        fenced = server.kind is not DatabaseKind.POSTGRES and source in server.blocked
        reached = world.network.path(self._site, source, Traffic.AGENT) and world.power[source]
        if fenced or not reached:
            raise TimedOut(f"{source} has not sent everything")
        if not server.up or not server.sealed:
            raise Refused(f"{server.name} at {self._site} is not sealed any more")
        if isinstance(copy, Keeper) and copy.oldest > server.log.end:
            raise Refused(f"the keeper at {source} does not go back to {server.log.end}")
        server.fetch(copy.durable)

    def _rejoin(self, server: Server, intent: ask.Rejoin) -> Steps:
        upstream, epoch, fresh = intent.upstream, intent.epoch, bool(intent.fresh)
        if server.writable:
            raise Refused(f"{server.name} at {self._site} is writable: close it first")
        following = (server.upstream, server.quarantined) == (upstream, True)
        there = server.up and following and server.stream is not None
        if there and server.log.epoch == epoch and not fresh:
            yield 0.003
            return
        work = agent.rejoin(server, upstream, epoch, fresh=fresh)
        yield from self._agent(agent.alone(server, work))
        self._loop.copied = intent.fresh or self._loop.copied

    def _fence_others(self, epoch: Epoch, orders: tuple[tuple[SiteName, int], ...]) -> Steps:
        """The databases of every other site, or of those an operator keeps out, were asked to
        close; who was not reached is said. A server that knows a newer epoch refuses.
        """
        world = self._world
        sites = {site for site, _ in orders} or set(world.data_sites)
        if not orders:
            self._loop.fenced = epoch
        yield self._engine.draw(0.02, 0.3)
        for other in world.data_sites:
            reached = world.network.path(self._site, other, Traffic.AGENT) and world.power[other]
            if other != self._site and reached and other in sites:
                for name in self._loop.spec.databases:
                    server = world.servers[name][other]
                    if not server.is_closed() and server.log.epoch <= epoch:
                        world.hosts[other].spawn(
                            agent.if_it_can(agent.alone(server, agent.close(server)))
                        )
        yield 0.05
        for site, number in orders:
            self._loop.eyes.closings[site] = Closing(site=site, order=number)
        for name in self._loop.spec.databases if orders else ():
            self._fence_replication(name)


def _started(server: Server) -> Steps:
    return agent.alone(server, agent.start(server))
