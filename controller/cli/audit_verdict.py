"""Whether a log is whole: a daemon's, one in a folder, one in a file; and how that is said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from rich.text import Text

from controller.audit.anchor import Anchor
from controller.audit.chain import Break, Verdict, Why, lines_of, verify_lines
from controller.audit.entry import (
    FORMAT,
    LINE_BYTES_MAX,
    BadEntry,
    Event,
    Head,
    OtherFormat,
    read_line,
    written_in,
)
from controller.audit.export import (
    Header,
    NoExport,
    OtherExport,
    read_header,
    verify_exported,
)
from controller.cli.endpoint import Endpoint, ask, fetch, status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.output import console
from controller.runtime.audit_folder import chunks, lines_in, sites_in
from controller.version import VERSION
from controller.web.audit_schema import (
    AuditAnchors,
    AuditBreak,
    AuditFiles,
    AuditFileView,
    AuditSpan,
    AuditVerdict,
)

PATH: Final = "/api/v1/audit"
NOT_FOUND: Final = 404
BESIDE: Final = "the heads beside its files"
HEAD: Final = ".head"  # beside each archived file: where it begins, and where it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The files of a daemon's log, and the way to their bytes."""

    endpoint: Endpoint
    files: AuditFiles

    def lines(self) -> Iterator[bytes]:
        """Every line, with its end."""
        return chain.from_iterable(lines_of(self.chunks(file)) for file in self.files.files)

    def chunks(self, file: AuditFileView) -> Iterator[bytes]:
        """Every byte of a file; of the current one, as far as it is written when it is read."""
        offset = 0
        while not file.last or offset < file.size:
            part = fetch(self.endpoint, f"{PATH}/raw?file={file.id}&offset={offset}")
            if not part:
                return
            yield part
            offset += len(part)


def log_of(endpoint: Endpoint) -> Log:
    """Of several servers the first that answers is asked for all of it."""
    failed: CliError | None = None
    for one in [*endpoint.one_by_one().values()] or [endpoint]:
        try:
            files = ask(one, f"{PATH}/files", AuditFiles)
            if files.log_format != FORMAT:
                called = written_in(files.log_format, files.version)
                raise CliError(ExitCode.UNKNOWN, not_known(f"the log of {files.site}", called))
            return Log(endpoint=one, files=files)
        except CliError as error:
            if error.status == NOT_FOUND:
                raise _too_old(one) from None
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            failed = failed or error
    assert failed is not None
    raise failed


def not_known(what: str, called: str) -> str:
    """What another version wrote, and this one cannot judge."""
    return (
        f"{what} is written in {called}, which this tricast {VERSION} does not know how to verify "
        f"(it knows format {FORMAT}); verify it with the tricast that wrote it, as it is installed "
        "on that node"
    )


def _too_old(endpoint: Endpoint) -> CliError:
    """The daemon does not tell its log file by file: no version did before it was rotated."""
    version = status_of(endpoint).version or "an older version"
    return CliError(
        ExitCode.UNKNOWN,
        f"the daemon at {endpoint} is tricast {version}: this tricast {VERSION} does not know how "
        "to read its audit log; verify it with the tricast that is installed on that node",
    )


def on_daemon(endpoint: Endpoint, first: int) -> AuditVerdict:
    """Of the answering site's log."""
    # Anchors before the log: an entry that is written meanwhile is then only in the log.
    known, anchors, missing = anchors_of(endpoint)
    found = verify_lines(log_of(endpoint).lines(), known.site, anchors)
    return told(known.cluster, known.site, found, anchors, missing=missing, first=first)


def anchors_of(endpoint: Endpoint) -> tuple[AuditAnchors, list[Anchor], tuple[str, ...]]:
    """What the daemon and those of the other sites know of its chain; who could not be asked."""
    answer = ask(endpoint, f"{PATH}/anchors", AuditAnchors)
    answers, missing = [answer], list(answer.missing)
    others = {site: Endpoint(url=url) for site, url in answer.others.items()}
    for site, other in (endpoint.one_by_one() or others).items():
        try:
            answers.append(ask(other, f"{PATH}/anchors", AuditAnchors))
        except CliError as error:
            missing.append(f"{site}: {error.sentence}")
    if endpoint.servers is not None:
        unasked = answer.others.keys() - {each.site for each in answers}
        missing += [f"{site}: name its server in --server" for site in sorted(unasked)]
    found = {
        Anchor(site=a.site, seq=a.seq, hash=a.hash, at=a.at, place=a.place)
        for each in answers
        for a in each.anchors
        if a.site == answer.site
    }
    return answer, sorted(found, key=lambda a: (a.seq, a.place)), tuple(missing)


