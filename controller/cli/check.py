"""`tricast config check`: every problem of a cluster file at once."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from controller.cli.exit_codes import ExitCode
from controller.cli.names import SITE
from controller.config import Inspection, Problem, check_secret_files, inspect
from controller.core.model import SiteName


@click.group()
def config() -> None:
    """Look at a cluster file."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--secrets", is_flag=True, help="Also look at the secret files on this node.")
@click.option("--site", type=SITE, help="With --secrets: only those that this site needs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, *, secrets: bool, site: str | None, as_json: bool) -> int:
    """Check FILE: structure, ranges, and what must hold between keys.

    Exit code 0: it can be used. 78: it cannot; every problem is listed. Warnings change nothing.
    """
    found = inspect(file)
    problems = [*found.problems, *_about_node(found, file, site, secrets=secrets)]
    if as_json:
        print(json.dumps(_as_json(found, problems)))
    else:
        _print_all(file, found, problems)
    return ExitCode.CONFIG if problems else ExitCode.DONE


def _about_node(found: Inspection, file: Path, site: str | None, *, secrets: bool) -> list[Problem]:
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


def _print_all(file: Path, found: Inspection, problems: list[Problem]) -> None:
    for warning in found.warnings:
        print(f"warning: {warning.render()}", file=sys.stderr)
    for problem in problems:
        print(problem.render(), file=sys.stderr)
    cluster = found.cluster
    if problems:
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        more = "" if cluster else "; what must hold between keys is checked once these are mended"
        print(f"tricast: {file} cannot be used: {count}{more}", file=sys.stderr)
    elif cluster is not None:
        names = ", ".join(service.name for service in cluster.services)
        print(
            f"{file}: good. Cluster {cluster.cluster}, profile {cluster.profile}; sites "
            f"{', '.join(cluster.sites)}; services {names}."
        )
