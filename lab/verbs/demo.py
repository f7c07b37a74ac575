"""`lab demo`."""

import argparse
import sys
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.rehearsal.demo import OUT, Demo, render
from lab.verbs._progress import Progress

HELP = "dc1 dies under load, dc2 takes over, dc1 rejoins; ends with a summary"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / OUT, metavar="FILE")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The demonstration has ended; 1 when something was not as it should be."""
    progress = Progress()
    summary = None
    try:
        summary = await Demo(lab, progress, options.out).run()
    except LabError as error:
        progress(f"demo failed: {error}")
    finally:
        if options.keep:
            progress(f"the lab stays up; end it with: python -m lab --lab {lab.name} down")
        else:
            await lab.down(say=progress)
    if summary is None:
        sys.stdout.flush()
        print("demo: failed", flush=True)
        return 1
    print(render(summary))
    missing = summary["missing_postgres"] + summary["missing_mysql"]
    print(
        f"demo: outage={summary['outage_s']:.3f} acked={summary['acked']} missing={missing}",
        flush=True,
    )
    return 0
