"""`lab run`."""

import argparse
import json
import sys
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.scenario.problem import ScenarioError
from lab.scenario.suite import Suite, choose, entry, read_all, table, write_report
from lab.scenario.words import World
from lab.verbs._progress import Progress

HELP = "play scenario files: lab run FILE|FOLDER... [--row N] [--only TITLE]"
REPORT = REPOSITORY / "build/lab-test/report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE|FOLDER")
    parser.add_argument(
        "--row", type=int, action="append", default=[], metavar="N", help="only this row's"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only with this in the title")
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="F", help="deadlines times F (slow machine)"
    )
    parser.add_argument("--json", action="store_true", help="the report on standard output")
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """Every scenario has been played; 1 when one did not hold, 2 when one cannot be read."""
    progress = Progress()
    try:
        chosen = choose(read_all(options.files), World.LAB, options.row, options.only)
    except (ScenarioError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    keep = options.keep or lab.status() is not None
    suite = Suite(lab, progress, options.patience)
    try:
        await suite.run(chosen)
    except LabError as error:
        progress(f"the lab itself failed: {error}")
        return 1
    finally:
        write_report(suite.verdicts, options.report)
        if not keep:
            await lab.down(say=progress)
    if options.json:
        print(json.dumps([entry(verdict) for verdict in suite.verdicts], indent=2))
    else:
        print(table(suite.verdicts))
    return 0 if suite.passed else 1
