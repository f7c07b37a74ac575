"""How far a verb is that works for long, for another call of the agent to read.

The verb tells it in a small file, which names the process that works: what a call that was killed
has left says nothing. Nothing is decided on it, and a disk that is full stops no work.
"""

import json
import os
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from controller.hostagent.contract import Account, Failed

FILE = "progress.json"
EVERY_S = 0.2
LINES_KEPT = 200
_COPIED = re.compile(r"\s*([0-9]{1,15})/([0-9]{1,15}) kB \(")


class Course:
    """Where one piece of work tells how far it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._phase = ""
        self._began = time.monotonic()
        self._told = float("-inf")

    def phase(self, name: str, total: int | None = None) -> None:
        """It is at `name` now, and has done nothing of `total` bytes yet."""
        self._phase, self._began = name, time.monotonic()
        self._tell(None if total is None else 0, total)

    def reached(self, done: int, total: int | None) -> None:
        """`done` bytes of the phase are done."""
        if time.monotonic() - self._told >= EVERY_S or done == total:
            self._tell(done, total)

    def heard(self, line: str) -> bool:
        """Whether `line` is one in which a program of PostgreSQL tells how far it is."""
        found = _COPIED.match(line)
        if found is not None:
            self.reached(int(found[1]) * 1024, int(found[2]) * 1024)
        return found is not None

    def _tell(self, done: int | None, total: int | None) -> None:
        self._told = time.monotonic()
        pid = os.getpid()
        text = json.dumps(
            {
                "phase": self._phase,
                "done": "" if done is None else str(done),
                "total": "" if total is None else str(total),
                "began": self._began,
                "pid": pid,
                "born": _born(pid),
            }
        )
        fresh = self._file.with_name(f"{self._file.name}.new")
        with suppress(OSError):
            fresh.write_text(text, encoding="utf-8")
            fresh.rename(self._file)


@contextmanager
def course(directory: Path) -> Iterator[Course]:
    """Inside, what is told can be read; afterwards nobody works any more."""
    file = directory / FILE
    try:
        yield Course(file)
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def read(directory: Path) -> dict[str, str]:
    """What whoever works has told last; an empty phase when nobody does."""
    nobody = {"phase": "", "done": "", "total": "", "for_s": "0"}
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if _born(int(found["pid"])) != str(found["born"]):
            return nobody
        told = {key: str(found[key]) for key in ("phase", "done", "total")}
        return {**told, "for_s": f"{max(0.0, time.monotonic() - float(found['began'])):.3f}"}
    except (OSError, ValueError, TypeError, KeyError):
        return nobody


def _born(pid: int) -> str:
    """When the process began, in the kernel's ticks: its number may be given to another."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "ended"
    return said.rpartition(")")[2].split()[19]


def run_telling(
    argv: Sequence[str], who: Account, told: Course, *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """As `contract.run`, of a program that says on its standard error how far it is.

    The lines that say it are taken out of what it said.
    """
    switch = os.geteuid() == 0 and who.uid != 0
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            user=who.uid if switch else None,
            group=who.gid if switch else None,
            extra_groups=[] if switch else None,
        )
    except OSError as error:
        raise Failed(f"cannot run {argv[0]}: {error.strerror}") from None
    late = threading.Event()

    def give_up() -> None:
        late.set()
        child.kill()

    watch = threading.Timer(timeout_s, give_up)
    watch.start()
    said: deque[str] = deque(maxlen=LINES_KEPT)
    try:
        for line in child.stderr or ():
            if not told.heard(line):
                said.append(line)
        code = child.wait()
    finally:
        watch.cancel()
        child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()
    if late.is_set():
        raise Failed(f"{argv[0]} did not end within {timeout_s:g} s")
    return subprocess.CompletedProcess(list(argv), code, "", "".join(said))
