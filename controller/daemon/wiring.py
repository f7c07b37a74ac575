"""Builds the adapters of one site from the configuration. The only place that names them all."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bgp.route import Prefix
from controller.adapters.clock import SystemClock
from controller.adapters.etcd import Etcd
from controller.adapters.etcd_api import Tls
from controller.adapters.heartbeat import HeartbeatSettings, UdpHeartbeats
from controller.adapters.probe import build_probe
from controller.adapters.probe_look import ProbeSpec
from controller.adapters.ssh import SshHostAgent, SshTarget
from controller.config import Cluster, DatabaseConf, ProbeConf, ProbeKind, Service
from controller.core.heartbeat import parse_keys
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    ServiceName,
    SiteKind,
    SiteName,
)
from controller.core.view import ServiceSpec, Timings
from controller.ports import Clock, Firewall, Flow, Prober
from controller.runtime.hearing import (
    HITCH_BEATS,
    REST_PROBE_S,
    STALL_BEATS,
    Hearing,
    ProbePace,
    Watched,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every daemon of the cluster has."""

    cluster: Cluster
    site: SiteName
    clock: Clock
    store: Etcd
    heartbeats: UdpHeartbeats
    hearing: Hearing
    probers: tuple[Prober, ...]


class SharedFirewall:
    """One host table for a daemon: each service gives its own part, the union is installed."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall
        self._parts: dict[str, frozenset[Flow]] = {}

    def part(self, name: str) -> "FirewallPart":
        """The port as the part called `name` sees it."""
        return FirewallPart(self, name)

    async def install(self, part: str, flows: frozenset[Flow]) -> None:
        """The flows of `part` are blocked, and those of the others still are."""
        self._parts[part] = flows
        await asyncio.sleep(0)  # others who want the same at this moment go into the same table
        await self._firewall.block(frozenset().union(*self._parts.values()))


class FirewallPart:
    """`ports.Firewall` for one part."""

    def __init__(self, shared: SharedFirewall, part: str) -> None:
        self._shared = shared
        self._name = part

    async def block(self, flows: frozenset[Flow]) -> None:
        """Exactly these flows of this part are rejected."""
        await self._shared.install(self._name, flows)


def split(address: str) -> tuple[str, int]:
    """Host and port of "10.1.0.20:5432" or "[2001:db8::1]:5432"."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def service_spec(cluster: Cluster, service: Service) -> ServiceSpec:
    """The part of the configuration that deciding needs."""
    timings = cluster.timings
    return ServiceSpec(
        name=ServiceName(service.name),
        durability=service.durability,
        data_sites=cluster.data_sites,
        witnesses=cluster.witnesses,
        databases=tuple(DatabaseName(database.name) for database in service.databases),
        initial_holder=service.holder,
        min_healthy=service.min_healthy,
        max_lag_bytes=service.max_lag_bytes,
        more_specifics=tuple(
            half.text
            for prefix in service.prefixes
            for half in cluster.bgp.more_specifics.rules.of(Prefix(prefix))
        ),
        has_canary=service.canary_url is not None,
        weights={name: site.weight for name, site in cluster.sites.items()},
        timings=Timings(
            suspect_after_s=timings.suspect_after_s,
            controller_grace_s=timings.controller_grace_s,
            flap_window_s=timings.flap_window_s,
            report_fresh_s=timings.report_fresh_s,
            commit_stale_s=timings.commit_stale_s,
            lease_s=timings.lease_s,
            lease_margin_s=timings.lease_margin_s,
            lease_renew_s=timings.lease_renew_s,
            yield_grace_s=timings.yield_grace_s,
            hand_over_s=timings.hand_over_s,
            drain_s=timings.drain_s,
            linger_s=timings.linger_s,
            withdraw_after_s=timings.withdraw_after_s,
        ),
    )


