"""`tricast config check`: every problem of a cluster file at once."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from controller.cli.exit_codes import ExitCode
from controller.cli.names import SITE
from controller.config import Inspection, Problem, check_secret_files, inspect
from controller.core.model import SiteName

AFTERWARDS: Final = "; what must hold between keys is checked once these are mended"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--secrets", is_flag=True, help="Also look at the secret files on this node.")
@click.option("--site", type=SITE, help="With --secrets: only those that this site needs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, *, secrets: bool, site: str | None, as_json: bool) -> int:
    """Check FILE: structure, ranges, and what must hold between keys.

    Exit code 0: it can be used. 78: it cannot; every problem is listed. Warnings change nothing.
    """
    found = inspect(file)
    problems = [*found.problems, *about_node(found, file, site, secrets=secrets)]
    if as_json:
        print(json.dumps(_as_json(found, problems)))
    else:
        print_problems(file, found, problems)
        _print_good(file, found, problems)
    return ExitCode.CONFIG if problems else ExitCode.DONE


def about_node(found: Inspection, file: Path, site: str | None, *, secrets: bool) -> list[Problem]:
    """What is wrong with `site`, and with the secrets that it needs on this node."""
    cluster = found.cluster
    if cluster is None:
        return []
    if site is not None and site not in cluster.sites:
        known = ", ".join(cluster.sites)
        sentence = f"has no site {site!r}, only {known}: check --site"
        return [Problem(file=str(file), line=0, key="sites", value=None, sentence=sentence)]
    if not secrets:
        return []
    return check_secret_files(cluster, SiteName(site) if site else None, str(file))


def _as_json(found: Inspection, problems: list[Problem]) -> dict[str, object]:
    return {
        "ok": not problems,
        "complete": found.cluster is not None,
        "problems": [asdict(problem) for problem in problems],
        "warnings": [asdict(warning) for warning in found.warnings],
    }


def print_problems(file: Path, found: Inspection, problems: list[Problem]) -> None:
    """Each warning and each problem, and what it means, on standard error."""
    for warning in found.warnings:
        print(f"warning: {warning.render()}", file=sys.stderr)
    for problem in problems:
        print(problem.render(), file=sys.stderr)
    if problems:
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        more = "" if found.cluster else AFTERWARDS
        print(f"tricast: {file} cannot be used: {count}{more}", file=sys.stderr)


def _print_good(file: Path, found: Inspection, problems: list[Problem]) -> None:
    cluster = found.cluster
    if problems or cluster is None:
        return
    names = ", ".join(service.name for service in cluster.services)
    print(
        f"{file}: good. Cluster {cluster.cluster}, profile {cluster.profile}; sites "
        f"{', '.join(cluster.sites)}; services {names}."
    )
