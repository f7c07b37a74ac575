"""`tricast run`: configuration, log, one daemon a site, then the loop until a signal."""

import asyncio
import fcntl
import os
import secrets
import sys
from pathlib import Path
from typing import IO

import structlog

from controller.config import Cluster, ConfigError, Problem, load_for
from controller.core.model import SiteKind, SiteName
from controller.daemon.config_file import RunningFile
from controller.daemon.logs import set_up_log
from controller.daemon.run import Stop, run

CONFIG_ERROR = 78
TEMPORARY = 75
FAILED = 1

log = structlog.get_logger()


class AlreadyRunning(Exception):
    """Another daemon of this site holds the lock; the message has its pid."""


def main(config: Path, site: str) -> int:
    """Runs until a signal; the exit code."""
    try:
        cluster, name = load_of_kind(config, site, SiteKind.DATA)
        lock = only_one(Path(cluster.state_dir), site)
    except ConfigError as error:
        sys.stderr.write(error.render() + "\n")
        return CONFIG_ERROR
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        return TEMPORARY
    set_up_log(cluster.log, site)
    with lock:
        return run_to_end(RunningFile(path=config, cluster=cluster, site=name))


def run_to_end(running: RunningFile) -> int:
    """The daemon has ended; 0 when a signal asked for it."""
    cluster, site = running.cluster, running.site
    log.info("started", site=site, pid=os.getpid(), cluster=cluster.cluster)
    code = 0
    try:
        asyncio.run(run(running, secrets.token_hex(8)))
    except* Stop:
        log.info("ended by a signal")
    except* Exception as group:
        log.exception("ended by a fault", exc_info=group)
        code = FAILED
    return code


def load_of_kind(config: Path, site: str, kind: SiteKind) -> tuple[Cluster, SiteName]:
    """The configuration and the site's name; ConfigError when it is bad or of another kind."""
    cluster, name = load_for(config, site)
    found = cluster.sites[name].kind
    if found is kind:
        return cluster, name
    verb = {SiteKind.DATA: "tricast run", SiteKind.WITNESS: "tricast witness"}[found]
    sentence = f"this is a {found.value} site: start its daemon with `{verb}`"
    problem = Problem(
        file=str(config), line=0, key=f"sites.{site}.kind", value=found.value, sentence=sentence
    )
    raise ConfigError([problem])


def only_one(state_dir: Path, site: str) -> IO[str]:
    """Holds the lock of this site's daemon for as long as the file is open."""
    state_dir.mkdir(parents=True, exist_ok=True)
    file = (state_dir / f"{site}.pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"a daemon of {site} is running already, pid {pid}; stop it first"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
