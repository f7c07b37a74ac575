"""Asks the kernel how it shares the processor with the daemon of this node."""

import os
import socket
import struct
from pathlib import Path
from typing import Final

from controller.doctor.around import Around
from controller.doctor.aside import aside
from controller.doctor.judging import weight as judging
from controller.doctor.judging.row import Row, unknown

REALTIME: Final = frozenset({os.SCHED_FIFO, os.SCHED_RR})
WEIGHT: Final = "cpu.weight"
SHARES: Final = "cpu.shares"  # of cgroup v1
ORDINARY_SHARES: Final = 1024  # worth a weight of 100
PATIENCE_S: Final = 2.0


async def look(around: Around) -> list[Row]:
    """The daemon that listens at the configured socket."""
    return await aside(_look, around)


def _look(around: Around) -> list[Row]:
    path = around.cluster.api.socket
    try:
        found = standing(listener(path))
    except OSError as error:
        why = f"no daemon is to be found at {path}: {error.strerror or error}"
        step = "systemctl status tricast, or tricast-witness at a witness"
        return [unknown(judging.CHECK, judging.SUBJECT, why, step)]
    return [judging.daemon(found)]


def listener(path: str) -> int:
    """The process that listens at this unix socket. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENCE_S)
        asking.connect(path)
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[0])


def standing(
    pid: int, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")
) -> judging.Standing:
    """As the kernel tells it. Raises OSError where it cannot be read."""
    mine = proc / str(pid)
    realtime = os.sched_getscheduler(pid) in REALTIME
    nice = int((mine / "stat").read_text().rpartition(")")[2].split()[16])
    group = _group(mine / "cgroup", cgroup)
    if group is not None:
        return judging.Standing(realtime=realtime, nice=nice, weight=_weight(group))
    session = _session_nice(mine / "autogroup", proc / "sys/kernel/sched_autogroup_enabled")
    return judging.Standing(realtime=realtime, nice=nice, session_nice=session)


def _group(told: Path, cgroup: Path) -> Path | None:
    """The control group of the process that shares the processor, if it has one below the root."""
    for line in told.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        group = (cgroup / "cpu" if controllers else cgroup) / path.lstrip("/")
        ours = path != "/" and "cpu" in (controllers or "cpu").split(",")
        if ours and any((group / name).exists() for name in (WEIGHT, SHARES)):
            return group
    return None


def _weight(group: Path) -> int:
    try:
        return int((group / WEIGHT).read_text())
    except FileNotFoundError:
        return int((group / SHARES).read_text()) * judging.ORDINARY // ORDINARY_SHARES


def _session_nice(told: Path, enabled: Path) -> int | None:
    """None where sessions share nothing: each process counts by its own nice value."""
    try:
        if enabled.read_text().strip() != "1":
            return None
        return int(told.read_text().rpartition("nice ")[2])
    except (FileNotFoundError, ValueError):
        return None
