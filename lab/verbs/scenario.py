"""`lab scenario`."""

import argparse
import sys
from pathlib import Path

from lab.netns.lab import Lab
from lab.scenario.pages import page, plain
from lab.scenario.problem import ScenarioError
from lab.scenario.suite import read_all

HELP = "about scenarios: lab scenario words [--markdown] | check FILE... | list FILE..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    asked = parser.add_subparsers(dest="asked", required=True)
    words = asked.add_parser("words", help="print the vocabulary")
    words.add_argument("--markdown", action="store_true", help="as docs/scenarios.md")
    for name, about in (("check", "read files, say what is wrong"), ("list", "titles and rows")):
        asked.add_parser(name, help=about).add_argument("files", nargs="+", type=Path)


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """What was asked for has been printed; 2 when a file cannot be read."""
    if options.asked == "words":
        print(page() if options.markdown else plain(), end="")
        return 0
    try:
        scenarios = read_all(options.files)
    except (ScenarioError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.asked == "list":
        for scenario in scenarios:
            worlds = "+".join(sorted(scenario.worlds))
            rows = ",".join(map(str, scenario.rows))
            print(f"{rows:<12} {worlds:<8} {scenario.title}")
    print(f"{len(scenarios)} scenarios", file=sys.stderr)
    return 0
