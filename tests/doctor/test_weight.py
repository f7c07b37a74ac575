"""What the doctor says of the daemon's share of a busy processor."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from controller.doctor import weight
from controller.doctor.judging.row import Grade
from controller.doctor.judging.weight import Standing, daemon
from tests.doctor import ground

PID = os.getpid()


def standing(nice: int = 0, *, realtime: bool = False, **more: int) -> Standing:
    return Standing(realtime=realtime, nice=nice, **more)


@pytest.mark.parametrize(
    ("found", "grade", "said"),
    [
        (standing(realtime=True), Grade.OK, "realtime"),
        (standing(weight=1000), Grade.OK, "cpu.weight 1000"),
        (standing(weight=200), Grade.OK, "200"),
        (standing(nice=-10, weight=100), Grade.WARN, "cpu.weight 100"),
        (standing(nice=-10), Grade.OK, "nice -10"),
        (standing(nice=-3), Grade.WARN, "nice -3"),
        (standing(nice=0), Grade.WARN, "nice 0"),
        (standing(session_nice=-10), Grade.OK, "session is at nice -10"),
        (standing(nice=-10, session_nice=0), Grade.WARN, "counts within its own session only"),
        (standing(nice=0, session_nice=0), Grade.WARN, "session is at nice 0"),
    ],
)
def test_it_has_more_than_an_ordinary_share(found: Standing, grade: Grade, said: str) -> None:
    row = daemon(found)
    assert (row.check, row.grade) == ("weight", grade)
    assert said in row.seen
    assert ("CPUWeight" in row.next_step) == (grade is not Grade.OK)


def proc(folder: Path, *, cgroup: str, nice: int = -10, autogroup: str = "", on: str = "") -> Path:
    mine = folder / "proc" / str(PID)
    mine.mkdir(parents=True)
    (mine / "stat").write_text(f"{PID} (tri) cast) S{' 1' * 14} 20 {nice} 1 0\n")
    (mine / "cgroup").write_text(cgroup)
    if autogroup:
        (mine / "autogroup").write_text(autogroup)
    if on:
        (folder / "proc/sys/kernel").mkdir(parents=True)
        (folder / "proc/sys/kernel/sched_autogroup_enabled").write_text(f"{on}\n")
    return folder / "proc"


def group(folder: Path, path: str, **files: str) -> Path:
    found = folder / "cgroup" / path
    found.mkdir(parents=True)
    for name, text in files.items():
        (found / name.replace("_", ".")).write_text(f"{text}\n")
    return folder / "cgroup"


UNIT = "system.slice/tricast.service"


def test_a_unit_with_a_weight(tmp_path: Path) -> None:
    at = proc(tmp_path, cgroup=f"0::/{UNIT}\n", autogroup="/autogroup-7 nice 0\n", on="1")
    found = weight.standing(PID, at, group(tmp_path, UNIT, cpu_weight="1000"))
    assert found == standing(nice=-10, weight=1000)


def test_a_unit_with_a_weight_in_the_older_hierarchy(tmp_path: Path) -> None:
    at = proc(tmp_path, cgroup=f"3:cpu,cpuacct:/{UNIT}\n1:name=systemd:/{UNIT}\n0::/\n")
    found = weight.standing(PID, at, group(tmp_path, f"cpu/{UNIT}", cpu_shares="10240"))
    assert found == standing(nice=-10, weight=1000)


def test_a_unit_that_has_none_shares_as_its_session_does(tmp_path: Path) -> None:
    at = proc(tmp_path, cgroup=f"0::/{UNIT}\n", autogroup="/autogroup-7 nice 0\n", on="1")
    found = weight.standing(PID, at, group(tmp_path, UNIT))
    assert found == standing(nice=-10, session_nice=0)


@pytest.mark.parametrize(("autogroup", "on"), [("/autogroup-7 nice 0\n", "0"), ("", ""), ("", "1")])
def test_where_sessions_share_nothing(tmp_path: Path, autogroup: str, on: str) -> None:
    at = proc(tmp_path, cgroup="0::/\n", autogroup=autogroup, on=on)
    assert weight.standing(PID, at, tmp_path) == standing(nice=-10)


def test_this_process_can_be_looked_at() -> None:
    found = weight.standing(PID)
    assert (found.realtime, found.nice) == (False, os.getpriority(os.PRIO_PROCESS, 0))


def test_who_listens_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        assert weight.listener(path) == PID


async def test_a_daemon_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    around = ground.around(tmp_path)
    api = around.cluster.api.model_copy(update={"socket": str(tmp_path / "none.sock")})
    cluster = around.cluster.model_copy(update={"api": api})
    [row] = await weight.look(replace(around, cluster=cluster))
    assert (row.check, row.grade) == ("weight", Grade.UNKNOWN)
    assert f"no daemon is to be found at {tmp_path}/none.sock" in row.seen
    assert "systemctl status tricast" in row.next_step