def build_node(cluster: Cluster, site: SiteName, on_change: Callable[[], None]) -> Node:
    """Store, heartbeats and eyes of one site."""
    clock = SystemClock()
    heartbeats = UdpHeartbeats(_heartbeat_settings(cluster, site), clock, on_change)
    watched = {
        other: _watched(cluster, other)
        for other in cluster.others(site)
        if cluster.sites[other].kind is SiteKind.DATA
    }
    watched |= {
        other: Watched(front=None, data={})
        for other in cluster.others(site)
        if cluster.sites[other].kind is SiteKind.WITNESS
    }
    timings = cluster.timings
    hearing = Hearing(
        heartbeats=heartbeats,
        watched=watched,
        services=[ServiceName(service.name) for service in cluster.services],
        clock=clock,
        pace=ProbePace(
            late_after_s=max(2.5 * timings.heartbeat_s, timings.suspect_after_s / 2),
            busy_s=timings.probe_s / 2,
            rest_s=REST_PROBE_S,
            hitch_s=HITCH_BEATS * timings.heartbeat_s,
            stall_s=STALL_BEATS * timings.heartbeat_s,
        ),
    )
    store = build_store(cluster, cluster.etcd_endpoints(site))
    probers = tuple(
        prober
        for found in watched.values()
        for prober in (
            *((found.front,) if found.front else ()),
            *(p for probers in found.data.values() for p in probers),
        )
    )
    return Node(
        cluster=cluster,
        site=site,
        clock=clock,
        store=store,
        heartbeats=heartbeats,
        hearing=hearing,
        probers=probers,
    )


def build_store(cluster: Cluster, endpoints: Sequence[str], prefix: str = "") -> Etcd:
    """The store, asked at these members only."""
    tls = cluster.etcd.tls
    files = None
    if tls is not None:
        files = Tls(
            ca_file=Path(tls.ca_file),
            certificate_file=Path(tls.cert_file),
            key_file=Path(tls.key_file),
        )
    return Etcd(endpoints, prefix=prefix, tls=files)


def _heartbeat_settings(cluster: Cluster, site: SiteName) -> HeartbeatSettings:
    port = cluster.heartbeat.port
    keys = "\n".join(key.reveal() for key in cluster.heartbeat.keys)
    return HeartbeatSettings(
        cluster=cluster.cluster,
        site=site,
        bind=(cluster.sites[site].address, port),
        others={other: (cluster.sites[other].address, port) for other in cluster.others(site)},
        keys=parse_keys(keys),
        interval_s=cluster.timings.heartbeat_s,
    )


def _watched(cluster: Cluster, site: SiteName) -> Watched:
    """The data path of another data site: its haproxy and each service's databases."""
    timeout_s = cluster.timings.probe_timeout_s
    url = cluster.haproxy.alive_url.get(site)
    front = (
        None
        if url is None
        else build_probe(ProbeSpec(kind=ProbeKind.HAPROXY, target=url, timeout_s=timeout_s))
    )
    data = {
        ServiceName(service.name): tuple(
            build_probe(_database_probe(database, site, timeout_s))
            for database in service.databases
        )
        for service in cluster.services
    }
    return Watched(front=front, data=data)


def _database_probe(database: DatabaseConf, site: SiteName, timeout_s: float) -> ProbeSpec:
    address = database.voters[site].address
    assert address is not None
    postgres = database.kind is DatabaseKind.POSTGRES
    assert database.password_file is not None
    return ProbeSpec(
        kind=ProbeKind.POSTGRES if postgres else ProbeKind.MYSQL,
        target=address,
        timeout_s=timeout_s,
        options={
            "user": database.user,
            "password_file": database.password_file,
            "database": database.database if postgres else "",
        },
    )


def chain_probe(conf: ProbeConf, target: str, timeout_s: float) -> Prober | None:
    """A link of the local health chain; None for what the daemon sees by itself (bgp)."""
    if conf.kind.value == "bgp":
        return None
    return build_probe(
        ProbeSpec(
            kind=ProbeKind(conf.kind.value),
            argv=conf.argv,
            target=target,
            timeout_s=conf.timeout_s or timeout_s,
            options=dict(conf.options),
        )
    )


def agent(cluster: Cluster, host: str) -> SshHostAgent:
    """The host agent at `host`, over ssh with pinned host keys."""
    ssh = cluster.ssh
    assert ssh is not None
    return SshHostAgent(
        SshTarget(
            host=host,
            port=ssh.port,
            user=ssh.user,
            key_file=Path(ssh.key_file),
            known_hosts_file=Path(ssh.known_hosts_file),
        )
    )
