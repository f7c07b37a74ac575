"""Reading the cluster file: all of it is right, or nothing is used."""

from dataclasses import dataclass
from pathlib import Path

from controller.config.checks import cross_checks, warnings_about
from controller.config.cluster import Cluster
from controller.config.problem import ConfigError, Problem
from controller.config.secret_files import check_secret_files
from controller.config.structure import build
from controller.config.yaml_lines import read_yaml
from controller.core.model import SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is to be said of a file."""

    cluster: Cluster | None  # None when it could not even be read as one: then the checks between
    # keys have not run, and there may be more to mend than is listed
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def load(path: Path) -> Cluster:
    """The cluster described by the file. Raises ConfigError with every problem found."""
    found = inspect(path)
    if found.problems or found.cluster is None:
        raise ConfigError(found.problems)
    return found.cluster


def load_for(path: Path, site: str) -> tuple[Cluster, SiteName]:
    """As `load`, for a daemon of `site`: the site exists, and so do the secret files it needs."""
    cluster = load(path)
    name = SiteName(site)
    if name not in cluster.sites:
        known = ", ".join(cluster.sites)
        raise ConfigError(
            [_whole(path, f"has no site {site!r}; it has {known}: check --site", "sites")]
        )
    if problems := check_secret_files(cluster, name, str(path)):
        raise ConfigError(problems)
    return cluster, name


def inspect(path: Path) -> Inspection:
    """Every problem and warning about the file; never raises ConfigError."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return Inspection(
            cluster=None, problems=(_whole(path, f"cannot be read: {error.strerror}"),)
        )
    except UnicodeDecodeError as error:
        return Inspection(
            cluster=None, problems=(_whole(path, f"is not UTF-8 at byte {error.start}"),)
        )
    return inspect_text(text, str(path))


def inspect_text(text: str, file: str) -> Inspection:
    """As `inspect`, for a text that was read already."""
    try:
        document = read_yaml(text, file)
    except ConfigError as error:
        return Inspection(cluster=None, problems=error.problems)
    cluster, structural = build(document)
    problems = [*document.problems, *structural]
    warnings: list[Problem] = []
    if cluster is not None:
        problems += cross_checks(cluster, document)
        warnings += warnings_about(cluster, document)
    return Inspection(
        cluster=cluster,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        warnings=tuple(sorted(warnings, key=lambda problem: problem.line)),
    )


def _whole(path: Path, sentence: str, key: str = "") -> Problem:
    return Problem(file=str(path), line=0, key=key, value=None, sentence=sentence)
