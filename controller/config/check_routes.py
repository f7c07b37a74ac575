"""Stances, neighbors, prefixes and service addresses."""

from ipaddress import ip_address, ip_network
from itertools import pairwise

from bgp.policy import Stance
from bgp.specifics import When
from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.problem import Path, dotted
from controller.config.services import Service
from controller.config.sites import Bgp, Family, Neighbor
from controller.core.model import SiteName


def check_routes(cluster: Cluster, findings: Findings) -> None:
    """The stances leave headroom, and every data site can speak to its providers."""
    _check_stances(cluster, findings)
    router_ids = Distinct(findings, "each BGP speaker has its own router id")
    for name, site in cluster.sites.items():
        if site.bgp is None:
            continue
        at: Path = ("sites", name, "bgp")
        router_ids.add((*at, "router_id"), site.bgp.router_id)
        _check_neighbors(site.bgp, at, findings)


def _check_stances(cluster: Cluster, findings: Findings) -> None:
    stances = cluster.bgp.stances
    ladder = (Stance.OVERRIDE, Stance.PREFERRED, Stance.BACKUP, Stance.ISOLATED)
    for better, worse in pairwise(ladder):
        first, second = stances.of(better), stances.of(worse)
        if first is not None and second is not None and first.prepends >= second.prepends:
            findings.add(
                ("bgp", "stances", worse.value, "prepends"),
                second.prepends,
                f"must be more than the {first.prepends} of {better.value}: a takeover wins by a "
                "shorter path, never by waiting for a withdrawal",
            )
    drained, isolated = stances.drained, stances.isolated
    if drained.prepends < isolated.prepends:
        findings.add(
            ("bgp", "stances", "drained", "prepends"),
            drained.prepends,
            f"must be at least the {isolated.prepends} of isolated: a drained site draws nobody",
        )
    for stance in (*ladder, Stance.DRAINED):
        conf = stances.of(stance)
        if conf is not None and conf.prepends > cluster.bgp.max_prepends:
            findings.add(
                ("bgp", "stances", stance.value, "prepends"),
                conf.prepends,
                f"must be at most bgp.max_prepends = {cluster.bgp.max_prepends}",
            )


def _check_neighbors(bgp: Bgp, at: Path, findings: Findings) -> None:
    sessions = Distinct(findings, "each neighbor is listed once")
    for number, neighbor in enumerate(bgp.neighbors):
        here: Path = (*at, "neighbors", number)
        sessions.add((*here, "address"), neighbor.address)
        if neighbor.remote_as == bgp.local_as:
            findings.add(
                (*here, "remote_as"),
                neighbor.remote_as,
                "must differ from local_as: prepends need eBGP",
            )
        _check_family(neighbor, here, findings)
        if neighbor.password_file is not None and neighbor.password_env is not None:
            findings.add(
                (*here, "password_env"), neighbor.password_env, "password_file is given already"
            )


def _check_family(neighbor: Neighbor, here: Path, findings: Findings) -> None:
    version = 4 if neighbor.family is Family.IPV4 else 6
    for key, text in (
        ("address", neighbor.address),
        ("local_address", neighbor.local_address),
    ):
        if ip_address(text).version != version:
            findings.add((*here, key), text, f"must be of the session's family, {neighbor.family}")
    if neighbor.address == neighbor.local_address:
        findings.add(
            (*here, "local_address"), neighbor.local_address, "must differ from the neighbor's"
        )


def check_service_routes(cluster: Cluster, findings: Findings) -> None:
    """Prefixes are ours to announce, belong to one service each, and hold its addresses."""
    taken: list[tuple[str, int, Path]] = []
    addresses = Distinct(findings, "a service address belongs to one service")
    for number, service in enumerate(cluster.services):
        at: Path = ("services", number)
        for index, text in enumerate(service.prefixes):
            _check_prefix(cluster, findings, (*at, "prefixes", index), text)
            _check_overlap(findings, taken, text, number, (*at, "prefixes", index))
            taken.append((text, number, (*at, "prefixes", index)))
            _check_halves(cluster, findings, (*at, "prefixes", index), text)
        for index, text in enumerate(service.addresses):
            addresses.add((*at, "addresses", index), text)
            if not any(ip_address(text) in ip_network(prefix) for prefix in service.prefixes):
                findings.add(
                    (*at, "addresses", index),
                    text,
                    f"must be inside a prefix of the service: {', '.join(service.prefixes)}",
                )
        _check_filled(findings, service, at)
        _check_spoken(cluster, findings, service, at)


def _check_prefix(cluster: Cluster, findings: Findings, path: Path, text: str) -> None:
    network = ip_network(text)
    allowed = [ip_network(prefix) for prefix in cluster.bgp.allowed_prefixes]
    # ip_network.subnet_of refuses to compare two families.
    if not any(a.version == network.version and network.subnet_of(a) for a in allowed):  # type: ignore[arg-type]
        listed = ", ".join(cluster.bgp.allowed_prefixes) or "empty"
        findings.add(path, text, f"must be inside bgp.allowed_prefixes ({listed})")
    for name, site in cluster.sites.items():
        if ip_address(site.address) in network:
            findings.add(
                path, text, f"contains the address of site {name}, {site.address}; it would move"
            )


def _check_halves(cluster: Cluster, findings: Findings, path: Path, text: str) -> None:
    rules = cluster.bgp.more_specifics
    network = ip_network(text)
    length = network.prefixlen + 1
    limit = rules.max_length_ipv4 if network.version == 4 else rules.max_length_ipv6
    if rules.when is not When.NEVER and length > limit:
        findings.add(
            path,
            text,
            f"its halves are /{length}, longer than bgp.more_specifics.max_length_ipv"
            f"{network.version} = {limit}. Announce a shorter prefix; or raise the bound, where "
            f"every provider has agreed to /{length}; or set bgp.more_specifics.when to never",
        )


def _check_overlap(
    findings: Findings, taken: list[tuple[str, int, Path]], text: str, number: int, path: Path
) -> None:
    network = ip_network(text)
    for other, owner, where in taken:
        known = ip_network(other)
        if known.version == network.version and known.overlaps(network):
            whose = "of the same service" if owner == number else "of another service"
            line = findings.document.line(where)
            findings.add(path, text, f"overlaps {other} {whose}, {dotted(where)} (line {line})")


def _check_filled(findings: Findings, service: Service, at: Path) -> None:
    for index, text in enumerate(service.prefixes):
        if not any(ip_address(address) in ip_network(text) for address in service.addresses):
            findings.add(
                (*at, "prefixes", index),
                text,
                "no address of the service is inside: traffic would arrive and go nowhere",
            )


def _check_spoken(cluster: Cluster, findings: Findings, service: Service, at: Path) -> None:
    for index, text in enumerate(service.prefixes):
        family = Family.IPV4 if ip_network(text).version == 4 else Family.IPV6
        silent = [name for name in cluster.data_sites if not _speaks(cluster, name, family)]
        if silent:
            findings.add(
                (*at, "prefixes", index),
                text,
                f"no neighbor of family {family} at {', '.join(silent)}: after a takeover "
                "nobody would hear of it",
            )


def _speaks(cluster: Cluster, site: SiteName, family: Family) -> bool:
    bgp = cluster.sites[site].bgp
    return bgp is not None and any(neighbor.family is family for neighbor in bgp.neighbors)
