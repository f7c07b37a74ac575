"""Whether the files that hold secrets are there, and closed to others."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from controller.config.cluster import Cluster
from controller.config.notifications import headers_problem, template_problem, url_problem
from controller.config.problem import Problem
from controller.config.services import DatabaseConf
from controller.core.model import DatabaseKind, SiteKind, SiteName


def check_secret_files(cluster: Cluster, site: SiteName | None, file: str) -> list[Problem]:
    """What is wrong with the secrets that `site` needs; with those of every site when None."""
    sites = list(cluster.sites) if site is None else [site]
    wanted: dict[tuple[str, str], None] = {}
    for name in sites:
        wanted |= dict.fromkeys(_needed(cluster, name))
    problems = []
    for key, source in wanted:
        sentence = _file_problem(source) if source.startswith("/") else _env_problem(source)
        if sentence:
            problems.append(
                Problem(file=file, line=0, key=key, value=repr(source), sentence=sentence)
            )
    if any(cluster.sites[name].kind is SiteKind.DATA for name in sites):
        problems += _about_targets(cluster, file)
    return problems


def _about_targets(cluster: Cluster, file: str) -> list[Problem]:
    """What is wrong with the templates and header files; their own mode is looked at as others'."""
    problems = []
    for number, target in enumerate(cluster.notifications.targets):
        looks = (
            ("template", target.template, template_problem),
            ("headers_file", target.headers_file, headers_problem),
            ("url_file", target.url_file, url_problem),
        )
        for name, path, look in looks:
            if path is not None and (sentence := look(path)):
                key = f"notifications.targets[{number}].{name}"
                problems.append(
                    Problem(file=file, line=0, key=key, value=repr(path), sentence=sentence)
                )
    return problems


def _needed(cluster: Cluster, site: SiteName) -> Iterator[tuple[str, str]]:
    """(key path, absolute file or environment variable) of all that a daemon of `site` reads."""
    yield "heartbeat.key_file", cluster.heartbeat.key_file
    for number, path in enumerate(cluster.heartbeat.accepted_key_files):
        yield f"heartbeat.accepted_key_files[{number}]", path
    if tls := cluster.etcd.tls:
        yield "etcd.tls.key_file", tls.key_file
    if cluster.ssh and cluster.sites[site].kind is SiteKind.DATA:
        yield "ssh.key_file", cluster.ssh.key_file
    if cluster.sites[site].kind is SiteKind.DATA:
        for number, target in enumerate(cluster.notifications.targets):
            yield from _either(f"notifications.targets[{number}].url", target.url_file, None)
            yield from _either(
                f"notifications.targets[{number}].headers", target.headers_file, None
            )
    bgp = cluster.sites[site].bgp
    for number, neighbor in enumerate(bgp.neighbors if bgp else ()):
        key = f"sites.{site}.bgp.neighbors[{number}].password"
        yield from _either(key, neighbor.password_file, neighbor.password_env)
    for i, service in enumerate(cluster.services):
        for j, database in enumerate(service.databases):
            if site in database.voters:
                yield from _of_database(database, site, f"services[{i}].databases[{j}]", cluster)


def _of_database(
    database: DatabaseConf, site: SiteName, at: str, cluster: Cluster
) -> Iterator[tuple[str, str]]:
    voter = database.voters[site]
    is_data = cluster.sites[site].kind is SiteKind.DATA
    if is_data or database.kind is not DatabaseKind.POSTGRES:
        yield from _either(f"{at}.password", database.password_file, database.password_env)
    key = f"{at}.voters.{site}"
    yield from _either(f"{key}.credential", voter.credential_file, voter.credential_env)
    if is_data:
        yield from _either(f"{key}.rejoin", voter.rejoin_file, voter.rejoin_env)


def _either(key: str, file: str | None, env: str | None) -> Iterator[tuple[str, str]]:
    if file is not None:
        yield f"{key}_file", file
    elif env is not None:
        yield f"{key}_env", env


def _env_problem(variable: str) -> str | None:
    return None if os.environ.get(variable) else "this environment variable is not set or empty"


def _file_problem(path: str) -> str | None:
    try:
        found = Path(path).stat()
    except OSError as error:
        return f"this file cannot be used: {error.strerror}"
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        return "this is not a regular file"
    if found.st_size == 0:
        return "this file is empty"
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return f"this file has mode {mode:04o}; others may use it: chmod 0600 {path}"
    if not os.access(path, os.R_OK):
        return "this file cannot be read by the user that runs tricast"
    return None
