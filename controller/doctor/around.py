"""What every check is given, and the store as a check uses it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.etcd import Etcd
from controller.adapters.netlink import Netlink
from controller.config import Cluster
from controller.core.model import Report, SiteKind, SiteName
from controller.core.wire import SITES, BadRecord, decode_report
from controller.daemon.wiring import build_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The site where the doctor runs."""

    file: Path
    cluster: Cluster
    site: SiteName

    @property
    def others(self) -> tuple[SiteName, ...]:
        """Every other site."""
        return self.cluster.others(self.site)

    @property
    def at_data_site(self) -> bool:
        """Databases, haproxy and a speaker are at hand here."""
        return self.cluster.sites[self.site].kind is SiteKind.DATA


async def here(cluster: Cluster) -> tuple[SiteName, ...]:
    """The sites whose address stands on this host. Raises PortError.

    The kernel is asked: where `net.ipv4.ip_nonlocal_bind` is set, as on an edge, any address can be
    bound.
    """
    addresses = {site.address: SiteName(name) for name, site in cluster.sites.items()}
    absent = await Netlink().missing(frozenset(addresses))
    return tuple(name for address, name in addresses.items() if address not in absent)


@asynccontextmanager
async def store(around: Around, endpoints: Sequence[str] = ()) -> AsyncIterator[Etcd]:
    """The store below our prefix, at these members, or else at all; closed afterwards."""
    cluster = around.cluster
    found = endpoints or cluster.etcd_endpoints(around.site)
    opened = build_store(cluster, found, cluster.etcd.prefix)
    try:
        yield opened
    finally:
        await opened.aclose()


async def reports(opened: Etcd, deadline_s: float) -> dict[SiteName, Report]:
    """Every site's report that stands in the store and can be read. Raises PortError."""
    snapshot = await opened.read(SITES, deadline_s)
    found: dict[SiteName, Report] = {}
    for key, entry in snapshot.entries.items():
        try:
            report = decode_report(key, entry.value)
        except BadRecord:
            continue  # the site counts as one that does not report
        found[report.site] = report
    return found
