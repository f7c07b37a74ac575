"""Processes of this machine, found and signalled so that a reused number is never hit."""

import json
import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """The first process of a node, as this machine numbers it."""

    pid: int
    started: int  # clock ticks since boot: with the number, unique until the next boot

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        found = look(self.pid)
        return found is not None and found.started == self.started and found.state != "Z"

    def end(self) -> None:
        """The process, and with it every process of its namespace, has been killed."""
        _signal(self.pid, self.started, signal.SIGKILL)

    @staticmethod
    def read(record: Path) -> "Init | None":
        """The process written down in `record`, if there is such a file."""
        try:
            content = json.loads(record.read_text())
        except FileNotFoundError:
            return None
        return Init(pid=int(content["pid"]), started=int(content["started"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as /proc shows it."""

    pid: int
    parent: int
    started: int
    state: str
    command: str  # arguments joined by blanks


def look(pid: int) -> Process | None:
    """The process numbered `pid`, if there is one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        started=int(fields[19]),
        state=fields[0],
        command=command.decode(errors="replace"),
    )


def in_namespaces(kind: str, handles: Mapping[str, Path]) -> dict[str, tuple[Process, ...]]:
    """For each handle, the processes whose `kind` ("net", "pid") namespace is the one it means."""
    names: dict[tuple[int, int], str] = {}
    for name, path in handles.items():
        try:
            found = path.stat()
        except (FileNotFoundError, ProcessLookupError):
            continue
        names[found.st_dev, found.st_ino] = name
    members: dict[str, list[Process]] = {name: [] for name in handles}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            own = os.stat(f"/proc/{entry}/ns/{kind}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        member = names.get((own.st_dev, own.st_ino))
        process = look(int(entry)) if member is not None else None
        if member is not None and process is not None and process.state != "Z":
            members[member].append(process)
    return {name: tuple(found) for name, found in members.items()}


def descendants(root: int, among: Iterable[Process]) -> tuple[Process, ...]:
    """Those of `among` that `root` or its children started and still own."""
    children: dict[int, list[Process]] = {}
    for process in among:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    front = [root]
    while front:
        below = children.get(front.pop(), [])
        found += below
        front += [process.pid for process in below]
    return tuple(found)


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Each process has been sent the signal, unless it was gone already."""
    for process in processes:
        _signal(process.pid, process.started, number)


def wait_until_gone(pids: Iterable[tuple[int, int]], deadline_s: float) -> bool:
    """Whether every (pid, start time) ended within the deadline."""
    until = time.monotonic() + deadline_s
    for pid, started in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            found = look(pid)
            if found is None or found.started != started:
                continue
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return False
        finally:
            os.close(handle)
    return True


def _signal(pid: int, started: int, number: signal.Signals) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        found = look(pid)
        if found is not None and found.started == started:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
