"""What follows from a configuration: the numbers that the checks lean on, and what a default is."""

from collections.abc import Iterator, Mapping
from typing import Final

from controller.config import Cluster, DatabaseConf, ProbeConf, Service
from controller.config.check_timings import bounds, lease_bounds
from controller.config.problem import Path
from controller.core.model import Durability
from controller.web.config_schema import ConfigFact

RESOLVED: Final[Mapping[str, str]] = {"interval_s": "probe_s", "timeout_s": "probe_timeout_s"}


def facts(cluster: Cluster, service: str | None = None) -> Iterator[ConfigFact]:
    """Of the whole cluster, or of one service alone."""
    if service is None:
        yield from _timings(cluster)
    for found in cluster.services:
        if service in (None, found.name):
            yield from _service(cluster, found)


def _timings(cluster: Cluster) -> Iterator[ConfigFact]:
    t = cluster.timings
    yield _fact(
        "timings.suspect_after_s",
        f"a holder that is silent to the other site and to the witness is given up after "
        f"{t.suspect_after_s:g} s, {t.suspect_after_s / t.heartbeat_s:.3g} heartbeats; it is seen "
        f"within {t.tick_s:g} s more (tick_s)",
    )
    yield _fact(
        "timings.controller_grace_s",
        f"a holder whose controller alone is silent is left alone for {t.controller_grace_s:g} s; "
        f"its routes turn isolated after {t.permit_s:g} s (permit_s)",
    )
    found = bounds(t, cluster.etcd.deadline_s)
    if any(service.durability is Durability.LEASE for service in cluster.services):
        found += lease_bounds(t, cluster.etcd.deadline_s)
    for bound in found:
        word = "above" if bound.strict else "at least"
        value = float(getattr(t, bound.key))
        yield _fact(
            f"timings.{bound.key}",
            f"{value:g} has to be {word} {bound.limit_s:g} = {bound.formula}: {bound.why}",
        )


def _service(cluster: Cluster, service: Service) -> Iterator[ConfigFact]:
    at = f"services[{service.name}]"
    for database in service.databases:
        yield _fact(f"{at}.databases[{database.name}]", _votes(service, database))
    for probe in service.probes:
        yield _fact(f"{at}.probes[{probe.name}]", _chain(cluster, probe))


def _votes(service: Service, database: DatabaseConf) -> str:
    count = len(database.voters)
    if service.durability is Durability.LEASE:
        return f"{count} copies; no commit waits for another"
    others = "1 other voter" if count // 2 == 1 else f"{count // 2} other voters"
    return f"{count} voters; a commit waits for {others}, a takeover seals {count // 2 + 1}"


def _chain(cluster: Cluster, probe: ProbeConf) -> str:
    if probe.kind.value == "bgp":
        return f"down after {probe.fall} bad samples, up after {probe.rise} good ones"
    every_s = probe.interval_s or cluster.timings.probe_s
    timeout_s = probe.timeout_s or cluster.timings.probe_timeout_s
    down_s = probe.fall * every_s
    return (
        f"down after {probe.fall} * {every_s:g} = {down_s:g} s, when each sample times out after "
        f"{probe.fall * (every_s + timeout_s):g} s; up after {probe.rise * every_s:g} s"
    )


def stands_for(cluster: Cluster, path: Path) -> str:
    """What a value that is not given means where it is resolved from elsewhere; else ""."""
    match path:
        case ("timings", *_):
            return f"of profile {cluster.profile.value}"
        case ("services", _, "probes", _, ("interval_s" | "timeout_s") as name):
            key = RESOLVED[str(name)]
            return f"timings.{key}, {getattr(cluster.timings, key):g}"
        case ("services", _, "databases", _, "voters", site, "user"):
            return f"voter_{site}"
        case ("services", _, "databases", _, "voters", site, "rejoin_user"):
            return f"rejoin_{site}"
        case ("api", "address") | ("api", "tls", "address"):
            return "the site's own"
    return ""


def _fact(about: str, sentence: str) -> ConfigFact:
    return ConfigFact(about=about, sentence=sentence)
