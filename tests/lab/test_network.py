"""The network of the lab for real: paths, cuts that nobody is told of, and nothing left behind."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.processes import in_namespaces
from lab.netns.registry import ROOT, Registry
from lab.netns.topology import REPOSITORY, Direction, Scope
from tests.lab.paths import answer, answers, hears, pings

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

EDGE1, EDGE2, WITNESS, CLIENT2 = "203.0.113.2", "203.0.113.6", "203.0.113.26", "203.0.113.22"
EDGE1_V6, CLIENT2_V6 = "2001:db8:ff:1::2", "2001:db8:ff:6::2"
REFUSED, SILENCE = "ConnectionRefusedError", "TimeoutError"


@pytest.fixture
def lab(network: Lab) -> Lab:
    """The lab, with nothing cut."""
    asyncio.run(network.heal())
    return network


@pytest.mark.parametrize("source", ["client1", "client2", "witness"])
@pytest.mark.parametrize("address", [EDGE1, EDGE2, WITNESS, EDGE1_V6, "2001:db8:ff:2::2"])
async def test_the_internet_reaches_every_site(lab: Lab, source: str, address: str) -> None:
    assert await pings(lab, source, address)


@pytest.mark.parametrize("source", ["dc1-db", "dc2-app1", "witness", "dc1-edge"])
@pytest.mark.parametrize("address", ["10.1.0.20", "10.2.0.1", "10.2.0.12", "10.3.0.1"])
async def test_the_wan_reaches_every_host(lab: Lab, source: str, address: str) -> None:
    assert await pings(lab, source, address)


async def test_the_wan_and_the_internet_are_separate(lab: Lab) -> None:
    routes = (await lab.run("ix", ["ip", "route"])).stdout
    assert "10." not in routes.replace("203.0.113.10", "")
    edge = (await lab.run("dc2-edge", ["ip", "route", "get", "10.1.0.11"])).stdout
    assert "dev eth2 src 10.2.0.1" in edge


async def test_providers_speak_bgp_with_the_exchange(lab: Lab) -> None:
    summary = await lab.ask_frr("ix", "show bgp summary json")
    states = {
        address: session["state"]
        for family in summary.values()
        for address, session in family["peers"].items()  # type: ignore[index]
    }
    assert states == dict.fromkeys(
        ["203.0.113.9", "203.0.113.13", "2001:db8:ff:3::1", "2001:db8:ff:4::1"], "Established"
    )


async def test_a_cut_site_is_a_black_hole_in_both_directions(lab: Lab) -> None:
    assert await answer(lab, "client2", EDGE1, 81) == REFUSED
    await lab.cut("dc1")
    attempts = [
        ("client2", EDGE1),
        ("client2", EDGE1_V6),
        ("dc1-edge", CLIENT2),
        ("dc1-edge", CLIENT2_V6),
        ("dc2-db", "10.1.0.20"),
        ("dc1-db", "10.3.0.1"),
        ("isp1", EDGE1),
        ("isp1", EDGE1_V6),
        ("wan", "10.0.1.2"),
    ]
    assert await answers(lab, attempts) == dict.fromkeys(attempts, SILENCE)
    assert not await hears(lab, "client2", CLIENT2, "dc1-edge", patience_s=0.5)
    assert not await hears(lab, "dc1-edge", EDGE1, "client2", patience_s=0.5)
    # Inside the site and between the others all is as before, and no link has gone down.
    assert await answer(lab, "dc1-app1", "10.1.0.20", 81) == REFUSED
    assert await answer(lab, "client2", EDGE2, 81) == REFUSED
    assert await answer(lab, "dc2-db", "10.3.0.1", 81) == REFUSED
    assert "state UP" in (await lab.run("isp1", ["ip", "link", "show", "eth1"])).stdout
    await lab.heal("dc1")
    assert await answer(lab, "client2", EDGE1, 81) == REFUSED
    assert await answer(lab, "client2", EDGE1_V6, 81) == REFUSED
    assert await answer(lab, "dc2-db", "10.1.0.20", 81) == REFUSED


async def test_a_cut_stays_silent_after_neighbor_entries_have_aged(lab: Lab) -> None:
    await lab.cut("dc1")
    for node in ("isp1", "dc1-edge"):
        await lab.run(node, ["ip", "neighbor", "flush", "dev", "eth1"])
    # Were address resolution cut as well, the sender would be told after three seconds.
    attempts = [("isp1", EDGE1), ("isp1", EDGE1_V6), ("dc1-edge", "203.0.113.1")]
    found = await answers(lab, attempts, patience_s=3.8)
    assert found == dict.fromkeys(attempts, SILENCE)


@pytest.mark.parametrize("direction", [Direction.INBOUND, Direction.OUTBOUND])
async def test_a_one_way_cut(lab: Lab, direction: Direction) -> None:
    await lab.cut("dc1", Scope.ALL, direction)
    inbound = await hears(lab, "dc1-edge", EDGE1, "client2", patience_s=0.7)
    outbound = await hears(lab, "client2", CLIENT2, "dc1-edge", patience_s=0.7)
    assert (inbound, outbound) == (
        direction is Direction.OUTBOUND,
        direction is Direction.INBOUND,
    )


async def test_only_the_wan_or_only_the_internet(lab: Lab) -> None:
    await lab.cut("dc1", Scope.WAN)
    assert await pings(lab, "client2", EDGE1)
    assert await answer(lab, "dc2-db", "10.1.0.20", 81) == SILENCE
    await lab.cut("dc1", Scope.INTERNET)
    assert await answer(lab, "client2", EDGE1, 81) == SILENCE
    await lab.heal("dc1", Scope.WAN)
    assert await answer(lab, "dc2-db", "10.1.0.20", 81) == REFUSED
    assert await answer(lab, "client2", EDGE1, 81) == SILENCE


async def test_two_sites_apart_while_both_see_the_witness(lab: Lab) -> None:
    await lab.part("dc1", "dc2")
    assert await answer(lab, "dc1-db", "10.2.0.20", 81) == SILENCE
    assert await answer(lab, "dc2-edge", "10.1.0.1", 81) == SILENCE
    assert await answer(lab, "dc1-edge", "10.3.0.1", 81) == REFUSED
    assert await answer(lab, "witness", "10.2.0.20", 81) == REFUSED
    await lab.join("dc2", "dc1")
    assert await answer(lab, "dc1-db", "10.2.0.20", 81) == REFUSED
    await lab.part("dc1", "dc2")
    await lab.heal("dc1")
    assert lab.cuts.current() == ()


async def test_one_link_inside_a_site(lab: Lab) -> None:
    await lab.cut_link("dc1-db", "dc1-edge")
    assert await answer(lab, "dc1-app1", "10.1.0.20", 81) == SILENCE
    assert await answer(lab, "dc1-app1", "10.1.0.1", 81) == REFUSED
    await lab.heal_link("dc1-edge", "dc1-db")
    assert await answer(lab, "dc1-app1", "10.1.0.20", 81) == REFUSED


async def test_cutting_and_healing_twice_changes_nothing(lab: Lab) -> None:
    await lab.cut("dc2")
    once = lab.cuts.current()
    await lab.cut("dc2")
    assert lab.cuts.current() == once
    await lab.heal("dc2")
    await lab.heal("dc2")
    assert lab.cuts.current() == ()
    with pytest.raises(LabError, match=r"no site 'dc9'.*dc1, dc2, witness"):
        await lab.cut("dc9")


async def test_power_loss_is_silent_and_the_disk_survives(lab: Lab) -> None:
    lab.path("dc1-db", "/var/lib/kept").write_text("still here")
    lab.path("dc1-db", "/run/lost").touch()
    await lab.power_off("dc1-db")
    assert await answer(lab, "dc1-app1", "10.1.0.20", 81) == SILENCE
    with pytest.raises(LabError, match=r"dc1-db .* is not running"):
        await lab.run("dc1-db", ["true"])
    await lab.power_on("dc1-db")
    assert await answer(lab, "dc1-app1", "10.1.0.20", 81) == REFUSED
    assert await answer(lab, "dc2-db", "10.1.0.20", 81) == REFUSED
    assert lab.path("dc1-db", "/var/lib/kept").read_text() == "still here"
    assert not lab.path("dc1-db", "/run/lost").exists()


async def test_a_whole_site_loses_power_and_comes_back(lab: Lab) -> None:
    await lab.power_off("dc2")
    assert await answer(lab, "client2", EDGE2, 81) == SILENCE
    assert await answer(lab, "dc1-db", "10.2.0.20", 81) == SILENCE
    await lab.power_on("dc2")
    assert await answer(lab, "client2", EDGE2, 81) == REFUSED
    assert await answer(lab, "dc1-db", "10.2.0.20", 81) == REFUSED
    assert lab.cuts.current() == ()


async def test_a_killed_program_is_started_again_unless_told_otherwise(lab: Lab) -> None:
    assert lab.kill("ix", "bgpd") == 1
    await _until(lambda: lab.readiness.is_ready("ix", "bgpd"))
    lab.kill("ix", "bgpd", stay_down=True)
    await _until(lambda: not any("supervise.sh bgpd" in line for line in _commands(lab, "ix")))
    assert lab.processes("ix", "bgpd") == ()
    await lab.start("ix", "bgpd")
    assert lab.readiness.is_ready("ix", "bgpd")
    await lab.readiness.wait(lab.registry, 20)


async def test_freezing_stops_everything_and_thawing_lets_it_go_on(lab: Lab) -> None:
    assert lab.freeze("isp2", ["bgpd"]) == 1
    assert {process.state for process in lab.processes("isp2", "bgpd")} == {"T"}
    assert {process.state for process in lab.processes("isp2", "zebra")} != {"T"}
    with pytest.raises(TimeoutError):
        await lab.inside.ask_frr("isp2", "show bgp summary json", deadline_s=0.3)
    assert lab.thaw("isp2") == 1
    await lab.ask_frr("isp2", "show bgp summary json")
    frozen = lab.freeze("isp2")
    assert frozen >= 5  # both daemons, their supervisors, the entrypoint
    assert lab.freeze("isp2") == 0
    assert lab.thaw("isp2") == frozen
    await lab.readiness.wait(lab.registry, 20)


async def test_a_command_ends_with_the_one_who_started_it(lab: Lab) -> None:
    running = await lab.start_process("client1", ["sleep", "600"])
    await _until(lambda: "sleep 600" in _commands(lab, "client1"))
    running.signal(signal.SIGTERM)
    assert (await running.finish(5)).code != 0
    outer = await lab.start_process("client1", ["sleep", "601"])
    await _until(lambda: "sleep 601" in _commands(lab, "client1"))
    outer.process.kill()
    await outer.process.wait()
    await _until(lambda: "sleep 601" not in _commands(lab, "client1"))


def test_up_is_idempotent(lab: Lab) -> None:
    before = [lab.registry.init(node) for node in lab.topology.nodes]
    assert _command("up", "nettest", "--only", "network").returncode == 0
    assert [lab.registry.init(node) for node in lab.topology.nodes] == before
    assert _command("status", "nettest").returncode == 0
    asyncio.run(lab.power_off("client1"))
    assert _command("status", "nettest").returncode == 1
    assert _command("up", "nettest", "--only", "network").returncode == 0
    assert asyncio.run(pings(lab, "client1", EDGE2))
    refused = _command("up", "nettest", "--only", "network,sshd")
    assert refused.returncode == 1
    assert "up with other programs; take it down first" in refused.stderr


@pytest.mark.parametrize("nodes_recorded", [0, 7])
def test_a_killed_up_leaves_nothing_that_down_cannot_remove(lab: Lab, nodes_recorded: int) -> None:
    """A second lab beside the first one; its `up` is killed half-way, then done again."""
    registry = Registry("nettest2")
    up = subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--lab", "nettest2", "--only", "network"],
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    until = time.monotonic() + 30
    while (
        not registry.namespaces() or len(list(registry.directory.glob("*.json"))) <= nodes_recorded
    ):
        assert time.monotonic() < until
        assert up.poll() is None, "up ended before it could be killed"
        time.sleep(0.001)
    up.kill()
    up.wait()
    half = registry.read()
    assert half is not None
    assert half.stage == "starting"
    assert _command("up", "nettest2", "--only", "network").returncode == 0
    second = Lab("nettest2")
    assert asyncio.run(pings(second, "client1", EDGE1))
    inits = [init for init in map(registry.init, half.nodes) if init]
    assert len(inits) == len(half.nodes)
    assert _command("down", "nettest2").returncode == 0
    assert registry.namespaces() == ()
    assert registry.read() is None
    assert not any(init.alive for init in inits)
    assert not list(ROOT.glob("nettest2*"))
    assert "nettest2" not in Path("/proc/self/mountinfo").read_text()
    assert {path.name for path in second.state_dir.iterdir()} == {"logs"}
    assert _command("down", "nettest2").returncode == 0
    # The first lab has not noticed.
    assert asyncio.run(pings(lab, "client1", EDGE2))


def test_namespaces_of_somebody_else_are_left_alone() -> None:
    name = "clab-nettest3-client1"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        refused = _command("down", "nettest3")
        assert refused.returncode == 1
        assert f"{name}: not made by this program" in refused.stderr
        assert _command("up", "nettest3", "--only", "network").returncode == 1
        assert Registry("nettest3").namespaces() == (name,)
        assert _command("down", "nettest3", "--force").returncode == 0
        assert Registry("nettest3").namespaces() == ()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


async def test_nodes_share_no_files_processes_or_names(lab: Lab) -> None:
    lab.path("client1", "/tmp/mine").touch()
    assert not lab.path("client2", "/tmp/mine").exists()
    assert (await lab.run("client1", ["hostname"])).stdout == "client1\n"
    assert "bgpd" not in (await lab.run("client1", ["ps", "-e"])).stdout
    refused = await lab.run("client1", ["touch", "/opt/tricast/mine"], check=False)
    assert "Read-only file system" in refused.stderr
    disk = await lab.run("dc1-db", ["stat", "-f", "-c", "%T", "/var/lib"])
    assert disk.stdout != "tmpfs\n", "databases need a real disk"


def _command(verb: str, lab: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", verb, "--lab", lab, *more],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        check=False,
    )


def _commands(lab: Lab, node: str) -> list[str]:
    init = lab.inside.init(node)
    found = in_namespaces("pid", {node: Path(f"/proc/{init.pid}/ns/pid")})[node]
    return [process.command for process in found]


async def _until(condition: object, deadline_s: float = 10) -> None:
    assert callable(condition)
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.02)
