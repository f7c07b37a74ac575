"""What the world is built of, and what its models ask of each other."""

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, cast

from controller.core.health import FailingLink
from controller.core.intents import RaiseEpoch
from controller.core.model import (
    DatabaseName,
    EpochRecord,
    ServiceName,
    SiteName,
)
from controller.core.requests import Kind
from controller.runtime.orders import Order
from tests.sim import truth
from tests.sim.client import Client
from tests.sim.controller import Controller
from tests.sim.daemon import ServiceLoop
from tests.sim.engine import Clock, Engine, Process
from tests.sim.keeper import Keeper
from tests.sim.log import History, Log, root
from tests.sim.mysql import build_server
from tests.sim.network import Network
from tests.sim.replication import Disk
from tests.sim.routes import Balancer, Table
from tests.sim.running import Run
from tests.sim.senses import Senses
from tests.sim.server import Server
from tests.sim.shape import SHAPES, Shape
from tests.sim.speaker import Speaker
from tests.sim.store import Contents, Store
from tests.sim.witness import WitnessDaemon

if TYPE_CHECKING:
    from tests.sim.world import World

PAYMENTS: Final = FailingLink(link="payments", detail="refused", settles_s=1.0)
Hook = Callable[[truth.IntentBegan | truth.IntentEnded], None]
STIR_S = 4.0  # for so long after anything that happens it is not calm
STIRRING = frozenset(
    {
        truth.FaultBegan,
        truth.FaultEnded,
        truth.AllHealed,
        truth.EpochChanged,
        truth.RequestMade,
        truth.SiteFenced,
        truth.Promoted,
        truth.Closed,
        truth.GateSet,
        truth.Directed,
        truth.RouteSeen,
    }
)


