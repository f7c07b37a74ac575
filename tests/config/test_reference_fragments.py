# ruff: noqa: E501
"""The reference files beside tricast.yml are accepted by the programs they are for, and agree."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bgp.exabgp_conf import render
from controller.cli.main import tricast
from controller.config import load
from controller.config.speaker_spec import speaker_spec
from controller.core.model import SiteName

CONFIGS = Path(__file__).parents[2] / "configs"
CLUSTER = load(CONFIGS / "tricast.yml")
DC1 = SiteName("dc1")


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_accepts_its_file(tmp_path: Path) -> None:
    text = (CONFIGS / "haproxy.cfg").read_text()
    assert "lua-load /etc/haproxy/hold.lua" in text
    moved = tmp_path / "haproxy.cfg"
    moved.write_text(text.replace("/etc/haproxy/hold.lua", str(CONFIGS / "haproxy" / "hold.lua")))
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(moved)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_haproxy_has_the_backends_servers_and_addresses_of_the_cluster() -> None:
    text = (CONFIGS / "haproxy.cfg").read_text()
    for service in CLUSTER.services:
        block = re.search(rf"^backend {service.backend}\n((?:    .*\n?)+)", text, re.MULTILINE)
        assert block, service.backend
        servers = dict(re.findall(r"server (\S+) (\S+)", block[1]))
        assert servers == {
            f"{site}-{app.name}": app.address for site, apps in service.apps.items() for app in apps
        }
        for address in service.addresses:
            shown = f"[{address}]" if ":" in address else address
            assert f"bind {shown}:80 " in text
        assert f"http-request lua.tricast_hold {service.backend} 5000 if" in text
        leaving = f"lua.tricast_leaving({service.backend},dc1,{CLUSTER.timings.linger_s:g})"
        assert f"http-after-response set-header Connection close if {{ {leaving} -m bool }}" in text
        assert re.search(
            rf"^backend tricast_hold\n(    .*\n)*    server {service.backend} ", text, re.M
        )
        for name in (name for entry in service.shed for name in entry.backends):
            check_shed(text, service.backend, name)
    assert f"stats socket {CLUSTER.haproxy.socket} " in text
    assert f"server-state-base {CLUSTER.haproxy.state_dir}\n" in text
    assert "bind 10.1.0.1:8404" in text


def check_shed(text: str, leader: str, name: str) -> None:
    """The low-priority backend `name` has the servers of `leader`, a gate, and a rule that denies."""

    def servers(backend: str) -> list[tuple[str, str]]:
        block = re.search(rf"^backend {backend}\n((?:    .*\n?)+)", text, re.MULTILINE)
        assert block, backend
        return re.findall(r"server (\S+) (\S+)", block[1])

    assert servers(name) == servers(leader)
    assert name in dict(servers("tricast_shed"))
    rule = rf"http-request deny deny_status 503 .* hdr Retry-After \d+ if \w+ {{ srv_is_up\(tricast_shed/{name}\) }}"
    found = re.search(rule, text)
    assert found
    assert found.start() < text.index(f"http-request lua.tricast_hold {leader} ")


NODES = Path(__file__).parents[2] / "lab/containerlab/nodes"


@pytest.mark.parametrize("site", ["dc1", "dc2"])
def test_the_lab_s_haproxy_agrees_with_the_lab_s_cluster(site: str) -> None:
    lab = load(NODES / "tricast.yml")
    text = (NODES / f"{site}-edge/haproxy.cfg").read_text()
    assert f"timeout http-keep-alive {lab.timings.linger_s - 5:g}s" in text
    for service in lab.services:
        assert f"tricast_leaving({service.backend},{site},{lab.timings.linger_s:g})" in text
        block = re.search(rf"^backend {service.backend}\n((?:    .*\n?)+)", text, re.MULTILINE)
        assert block, service.backend
        assert dict(re.findall(r"server (\S+) (\S+)", block[1])) == {
            f"{place}-{app.name}": app.address
            for place, apps in service.apps.items()
            for app in apps
        }
        for name in (name for entry in service.shed for name in entry.backends):
            check_shed(text, service.backend, name)
    assert lab.haproxy.alive_url[SiteName(site)].split("/")[2] in text
    assert f"server-state-base {lab.haproxy.state_dir}\n" in text


def test_exabgp_conf_is_what_render_writes() -> None:
    spec = speaker_spec(CLUSTER, DC1)
    run = [
        "/opt/tricast/.venv/bin/python",
        "-m",
        "bgp.speaker",
        "--spec",
        "/run/tricast/speaker.json",
    ]
    passwords = {neighbor.address: "example-password" for neighbor in spec.neighbors}
    text = (CONFIGS / "exabgp.conf").read_text()
    assert text.partition("\n\n")[2] == render(spec, run, passwords)


def test_etcd_members_are_named_with_their_sites() -> None:
    settings = dict(
        line.split("=", 1)
        for line in (CONFIGS / "etcd.env").read_text().splitlines()
        if line and not line.startswith("#")
    )
    members = dict(m.split("=", 1) for m in settings["ETCD_INITIAL_CLUSTER"].split(","))
    assert set(members) == set(CLUSTER.sites)
    assert settings["ETCD_NAME"] == "dc1"
    assert settings["ETCD_ADVERTISE_CLIENT_URLS"] == CLUSTER.sites[DC1].etcd


def units() -> list[Path]:
    return sorted(path for path in (CONFIGS / "systemd").rglob("*") if path.is_file())


def test_units_start_what_there_is() -> None:
    names = [str(path.relative_to(CONFIGS / "systemd")) for path in units()]
    assert names == [
        "etcd.service.d/tricast.conf",
        "exabgp.service.d/tricast.conf",
        "mariadb.service.d/tricast.conf",
        "postgresql@.service.d/tricast.conf",
        "tricast-witness.service",
        "tricast.service",
    ]
    verbs = set()
    for path in units():
        for line in path.read_text().splitlines():
            if match := re.match(r"Exec\w+=\+?\S*/tricast (\w+)", line):
                verbs.add(match[1])
    assert verbs == {"config", "render", "run", "witness"}
    assert verbs <= set(tricast.commands)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", ["tricast.service", "tricast-witness.service"])
def test_units_are_hardened(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "--offline=yes", "--threshold=20", "security", str(CONFIGS / "systemd" / unit)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_what_a_takeover_waits_for_has_weight_on_a_busy_host() -> None:
    ahead = [path for path in units() if "Nice=-10" in path.read_text().splitlines()]
    assert len(ahead) == 4
    for path in ahead:
        assert "CPUWeight=1000" in path.read_text().splitlines(), path


def test_every_database_start_is_a_safe_one() -> None:
    for unit, database in (("postgresql@", "ledger"), ("mariadb", "journal")):
        text = (CONFIGS / "systemd" / f"{unit}.service.d/tricast.conf").read_text()
        wanted = f"-m controller.hostagent safe-start database={database}"
        [line] = [line for line in text.splitlines() if line.startswith("ExecStartPre=")]
        assert line.endswith(wanted)
        # Not with the dash that makes systemd go on after a failure.
        assert line.startswith("ExecStartPre=+/")
