"""`lab run`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.topology import REPOSITORY
from lab.scenario.crew import Crew, share
from lab.scenario.play import Say
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
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=share(cores),
        metavar="N",
        help=f"labs that play at a time (here: {share(cores)}, one for each two cores)",
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
    labs = _labs(lab, min(options.jobs, len(chosen)))
    ours = [each for each in labs if not options.keep and each.status() is None]
    suites = [Suite(each, _voice(progress, each, labs), options.patience) for each in labs]
    crew = Crew([suite.take for suite in suites], progress)
    try:
        await crew.play(chosen)
    except LabError as error:
        progress(f"the lab itself failed: {error}")
        return 1
    finally:
        write_report(crew.verdicts, options.report)
        for each in ours:
            await each.down(say=progress)
    if options.json:
        print(json.dumps([entry(verdict) for verdict in crew.verdicts], indent=2))
    else:
        print(table(crew.verdicts))
    return 0 if crew.passed else 1


def _labs(lab: Lab, jobs: int) -> list[Lab]:
    """This lab, and as many more beside it as there are jobs."""
    return [lab, *(Lab(f"{lab.name}{number}") for number in range(2, jobs + 1))]


def _voice(say: Say, lab: Lab, labs: Sequence[Lab]) -> Say:
    """What is said names its lab where there are several."""
    return say if len(labs) == 1 else lambda text: say(f"{lab.name}: {text}")


def _jobs(text: str) -> int:
    """A number of labs from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of labs: 1 or more")
    return int(text)
