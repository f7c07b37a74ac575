"""The topology file: valid for containerlab, whole in itself, and what the addressing plan says."""

import ipaddress
import re
import subprocess
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from controller.config import load
from lab.netns.programs import PROGRAMS
from lab.netns.topology import (
    REPOSITORY,
    TOPOLOGY_FILE,
    Direction,
    Endpoint,
    Scope,
    read_topology,
)

CONTAINERLAB = REPOSITORY / "lab" / "containerlab"
TOPOLOGY = read_topology()
# Of containerlab's node settings, the ones this file uses and the namespace runner understands.
NODE_KEYS = {
    "kind",
    "group",
    "image",
    "entrypoint",
    "network-mode",
    "restart-policy",
    "binds",
    "sysctls",
    "env",
    "exec",
    "labels",
}
MAGIC = ("__clabNodeDir__", "__clabDir__")
SCRIPTS = sorted([*CONTAINERLAB.glob("programs/*"), *CONTAINERLAB.glob("images/*.sh")])


def test_only_settings_that_both_runners_understand() -> None:
    document = yaml.safe_load(TOPOLOGY_FILE.read_text())
    assert set(document) == {"name", "topology"}
    body = document["topology"]
    assert set(body) == {"defaults", "groups", "nodes", "links"}
    levels = [body["defaults"], *body["groups"].values(), *body["nodes"].values()]
    assert {key for level in levels for key in level} <= NODE_KEYS
    assert {node["group"] for node in body["nodes"].values() if "group" in node} <= set(
        body["groups"]
    )
    assert all(set(link) == {"endpoints"} for link in body["links"])


def test_every_node_of_the_plan_is_there() -> None:
    names = ["client1", "client2", "ix", "isp1", "isp2", "wan", "witness"]
    names += [f"dc{n}-{role}" for n in (1, 2) for role in ("edge", "app1", "app2", "db")]
    assert set(TOPOLOGY.nodes) == set(names)
    assert TOPOLOGY.sites == ("dc1", "dc2", "witness")


def test_each_interface_has_one_cable() -> None:
    ends = Counter(end for link in TOPOLOGY.links for end in (link.left, link.right))
    assert {end: count for end, count in ends.items() if count > 1} == {}
    assert all(re.fullmatch(r"eth[1-9]", end.interface) for end in ends)


def test_addresses_are_unique_and_lie_on_interfaces_that_exist() -> None:
    seen = Counter(
        address.ip for node in TOPOLOGY.nodes.values() for address, _ in node.addresses()
    )
    assert {str(ip) for ip, count in seen.items() if count > 1} == set()
    for node in TOPOLOGY.nodes.values():
        made = re.findall(r"^ip link add (\S+) type vxlan", "\n".join(node.commands), re.M)
        known = {*TOPOLOGY.interfaces(node.name), "lo", "br0", *made}
        assert {interface for _, interface in node.addresses()} <= known


def test_both_ends_of_a_link_are_in_one_network() -> None:
    for link in TOPOLOGY.links:
        left, right = _networks(link.left), _networks(link.right)
        assert left & right, f"{link.left} and {link.right} share no network"
        if "edge" not in link.left.node:  # behind an edge the bridge has the address
            assert left == right


def test_public_addresses_are_documentation_ranges() -> None:
    allowed = [ipaddress.ip_network(net) for net in ("203.0.113.0/24", "10.0.0.0/8")]
    allowed6 = [ipaddress.ip_network(net) for net in ("2001:db8:ff::/48", "fd71::/64")]
    for node in TOPOLOGY.nodes.values():
        for address, _ in node.addresses():
            ranges = allowed if address.version == 4 else allowed6
            assert any(address.ip in net for net in ranges), f"{node.name} has {address}"


def test_the_edges_reach_each_other_s_end_of_the_tunnel_as_the_cluster_says() -> None:
    strays = load(REPOSITORY / "lab/containerlab/nodes/tricast.yml").strays
    assert strays is not None
    for site, ways in strays.via.items():
        ends = {
            str(address.ip): interface
            for address, interface in TOPOLOGY.nodes[f"{site}-edge"].addresses()
        }
        for way in ways:
            assert fnmatch(ends[way], strays.interface)


def test_the_network_is_declared_complete_last() -> None:
    for node in TOPOLOGY.nodes.values():
        assert node.commands[-1] == "install -D /dev/null /run/lab/network-up", node.name


def test_every_bind_has_a_source() -> None:
    for node in TOPOLOGY.nodes.values():
        for bind in node.binds:
            if bind.source.startswith(MAGIC):
                continue
            path = CONTAINERLAB / bind.source.replace("__clabNodeName__", node.name)
            assert path.exists(), f"{node.name} binds {bind.source}"


def test_every_program_is_known_and_has_its_script() -> None:
    used = {name for node in TOPOLOGY.nodes.values() for name in node.programs}
    assert used <= set(PROGRAMS)
    assert used == {path.name for path in CONTAINERLAB.glob("programs/*")}


def test_every_image_has_a_recipe() -> None:
    for node in TOPOLOGY.nodes.values():
        found = re.fullmatch(r"tricast-lab/(\w+):[\d.]+", node.image)
        assert found, f"{node.name} has image {node.image!r}"
        assert (CONTAINERLAB / "images" / found[1] / "Dockerfile").is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_read_by_the_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o111, "not executable"
    assert script.read_text().startswith("#!/bin/sh\n# ")
    subprocess.run(["sh", "-n", script], check=True)


def test_the_ways_out_of_a_site() -> None:
    inside = {Endpoint("dc1-edge", "eth1"), Endpoint("dc1-edge", "eth2")}
    outside = {Endpoint("isp1", "eth1"), Endpoint("wan", "eth1")}
    assert TOPOLOGY.receivers("dc1", Scope.ALL, Direction.BOTH) == inside | outside
    assert TOPOLOGY.receivers("dc1", Scope.ALL, Direction.INBOUND) == inside
    assert TOPOLOGY.receivers("dc1", Scope.ALL, Direction.OUTBOUND) == outside
    wan = {Endpoint("dc1-edge", "eth2"), Endpoint("wan", "eth1")}
    assert TOPOLOGY.receivers("dc1", Scope.WAN, Direction.BOTH) == wan
    internet = {Endpoint("witness", "eth1"), Endpoint("ix", "eth4")}
    assert TOPOLOGY.receivers("witness", Scope.INTERNET, Direction.BOTH) == internet


def test_both_data_sites_look_alike() -> None:
    for role in ("edge", "app1", "app2", "db"):
        first, second = TOPOLOGY.node(f"dc1-{role}"), TOPOLOGY.node(f"dc2-{role}")
        assert first.programs == second.programs
        assert len(first.commands) == len(second.commands)
        assert first.image == second.image


def _networks(end: Endpoint) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    bridged = end.node.endswith("-edge") and end.interface not in ("eth1", "eth2")
    interface = "br0" if bridged else end.interface
    return {
        address.network
        for address, name in TOPOLOGY.node(end.node).addresses()
        if name == interface
    }
