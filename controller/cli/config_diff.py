"""`tricast config diff`: the cluster file against what the daemons run with."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from controller.cli import options
from controller.cli.config_compare import difference_lines, differences
from controller.cli.config_known import PATH, Known, named, of_daemon, of_file
from controller.cli.elsewhere import DEADLINE_S, endpoints
from controller.cli.endpoint import Endpoint, ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.output import console, print_json
from controller.web.config_schema import ConfigDiff, ConfigSite, RunningConfig

HASH_SHOWN: Final = 12
Answer = RunningConfig | CliError


@click.command()
@options.asking
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def diff(*, as_json: bool, file: Path | None, **where: Path | str | None) -> int:
    """Compare FILE with what the daemon of each site runs with.

    A line for each key that differs: what runs there -> what FILE says, and what has to be
    restarted before it counts. Every site of FILE is asked, at the address that FILE gives it, and
    the daemon of this node; sites that run under another address, or are no longer in FILE, are
    found through those that answer. With --socket, --url or --server only those are asked. FILE is
    --config (TRICAST_CONFIG), else /etc/tricast/tricast.yml. As with diff, the exit code is 0
    without a difference and 1 with one; 2 when a site did not answer and the others do not differ.
    """
    path = named(file, where["config"])
    known = of_file(path)
    sites = _compared(known, _answers(known, where))
    if all(not site.answered for site in sites):
        silent = "; ".join(f"{site.site}: {site.why}" for site in sites)
        raise CliError(
            ExitCode.UNAVAILABLE, f"no daemon says what it runs with ({silent}). Next: {NEXT}"
        )
    told = ConfigDiff(
        cluster=str(known.data["cluster"]),
        file=str(path),
        hash=known.hash,
        same=not any(site.differences for site in sites),
        sites=sites,
    )
    if as_json:
        print_json(told)
    else:
        out = console()
        for line in _page(told, out.width):
            out.print(Text(line))
    if not told.same:
        return ExitCode.FAILED
    return ExitCode.DONE if all(site.answered for site in sites) else ExitCode.UNKNOWN


NEXT: Final = (
    "name one that does, with --socket, --url or --server; tricast config show FILE needs none"
)


def _answers(known: Known, where: Mapping[str, Path | str | None]) -> dict[str, Answer]:
    """By site, or by address where it is not known whose it is."""
    if any(where[name] for name in ("socket_path", "url", "server")):
        given = options.endpoint(where)
        return _asked(given.one_by_one() or {str(given): given})
    assert known.cluster is not None
    local = Endpoint(socket=Path(known.cluster.api.socket), deadline_s=DEADLINE_S)
    found = _asked({"": local, **endpoints(known.cluster)})
    here = found.pop("", None)
    if isinstance(here, RunningConfig):
        found[here.site] = here
    for site, told in _asked(_elsewhere(found)).items():
        if isinstance(told, RunningConfig) or site not in found:
            found[site] = told
    return found


def _elsewhere(found: Mapping[str, Answer]) -> dict[str, Endpoint]:
    """Sites that did not answer, or are not in the file, where those that answered have them."""
    for told in found.values():
        cluster = of_daemon(told).cluster if isinstance(told, RunningConfig) else None
        if cluster is not None:
            heard = {site for site, answer in found.items() if isinstance(answer, RunningConfig)}
            return {site: at for site, at in endpoints(cluster).items() if site not in heard}
    return {}


def _asked(where: Mapping[str, Endpoint]) -> dict[str, Answer]:
    """Each at once. An answer stands under the name of the site that gave it."""
    if not where:
        return {}

    def one(endpoint: Endpoint) -> Answer:
        try:
            return ask(endpoint, PATH, RunningConfig)
        except CliError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(where)) as pool:
        answers = zip(where, pool.map(one, where.values()), strict=True)
        return {_whose(name, told): told for name, told in answers}


def _whose(name: str, told: Answer) -> str:
    return told.site if name and isinstance(told, RunningConfig) else name


def _compared(known: Known, answers: Mapping[str, Answer]) -> tuple[ConfigSite, ...]:
    return tuple(_site(known, name, told) for name, told in answers.items())


def _site(known: Known, name: str, told: Answer) -> ConfigSite:
    if isinstance(told, CliError):
        return ConfigSite(site=name, answered=False, why=told.sentence.partition(". ")[0])
    return ConfigSite(
        site=told.site,
        answered=True,
        hash=told.hash,
        read_at=told.read_at,
        disk=told.disk,
        has_file=told.disk_hash == known.hash,
        differences=differences(of_daemon(told), known),
    )


def _page(told: ConfigDiff, width: int) -> Iterator[str]:
    """Each site; one that differs as another does is said to."""
    yield f"{told.file} (hash {told.hash[:HASH_SHOWN]})"
    for number, site in enumerate(told.sites):
        yield from _site_lines(site, told.sites[:number], width)


def _site_lines(site: ConfigSite, before: tuple[ConfigSite, ...], width: int) -> Iterator[str]:
    if not site.answered:
        yield f"{site.site}: not known, {site.why}"
        return
    if not site.differences:
        stale = "" if site.has_file else f"; its own file {_DISK.get(site.disk, site.disk)}"
        yield f"{site.site}: runs with it{stale}"
        return
    count = f"{len(site.differences)} key" + (
        "s differ" if len(site.differences) > 1 else " differs"
    )
    own = "; its own file says this already: restart it" if site.has_file else ""
    yield f"{site.site}: runs with {site.hash[:HASH_SHOWN]}, read at {site.read_at}: {count}{own}"
    alike = next((other for other in before if other.differences == site.differences), None)
    if alike is not None:
        yield f"  as {alike.site}"
        return
    yield from difference_lines(site.differences, width)


_DISK: Final = {
    "changed": "has changed",
    "unusable": "cannot be used any more",
    "gone": "cannot be read any more",
}
