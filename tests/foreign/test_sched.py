"""How the kernel shares a processor among sessions, which is what services are: sched(7)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
AHEAD = Path("lab/containerlab/images/ahead.sh").resolve()
BUSY = "import os; os.sched_setaffinity(0, {0})\nwhile True: pass"

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.skipif(
        not AUTOGROUP.exists() or AUTOGROUP.read_text().strip() != "1" or os.geteuid() != 0,
        reason="needs root, and a kernel that groups processes by session",
    ),
]


def share(*first: str) -> float:
    """Of one processor, what `first` gets beside an ordinary process; each has a session."""
    busy = [sys.executable, "-c", BUSY]
    both = [subprocess.Popen([*words, *busy], start_new_session=True) for words in (first, ())]
    try:
        began = _ran_for(both, [0.0, 0.0], lambda mine, other: min(mine, other) > 0.05)
        mine, other = (
            now - then
            for now, then in zip(
                _ran_for(both, began, lambda mine, other: mine + other > 0.7), began, strict=True
            )
        )
    finally:
        for one in both:
            os.kill(one.pid, signal.SIGKILL)
            one.wait()
    return mine / (mine + other)


def _ran_for(
    both: list[subprocess.Popen[bytes]], since: list[float], enough: Callable[[float, float], bool]
) -> list[float]:
    """Seconds that each has run, once it is enough since then."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ran = [int(Path(f"/proc/{one.pid}/schedstat").read_text().split()[0]) / 1e9 for one in both]
        if enough(ran[0] - since[0], ran[1] - since[1]):
            return ran
        time.sleep(0.02)
    raise AssertionError("the processor was somebody else's for 20 s")


def test_a_nice_value_counts_within_one_session_only() -> None:
    assert share("nice", "-n", "-10") < 0.7


def test_a_session_that_is_put_ahead_has_nine_tenths() -> None:
    assert share(str(AHEAD)) > 0.8
