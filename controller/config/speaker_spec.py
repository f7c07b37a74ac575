"""What the BGP speaker of one site is told, taken from the cluster file."""

from bgp.policy import Policy, Saying, Stance
from bgp.route import Prefix
from bgp.spec import BgpSpec, NeighborSpec
from controller.config.cluster import Cluster
from controller.config.sites import Stances
from controller.core.model import SiteName


class NoRoutesError(ValueError):
    """The site announces nothing; the message names it."""


def speaker_spec(cluster: Cluster, site: SiteName) -> BgpSpec:
    """The specification for the speaker of `site`; NoRoutesError when it has no `bgp`."""
    bgp = cluster.sites[site].bgp
    if bgp is None:
        raise NoRoutesError(f"site {site} has no bgp section: it announces nothing")
    return BgpSpec(
        router_id=bgp.router_id,
        policy=Policy(
            local_as=bgp.local_as,
            sayings=_sayings(cluster.bgp.stances),
            max_prepends=cluster.bgp.max_prepends,
        ),
        neighbors=tuple(
            NeighborSpec(
                address=neighbor.address,
                local_address=neighbor.local_address,
                remote_as=neighbor.remote_as,
                hold_s=neighbor.hold_s,
                password_file=neighbor.password_file,
            )
            for neighbor in bgp.neighbors
        ),
        services={
            str(service.name): tuple(Prefix(text) for text in service.prefixes)
            for service in cluster.services
            if service.prefixes
        },
        allowed_prefixes=tuple(Prefix(text) for text in cluster.bgp.allowed_prefixes),
        permit_s=cluster.timings.permit_s,
        refresh_s=cluster.bgp.refresh_s,
        socket_path=cluster.bgp.speaker_socket,
        host_name=str(site),
        more_specifics=cluster.bgp.more_specifics.rules,
    )


def neighbor_passwords(cluster: Cluster, site: SiteName) -> dict[str, str]:
    """The passwords of the sessions of `site` that have one, by neighbor address."""
    bgp = cluster.sites[site].bgp
    found = ((n.address, n.password) for n in (bgp.neighbors if bgp else ()))
    return {address: password.reveal() for address, password in found if password is not None}


def _sayings(stances: Stances) -> dict[Stance, Saying]:
    found = {stance: stances.of(stance) for stance in Stance}
    return {
        stance: Saying.parse(
            {
                "prepends": conf.prepends,
                "med": conf.med,
                "communities": list(conf.communities),
            }
        )
        for stance, conf in found.items()
        if conf is not None
    }
