"""What must hold between keys. A configuration that cannot be safe does not load."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from controller.config.check_api import check_api
from controller.config.check_notifications import check_notifications
from controller.config.check_policies import check_policies, policy_warnings
from controller.config.check_routes import check_routes, check_service_routes
from controller.config.check_services import check_services
from controller.config.check_timings import check_timings
from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.problem import Path, Problem
from controller.config.yaml_lines import Document
from controller.core.model import Durability, SiteKind


def cross_checks(cluster: Cluster, document: Document) -> list[Problem]:
    """Everything that keeps this cluster from being run."""
    findings = Findings(document)
    _check_sites(cluster, findings)
    check_routes(cluster, findings)
    check_service_routes(cluster, findings)
    check_services(cluster, findings)
    check_timings(cluster, findings)
    check_notifications(cluster, findings)
    check_api(cluster, findings)
    check_policies(cluster, findings)
    _check_ports(cluster, findings)
    return findings.problems


def warnings_about(cluster: Cluster, document: Document) -> list[Problem]:
    """What an operator should know, and may have decided."""
    findings = Findings(document)
    if cluster.etcd.tls is None and not all(_is_loopback(s.etcd) for s in cluster.sites.values()):
        findings.add(
            ("etcd",),
            None,
            "no tls: whoever reaches the store can move every service; see etcd.tls",
        )
    for path, text in _announced(cluster):
        longest = 24 if ip_network(text).version == 4 else 48
        if ip_network(text).prefixlen > longest:
            findings.add(path, text, f"most providers filter anything longer than /{longest}")
    for number, service in enumerate(cluster.services):
        if service.durability is Durability.LEASE and service.databases:
            findings.add(
                ("services", number, "durability"),
                service.durability.value,
                "a failover may lose up to max_lag_bytes of acknowledged writes; quorum loses none",
            )
        if service.prefixes and service.canary_url is None:
            findings.add(
                ("services", number),
                None,
                "has no canary_url: nobody verifies where clients land after a takeover",
            )
        if service.objectives.rto_s < cluster.timings.suspect_after_s:
            findings.add(
                ("services", number, "objectives", "rto_s"),
                service.objectives.rto_s,
                "is less than timings.suspect_after_s: no failover can begin before "
                f"{cluster.timings.suspect_after_s:g} s are over",
            )
    policy_warnings(cluster, findings)
    return findings.problems


def _announced(cluster: Cluster) -> Iterator[tuple[Path, str]]:
    for number, service in enumerate(cluster.services):
        for index, text in enumerate(service.prefixes):
            yield ("services", number, "prefixes", index), text


def _is_loopback(url: str) -> bool:
    host = url.split("//", 1)[1].rsplit(":", 1)[0].strip("[]/")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_sites(cluster: Cluster, findings: Findings) -> None:
    if len(cluster.data_sites) < 2:
        findings.add(
            ("sites",), None, f"has {len(cluster.data_sites)} data site(s); at least 2 are needed"
        )
    if not cluster.witnesses:
        findings.add(("sites",), None, "has no witness site (kind: witness); at least 1 is needed")
    if len(cluster.sites) % 2 == 0:
        findings.add(
            ("sites",),
            None,
            f"has {len(cluster.sites)} sites, one store member each; an odd number is needed, "
            "for one more member would not survive one more loss",
        )
    addresses = Distinct(findings, "each site has its own address")
    stores = Distinct(findings, "each site has its own store member")
    for name, site in cluster.sites.items():
        at: Path = ("sites", name)
        addresses.add((*at, "address"), site.address)
        stores.add((*at, "etcd"), site.etcd)
        if site.etcd.startswith("https:") != (cluster.etcd.tls is not None):
            findings.add(
                (*at, "etcd"), site.etcd, "must be https:// exactly when etcd.tls is given"
            )
        if site.kind is SiteKind.WITNESS and site.bgp is not None:
            findings.add((*at, "bgp"), None, "a witness announces nothing; leave bgp out")
    for name in cluster.haproxy.alive_url:
        if name not in cluster.data_sites:
            _unknown_site(cluster, findings, ("haproxy", "alive_url", name), str(name))

    _check_strays(cluster, findings)


def _check_strays(cluster: Cluster, findings: Findings) -> None:
    """Each data site is reached in each address family of the services."""
    if cluster.strays is None:
        return
    at: Path = ("strays", "via")
    for name in cluster.strays.via:
        if name not in cluster.data_sites:
            _unknown_site(cluster, findings, (*at, name), str(name))
    wanted = {ip_address(a).version for service in cluster.services for a in service.addresses}
    for name in cluster.data_sites:
        ways = cluster.strays.via.get(name, ())
        for version in sorted(wanted - {ip_address(way).version for way in ways}):
            found = ", ".join(ways) or None
            findings.add((*at, name), found, f"must have an IPv{version} address as well")


def _unknown_site(cluster: Cluster, findings: Findings, path: Path, name: str) -> None:
    findings.add(path, name, f"must be one of the data sites: {', '.join(cluster.data_sites)}")


def _check_ports(cluster: Cluster, findings: Findings) -> None:
    if cluster.api.port == cluster.heartbeat.port:
        findings.add(
            ("heartbeat", "port"),
            cluster.heartbeat.port,
            "must differ from api.port, for firewalls",
        )
    if cluster.api.socket == cluster.bgp.speaker_socket:
        findings.add(
            ("bgp", "speaker_socket"), cluster.bgp.speaker_socket, "must differ from api.socket"
        )
    agents = [
        voter.agent
        for service in cluster.services
        for database in service.databases
        for voter in database.voters.values()
        if voter.agent is not None
    ]
    if agents and cluster.ssh is None:
        findings.add(
            ("ssh",), None, f"is required: the host agents at {', '.join(agents)} answer over ssh"
        )
    own_key = cluster.heartbeat.key_file
    if own_key in cluster.heartbeat.accepted_key_files:
        findings.add(
            ("heartbeat", "accepted_key_files"),
            own_key,
            "key_file is accepted anyway; leave it out",
        )
