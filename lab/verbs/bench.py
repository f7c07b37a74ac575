"""`lab bench`."""

import argparse
import math
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.bench import Bench, save, tally_beside
from lab.rehearsal.faults import FAULTS
from lab.rehearsal.figures import figures, render
from lab.rehearsal.page import page
from lab.rehearsal.plot import save_pictures
from lab.verbs._progress import Progress

HELP = (
    "time tricast and a peer stack under the same blows; about 25 minutes; goes on where it ended"
)
KEPT = REPOSITORY / "docs/bench/bench.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="of tricast, each fault")
    parser.add_argument("--peer-runs", type=int, default=5, metavar="N", help="of the peer stack")
    parser.add_argument("--only", choices=[*FAULTS], action="append", help="these faults alone")
    parser.add_argument("--seconds", type=float, default=math.inf, metavar="S",
                        help="begin no run that would end later; call again to go on")  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--keep", action="store_true", help="leave the labs up afterwards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/bench/latest.json")
    parser.add_argument("--publish", action="store_true", help="keep the figures under docs/bench/")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The figures of everything measured so far are in the file."""
    progress, tally = Progress(), tally_beside(options.out)
    if options.fresh:
        tally.forget()
    bench = Bench(
        lab=lab,
        say=progress,
        tally=tally,
        wanted={"floor": options.runs, "tricast": options.runs, "peer": options.peer_runs},
        faults=[FAULTS[name] for name in options.only or FAULTS],
        seconds=options.seconds,
        keep=options.keep,
    )
    failed = ""
    try:
        if not await bench.run():
            progress("not everything is measured yet: the same command goes on")
    except LabError as error:
        failed = str(error)
    found = figures(tally.entries())
    for path in (options.out, *([KEPT] if options.publish else [])):
        save(found, path)
        save_pictures(found, path)
    if options.publish:
        KEPT.with_name("README.md").write_text(page(found), encoding="utf-8")
    print(render(found))
    if failed:
        progress(f"bench failed: {failed}")
    return 0 if found["missing"] == 0 and not failed else 1
