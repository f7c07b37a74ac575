"""Builds one data site: its services' loops and everything they touch."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from controller.adapters.haproxy import Haproxy
from controller.adapters.netlink import Netlink
from controller.adapters.nftables import Nftables
from controller.adapters.nftables_strays import NftablesStrays, Tunnel
from controller.adapters.probe import build_probe
from controller.adapters.probe_look import ProbeSpec
from controller.adapters.speaker import Speaker
from controller.config import Cluster, ProbeKind, Service
from controller.core.decide import Decision
from controller.core.health import Verdict
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    DatabaseState,
    Liveness,
    ServiceName,
    SiteName,
)
from controller.core.view import View
from controller.daemon.config_file import RunningFile
from controller.daemon.databases import build_database, build_fences
from controller.daemon.wiring import (
    Node,
    SharedFirewall,
    build_node,
    chain_probe,
    service_spec,
    split,
)
from controller.ports import (
    AnnouncerState,
    BackendState,
    Clock,
    Database,
    Flow,
    PortError,
    Prober,
    Strays,
)
from controller.runtime.act import Deadlines, Hands
from controller.runtime.loop import Pace, ServiceLoop
from controller.runtime.observe import Looks, Observer
from controller.runtime.orders import Orders
from controller.runtime.promises import Promises
from controller.runtime.records import Records
from controller.runtime.requests import RequestDesk
from controller.runtime.routes import Routes
from controller.runtime.sampled import Sampled

CLOSE_S = 60.0


@dataclass(slots=True, kw_only=True)
class ServiceParts:
    """One service at this site, before its loop starts."""

    conf: Service
    observer: Observer
    hands: Hands
    canary: Prober | None
    probes: Mapping[str, tuple[Prober, float]]
    verdicts: dict[str, Verdict]
    node: Node

    def loop(
        self, tasks: asyncio.TaskGroup, report: Callable[[View, Decision], None]
    ) -> ServiceLoop:
        """Its loop, not yet turning."""
        timings = self.node.cluster.timings
        return ServiceLoop(
            observer=self.observer,
            hands=self.hands,
            hearing=self.node.hearing,
            clock=self.node.clock,
            pace=Pace(rest_s=timings.tick_s),
            tasks=tasks,
            longest_rest_s=timings.backoff_s * 4,
            canary=self.canary,
            report=report,
        )


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything of one data site."""

    node: Node
    records: Records
    routes: Routes
    services: tuple[ServiceParts, ...]
    strays: Strays | None = None
    leader: str = ""
    running: RunningFile | None = None
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def aclose(self) -> None:
        """Connections are closed; nothing else changes."""
        await self.closing.aclose()


def build_site(
    cluster: Cluster, name: SiteName, on_change: Callable[[], None], tasks: asyncio.TaskGroup
) -> Site:
    """The site called `name`, ready to turn."""
    node = build_node(cluster, name, on_change)
    deadline_s = cluster.etcd.deadline_s
    records = Records(
        store=node.store, prefix=cluster.etcd.prefix, clock=node.clock, deadline_s=deadline_s
    )
    routes = Routes(
        announcer=Speaker(Path(cluster.bgp.speaker_socket)),
        clock=node.clock,
        permit_s=cluster.timings.permit_s,
        deadline_s=cluster.timings.step_deadline_s,
    )
    shared = _Shared(
        node=node,
        records=records,
        routes=routes,
        promises=Promises(Path(cluster.state_dir)),
        orders=Orders(Path(cluster.state_dir)),
        desk=RequestDesk(
            site=name,
            store=node.store,
            prefix=cluster.etcd.prefix,
            clock=node.clock,
            book=records.requests,
            deadline_s=deadline_s,
        ),
        balancer=Haproxy(
            Path(cluster.haproxy.socket),
            cluster.data_sites,
            [service.backend for service in cluster.services],
            state_dir=None
            if cluster.haproxy.state_dir is None
            else Path(cluster.haproxy.state_dir),
        ),
        netlink=Netlink(cluster.addresses.device),
        firewall=SharedFirewall(Nftables()),
        strays=_strays(cluster, node.clock),
        tasks=tasks,
    )
    site = Site(
        node=node,
        records=records,
        routes=routes,
        services=tuple(shared.service(service) for service in cluster.services),
        strays=shared.strays,
    )
    for service in site.services:
        for database in service.hands.databases.values():
            site.closing.push_async_callback(database.aclose)
    site.closing.push_async_callback(node.store.aclose)
    return site


