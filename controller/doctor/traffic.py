"""Asks this site's haproxy and its BGP speaker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from controller.adapters.haproxy import HOLD, SHED, Haproxy
from controller.adapters.speaker import Speaker
from controller.config import Cluster, Service
from controller.doctor.around import Around
from controller.doctor.judging import traffic as judging
from controller.doctor.judging.row import Row
from controller.ports import Announcer, PortError

DEADLINE_S: Final = 2.0


async def haproxy(around: Around) -> list[Row]:
    """Its version, and every backend of ours. A witness has none."""
    if not around.at_data_site:
        return []
    cluster = around.cluster
    backends = {service.backend: service for service in cluster.services}
    port = Haproxy(Path(cluster.haproxy.socket), cluster.data_sites, backends)
    try:
        rows = [judging.haproxy_version(await port.version(DEADLINE_S))]
        servers = await port.servers(DEADLINE_S)
    except PortError as error:
        return [judging.haproxy_silent(cluster.haproxy.socket, str(error))]
    gates = {server.name for server in servers if server.backend == HOLD}
    for name, service in backends.items():
        found = [server.name for server in servers if server.backend == name]
        known = any(server.backend == name for server in servers)
        wanted = _servers(around, service)
        rows += judging.backend(name, wanted, found if known else None, gated=name in gates)
    shed = {server.name for server in servers if server.backend == SHED}
    known_backends = {server.backend for server in servers}
    for name in _to_shed(cluster):
        rows += judging.shed(name, known=name in known_backends, gated=name in shed)
    return rows


def _to_shed(cluster: Cluster) -> list[str]:
    """Every backend that some service may switch off, once."""
    entries = (entry for service in cluster.services for entry in service.shed)
    return list(dict.fromkeys(name for entry in entries for name in entry.backends))


def _servers(around: Around, service: Service) -> list[str]:
    return [
        f"{site}-{app.name}" for site in around.cluster.data_sites for app in service.apps_of(site)
    ]


async def bgp(around: Around) -> list[Row]:
    """Every session of this site, and the permit of its routes."""
    conf = around.cluster.sites[around.site].bgp
    if conf is None:
        return []
    path = around.cluster.bgp.speaker_socket
    speaker = Speaker(Path(path))
    try:
        return await routes(speaker, path, [neighbor.address for neighbor in conf.neighbors])
    finally:
        await speaker.aclose()


async def routes(port: Announcer, path: str, wanted: Sequence[str]) -> list[Row]:
    """What the speaker at `path` says of the neighbors in `wanted`, and of itself."""
    try:
        seen = await port.observe(DEADLINE_S)
    except PortError as error:
        return [judging.speaker_silent(path, str(error))]
    return [
        *judging.sessions(wanted, seen.sessions),
        *judging.permit(seen.permit_left_s, seen.problems),
    ]
