"""`lab soak-calm`."""

import argparse
from pathlib import Path
from typing import Any

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.machine import facts
from lab.soak.calm import CalmSoak
from lab.soak.calm_figures import render, report
from lab.soak.report import save
from lab.verbs._progress import Progress

HELP = "the lab at rest under load on a busy machine: nothing may move, yield or fail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--seconds", type=float, default=3600, metavar="S", help="default: 3600")
    parser.add_argument("--busy", type=float, default=80, metavar="PERCENT",
                        help="of each core, by a load of our own (default: 80)")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/soak/calm.json",
                        metavar="FILE")  # fmt: skip


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """Nothing has moved, yielded or failed; 1 when something did."""
    if not 0 < options.busy < 100:
        raise LabError(f"--busy {options.busy:g} is no share of a core: between 1 and 99 percent")
    progress, machine = Progress(), facts()
    soak = CalmSoak(lab, progress, options.seconds, options.busy / 100)

    def told() -> dict[str, Any]:
        return {"machine": machine, **report(soak.calm())}

    try:
        await soak.run()
    except LabError as error:
        soak.ended = f"{soak.ended}: {error}"
    finally:
        save(told(), options.out)
        print(render(told()), flush=True)
        if not options.keep:
            progress("taking the lab down")
            await lab.down(say=progress)
    return 0 if told()["passed"] else 1
