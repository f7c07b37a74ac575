"""`lab soak`."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.machine import facts
from lab.scenario.arguments import DATA_SITES
from lab.soak.draw import Phase, phase, phases
from lab.soak.report import report, save, table
from lab.soak.run import Soak
from lab.verbs._progress import Progress

HELP = "faults drawn from a seed, phase after phase in one lab, under load; looks after each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--seconds", type=float, default=3600, metavar="S",
                        help="begin no phase that would end later (default: 3600)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--phase", type=int, default=0, metavar="N", help="this one alone")
    parser.add_argument("--holder", choices=DATA_SITES, default="",
                        help="with --phase: who holds the wallet when it begins")  # fmt: skip
    parser.add_argument("--show", action="store_true",
                        help="with --phase: print it as a scenario, and play nothing")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/soak/report.json",
                        metavar="FILE")  # fmt: skip


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """Everything was as it should be at every quiet point; 1 when it was not."""
    if (options.show or options.holder) and not options.phase:
        raise LabError("--show and --holder are of one phase: say which, as in --phase 3")
    if options.phase < 0:
        raise LabError(f"there is no phase {options.phase}: they count from 1")
    if options.show:
        print(phase(options.seed, options.phase, options.holder).text, end="")
        return 0
    progress, machine = Progress(), facts()

    def told() -> dict[str, Any]:
        return {"machine": machine, **report(options.seed, soak.entries, soak.ended)}

    soak = Soak(lab, progress, options.seed, options.seconds, lambda: save(told(), options.out))
    try:
        await soak.run(_chosen(options))
    except LabError as error:
        soak.ended = f"{soak.ended}: {error}"
    finally:
        save(told(), options.out)
        print(table(told()), flush=True)
        if not options.keep:
            progress("taking the lab down")
            await lab.down(say=progress)
    return 0 if told()["passed"] else 1


def _chosen(options: argparse.Namespace) -> Iterable[Phase]:
    if options.phase:
        return (phase(options.seed, options.phase, options.holder),)
    return phases(options.seed)
