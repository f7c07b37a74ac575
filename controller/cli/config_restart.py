"""What an operator does after a change of the cluster file: which sites, in what order, and how."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from controller.cli.config_compare import EXABGP, NOTHING
from controller.cli.elsewhere import endpoints
from controller.cli.endpoint import Endpoint, status_of
from controller.cli.errors import CliError
from controller.config import Cluster
from controller.core.model import SiteKind
from controller.web.config_schema import ConfigDifference
from controller.web.schema import Status

UNIT: Final = {SiteKind.DATA: "tricast", SiteKind.WITNESS: "tricast-witness"}
TOGETHER: Final = (  # what every site has to say alike: see core/terms.py
    re.compile(r"sites\.[^.]*(\.kind)?"),
    re.compile(r"services\[[^\]]*\](\.durability|\.databases\[[^\]]*\])?"),
)


def holders(cluster: Cluster) -> dict[str, list[str]]:
    """Services by the site that holds them, as the daemons say; none where nobody answers."""
    where = endpoints(cluster)
    with ThreadPoolExecutor(max_workers=len(where)) as pool:
        found = [told for told in pool.map(_status, where.values()) if told is not None]
    held: dict[str, list[str]] = {}
    newest = {s.name: s for told in found for s in sorted(told.services, key=lambda s: s.epoch)}
    for service in newest.values():
        if service.holder:
            held.setdefault(service.holder, []).append(service.name)
    return held


def _status(endpoint: Endpoint) -> Status | None:
    try:
        return status_of(endpoint)
    except CliError:
        return None


def next_lines(
    file: Path,
    cluster: Cluster,
    rows: Sequence[ConfigDifference],
    held: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Commands, in their order."""
    wanted = {row.needs for row in rows}
    if wanted <= {NOTHING}:
        yield "No daemon has to be restarted for this."
        return
    yield (
        "Nothing runs with it yet. It is the same file on every node: copy it to the others, then "
        "restart one site after the other, and go on when tricast status is calm:"
    )
    exabgp = EXABGP in wanted and any(site.bgp is not None for site in cluster.sites.values())
    for number, site in enumerate(_ordered(cluster, held), 1):
        yield from _site_lines(number, site, cluster, held, exabgp=exabgp)
    if not held:
        yield (
            "No daemon says who holds what. The holder of a service goes last: see tricast status."
        )
    if exabgp:
        yield "A restart of exabgp resets the site's BGP sessions: wait until they are up again."
    if any(_together(row.key) for row in rows):
        yield (
            "Sites, databases or durability have changed: until the last site runs with it, one "
            "that agrees with no other does not take over."
        )
    yield f"Then: tricast config diff {file}"


def _ordered(cluster: Cluster, held: Mapping[str, Sequence[str]]) -> list[str]:
    """Witnesses, then data sites that hold nothing, then holders, the one of most services last."""
    first = [str(site) for site in cluster.witnesses]
    return [*first, *sorted(map(str, cluster.data_sites), key=lambda s: len(held.get(s, ())))]


def _site_lines(
    number: int,
    site: str,
    cluster: Cluster,
    held: Mapping[str, Sequence[str]],
    *,
    exabgp: bool,
) -> Iterator[str]:
    conf = next(found for name, found in cluster.sites.items() if name == site)
    holds = f", holds {', '.join(held[site])}" if site in held else ""
    yield f"  {number}. {site} ({conf.address}{holds}):"
    yield f"       systemctl restart {UNIT[conf.kind]}"
    if exabgp and conf.bgp is not None:
        yield "       systemctl restart exabgp"


def _together(key: str) -> bool:
    return any(pattern.fullmatch(key) for pattern in TOGETHER)
