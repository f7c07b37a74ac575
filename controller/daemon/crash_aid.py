"""A test aid: the daemon kills itself as soon as it has seen a step of a takeover done.

`TRICAST_CRASH_AFTER=promoted` names the step, `wallet:promoted` the service too, and
`wallet:promoted@ledger` the database as well. A step that databases climb one by one counts when
the first has. What was decided in the same turn has not begun. Without the variable nothing
happens; it is for rehearsing, never for use.
"""

import os
import signal
from collections.abc import Callable

from controller.core.decide import Decision
from controller.core.view import View

VARIABLE = "TRICAST_CRASH_AFTER"


def crash_aid(wish: str | None = None) -> Callable[[View, Decision], None]:
    """What to call after every turn."""
    wanted = os.environ.get(VARIABLE, "") if wish is None else wish
    service, _, what = wanted.rpartition(":")
    step, _, database = what.partition("@")

    def after_turn(view: View, decision: Decision) -> None:
        if not step or (service and service != view.spec.name):
            return
        if decision.ladder == "TAKE_OVER" and any(
            rung.done and rung.step == step and database in ("", rung.database)
            for rung in decision.rungs
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    return after_turn