@dataclass(slots=True, kw_only=True)
class _Shared:
    """What the services of a site have in common."""

    node: Node
    records: Records
    routes: Routes
    promises: Promises
    orders: Orders
    desk: RequestDesk
    balancer: Haproxy
    netlink: Netlink
    firewall: SharedFirewall
    strays: Strays | None
    tasks: asyncio.TaskGroup
    _balancer_look: Sampled[Mapping[str, BackendState] | None] | None = None
    _announcer_look: Sampled[AnnouncerState | None] | None = None
    _store_look: Sampled[bool] | None = None

    def service(self, conf: Service) -> ServiceParts:
        """One service's parts."""
        cluster, me = self.node.cluster, self.node.site
        databases = {
            DatabaseName(database.name): build_database(cluster, me, database)
            for database in conf.databases
        }
        addresses = frozenset(str(address) for address in conf.addresses)
        probes, verdicts = self._probes(conf)
        apps = {key: verdict for key, verdict in verdicts.items() if key.startswith("app ")}
        observer = Observer(
            me=me,
            spec=service_spec(cluster, conf),
            backend=conf.backend,
            addresses=addresses,
            clock=self.node.clock,
            looks=Looks(
                databases=self._database_looks(conf, databases),
                balancer=self._balancer(),
                announcer=self._announcer(),
                store=self._store(),
                missing_addresses=self._missing(addresses),
                verdicts=verdicts,
            ),
            hearing=self.node.hearing,
            records=self.records,
            promises=self.promises,
            orders=self.orders,
            strays=self.strays,
        )
        assert len(apps) == len(conf.apps_of(me))
        return ServiceParts(
            conf=conf,
            observer=observer,
            hands=self._hands(conf, databases, addresses),
            canary=_canary(conf),
            probes=probes,
            verdicts=verdicts,
            node=self.node,
        )

    def _hands(
        self, conf: Service, databases: Mapping[DatabaseName, Database], addresses: frozenset[str]
    ) -> Hands:
        timings = self.node.cluster.timings
        service = ServiceName(conf.name)
        return Hands(
            me=self.node.site,
            service=service,
            backend=conf.backend,
            service_addresses=addresses,
            databases=databases,
            fences=build_fences(self.node.cluster, self.node.site, conf),
            flows={
                other: _flows(conf, self.node.site, other)
                for other in self.node.cluster.data_sites
                if other != self.node.site
            },
            clock=self.node.clock,
            store=self.node.store,
            records=self.records,
            promises=self.promises,
            desk=self.desk,
            orders=self.orders,
            balancer=self.balancer,
            addresses=self.netlink,
            firewall=self.firewall.part(service),
            routes=self.routes,
            deadlines=Deadlines(
                store_s=self.node.cluster.etcd.deadline_s,
                seal_s=timings.seal_deadline_s,
                close_s=CLOSE_S,
                catch_up_s=timings.catch_up_deadline_s,
                promote_s=timings.promote_deadline_s,
                step_s=timings.step_deadline_s,
                rejoin_s=timings.rejoin_deadline_s,
            ),
            flap_window_s=timings.flap_window_s,
            lease_s=timings.lease_s,
            strays=self.strays,
        )

    def _database_looks(
        self, conf: Service, databases: Mapping[DatabaseName, Database]
    ) -> dict[DatabaseName, Sampled[DatabaseState]]:
        deadline_s = self.node.cluster.timings.observe_deadline_s
        kinds: dict[str, DatabaseKind] = {found.name: found.kind for found in conf.databases}
        looks: dict[DatabaseName, Sampled[DatabaseState]] = {}
        for name, port in databases.items():

            async def look(port: Database = port) -> DatabaseState:
                return await port.observe(deadline_s)

            first = DatabaseState(name=name, kind=kinds[name], liveness=Liveness.UNKNOWN)
            looks[name] = Sampled(look, first=first, clock=self.node.clock, tasks=self.tasks)
        return looks

    def _balancer(self) -> Sampled[Mapping[str, BackendState] | None]:
        if self._balancer_look is None:
            self._balancer_look = Sampled(
                self._look_at_balancer, first={}, clock=self.node.clock, tasks=self.tasks
            )
        return self._balancer_look

    async def _look_at_balancer(self) -> Mapping[str, BackendState] | None:
        try:
            return await self.balancer.observe(self.node.cluster.timings.observe_deadline_s)
        except PortError:
            return None

    def _announcer(self) -> Sampled[AnnouncerState | None]:
        if self._announcer_look is None:
            self._announcer_look = Sampled(
                self.routes.look, first=None, clock=self.node.clock, tasks=self.tasks
            )
        return self._announcer_look

    def _store(self) -> Sampled[bool]:
        if self._store_look is None:
            self._store_look = Sampled(
                self.records.refresh, first=False, clock=self.node.clock, tasks=self.tasks
            )
        return self._store_look

    def _missing(self, addresses: frozenset[str]) -> Sampled[frozenset[str]]:
        async def look() -> frozenset[str]:
            try:
                return await self.netlink.missing(addresses)
            except PortError:
                return frozenset()

        return Sampled(look, first=frozenset(), clock=self.node.clock, tasks=self.tasks)

    def _probes(self, conf: Service) -> tuple[dict[str, tuple[Prober, float]], dict[str, Verdict]]:
        """App servers of this site, and the links of the local health chain."""
        me, timings = self.node.site, self.node.cluster.timings
        probes: dict[str, tuple[Prober, float]] = {}
        verdicts: dict[str, Verdict] = {}
        for app in conf.apps_of(me):
            key = f"app {app.name}"
            probes[key] = (
                build_probe(
                    ProbeSpec(
                        kind=ProbeKind.HTTP, target=f"http://{app.address}/whoami", timeout_s=0.5
                    )
                ),
                1.0,
            )
            verdicts[key] = Verdict(rise=1, fall=2)
        for link in conf.probes:
            target = link.target_of(me)
            prober = None if target is None else chain_probe(link, target, timings.probe_timeout_s)
            if prober is not None:
                key = f"{link.scope.value} {link.name}"
                every_s = link.interval_s or 1.0
                probes[key] = (prober, every_s)
                slowest_s = every_s + (link.timeout_s or timings.probe_timeout_s)
                verdicts[key] = Verdict(rise=link.rise, fall=link.fall, every_s=slowest_s)
        return probes, verdicts


def _strays(cluster: Cluster, clock: Clock) -> NftablesStrays | None:
    """What forwards strays, where the operator has laid a way for them."""
    if cluster.strays is None:
        return None
    addresses = (address for service in cluster.services for address in service.addresses)
    return NftablesStrays(
        addresses=frozenset(str(address) for address in addresses),
        tunnel=Tunnel(
            interface=cluster.strays.interface,
            via=cluster.strays.via,
            packets_per_s=cluster.strays.packets_per_s,
        ),
        longest_s=2 * cluster.timings.linger_s,
        clock=clock,
    )


def _flows(conf: Service, me: SiteName, other: SiteName) -> frozenset[Flow]:
    """Replication connections from this site's databases to those of another."""
    found: set[Flow] = set()
    for database in conf.databases:
        mine, theirs = database.voters[me].address, database.voters[other].address
        if mine is not None and theirs is not None:
            host, port = split(theirs)
            found.add(Flow(source=split(mine)[0], destination=host, port=port))
    return frozenset(found)


def _canary(conf: Service) -> Prober | None:
    if conf.canary_url is None:
        return None
    return build_probe(ProbeSpec(kind=ProbeKind.HTTP, target=str(conf.canary_url), timeout_s=1.0))
