"""The peer stack stands on the lab's own network, with its own programs and files."""

from lab.netns.programs import PROGRAMS
from lab.netns.topology import REPOSITORY, read_topology
from lab.peer.topology import ADDRESS, VENV, peer_topology

BASE, PEER = read_topology(), peer_topology()


def test_nodes_links_and_addresses_are_the_same() -> None:
    assert (PEER.nodes.keys(), PEER.links) == (BASE.nodes.keys(), BASE.links)
    for name, node in PEER.nodes.items():
        own = {text for text in node.commands if ADDRESS not in text}
        assert own == set(BASE.nodes[name].commands)
        assert {*node.addresses()} - {*BASE.nodes[name].addresses()} == (
            {pair for pair in node.addresses() if str(pair[0]) == ADDRESS}
        )


def test_every_node_runs_known_programs_that_are_there() -> None:
    for node in PEER.nodes.values():
        for program in node.programs:
            assert program in PROGRAMS
            folder = "containerlab" if node.group == "router" else "peer"
            assert (REPOSITORY / "lab" / folder / "programs" / program).exists(), program


def test_no_file_of_tricast_reaches_a_peer_node() -> None:
    for node in PEER.nodes.values():
        if node.group == "router":
            continue
        for bind in node.binds:
            assert bind.target == "/opt/tricast" or "/peer/" in bind.source, bind
            source = (PEER.directory / bind.source).resolve()
            assert source.exists() or VENV in bind.source, bind
    databases = [node for node in PEER.nodes.values() if node.group == "database"]
    assert {node.env["PROGRAMS"] for node in databases} == {"patroni"}


def test_the_standby_site_announces_the_longer_path() -> None:
    peer = REPOSITORY / "lab" / "peer" / "nodes"
    assert "as-path" not in (peer / "dc1-healthcheck.conf").read_text()
    assert "as-path = 64510 64510 64510 64510" in (peer / "dc2-healthcheck.conf").read_text()
