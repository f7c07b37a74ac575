"""A configuration as it is known: from a file, or from a daemon that runs with it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from controller.cli.elsewhere import DEFAULT_CONFIG
from controller.config import Cluster, ConfigError, Inspection, inspect_text
from controller.config.problem import Problem
from controller.config.yaml_lines import read_yaml
from controller.web.config_schema import RunningConfig
from controller.web.config_shown import Data, fingerprint, given_keys, tellable

PATH: Final = "/api/v1/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What it says, every default filled in, secrets left out."""

    data: Data
    hash: str
    given: frozenset[str]  # keys that stand in the file; none: not known which
    hidden: tuple[str, ...] = ()
    cluster: Cluster | None = None  # None: of another version of tricast
    warnings: tuple[str, ...] = ()

    def is_default(self, key: str) -> bool:
        """Whether `key` is only there by default."""
        return bool(self.given) and key not in self.given


def of_file(file: Path) -> Known:
    """As the file says. Raises ConfigError."""
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise ConfigError([_whole(file, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([_whole(file, f"is not UTF-8 at byte {error.start}")]) from None
    return of_text(text, str(file), inspect_text(text, str(file)))


def of_text(text: str, file: str, found: Inspection) -> Known:
    """As the text says, which was inspected. Raises ConfigError."""
    if found.problems or found.cluster is None:
        raise ConfigError(found.problems)
    data, hidden = tellable(found.cluster)
    return Known(
        data=data,
        hash=fingerprint(found.cluster),
        given=frozenset(given_keys(data, read_yaml(text, file))),
        hidden=hidden,
        cluster=found.cluster,
        warnings=tuple(warning.render() for warning in found.warnings),
    )


def of_daemon(running: RunningConfig) -> Known:
    """As a daemon told it."""
    try:
        cluster = Cluster.model_validate_json(json.dumps(running.configuration))
    except ValidationError:
        cluster = None
    return Known(
        data=running.configuration,
        hash=running.hash,
        given=frozenset(running.given),
        hidden=running.hidden,
        cluster=cluster,
    )


def named(file: Path | None, config: object) -> Path:
    """Which cluster file is meant: the argument, else --config, else the usual one."""
    return file or (Path(str(config)) if config else DEFAULT_CONFIG)


def _whole(file: Path, sentence: str) -> Problem:
    return Problem(file=str(file), line=0, key="", value=None, sentence=sentence)
