"""The command as a process: in a terminal, in a pipe that breaks, interrupted."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from tests.web.sample import STEADY, TAKING_OVER, Told, daemon

ROOT = Path(__file__).parents[2]
TRICAST = [sys.executable, "-m", "controller.cli.main"]
# Whoever runs the tests in the background of a shell ignores interrupts, and so would its children.
AS_FROM_A_TERMINAL = ["env", "--default-signal=INT"]


class Terminal:
    """A process on a pseudo terminal, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.seen = ""

    def until(self, wanted: Callable[[str], bool], deadline_s: float = 20) -> None:
        end = time.monotonic() + deadline_s
        while not wanted(self.seen):
            assert time.monotonic() < end, self.seen
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode()
                except OSError:
                    assert wanted(self.seen), self.seen
                    return

    def write(self, text: str) -> None:
        """As if it were typed."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        end = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode()
                except OSError:
                    self.process.wait(20)
        return self.process.returncode


@contextmanager
def terminal(arguments: list[str], **environment: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    base = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        [*AS_FROM_A_TERMINAL, *TRICAST, *arguments],
        stdin=slave, stdout=slave, stderr=slave, cwd=ROOT,
        env={**base, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "50", **environment},
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_colour_on_a_terminal_and_none_with_no_color(tmp_path: Path) -> None:
    with daemon(Told(TAKING_OVER), tmp_path / "s"):
        with terminal(["status", "--socket", str(tmp_path / "s")]) as shown:
            assert shown.end() == ExitCode.DONE
            assert "\x1b[" in shown.seen
        with terminal(["status", "--socket", str(tmp_path / "s")], NO_COLOR="1") as shown:
            assert shown.end() == ExitCode.DONE
            # Bold is no colour; colours are 30-37 and 90-97.
            assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", shown.seen)
            assert "taking over" in shown.seen


def test_watch_refreshes_outlives_the_daemon_and_ends_on_interrupt(tmp_path: Path) -> None:
    source, path = Told(STEADY), tmp_path / "s"
    arguments = ["status", "--watch", "--interval", "0.1", "--socket", str(path)]
    with terminal(arguments) as shown:
        with daemon(source, path):
            shown.until(lambda seen: "epoch: 7" in seen)
            source.now = TAKING_OVER
            shown.until(lambda seen: "epoch: 8" in seen)
        shown.until(lambda seen: "no tricast daemon answers" in seen)
        with daemon(source, path):
            before = len(shown.seen)
            shown.until(lambda seen: "epoch: 8" in seen[before:])
            shown.process.send_signal(signal.SIGINT)
            assert shown.end() == ExitCode.DONE
    assert "Traceback" not in shown.seen
    # The alternate screen was left, the cursor is back, and the last page stands below.
    assert shown.seen.rindex("\x1b[?1049l") > shown.seen.rindex("\x1b[?1049h")
    assert shown.seen.rindex("\x1b[?25h") > shown.seen.rindex("\x1b[?25l")
    assert "epoch: 8" in shown.seen[shown.seen.rindex("\x1b[?1049l") :]


def test_watch_as_json_is_a_line_a_turn(tmp_path: Path) -> None:
    with daemon(Told(STEADY), tmp_path / "s"):
        watching = subprocess.Popen(
            [*AS_FROM_A_TERMINAL, *TRICAST, "status", "--watch", "--json", "--interval", "0.1",
             "--socket", str(tmp_path / "s")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            )  # fmt: skip
        try:
            assert watching.stdout is not None
            lines = [watching.stdout.readline() for _ in range(3)]
            watching.send_signal(signal.SIGINT)
            _rest, error = watching.communicate(timeout=20)
        finally:
            watching.kill()
            watching.wait()
    assert all(line.startswith('{"format":1,"cluster":"tricast"') for line in lines)
    assert (watching.returncode, error) == (ExitCode.DONE, "")


@pytest.mark.parametrize("verb", ["status", "schema", "history"])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, verb: str) -> None:
    where = [] if verb == "schema" else ["--socket", str(tmp_path / "s")]
    with daemon(Told(STEADY), tmp_path / "s"):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*TRICAST, verb, *where],
            stdout=writing, stderr=subprocess.PIPE, text=True, timeout=20, cwd=ROOT, check=False,
        )  # fmt: skip
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_starts_fast_and_without_the_heavy_libraries() -> None:
    code = (
        "import sys; from controller.cli.main import main; main(['version']);"
        "print(sorted({m.partition('.')[0] for m in sys.modules}"
        " & {'grpc', 'etcd3', 'asyncssh', 'psycopg', 'aiomysql', 'pyroute2', 'aiohttp'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
