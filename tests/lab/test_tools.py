"""What operators look with, typed at an edge of the whole system."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.lab.system import PYTHON, System, edge

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

PROGRAM = ["env", "PYTHONPATH=/opt/tricast", "TRICAST_CONFIG=/etc/tricast/tricast.yml", PYTHON]


async def typed(system: System, node: str, *words: str, within_s: float = 60) -> tuple[int, str]:
    done = await system.lab.run(
        node, [*PROGRAM, "-m", "controller.cli.main", *words], check=False, deadline_s=within_s
    )
    return done.code, done.stdout + done.stderr


async def examined(system: System, node: str) -> dict[str, Any]:
    code, said = await typed(system, node, "doctor", "--json")
    assert code in (0, 1, 2), said
    return dict(json.loads(said[said.index("{") :]))


async def test_the_doctor_knows_where_it_is_and_finds_nothing_bad(system: System) -> None:
    await system.held_by("dc1")
    for node, site in (("dc1-edge", "dc1"), ("dc2-edge", "dc2"), ("witness", "witness")):
        found = await examined(system, node)
        assert found["site"] == site
        bad = [row for row in found["rows"] if row["grade"] == "bad"]
        assert not bad, bad
        assert len({row["check"] for row in found["rows"] if row["grade"] == "ok"}) >= 6


async def test_what_a_takeover_waits_for_goes_before_others_on_a_busy_host(system: System) -> None:
    daemons = (("dc1-edge", "controller"), ("dc2-edge", "controller"), ("witness", "witness"))
    for node, program in (*daemons, ("dc1-edge", "exabgp"), ("dc1-edge", "etcd")):
        pids = [found.pid for found in system.lab.processes(node, program)]
        assert {session_nice(pid) for pid in pids} <= {"", "-10"}, (node, program)
    rows = [row for row in (await examined(system, "dc1-edge"))["rows"] if row["check"] == "weight"]
    assert [row["grade"] for row in rows] == ["ok"], rows


def session_nice(pid: int) -> str:
    """ "" where the kernel does not group processes by session."""
    told = Path(f"/proc/{pid}/autogroup")
    return told.read_text().split()[-1] if told.exists() else ""


async def test_the_doctor_names_what_is_wrong(system: System) -> None:
    await system.held_by("dc1")
    system.stop_daemon("dc2")
    try:
        await system.until_daemon_is_dead("dc2")
        found = await examined(system, "dc1-edge")
        rows = {(row["check"], row["subject"]): row for row in found["rows"]}
        assert rows["clock", "dc2"]["grade"] == "unknown"
        assert "systemctl status tricast" in rows["clock", "dc2"]["next_step"]
        code, said = await typed(system, "dc2-edge", "topology")
        assert code == 0
        assert "as seen by dc1" in said, "its own daemon is dead: another site is asked"
    finally:
        await system.restart_daemon("dc2")
    await system.settled()


async def test_what_happens_is_watched(system: System) -> None:
    other = await system.held_by("dc1")
    epoch = await system.epoch(other)
    words = [*PROGRAM, "-m", "controller.cli.main", "watch", "--json", "--service", "wallet"]
    watching = await system.lab.start_process(edge(other), words)
    try:
        await system.lab.cut("dc1")
        await system.until_held_by(other, above=epoch)
        await system.lab.heal("dc1")
        await system.settled()
    finally:
        watching.signal(signal.SIGINT)
        done = await watching.finish(10)
    assert done.code == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    sentences = " | ".join(each["sentence"] for each in said if each["service"] == "wallet")
    assert f"epoch {epoch + 1}" in sentences, sentences
    assert "standby -> " in sentences, sentences
    assert any(each["bad"] for each in said)
    assert not said[-1]["bad"], "the last news are good"


async def test_a_drill_moves_it_there_and_back(system: System) -> None:
    home, _ = await system.settled()
    node, epoch = edge(home), await system.epoch(home)
    code, said = await typed(
        system, node, "ack", "--service", "wallet", "--reason", "looked at", "--yes"
    )
    assert code == 0, said
    words = ["--service", "wallet", "--reason", "spring drill", "--hold", "1", "--yes"]
    code, said = await typed(system, node, "drill", "plan", *words[:2])
    assert code == 0, said
    async with system.load("client2", timeout_s=4.0) as load:
        code, said = await typed(
            system, node, "drill", "run", *words, "--out", "/tmp/drill", within_s=200
        )
        assert code == 0, said
        await load.acked(20)
    assert await system.holder() == home
    assert await system.epoch(home) == epoch + 2
    code, said = await typed(system, node, "drill", "report", "--last", "--out", "/tmp/drill")
    assert code == 0, said
    assert "passed" in said, said
    code, said = await typed(system, edge("dc2"), "status", "--service", "wallet")
    assert "Drill:" in said, said
    await system.intact(load)


async def test_reports_are_shed_while_an_app_server_is_missing(system: System) -> None:
    home, _ = await system.settled()
    asking = ["curl", "-s", "-o", "/dev/null", "--max-time", "2", "-w", "%{http_code}"]

    async def answered(wanted: str) -> str:
        words = [*asking, "http://198.51.100.10/reports/ledger"]
        done = await system.lab.run("client2", words, check=False, deadline_s=5)
        return "" if done.stdout == wanted else f"the report is answered with {done.stdout}"

    async def shed() -> str:
        return await answered("503")

    async def served() -> str:
        return await answered("200")

    await system.until("reports are there", served, within_s=30)
    async with system.load("client2") as load:
        system.lab.kill(f"{home}-app1", "wallet", stay_down=True)
        try:
            await system.until("reports are shed", shed, within_s=20)
            code, said = await typed(system, edge(home), "status", "--service", "wallet")
            assert code == 0, said
            assert "be_reports" in said, said
            await load.acked(20)
        finally:
            await system.lab.start(f"{home}-app1", "wallet")
        await system.until("reports are there again", served, within_s=40)
    await system.intact(load)
