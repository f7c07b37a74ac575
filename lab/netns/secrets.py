"""Passwords, keys and certificates of one lab, made anew at each `up`. Nodes have what they need.

Every file is readable by root alone. Nothing here is ever printed.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lab.netns.certificates import Authority
from lab.netns.topology import NodeSpec, Topology

AGENT = (
    'restrict,command="/usr/bin/env PYTHONPATH=/opt/tricast'
    ' /opt/tricast/.venv/bin/python -m controller.hostagent --ssh"'
)
INSIDE = "/etc/tricast/secrets"
DAEMONS = frozenset({"controller", "witness"})
PEOPLE = ("ada", "grace", "rita")  # operators and a reader of the cluster file


def make_secrets(topology: Topology, directory: Path) -> None:
    """Each node that takes secrets has its own in `directory`/NODE/secrets."""
    takers = [node for node in topology.nodes.values() if _takes_secrets(node)]
    passwords = _passwords(topology)
    hosts = {node.name: _key_pair() for node in takers if "sshd" in node.programs}
    agents = {node.name: _key_pair() for node in takers if "ADDRESS" in node.env}
    known = "".join(f"{topology.nodes[name].env['ADDRESS']} {hosts[name][1]}\n" for name in hosts)
    certificates = _certificates(topology)
    authorized = "".join(f"{AGENT} {public} {name}\n" for name, (_, public) in agents.items())
    for node in takers:
        files = {"wallet": passwords["wallet"]}
        if node.name in agents:
            files = {**passwords, "ssh_key": agents[node.name][0], "known_hosts": known}
            files |= certificates.get(node.name, {})
        if node.name in hosts:
            files["ssh_host_ed25519_key"] = hosts[node.name][0]
            files["authorized_keys"] = authorized
        _write(directory / node.name / "secrets", files)


def _takes_secrets(node: NodeSpec) -> bool:
    return any(bind.target == INSIDE for bind in node.binds)


def _passwords(topology: Topology) -> dict[str, str]:
    names = ["database", "wallet", "heartbeat"]
    names += [f"voter_{site}" for site in topology.sites]
    names += [f"rejoin_{site}" for site in topology.sites if site != "witness"]
    return {name: secrets.token_hex(32 if name == "heartbeat" else 16) for name in names}


def _certificates(topology: Topology) -> dict[str, dict[str, str]]:
    """Of each node with a daemon: its own, and those of the people, who may sit at any."""
    authority = Authority()
    people: dict[str, str] = {"operators-ca.crt": authority.certificate}
    for name in PEOPLE:
        people |= zip((f"{name}.crt", f"{name}.key"), authority.operator(name), strict=True)
    found: dict[str, dict[str, str]] = {}
    for node in topology.nodes.values():
        if DAEMONS.isdisjoint(node.programs):
            continue
        own = authority.daemon(node.env["ADDRESS"])
        found[node.name] = people | dict(zip(("api.crt", "api.key"), own, strict=True))
    return found


def _key_pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _write(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o755)  # a server may be shown one file of it; each file guards itself
    for name, content in files.items():
        path = directory / name
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(content if content.endswith("\n") else content + "\n")
