"""`tricast audit`: what was asked and done, and whether the record of it is whole."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.text import Text

from controller.audit.anchor import Anchor
from controller.audit.chain import Break, Verdict
from controller.audit.chain import verify as verify_log
from controller.audit.entry import BadEntry, read_line
from controller.audit.export import Header, NoExport, verify_export
from controller.audit.export import export as exported
from controller.cli import options
from controller.cli.endpoint import Endpoint, ask, fetch
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SERVICE
from controller.cli.output import console, print_json
from controller.cli.table import Cell, Column, Table
from controller.web.audit_schema import (
    AuditAnchors,
    AuditBreak,
    AuditEntryView,
    AuditLog,
    AuditVerdict,
)

PATH = "/api/v1/audit"
COLUMNS = (
    Column(title="No", right=True),
    Column(title="When"),
    Column(title="Event"),
    Column(title="Who"),
    Column(title="What", drop=2),
    Column(title="Service"),
    Column(title="Epoch", right=True, drop=3),
    Column(title="Outcome", cut=34),
    Column(title="Why", cut=30),
)
STYLES = {"damaged": "bold red", "lost": "bold red", "refused": "yellow"}
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
    help="Ask no daemon: an export, or the log of a daemon that does not run.",
)
@click.option("--from", "first", type=click.IntRange(1), default=1, help="Trust entries before.")
def verify(*, as_json: bool, path: Path | None, first: int, **where: Path | str | None) -> int:
    """Check the chain of the answering site's log, and name the first bad entry.

    The log is read byte for byte from the daemon and checked here. It is compared with the heads
    that were anchored in etcd, at the site itself and at every other site that answers: they show
    that entries at the end were cut off, or that the log was written anew.

    Says of a bad entry that it was changed, deleted, reordered or added, or that the tail was cut
    or is torn. Exit code 0: whole; 1: not; 69: no daemon answers.
    """
    if path is not None:
        told = _verdict_on_file(path, first)
    else:
        told = _verdict_on_daemon(options.endpoint(where), first)
    if as_json:
        print_json(told)
    else:
        _print_verdict(told)
    return ExitCode.DONE if told.whole else ExitCode.FAILED


@audit.command()
@options.asking
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export(*, as_json: bool, file: Path, **where: Path | str | None) -> int:
    """Write the answering site's log into FILE, with its head and its anchors.

    The file needs nothing else: put it where it cannot be overwritten, and check it at any time
    with `tricast audit verify --file FILE`. A file that is there is not replaced. A log that is
    broken is exported as it is, and the exit code is 1.
    """
    endpoint = options.endpoint(where)
    told, anchors, _ = _anchors(endpoint)
    log = fetch(endpoint, f"{PATH}/raw")
    found = verify_log(log, told.site, anchors)
    header = Header(
        cluster=told.cluster,
        site=told.site,
        at=told.now,
        seq=found.head.seq,
        hash=found.head.hash,
        anchors=tuple(anchors),
    )
    _write(file, exported(log, header))
    verdict = _told(told.cluster, told.site, found, anchors, ())
    if as_json:
        print_json(verdict)
    else:
        print(f"{file}: {found.entries} entries of {told.site}, up to {found.head.hash}")
    if not found.whole:
        raise CliError(ExitCode.FAILED, f"exported, but the log is broken: {found.breaks[0]}")
    return ExitCode.DONE


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


def _verdict_on_daemon(endpoint: Endpoint, first: int) -> AuditVerdict:
    # Anchors before the log: an entry that is written meanwhile is then only in the log.
    told, anchors, missing = _anchors(endpoint)
    found = verify_log(fetch(endpoint, f"{PATH}/raw"), told.site, anchors)
    return _told(told.cluster, told.site, found, anchors, missing, first)


def _anchors(endpoint: Endpoint) -> tuple[AuditAnchors, list[Anchor], tuple[str, ...]]:
    """What the daemon and those of the other sites know of its chain; who could not be asked."""
    told = ask(endpoint, f"{PATH}/anchors", AuditAnchors)
    answers, missing = [told], list(told.missing)
    others = {site: Endpoint(url=url) for site, url in told.others.items()}
    for site, other in (endpoint.one_by_one() or others).items():
        try:
            answers.append(ask(other, f"{PATH}/anchors", AuditAnchors))
        except CliError as error:
            missing.append(f"{site}: {error.sentence}")
    if endpoint.servers is not None:
        unasked = told.others.keys() - {answer.site for answer in answers}
        missing += [f"{site}: name its server in --server" for site in sorted(unasked)]
    found = {
        Anchor(site=a.site, seq=a.seq, hash=a.hash, at=a.at, place=a.place)
        for answer in answers
        for a in answer.anchors
        if a.site == told.site
    }
    return told, sorted(found, key=lambda a: (a.seq, a.place)), tuple(missing)


def _verdict_on_file(path: Path, first: int) -> AuditVerdict:
    data = path.read_bytes()
    try:
        header, found = verify_export(data)
    except NoExport as error:
        try:
            site = read_line(data.partition(b"\n")[0]).site
        except BadEntry:
            raise CliError(
                ExitCode.FAILED, f"{path} is neither an export nor an audit log: {error}"
            ) from None
        return _told("", site, verify_log(data, site), (), (), first)
    return _told(header.cluster, header.site, found, header.anchors, (), first)


def _told(
    cluster: str,
    site: str,
    found: Verdict,
    anchors: Sequence[Anchor],
    missing: tuple[str, ...],
    first: int = 1,
) -> AuditVerdict:
    breaks = tuple(_view(each) for each in found.breaks if each.last >= first)
    return AuditVerdict(
        cluster=cluster,
        site=site,
        whole=not breaks,
        entries=found.entries,
        seq=found.head.seq,
        hash=found.head.hash,
        first=breaks[0] if breaks else None,
        breaks=breaks,
        compared_with=tuple(sorted({anchor.place for anchor in anchors})),
        missing=missing,
    )


def _view(found: Break) -> AuditBreak:
    return AuditBreak(seq=found.seq, last=found.last, why=found.why.value, detail=found.detail)


def _print_verdict(told: AuditVerdict) -> None:
    out = console()
    compared = ", ".join(told.compared_with) or "nothing else"
    if told.whole:
        out.print(
            Text(
                f"{told.site}: {told.entries} entries are whole, up to {told.seq} {told.hash}; "
                f"compared with {compared}",
                style="green",
            )
        )
    for number, found in enumerate(told.breaks):
        which = (
            f"entry {found.seq}"
            if found.seq == found.last
            else (f"entries {found.seq}-{found.last}")
        )
        lead = f"{told.site}: the first bad entry is " if number == 0 else "  also "
        text = f"{lead}{which}: {found.why}: {found.detail}"
        out.print(Text(text, style="bold red" if number == 0 else "red"))
    for place in told.missing:
        out.print(Text(f"  not compared with {place}", style="yellow"))


def _write(file: Path, data: bytes) -> None:
    try:
        with file.open("xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise CliError(ExitCode.REFUSED, f"{file} is there already; choose another name") from None
    except OSError as error:
        raise CliError(ExitCode.FAILED, f"{file}: {error.strerror or error}") from None
