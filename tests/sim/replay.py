"""One history again, with its trace: python -m tests.sim.replay SEED | PLAN.json [--shrink]

The trace has one line an event and one column a site; the last lines say what was broken.
"""

import argparse
import sys
from pathlib import Path

from controller.core.model import SiteName
from tests.sim.checkers import Violation
from tests.sim.draw import drawn
from tests.sim.history import Told, play
from tests.sim.plan import Plan
from tests.sim.shrink import shrink
from tests.sim.trace import render


def _violation(plan: Plan) -> Violation | None:
    return play(plan).violation


def explain(plan: Plan) -> tuple[Plan, str]:
    """The plan made short where it breaks something, and a page that shows it."""
    found = play(plan).violation
    if found is not None:
        plan = shrink(plan, found, _violation)
    return plan, page(play(plan))


def page(told: Told) -> str:
    """What was broken, by what faults, and the trace."""
    verdict = "nothing is broken" if told.violation is None else str(told.violation)
    lines = [
        verdict,
        "",
        f"seed {told.plan.seed}, {told.plan.shape}, mended at {told.plan.lasts_s:.1f} s, faults:",
        *(f"  {fault}" for fault in told.plan.faults),
        "",
        *render(told.events, tuple(SiteName(site) for site in told.sites)),
        "",
        verdict,
        f"python -m tests.sim.replay '{told.plan.to_json()}'",
    ]
    return "\n".join(lines) + "\n"


def read(text: str) -> Plan:
    """A plan from a seed, a file or JSON."""
    if text.isdigit():
        return drawn(int(text))
    if text.startswith("{"):
        return Plan.from_json(text)
    return Plan.from_json(Path(text).read_text())


def main(arguments: list[str]) -> int:
    """The command; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.replay", description=__doc__)
    parser.add_argument("plan", help="a seed, a plan's file, or a plan in JSON")
    parser.add_argument("--shrink", action="store_true", help="make it short first")
    asked = parser.parse_args(arguments)
    plan = read(asked.plan)
    if asked.shrink:
        plan, text = explain(plan)
        told = play(plan)
    else:
        told = play(plan)
        text = page(told)
    sys.stdout.write(text)
    return 0 if told.violation is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