class Ground:
    """What everything stands on, and what the models ask of each other."""

    def __init__(
        self,
        seed: int,
        shape: Shape = SHAPES["postgres"],
        watchers: Iterable[truth.Watcher] = (),
    ) -> None:
        self.engine = Engine(random.Random(seed))
        self.truth = truth.Truth(tuple(watchers))
        self.on_intent: Hook | None = None
        self.rules: set[int] = set()
        self.shape, self.specs = shape, shape.specs()
        self.data_sites, self.witnesses = shape.data_names, shape.witness_names
        self.sites = (*self.data_sites, *self.witnesses)
        self.timings = next(iter(self.specs.values())).timings
        self.heartbeat_s, self.probe_s = 0.1, 0.2
        self.acks_needed = len(self.sites) // 2
        self.apps_total = 2
        self.writes = self._intents = 0
        self.slow_routes_s = 0.0
        self.clients: list[Client] = []
        self._calm_at = STIR_S
        self._shown_seals: dict[tuple[SiteName, DatabaseName], tuple[int, str]] = {}
        self._build_sites()
        self._build_databases()
        self._build_edges()
        self._build_daemons()

    @property
    def _world(self) -> "World":
        return cast("World", self)

    def _build_sites(self) -> None:
        engine = self.engine
        self.network = Network(engine, self.sites, self.shape.delay_s)
        self.power = dict.fromkeys(self.sites, True)
        self.hosts = {s: Process(engine, Clock(engine, 0.0), f"host {s}") for s in self.sites}
        for host in self.hosts.values():
            host.begin()
        self.disks = {site: Disk() for site in self.sites}
        self.promises: dict[SiteName, dict[ServiceName, int]] = {s: {} for s in self.sites}
        self.orders: dict[tuple[SiteName, ServiceName], Order] = {}
        self.approvals: dict[Kind, int] = {}  # needed, by the configuration
        self.objection = ""  # to the last verdict, withdrawal, fence or repair
        self.addresses = dict.fromkeys(self.sites, True)
        self.payments = PAYMENTS
        self.without_payments: set[SiteName] = set()
        self.failing: dict[SiteName, tuple[FailingLink, ...]] = dict.fromkeys(self.sites, ())
        self.apps_up = {(s, n): self.apps_total for s in self.data_sites for n in self.specs}
        self.apps_seen = dict(self.apps_up)
        self.store = Store(self._world)

    def _build_databases(self) -> None:
        kinds = {
            DatabaseName(name): kind
            for service in self.shape.services
            for name, kind in service.databases
        }
        self.roots: dict[DatabaseName, History] = {name: root() for name in kinds}
        self._places: dict[tuple[DatabaseName, int], list[Log]] = {}
        self.servers: dict[DatabaseName, dict[SiteName, Server]] = {}
        self.keepers: dict[DatabaseName, dict[SiteName, Keeper]] = {}
        for service, spec in self.specs.items():
            for name in spec.databases:
                self.servers[name] = {
                    site: build_server(self._world, service, name, site, kinds[name])
                    for site in self.data_sites
                }
                self.keepers[name] = {
                    site: Keeper(self._world, service, name, site, kinds[name])
                    for site in self.witnesses
                }

    def _build_edges(self) -> None:
        self.providers = tuple(f"isp{n + 1}" for n in range(len(self.data_sites)))
        self._tables = {
            provider: Table(self._world, provider, site)
            for provider, site in zip(self.providers, self.data_sites, strict=True)
        }
        self.balancers = {site: Balancer(self._world, site) for site in self.data_sites}
        self.speakers = {site: Speaker(self._world, site) for site in self.data_sites}

    def _build_daemons(self) -> None:
        self.controllers: dict[SiteName, Controller] = {}
        self.witness_daemons: dict[SiteName, WitnessDaemon] = {}
        for site in self.data_sites:
            self.controllers[site] = Controller(self._world, site)
        for site in self.witnesses:
            self.witness_daemons[site] = WitnessDaemon(self._world, site)

    def begin(self) -> None:
        """Daemons start, clients come."""
        self.network.watch(self._world.review)
        for controller in self.controllers.values():
            controller.boot()
        for witness in self.witness_daemons.values():
            witness.boot()
        self.clients = [
            Client(self._world, service, provider, self.shape.clients_pace_s)
            for service in self.specs
            for provider in self.providers
        ]

    # --- running -----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """True time."""
        return self.engine.now

    def tell(self, event: truth.Event) -> None:
        """`event` has happened."""
        if type(event) in STIRRING:
            self.stir()
        self.truth.tell(event)

    @property
    def lively(self) -> bool:
        """Something has happened a short while ago, or is about to."""
        return self.engine.now < self._calm_at

    def stir(self) -> None:
        """Clients and our own writes come at their full pace for a while."""
        calm = not self.lively
        self._calm_at = self.engine.now + STIR_S
        if calm:
            for client in self.clients:
                client.stir()
            for controller in self.controllers.values():
                controller.stir()

    def run(self, seconds: float) -> None:
        """So much true time passes."""
        self.engine.run_until(self.engine.now + seconds)

    # --- what the models ask of each other ---------------------------------------------------

    def table(self, provider: str) -> Table:
        """A provider's routes."""
        return self._tables[provider]

    def node(self, site: SiteName) -> Process:
        """The daemon of a site."""
        found = self.controllers.get(site) or self.witness_daemons.get(site)
        return self.hosts[site] if found is None else found.process

    def senses(self, site: SiteName) -> Senses | None:
        """What the daemon of a site hears."""
        found = self.controllers.get(site) or self.witness_daemons.get(site)
        return None if found is None else found.senses

    def late(self, site: SiteName) -> None:
        """A site's senses have found somebody late."""
        found = self.controllers.get(site) or self.witness_daemons.get(site)
        if found is not None:
            found.late()

    def touched(self, site: SiteName) -> None:
        """Something at the edge of a site looks different now."""
        controller = self.controllers.get(site)
        if controller is not None and controller.process.alive:
            for loop in controller.loops.values():
                loop.eyes.acted_on(None)
                loop.poke(self.engine.draw(0.0, 0.03 if loop.hasty() else 0.5))

    def places(self, name: DatabaseName, write: int) -> list[Log]:
        """Every log that ends with that write."""
        return self._places.get((name, write), [])

    def placed(self, name: DatabaseName, write: int, log: Log) -> None:
        """A write stands at the end of `log`."""
        self._places.setdefault((name, write), []).append(log)

    # --- what daemons keep on disk -----------------------------------------------------------

    def promise_of(self, site: SiteName, service: ServiceName) -> int:
        """What a daemon that starts now would read."""
        return self.promises[site].get(service, 0)

    def save_promise(self, site: SiteName, service: ServiceName, epoch: int) -> None:
        """At least `epoch` is promised, durably."""
        if epoch > self.promise_of(site, service):
            self.promises[site][service] = epoch
            self.tell(truth.PromiseKept(self.now, service, site, epoch))

    def order_of(self, site: SiteName, service: ServiceName) -> Order | None:
        """A site's own order to serve alone."""
        return self.orders.get((site, service))

    # --- the store ---------------------------------------------------------------------------

    def stored(self, key: str, before: Contents, *, news: bool) -> None:
        """`key` of the store has changed since `before`: watches hint. That a site says again what
        it has said before is seen without a word.
        """
        for site in self.sites:
            if site not in self.store.silent_watches and self.store.ready(site):
                daemon = self.controllers.get(site) or self.witness_daemons[site]
                if not daemon.process.works:
                    continue
                if news:
                    daemon.hinted()
                else:
                    daemon.knowledge.glance(key, before, self.store.contents)

    def store_back(self) -> None:
        """It has a leader again: watches report."""
        self.stored("", {}, news=True)

    def remember_change(self, loop: ServiceLoop) -> None:
        """A key that lives as long as the flap window."""
        record = loop.knowledge.record(loop.spec.name)
        if record is None or record.holder != loop.site or record.epoch != loop.tried:
            return
        if record.epoch == loop.remembered:
            return
        if record.kind not in ("handover", "failover") or self.shape.flap_window_s <= 0:
            return
        if record.request:
            return  # a person moved it: the next move may be automatic
        key, window = f"recent/{loop.spec.name}", self.shape.flap_window_s

        def reply(result: object) -> None:
            if isinstance(result, int):
                loop.remembered = record.epoch

        self.store.ask(
            loop.process,
            loop.site,
            1.0,
            lambda: self.store.put(key, lambda _: record.kind, window),
            reply,
        )

    # --- intents -----------------------------------------------------------------------------

    def next_intent(self) -> int:
        """Numbers the intents of one history."""
        self._intents += 1
        return self._intents

    def intent_began(self, loop: ServiceLoop, run: Run) -> None:
        """Just before its effect begins."""
        if isinstance(run.intent, RaiseEpoch):
            loop.raise_began_s = self.now
        event = truth.IntentBegan(
            self.now, loop.spec.name, loop.site, run.rule, run.intent, run.number
        )
        self.tell(event)
        if self.on_intent is not None:
            self.on_intent(event)

    def intent_ended(self, loop: ServiceLoop, run: Run) -> None:
        """Its effect is there, and its daemon does not know yet."""
        event = truth.IntentEnded(
            self.now, loop.spec.name, loop.site, run.intent, run.number, run.outcome, run.detail
        )
        self.tell(event)
        if self.on_intent is not None:
            self.on_intent(event)

    def intent_cut(self, loop: ServiceLoop, run: Run) -> None:
        """Its daemon is gone: nobody will learn of it."""
        self.tell(
            truth.IntentEnded(
                self.now, loop.spec.name, loop.site, run.intent, run.number, run.outcome, run.detail
            )
        )

    def epoch_written(self, loop: ServiceLoop, record: EpochRecord, rule: int) -> None:
        """The record of a service is another one, by a rule of who asked: he may be dead by now."""
        holder = SiteName("") if record.previous is None else record.previous
        self.tell(
            truth.EpochChanged(
                self.now,
                loop.spec.name,
                record.epoch,
                record.holder,
                record.kind,
                loop.site,
                rule,
                record.reason,
                self._witnessed_s(loop, holder),
            )
        )

    def learners_set(self, loop: ServiceLoop, record: EpochRecord) -> None:
        """The record of the same epoch names other learners."""
        learners = frozenset(record.learners)
        self.tell(truth.LearnersSet(self.now, loop.spec.name, record.epoch, learners))

    def _witnessed_s(self, loop: ServiceLoop, holder: SiteName) -> float:
        """For how long heartbeats of the holder had come to `loop`'s site by way of a witness when
        the epoch was asked for: whoever is frozen while asking judged before.
        """
        ears = loop.controller.senses.control
        longest = 0.0
        for witness, daemon in self.witness_daemons.items():
            first = daemon.senses.control.get(holder)
            if first is not None and daemon.process.works:
                both = (first.flowing_s(self.now), ears[witness].flowing_s(self.now))
                longest = max(longest, min(both))
        return max(0.0, longest - (self.now - loop.raise_began_s))