def on_folder(folder: Path, site: str | None, first: int) -> AuditVerdict:
    """Of the files in a folder, with the heads that lie beside them."""
    try:
        sites = sites_in(folder)
        if site is None and len(sites) > 1:
            several = ", ".join(sites)
            raise CliError(
                ExitCode.USAGE, f"{folder} holds the logs of {several}: name one with --site"
            )
        chosen = site or next(iter(sites), "")
        if chosen not in sites:
            whose = f"of {chosen} " if chosen else ""
            raise CliError(ExitCode.FAILED, f"{folder} holds no audit log {whose}(*.jsonl)")
        heads = _heads(folder, chosen)
        begin = min((head.after for head in heads), key=lambda head: head.seq, default=Head())
        ends = {Anchor(site=h.site, seq=h.seq, hash=h.hash, place=BESIDE) for h in heads if h.seq}
        anchors = ends | {anchor for head in heads for anchor in head.anchors}
        known = sorted(anchors, key=lambda a: (a.seq, a.place))
        found = verify_lines(lines_in(folder, chosen), chosen, known, begin)
    except OSError as error:
        raise CliError(
            ExitCode.FAILED, f"{error.filename or folder}: {error.strerror or error}"
        ) from None
    cluster = heads[0].cluster if heads else ""
    return told(cluster, chosen, found, known, first=first, after=begin)


def _heads(folder: Path, site: str) -> list[Header]:
    found: list[Header] = []
    for path in sorted(folder.glob(f"{site}.*{HEAD}")):
        try:
            found.append(read_header(path.read_bytes().rstrip(b"\n")))
        except OtherExport as error:
            raise CliError(ExitCode.UNKNOWN, not_known(str(path), error.called)) from None
        except NoExport as error:
            raise CliError(ExitCode.FAILED, f"{path}: {error}; is it damaged?") from None
    return [head for head in found if head.site == site]


def on_file(path: Path, first: int) -> AuditVerdict:
    """Of an export, or of one file of a log."""
    with path.open("rb") as file:
        line = file.readline(LINE_BYTES_MAX)
        rest = lines_of(chunks(file))
        try:
            header = read_header(line.rstrip(b"\n"))
        except OtherExport as error:
            raise CliError(ExitCode.UNKNOWN, not_known(str(path), error.called)) from None
        except NoExport as error:
            try:
                entry = read_line(line.rstrip(b"\n"))
            except OtherFormat as other:
                called = written_in(other.number, other.version)
                raise CliError(ExitCode.UNKNOWN, not_known(str(path), called)) from None
            except BadEntry:
                raise CliError(
                    ExitCode.FAILED, f"{path} is neither an export nor an audit log: {error}"
                ) from None
            begins = entry.event == Event.ROTATED  # a file of a log that has older ones
            after = Head(seq=entry.seq - 1, hash=entry.prev) if begins else Head()
            found = verify_lines(chain([line], rest), entry.site, (), after)
            return told("", entry.site, found, (), first=first, after=after)
        found = verify_exported(rest, header)
    places = header.anchors
    return told(header.cluster, header.site, found, places, first=first, after=header.after)


def told(  # noqa: PLR0913 - all that a verdict says
    cluster: str,
    site: str,
    found: Verdict,
    anchors: Sequence[Anchor],
    *,
    missing: tuple[str, ...] = (),
    first: int = 1,
    after: Head | None = None,
) -> AuditVerdict:
    """The verdict as it is printed; what is wrong before entry `first` is left aside."""
    judged = [each for each in found.breaks if each.last >= first]
    breaks = tuple(_view(each) for each in judged)
    others = judged and all(each.why is Why.OTHER for each in judged)
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
        begins=max(found.begins, (after or Head()).seq + 1),
        archived=tuple(
            AuditSpan(first=s.first, last=s.last, hash=s.hash, at=s.at, who=s.who)
            for s in found.archived
        ),
        unverifiable=_from_there_on(site, breaks[0], found.other) if others else "",
    )


def _from_there_on(site: str, first: AuditBreak, called: str) -> str:
    return not_known(f"from entry {first.seq} on, the log of {site}", called)


def _view(found: Break) -> AuditBreak:
    return AuditBreak(seq=found.seq, last=found.last, why=found.why.value, detail=found.detail)


def broken_entries(found: AuditBreak) -> str:
    """Which entries a break is about."""
    one = found.seq == found.last
    return f"entry {found.seq}" if one else f"entries {found.seq}-{found.last}"


def print_verdict(said: AuditVerdict) -> None:
    """In sentences, the first bad entry first."""
    out = console()
    compared = ", ".join(said.compared_with) or "nothing else"
    if said.whole:
        text = (
            f"{said.site}: {said.entries} entries are whole, up to {said.seq} {said.hash}; "
            f"compared with {compared}"
        )
        out.print(Text(text, style="green"))
    if said.unverifiable:
        out.print(Text(said.unverifiable, style="yellow"))
    for number, found in enumerate(() if said.unverifiable else said.breaks):
        lead = f"{said.site}: the first bad entry is " if number == 0 else "  also "
        text = f"{lead}{broken_entries(found)}: {found.why}: {found.detail}"
        out.print(Text(text, style="bold red" if number == 0 else "red"))
    gone = [span for span in said.archived if span.last < said.begins]
    for span in gone:
        who = f" by {span.who}" if span.who else ""
        lead = (
            f"  entries {span.first}-{span.last} are archived, the last of them at {span.at}{who}:"
        )
        out.print(Text(lead))
        out.print(Text(f"    {span.hash}"))
    if said.begins > 1:
        out.print(Text(f"  it begins at entry {said.begins}"))
    for place in said.missing:
        out.print(Text(f"  not compared with {place}", style="yellow"))
