"""The test aid that kills the daemon after a step: it does so in a child of ours, and only then."""

import os
import signal
from dataclasses import replace

import pytest

from controller.core.decide import Decision, decide
from controller.core.ladder import Rung
from controller.daemon.crash_aid import crash_aid
from tests.core.views import LEDGER, dc2_view

VIEW = dc2_view()
CLIMBING = replace(
    decide(VIEW),
    ladder="TAKE_OVER",
    rungs=(
        Rung(step="promised", database=None, done=True, intent=None),
        Rung(step="promoted", database=LEDGER, done=True, intent=None),
        Rung(step="opened", database=LEDGER, done=False, intent=None),
    ),
)


def ending(wish: str, decision: Decision) -> int:
    """The signal that ended a process which called the aid; 0 when it went on."""
    child = os.fork()
    if child == 0:
        crash_aid(wish)(VIEW, decision)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.parametrize("wish", ["promised", "wallet:promoted", "wallet:promoted@ledger"])
def test_it_kills_after_the_step(wish: str) -> None:
    assert ending(wish, CLIMBING) == signal.SIGKILL


@pytest.mark.parametrize(
    "wish", ["", "opened", "lobby:promoted", "wallet:promoted@journal", "wallet:nothing"]
)
def test_it_goes_on_otherwise(wish: str) -> None:
    assert ending(wish, CLIMBING) == 0


def test_a_ladder_that_is_no_takeover_never_counts() -> None:
    assert ending("promised", replace(CLIMBING, ladder="REJOIN")) == 0
