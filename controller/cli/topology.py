"""`tricast topology`: sites, routes, traffic, and who follows whom, as a tree."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from controller.cli import elsewhere, options, status_view
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.cli.status_view import BAD, DIM, GOOD, ODD
from controller.cli.table import Cell
from controller.cli.tree import Node, lines
from controller.web.printed_schema import CopyTree, DatabaseTree, ServiceTree, SiteTree, Topology
from controller.web.schema import ServiceView, SiteView, Status

ROLES = {"primary": GOOD, "deposed": BAD, "following": GOOD}
FOLLOWING = frozenset({"following", "waiting"})
STATES = {"open": GOOD, "down": BAD, "streaming": "", "read-only": ODD}
STANCES = {"preferred": GOOD, "override": GOOD, "backup": "", "isolated": BAD}
HEALTHS = {"ok": GOOD, "ill": BAD, "silent": BAD}


@click.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only this service.")
def topology(*, as_json: bool, service: str | None, **where: Path | str | None) -> int:
    """Show the cluster as a tree.

    One tree per service: holder and epoch; each site with its role, health, BGP sessions and what
    they announce, and where its haproxy sends; each database with its copies, the followers below
    whom they follow, with lag, position and gate.

    The daemon of this node is asked. With a cluster file (--config, TRICAST_CONFIG, or
    /etc/tricast/tricast.yml) every other site is asked too, as only its own daemon knows its BGP
    sessions and its haproxy; and when the daemon here is dead, one of the others is believed. With
    --url only that daemon is asked, with --server each of those that it names. It does not read
    etcd, and changes nothing.
    """
    config, first = where["config"], options.endpoint(where)
    alone = first.url is not None
    sites = first.one_by_one()
    if not alone and not sites:
        sites = elsewhere.endpoints(elsewhere.cluster_of(Path(config) if config else None))
    status, silent = elsewhere.told(first, sites, alone=alone)
    found = tree_of(status, service, silent)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in topology_lines(found, out.width):
        out.print(line)
    return ExitCode.DONE


def tree_of(status: Status, only: str | None, silent: tuple[str, ...] = ()) -> Topology:
    """The tree of a status. Raises CliError when there is no service `only`."""
    names = [service.name for service in status.services]
    if only is not None and only not in names:
        raise CliError(
            ExitCode.USAGE,
            f"cluster {status.cluster} has no service {only!r}; it has {', '.join(names)}",
        )
    return Topology(
        cluster=status.cluster,
        site=status.site,
        now=status.now,
        store="" if status.store.ok else status.store.detail or "no majority answers",
        unanswered=silent,
        services=tuple(_service(s) for s in status.services if only in (None, s.name)),
    )


def _service(service: ServiceView) -> ServiceTree:
    names = dict.fromkeys(copy.name for site in service.sites for copy in site.databases)
    return ServiceTree(
        name=service.name,
        durability=service.durability,
        epoch=service.epoch,
        holder=service.holder,
        paused=service.paused,
        guarantee=service.guarantee,
        warnings=service.warnings,
        sites=tuple(_site(site) for site in service.sites),
        databases=tuple(DatabaseTree(name=n, copies=tuple(_copies(service, n))) for n in names),
    )


def _site(site: SiteView) -> SiteTree:
    return SiteTree(
        site=site.site,
        kind=site.kind,
        role=site.role,
        rule=site.rule,
        health=status_view.health_word(site),
        heard_s=site.heartbeat_age_s,
        stance=site.stance,
        more_specifics=site.more_specifics,
        sessions_up=site.sessions_up,
        sessions_total=site.sessions_total,
        directed_to=site.directed_to,
        held=site.held,
        apps_up=site.apps.up,
        apps_total=site.apps.total,
        lands_at=site.lands_at,
    )


def _copies(service: ServiceView, name: str) -> Iterator[CopyTree]:
    for site in service.sites:
        for copy in site.databases:
            if copy.name == name:
                yield CopyTree(
                    site=site.site,
                    role=status_view.voter_cell(service, site, copy).text,
                    state=status_view.state_cell(copy).text,
                    kind=copy.kind,
                    upstream=copy.upstream,
                    lag_bytes=None if copy.writable else copy.lag_bytes,
                    position=copy.position,
                    epoch=copy.epoch,
                    promised=copy.promised,
                    gate_open=copy.gate_open,
                    problems=copy.problems,
                )


def topology_lines(found: Topology, width: int) -> Iterator[Text]:
    """The whole page."""
    for service in found.services:
        yield from lines(_service_node(service), width)
        yield Text("")
    if found.store:
        yield Text(f"Store: {found.store}; roles stay as they are, traffic goes on", style=BAD)
    for sentence in found.unanswered:
        yield Text(f"No answer: {sentence}", style=ODD)
    yield Text(f"{found.cluster} at {found.now} as seen by {found.site}", style=DIM)


def _service_node(service: ServiceTree) -> Node:
    items = [Cell(f"epoch {service.epoch}"), Cell(f"holder {service.holder or 'nobody'}")]
    if service.paused:
        items.append(Cell(f"PAUSED: {service.paused}", BAD))
    items.append(Cell(service.guarantee or service.durability))
    below = [_site_node(site) for site in service.sites]
    below += [_database_node(database) for database in service.databases]
    below += [Node(Cell("warning:", ODD), (Cell(said),)) for said in service.warnings]
    return Node(Cell(service.name, "bold"), items, below)


def _site_node(site: SiteTree) -> Node:
    words = [Cell(site.role, ROLES.get(site.role, ""))]
    words += [Cell(f"rule {site.rule}", DIM)] if site.rule else []
    words.append(Cell(site.health, HEALTHS.get(site.health, ODD)))
    if site.heard_s is not None:
        words.append(Cell(f"heard {status_view.age(site.heard_s)} ago", DIM))
    if site.apps_total:
        short = ODD if site.apps_up < site.apps_total else ""
        words.append(Cell(f"apps {site.apps_up}/{site.apps_total}", short))
    if site.kind == "witness":
        words += [Cell(f"lands at {site.lands_at}")] if site.lands_at else []
        return Node(Cell(f"site {site.site}:", "bold"), words)
    return Node(Cell(f"site {site.site}:", "bold"), words, [_routes_node(site), _traffic(site)])


def _routes_node(site: SiteTree) -> Node:
    stance = site.stance or "unknown"
    up, total = site.sessions_up, site.sessions_total
    known = f"{up} of {total} sessions up" if up is not None else "sessions: ask its own daemon"
    return Node(
        Cell("bgp:"),
        (
            Cell(f"announces {stance}", STANCES.get(stance, ODD)),
            *(Cell(f"and {prefix}", ODD) for prefix in site.more_specifics),
            Cell(known, BAD if total and not up else (ODD if up != total else "")),
        ),
    )


def _traffic(site: SiteTree) -> Node:
    if site.directed_to is None:
        return Node(Cell("haproxy:"), (Cell("ask its own daemon", DIM),))
    target = f"-> {' and '.join(site.directed_to)}" if site.directed_to else "-> nobody (503)"
    words = [Cell(target, "" if site.directed_to else ODD)]
    words += [Cell("new requests wait", ODD)] if site.held else []
    return Node(Cell("haproxy:"), words)


def _database_node(database: DatabaseTree) -> Node:
    """Followers hang below whom they follow; whoever follows nobody known is at the top."""
    nodes = {copy.site: _copy_node(copy) for copy in database.copies}
    top = Node(Cell(f"database {database.name}:", "bold"))
    leader = {copy.site: copy.upstream for copy in database.copies if copy.role in FOLLOWING}
    for copy in database.copies:
        above = nodes.get(leader.get(copy.site) or "")
        (top if above is None or _circle(leader, copy.site) else above).below.append(
            nodes[copy.site]
        )
    return top


def _circle(leader: dict[str, str | None], site: str) -> bool:
    """Whether following upwards from `site` leads back to it."""
    at = leader.get(site)
    for _ in leader:
        if at == site:
            return True
        at = leader.get(at or "")
    return False


def _copy_node(copy: CopyTree) -> Node:
    words = [Cell(copy.role, ROLES.get(copy.role, ODD))]
    if copy.state != "streaming":
        words.append(Cell(copy.state, STATES.get(copy.state, ODD)))
    if copy.lag_bytes is not None:
        words.append(Cell(f"lag {status_view.size(copy.lag_bytes)}"))
    words += [Cell(copy.position)] if copy.position else []
    words.append(Cell(copy.kind, DIM))
    words += [Cell(problem, BAD) for problem in copy.problems]
    return Node(Cell(f"{copy.site}:"), words)
