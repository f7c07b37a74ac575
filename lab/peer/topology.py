"""The lab's topology with the peer stack's programs: the same nodes, links and addresses."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lab.netns.topology import Bind, NodeSpec, Topology, read_topology

CHECKOUT = "/opt/tricast"
ENTRYPOINT = ("/usr/bin/tini", "--", f"{CHECKOUT}/lab/peer/images/entrypoint.sh")
ADDRESS = "198.51.100.10/32"
NETWORK = {"dc1": "10.1.0", "dc2": "10.2.0"}
VENV = "build/peer/venv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the nodes of one group run instead."""

    programs: str
    files: tuple[tuple[str, str], ...] = ()  # under lab/peer/nodes ({site}: the site) -> inside
    venv: bool = False
    address: bool = False  # the service address is on this node for good
    env: Callable[[str], dict[str, str]] = lambda _: {}


PARTS = {
    "edge": Part(
        programs="etcd haproxy announcer",
        files=(
            ("haproxy.cfg", "/etc/haproxy/haproxy.cfg"),
            ("{site}-exabgp.conf", "/etc/exabgp.conf"),
            ("{site}-healthcheck.conf", "/etc/healthcheck.conf"),
        ),
        address=True,
        env=lambda site: {"APPS": NETWORK[site]},
    ),
    "database": Part(programs="patroni", files=(("patroni.yml", "/etc/patroni.yml"),), venv=True),
    "app": Part(programs="wallet", env=lambda site: {"DATABASE": f"{NETWORK[site]}.1"}),
    "witness": Part(programs="etcd"),
}


def peer_topology(base: Topology | None = None) -> Topology:
    """The topology in which each node runs its part of the peer stack."""
    found = base or read_topology()
    nodes = {name: _changed(node, PARTS.get(node.group)) for name, node in found.nodes.items()}
    return replace(found, nodes=nodes)


def _changed(node: NodeSpec, part: Part | None) -> NodeSpec:
    if part is None:
        return node
    binds = [bind for bind in node.binds if bind.target == CHECKOUT]
    for name, target in part.files:
        source = f"../peer/nodes/{name.format(site=node.site)}"
        binds.append(Bind(source=source, target=target, read_only=True))
    if part.venv:
        binds.append(Bind(source=f"../../{VENV}", target="/opt/peer", read_only=True))
    commands = node.commands
    if part.address:
        commands = (f"ip address add {ADDRESS} dev lo", *commands)
    return replace(
        node,
        entrypoint=ENTRYPOINT,
        binds=tuple(binds),
        commands=commands,
        env={**node.env, **part.env(node.site), "PROGRAMS": part.programs},
    )
