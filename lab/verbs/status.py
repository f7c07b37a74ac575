"""`lab status`."""

import argparse
import json
from dataclasses import asdict

from lab.netns.lab import Lab, LabStatus
from lab.netns.registry import labs

HELP = "show which nodes run, which programs are ready, and what is cut"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own options are known to `parser`."""
    parser.add_argument("--json", action="store_true")


async def run(lab: Lab, options: argparse.Namespace) -> int:
    """The state has been printed; 0 when the lab is up and whole, 1 otherwise."""
    status = lab.status()
    if status is None:
        others = ", ".join(labs()) or "none"
        absent = f"lab {lab.name} is not up (labs on this machine: {others})"
        print(json.dumps({"lab": lab.name, "up": False}) if options.json else absent)
        return 1
    if options.json:
        print(json.dumps({"up": True, "whole": status.whole, **asdict(status)}))
    else:
        _show(status)
    return 0 if status.whole else 1


def _show(status: LabStatus) -> None:
    print(f"lab {status.lab}: {status.stage}, from {status.checkout}")
    for node in status.nodes:
        words = (name if ready else f"{name} (not ready)" for name, ready in node.programs.items())
        print(f"  {node.name:<9} {'on ' if node.alive else 'OFF'} {', '.join(words)}".rstrip())
    for cut in status.cuts:
        print(f"  cut: {cut}")
