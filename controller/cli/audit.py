"""`tricast audit`: what was asked and done, and whether the record of it is whole."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.cli import options
from controller.cli.audit_copies import Wanted, archive_to, export_to
from controller.cli.audit_verdict import (
    PATH,
    broken_entries,
    on_daemon,
    on_file,
    on_folder,
    print_verdict,
)
from controller.cli.endpoint import ask
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE, SITE
from controller.cli.output import console, print_json
from controller.cli.table import Cell, Column, Table
from controller.web.audit_schema import AuditEntryView, AuditLog

COLUMNS = (
    Column(title="No", right=True),
    Column(title="When"),
    Column(title="Event"),
    Column(title="Who"),
    Column(title="What", drop=2),
    Column(title="Service", drop=1),
    Column(title="Epoch", right=True, drop=3),
    Column(title="Outcome", cut=34),
    Column(title="Why", cut=30),
)
STYLES = {
    "broke_glass": "bold red",
    "damaged": "bold red",
    "lost": "bold red",
    "refused": "yellow",
}
_SINCE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?)?", re.ASCII)


@click.group()
def audit() -> None:
    """Show, verify and export the audit log of a site.

    Every site keeps a log of its own: who asked what and what came of it, what was refused,
    approved and declined, each new epoch with rule and evidence, each finished role change, the
    configuration at each start, and each break that was found in a log. Entries are chained by
    their hashes; the newest one of each site is also kept in etcd and by every other site.
    """


@audit.command()
@options.asking
@click.option("--service", type=SERVICE, help="Only entries about this service.")
@click.option("--since", default="", help="Only from this time (UTC) on: 2026-11-21T10:00.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most."
)
@click.option("--verbose", "-v", is_flag=True, help="Also arguments, evidence and hashes.")
def show(
    *,
    as_json: bool,
    service: str | None,
    since: str,
    limit: int,
    verbose: bool,
    **where: Path | str | None,
) -> int:
    """List the newest entries of the answering site's log, the oldest of them first.

    It shows what can be read; whether that is whole, `tricast audit verify` says.
    """
    query = {"limit": str(limit), "since": _since(since)}
    query |= {"service": service} if service is not None else {}
    found = ask(options.endpoint(where), f"{PATH}?{urlencode(query)}", AuditLog)
    if as_json:
        print_json(found)
        return ExitCode.DONE
    out = console()
    for line in audit_table(found).lines(out.width) if found.entries else ():
        out.print(line)
    if not found.entries:
        out.print(Text(f"{found.site}: no entry"))
    for entry in found.entries if verbose else ():
        for line in entry_lines(entry):
            out.print(line)
    if found.audit.waiting:
        out.print(Text(f" {found.audit.waiting} entries wait to be written"))
    for alarm in found.audit.alarms:
        out.print(Text(f" {alarm}", style="bold red"))
    return ExitCode.DONE


@audit.command()
@options.asking
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Ask no daemon: an export, or one file of a log.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Ask no daemon: an archive, or the folder of a daemon that does not run.",
)
@click.option("--site", type=SITE, help="With --dir: whose log, where it holds several.")
@click.option("--from", "first", type=click.IntRange(1), default=1, help="Trust entries before.")
def verify(
    *,
    as_json: bool,
    path: Path | None,
    folder: Path | None,
    site: str | None,
    first: int,
    **where: Path | str | None,
) -> int:
    """Check the chain of the answering site's log, and name the first bad entry.

    The log is read byte for byte from the daemon, file after file, and checked here. It is compared
    with the heads that were anchored in etcd, at the site itself and at every other site that
    answers: they show that entries at the end were cut off, or that the log was written anew. Files
    that were archived are on record: then it says so, and the check begins after them.

    Says of a bad entry that it was changed, deleted, reordered or added, or that the tail was cut
    or is torn. Entries that another version wrote in a format that this one does not know are no
    damage, and not whole either: then it says which version to use. Exit code 0: whole; 1: not;
    2: another version has to tell; 69: no daemon answers.
    """
    if path is not None and folder is not None:
        raise CliError(ExitCode.USAGE, "give either --file or --dir, not both")
    if site is not None and folder is None:
        raise CliError(ExitCode.USAGE, "--site goes with --dir; a daemon has one site's log")
    if path is not None:
        found = on_file(path, first)
    elif folder is not None:
        found = on_folder(folder, site, first)
    else:
        found = on_daemon(options.endpoint(where), first)
    if as_json:
        print_json(found)
    else:
        print_verdict(found)
    if found.unverifiable:
        return ExitCode.UNKNOWN
    return ExitCode.DONE if found.whole else ExitCode.FAILED


@audit.command()
@options.asking
@click.option("--from", "first", type=click.IntRange(1), help="Only entries from this one on.")
@click.option("--to", "last", type=click.IntRange(1), help="Only entries up to this one.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export(
    *,
    as_json: bool,
    first: int | None,
    last: int | None,
    file: Path,
    **where: Path | str | None,
) -> int:
    """Write the answering site's log into FILE, with its head and its anchors.

    The file needs nothing else: put it where it cannot be overwritten, and check it at any time
    with `tricast audit verify --file FILE`. A file that is there is not replaced. A log that is
    broken is exported as it is, and the exit code is 1. What was archived is not in it.
    """
    if first is not None and last is not None and last < first:
        raise CliError(ExitCode.USAGE, f"--to {last} is before --from {first}")
    wanted = Wanted(first=first, last=last)
    verdict, entries = export_to(file, options.endpoint(where), wanted)
    if as_json:
        print_json(verdict)
    else:
        print(f"{file}: {entries} entries of {verdict.site}, up to {verdict.hash}")
        if verdict.begins > (first or 1):
            print(f"  it begins at entry {verdict.begins}: those before are archived")
    if verdict.unverifiable:
        raise CliError(ExitCode.UNKNOWN, f"exported; {verdict.unverifiable}")
    if not verdict.whole:
        first_break = verdict.breaks[0]
        which = broken_entries(first_break)
        text = f"{which}: {first_break.why}: {first_break.detail}"
        raise CliError(ExitCode.FAILED, f"exported, but the log is broken: {text}")
    return ExitCode.DONE


@audit.command()
@options.asking
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the copies go: a folder, made when it is not there.",
)
@click.option("--with-damage", is_flag=True, help="Also files that are broken; it is recorded.")
def archive(*, as_json: bool, folder: Path, with_damage: bool, **where: Path | str | None) -> int:
    """Move the closed files of the answering site's log to a folder, on record.

    Each closed file, the oldest first, is copied to the folder, the copy is read back and its chain
    is checked, then an entry says who archived which entries with which last hash, and only then
    the daemon removes the file. `tricast audit verify` says so from then on, and begins after them;
    the folder is checked by `tricast audit verify --dir`. The current file stays.

    When it is interrupted, ask again: what was copied and not removed is compared and goes on.
    """
    done = archive_to(folder, options.endpoint(where), with_damage=with_damage, told=_said(as_json))
    if as_json:
        print_json(done)
    elif not done.files:
        print(f"{done.site}: no file is closed yet, nothing to archive (audit.rotate_bytes)")
    return ExitCode.DONE


def _said(as_json: bool) -> Callable[[str], None]:  # noqa: FBT001
    return (lambda _: None) if as_json else print


def audit_table(found: AuditLog) -> Table:
    """One row per entry."""
    table = Table(f"Cluster: {found.cluster} | audit log of {found.site}", COLUMNS)
    for entry in found.entries:
        table.add(
            Cell(str(entry.seq)),
            Cell(entry.at.replace("T", " ")),
            Cell(entry.event, STYLES.get(entry.event, "")),
            Cell(entry.who),
            Cell(entry.verb),
            Cell(entry.service),
            Cell(str(entry.epoch) if entry.epoch else ""),
            Cell(entry.outcome),
            Cell(entry.reason),
        )
    return table


def entry_lines(entry: AuditEntryView) -> list[Text]:
    """Everything else of one entry."""
    head = Text(f"entry {entry.seq}: {entry.event} {entry.reason}".rstrip(), style="bold")
    facts = [Text(f"  {name} = {value}") for name, value in entry.facts.items()]
    return [Text(""), head, *facts, Text(f"  hash = {entry.hash}"), Text(f"  prev = {entry.prev}")]


def _since(text: str) -> str:
    wanted = text.strip().replace(" ", "T").removesuffix("Z")
    if wanted and not _SINCE.fullmatch(wanted):
        raise CliError(
            ExitCode.USAGE, f"--since {text!r} is no time; write it like 2026-11-21T10:00"
        )
    return wanted
