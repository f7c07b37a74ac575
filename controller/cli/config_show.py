"""`tricast config show`: the configuration as tricast understands it."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click
from pydantic import JsonValue
from rich.text import Text

from controller.cli import options
from controller.cli.config_facts import facts, stands_for
from controller.cli.config_known import PATH, Known, of_daemon, of_file
from controller.cli.config_yaml import yaml_lines
from controller.cli.endpoint import ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE, SITE
from controller.cli.output import console, print_json
from controller.config.problem import Path as KeyPath
from controller.config.problem import did_you_mean
from controller.web.config_schema import ConfigShown, RunningConfig
from controller.web.config_shown import Data, key_of, leaves

HASH_SHOWN: Final = 12
UNSURE: Final = (
    "It is not known which keys are defaults: the file had changed when it was looked at."
)
WIDTH_MAX: Final = 100
BY_SITE: Final = frozenset({"sites", "alive_url", "via", "apps", "targets", "voters"})
DISK: Final = {
    "same": "",
    "changed": "; that file says something else now: tricast config diff",
    "unusable": "; that file cannot be used any more: {detail}",
    "gone": "; that file cannot be read any more: {detail}",
}


@click.command()
@options.asking
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--site", type=SITE, help="Leave out what is only about other sites.")
@click.option("--service", type=SERVICE, help="Only this service.")
@click.option(
    "--defaults/--no-defaults",
    default=True,
    help="Also keys that do not stand in the file (they are), or only those that do.",
)
def show(
    *,
    as_json: bool,
    file: Path | None,
    site: str | None,
    service: str | None,
    defaults: bool,
    **where: Path | str | None,
) -> int:
    """Print a configuration as tricast understands it, every default filled in and marked.

    Of FILE; without FILE, what the daemon runs with that is asked: the local one, or --url,
    --server. Below it stands what follows from it: when a silent holder is given up, when a probe
    is down, how many voters a commit waits for, and the bounds that the checks hold timings to. The
    text is YAML that tricast reads again. Secrets are never shown, only the file or the variable
    they come from; tokens in URLs and arguments are hidden.
    """
    known, shown = _of_file(file, where) if file else _of_daemon(where)
    _check_names(known.data, site, service)
    data = _about(known.data, site, service)
    keys = {key_of(data, path) for path, _ in leaves(data)}
    shown = shown.model_copy(
        update={
            "configuration": data if defaults else _without_defaults(known, data),
            "defaults": tuple(sorted(filter(known.is_default, keys))),
            "follows": () if known.cluster is None else tuple(facts(known.cluster, service)),
        }
    )
    if as_json:
        print_json(shown)
        return ExitCode.DONE
    out = console()
    for line in _page(known, shown, min(out.width, WIDTH_MAX)):
        out.print(Text(line))
    return ExitCode.DONE


def _of_file(file: Path, where: Mapping[str, Path | str | None]) -> tuple[Known, ConfigShown]:
    for option in ("url", "server", "socket_path"):
        source = click.get_current_context().get_parameter_source(option)
        if where[option] and source is click.core.ParameterSource.COMMANDLINE:
            name = option.removesuffix("_path")
            raise CliError(
                ExitCode.USAGE, f"{file} is read here, and --{name} asks a daemon: give one of them"
            )
    known = of_file(file)
    return known, ConfigShown(
        cluster=str(known.data["cluster"]),
        file=str(file),
        hash=known.hash,
        configuration={},
        hidden=known.hidden,
        warnings=known.warnings,
    )


def _of_daemon(where: Mapping[str, Path | str | None]) -> tuple[Known, ConfigShown]:
    running = ask(options.endpoint(where), PATH, RunningConfig)
    known = of_daemon(running)
    told = {
        name: getattr(running, name)
        for name in ("cluster", "file", "site", "version", "read_at", "hash", "disk", "detail")
    }
    return known, ConfigShown(**told, configuration={}, hidden=known.hidden)


def _check_names(data: Data, site: str | None, service: str | None) -> None:
    sites, services = list(_section(data, "sites")), _services(data)
    for word, name, there in (("site", site, sites), ("service", service, services)):
        if name is not None and name not in there:
            hint = did_you_mean(name, there) or f", only {', '.join(there)}"
            raise CliError(ExitCode.USAGE, f"there is no {word} {name!r}{hint}: check --{word}")


def _section(data: Data, name: str) -> dict[str, JsonValue]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _services(data: Data) -> list[str]:
    found = data.get("services")
    items = found if isinstance(found, list) else []
    return [str(item.get("name")) for item in items if isinstance(item, dict)]


def _about(data: Data, site: str | None, service: str | None) -> Data:
    """What concerns the site and the service."""
    sites = frozenset(_section(data, "sites"))
    others = frozenset[str]() if site is None else sites - {site}

    def pruned(name: str, value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [pruned(name, item) for item in value]
        if not isinstance(value, dict):
            return value
        drop = others if name in BY_SITE and sites.issuperset(value) else frozenset()
        return {key: pruned(key, inner) for key, inner in value.items() if key not in drop}

    kept = {key: pruned(key, value) for key, value in data.items()}
    if service is None:
        return kept
    found = kept["services"]
    items = found if isinstance(found, list) else []
    return {"services": [i for i in items if isinstance(i, dict) and i.get("name") == service]}


def _without_defaults(known: Known, data: Data) -> Data:
    def pruned(value: JsonValue, path: KeyPath) -> JsonValue:
        if isinstance(value, dict):
            inner = {key: pruned(each, (*path, key)) for key, each in value.items()}
            return {key: each for key, each in inner.items() if each != {}} or {}
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            return [pruned(item, (*path, number)) for number, item in enumerate(value)]
        return {} if known.is_default(key_of(data, path)) else value

    return {key: kept for key, value in data.items() if (kept := pruned(value, (key,))) != {}}


def _page(known: Known, shown: ConfigShown, width: int) -> Iterator[str]:
    yield from _wrapped(_head(shown), width)
    for warning in shown.warnings:
        yield from _wrapped(f"warning: {warning}", width)

    def remark(path: KeyPath) -> str:
        key = key_of(shown.configuration, path)
        words = ["hidden in part"] if key in shown.hidden else []
        if known.is_default(key):
            meant = "" if known.cluster is None else stands_for(known.cluster, path)
            words.append(
                f"default{': ' if meant and path[0] != 'timings' else ' '}{meant}".rstrip()
            )
        return ", ".join(words)

    yield from yaml_lines(shown.configuration, remark, width)
    if not known.given:
        yield from _wrapped(UNSURE, width)
    if shown.follows:
        yield ""
        yield "# What follows from it:"
    for fact in shown.follows:
        yield from _wrapped(f"{fact.about}: {fact.sentence}", width)


def _head(shown: ConfigShown) -> str:
    short = shown.hash[:HASH_SHOWN]
    if not shown.site:
        return f"{shown.file}, hash {short}, as tricast understands it"
    disk = DISK.get(shown.disk, "; that file: {detail}").format(detail=shown.detail)
    return (
        f"what {shown.site} runs with: hash {short}, tricast {shown.version}, from {shown.file} "
        f"as it was at {shown.read_at}{disk}"
    )


def _wrapped(sentence: str, width: int) -> Iterable[str]:
    return textwrap.wrap(
        sentence, max(width, 40), initial_indent="# ", subsequent_indent="#   ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
