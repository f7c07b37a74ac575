"""What a drill has shown, as one record; where it is written, and found again."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from controller.cli.drill_pages import html_page, markdown_page
from controller.cli.drill_run import Moved, Rehearsal
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.drill.measure import (
    Gap,
    Sample,
    judged,
    longest,
    lost_of,
    outages,
    spans,
    verdict,
)
from controller.web.drill_schema import (
    DrillCanary,
    DrillGap,
    DrillMove,
    DrillObjective,
    DrillReport,
    DrillSpan,
    DrillStep,
)

if TYPE_CHECKING:  # it loads a web client, which no other verb waits for
    from controller.cli.drill_canary import Canary

DIRECTORY: Final = Path("/var/lib/tricast/drills")
STANDS_OUT: Final = 3  # gaps of so many intervals are shown
SHOWN_MAX: Final = 50
SPANS_MAX: Final = 500  # an address that several sites answer has one an answer
DOING: Final = "intent "


def reported(played: Rehearsal, began_at: str, *, site: str) -> DrillReport:
    """Everything that is known of a drill that is over; nothing is noted yet."""
    plan, canary = played.plan, played.canary
    samples, ended_s = list(canary.samples), canary.now_s()
    moves = tuple(_move(moved, samples) for moved in played.moves)
    gap = longest(samples, 0.0, ended_s)
    raised = [move for move in moves if move.epoch]
    lost = [move.lost for move in raised]
    objectives = judged(
        rto_s=plan.rto_s,
        gap_s=gap.took_s if raised else None,
        rpo_transactions=plan.rpo_transactions,
        lost=None if not lost or None in lost else sum(each or 0 for each in lost),
    )
    return DrillReport(
        cluster=plan.cluster,
        site=site,
        service=plan.service,
        kind=plan.kind,
        verdict=verdict(objectives, played.aborted, played.troubles),
        aborted=played.aborted,
        began_at=began_at,
        took_s=round(ended_s, 3),
        asked_by=next((move.asked_by for move in moves if move.asked_by), ""),
        reason=played.asked.reason,
        home=plan.holder,
        target=plan.target,
        holder=played.holder,
        goes_back=played.goes_back,
        objectives=tuple(
            DrillObjective(name=o.name, wanted=o.wanted, measured=o.measured, passed=o.passed)
            for o in objectives
        ),
        troubles=tuple(played.troubles),
        checks=plan.checks,
        moves=moves,
        canary=_canary(canary, samples, ended_s),
        events=tuple(played.events),
    )


def _move(moved: Moved, samples: Sequence[Sample]) -> DrillMove:
    request, entry = moved.request, moved.entry
    end_s = moved.settled_s or moved.ended_s
    gap = longest(samples, moved.asked_s, end_s) if end_s > moved.asked_s else None
    return DrillMove(
        way=moved.way,
        source=moved.source,
        target=moved.target,
        request=0 if request is None else request.number,
        asked_by="" if request is None else request.asked_by,
        approved_by=() if request is None else request.approved_by,
        asked_s=round(moved.asked_s, 3),
        ended_s=round(moved.ended_s, 3),
        settled_s=None if moved.settled_s is None else round(moved.settled_s, 3),
        state="not asked" if request is None else request.state,
        why="" if request is None else request.state_why,
        epoch=0 if entry is None else entry.epoch,
        took_s=None if entry is None else entry.took_s,
        gap_s=None if gap is None else round(gap.took_s, 3),
        lost=None if entry is None else lost_of(entry.kind, entry.evidence.get("lost", "")),
        steps=()
        if entry is None
        else tuple(
            DrillStep(
                name=step.name,
                database=step.database,
                began_s=step.began_s,
                reached_s=round(step.began_s + (step.took_s or 0.0), 4),
            )
            for step in entry.steps
        ),
    )


def _canary(canary: "Canary", samples: Sequence[Sample], ended_s: float) -> DrillCanary:
    found = outages(samples, 0.0, ended_s, STANDS_OUT * canary.every_s)
    shown = sorted(found, key=lambda gap: -gap.took_s)[:SHOWN_MAX]
    return DrillCanary(
        url=canary.url,
        every_s=canary.every_s,
        asked=len(samples),
        good=sum(sample.ok for sample in samples),
        longest=_gap(longest(samples, 0.0, ended_s)),
        gaps=tuple(_gap(gap) for gap in sorted(shown, key=lambda gap: gap.began_s)),
        spans=tuple(
            DrillSpan(
                site=span.site,
                began_s=round(span.began_s, 3),
                ended_s=round(span.ended_s, 3),
                answers=span.answers,
            )
            for span in spans(samples)[:SPANS_MAX]
        ),
        failures=canary.failures(),
    )


def _gap(gap: Gap) -> DrillGap:
    return DrillGap(began_s=round(gap.began_s, 3), took_s=round(gap.took_s, 3))


# --- files ---------------------------------------------------------------------------------------


def directory(out: Path | None) -> Path:
    """Where reports are written: `out`, else the usual place, else here. Raises CliError."""
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CliError(ExitCode.USAGE, f"--out {out}: {error.strerror or error}") from None
        if not os.access(out, os.W_OK):
            raise CliError(ExitCode.USAGE, f"--out {out}: cannot be written to; choose another")
        return out
    try:
        DIRECTORY.mkdir(mode=0o750, exist_ok=True)
    except OSError:
        return Path()
    return DIRECTORY if os.access(DIRECTORY, os.W_OK) else Path()


def write(report: DrillReport, folder: Path) -> tuple[Path, ...]:
    """The report as JSON, Markdown and HTML; the files. Raises CliError."""
    stamp = re.sub(r"[^0-9TZ]", "", report.began_at.partition(".")[0])
    stem = folder / f"drill-{report.service}-{stamp}"
    pages = {
        ".json": report.model_dump_json(indent=2) + "\n",
        ".md": markdown_page(report),
        ".html": html_page(report),
    }
    return tuple(
        write_page(stem.with_name(stem.name + suffix), text) for suffix, text in pages.items()
    )


def write_page(path: Path, text: str) -> Path:
    """`text` stands there, whole. Raises CliError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise CliError(ExitCode.FAILED, f"{path}: {error.strerror or error}") from None
    return path


def read(path: Path) -> DrillReport:
    """The report in a file. Raises CliError."""
    try:
        return DrillReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CliError(ExitCode.USAGE, f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CliError(
            ExitCode.FAILED,
            f"{path} is no report of a drill: {where or 'file'}: {first['msg']}; give the .json "
            "that tricast drill run wrote",
        ) from None


def last(folder: Path) -> Path:
    """The newest report of a folder. Raises CliError when it has none."""
    found = sorted(folder.glob("drill-*.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise CliError(
            ExitCode.USAGE,
            f"there is no report in {folder.absolute()}: name one, or its folder with --out",
        )
    return found[-1]
