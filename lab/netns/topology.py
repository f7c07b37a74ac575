"""The topology file as values: nodes, links, and which links make up a site's ways out.

Inheritance is containerlab's: node over group over kind over defaults; maps are merged, lists are
joined with the defaults first.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from lab.netns.error import LabError

REPOSITORY = Path(__file__).resolve().parents[2]
TOPOLOGY_FILE = REPOSITORY / "lab" / "containerlab" / "tricast.clab.yml"

_ADDRESS = re.compile(r"^ip (?:-6 )?address add (\S+) dev (\S+)")
_PRIVATE = ipaddress.ip_network("10.0.0.0/8")


class Scope(StrEnum):
    """Which of a site's links."""

    ALL = "all"
    WAN = "wan"
    INTERNET = "internet"


class Direction(StrEnum):
    """Which packets, seen from the site."""

    BOTH = "both"
    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a link."""

    node: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two nodes."""

    left: Endpoint
    right: Endpoint

    def ways(self) -> Iterator[tuple[Endpoint, Endpoint]]:
        """Both directions, as (sender, receiver)."""
        yield self.left, self.right
        yield self.right, self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or directory of this machine shown inside a node; `source` may hold magic names."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """A node as the file describes it."""

    name: str
    group: str
    image: str
    entrypoint: tuple[str, ...]
    binds: tuple[Bind, ...]
    sysctls: Mapping[str, str]
    env: Mapping[str, str]
    commands: tuple[str, ...]
    labels: Mapping[str, str]

    @property
    def programs(self) -> tuple[str, ...]:
        """What the entrypoint starts, in order."""
        return tuple(self.env.get("PROGRAMS", "").split())

    @property
    def site(self) -> str:
        """The site it belongs to; "" for the networks and clients outside."""
        return self.labels.get("tricast.site", "")

    @property
    def delays(self) -> Mapping[str, str]:
        """Interface -> delay of what it sends, for those that have one."""
        pairs = (part.partition("=") for part in self.labels.get("tricast.delay", "").split())
        return {name: delay for name, _, delay in pairs if float(delay.rstrip("mus") or 0) > 0}

    def addresses(self) -> Iterator[tuple[ipaddress.IPv4Interface | ipaddress.IPv6Interface, str]]:
        """Every address its commands give it, with the interface."""
        for command in self.commands:
            if found := _ADDRESS.match(command):
                yield ipaddress.ip_interface(found.group(1)), found.group(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The whole file."""

    name: str
    directory: Path
    nodes: Mapping[str, NodeSpec]
    links: tuple[Link, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site, in the order of the file."""
        return tuple(dict.fromkeys(node.site for node in self.nodes.values() if node.site))

    def members(self, target: str) -> tuple[str, ...]:
        """The nodes of a site, or the one node of that name."""
        if target in self.sites and target not in self.nodes:
            return tuple(node.name for node in self.nodes.values() if node.site == target)
        return (self.node(target).name,)

    def node(self, name: str) -> NodeSpec:
        """The node called `name`."""
        if name not in self.nodes:
            raise LabError(f"no node {name!r} in the lab; there are: {', '.join(self.nodes)}")
        return self.nodes[name]

    def interfaces(self, name: str) -> tuple[str, ...]:
        """The interfaces that links give the node."""
        ends = (end for link in self.links for end in (link.left, link.right))
        return tuple(sorted(end.interface for end in ends if end.node == name))

    def receivers(self, site: str, scope: Scope, direction: Direction) -> frozenset[Endpoint]:
        """The receiving ends of a site's links to the outside: where its packets can be dropped."""
        inside = self._site(site)
        found = set()
        for link in self.links:
            for sender, receiver in link.ways():
                if (sender.node in inside) == (receiver.node in inside):
                    continue
                inbound = receiver.node in inside
                if direction is (Direction.OUTBOUND if inbound else Direction.INBOUND):
                    continue
                outside = self.nodes[sender.node if inbound else receiver.node]
                if scope in (Scope.ALL, outside.labels.get("tricast.net", "")):
                    found.add(receiver)
        return frozenset(found)

    def between(self, left: str, right: str) -> frozenset[Endpoint]:
        """Both receiving ends of the link between two nodes."""
        pair = {self.node(left).name, self.node(right).name}
        found = [link for link in self.links if {link.left.node, link.right.node} == pair]
        if not found:
            raise LabError(f"no link between {left} and {right}")
        return frozenset(end for link in found for end in (link.left, link.right))

    def touching(self, node: str) -> frozenset[Endpoint]:
        """Both ends of every link of a node."""
        found = [link for link in self.links if node in (link.left.node, link.right.node)]
        return frozenset(end for link in found for end in (link.left, link.right))

    def private_networks(self, site: str) -> tuple[str, ...]:
        """The site's own networks on the WAN side."""
        found = {
            str(address.network)
            for name in sorted(self._site(site))
            for address, _ in self.nodes[name].addresses()
            if address.version == 4 and address.ip in _PRIVATE
        }
        return tuple(sorted(found))

    def _site(self, site: str) -> frozenset[str]:
        members = frozenset(node.name for node in self.nodes.values() if node.site == site)
        if not members:
            raise LabError(f"no site {site!r} in the lab; there are: {', '.join(self.sites)}")
        return members


Document = Mapping[str, object]


def read_topology(path: Path = TOPOLOGY_FILE) -> Topology:
    """The topology in `path`."""
    try:
        document = {"file": yaml.safe_load(path.read_bytes())}
        return _topology(_mapping(document, "file"), path)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LabError(f"{path.name}: {' '.join(str(error).split()) or 'not YAML'}") from None


def _topology(document: Document, path: Path) -> Topology:
    body = _mapping(document, "topology")
    levels = {name: _mapping(body, name) for name in ("defaults", "kinds", "groups", "nodes")}
    nodes = {name: _node(name, levels) for name in levels["nodes"]}
    links = tuple(_link(entry) for entry in _sequence(body, "links"))
    for end in (end for link in links for end in (link.left, link.right)):
        if end.node not in nodes:
            raise LabError(f"{path.name}: link end {end} names no node of the file")
    return Topology(name=str(document.get("name")), directory=path.parent, nodes=nodes, links=links)


def _node(name: str, levels: Mapping[str, Document]) -> NodeSpec:
    own = _mapping(levels["nodes"], name)
    group_name = str(own.get("group", ""))
    group = _mapping(levels["groups"], group_name)
    kind = _mapping(levels["kinds"], str(own.get("kind", group.get("kind", "linux"))))
    chain = (levels["defaults"], kind, group, own)

    def merged(key: str) -> dict[str, str]:
        return {k: str(v) for level in chain for k, v in _mapping(level, key).items()}

    def joined(key: str) -> list[str]:
        return [str(v) for level in chain for v in _sequence(level, key)]

    def last(key: str) -> str:
        return next((str(level[key]) for level in reversed(chain) if key in level), "")

    return NodeSpec(
        name=name,
        group=group_name,
        image=last("image"),
        entrypoint=tuple(last("entrypoint").split()),
        binds=tuple(_bind(text) for text in joined("binds")),
        sysctls=merged("sysctls"),
        env=merged("env"),
        commands=tuple(joined("exec")),
        labels=merged("labels"),
    )


def _bind(text: str) -> Bind:
    source, colon, rest = text.partition(":")
    target, *options = rest.split(":")
    if not colon:
        raise LabError(f"bind {text[:60]!r} is not source:target")
    return Bind(source=source, target=target, read_only="ro" in options)


def _link(entry: object) -> Link:
    ends = _sequence(_mapping({"link": entry}, "link"), "endpoints")
    if len(ends) != 2:
        raise LabError(f"a link has two endpoints, not {len(ends)}")
    left, right = (str(end).partition(":") for end in ends)
    return Link(Endpoint(left[0], left[2]), Endpoint(right[0], right[2]))


def _mapping(level: Document, key: str) -> dict[str, object]:
    found = level.get(key) or {}
    if not isinstance(found, Mapping):
        raise LabError(f"{key} is not a mapping: {str(found)[:60]}")
    return {str(name): value for name, value in found.items()}


def _sequence(level: Document, key: str) -> Sequence[object]:
    found = level.get(key) or ()
    if not isinstance(found, list | tuple):
        raise LabError(f"{key} is not a list: {str(found)[:60]}")
    return found
