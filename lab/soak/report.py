"""What comes of a soak: a line for each phase as it ends, a table and a report at the end."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.scenario.play import Verdict
from lab.scenario.suite import longest
from lab.soak.draw import Phase, fault_text

COLUMNS = ("phase", "faults", "outage s", "redundant", "lost", "holder", "")
SHOWN = 30  # of the faults of a phase, in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One phase and how it went."""

    phase: Phase
    verdict: Verdict
    began_at: str  # who held the wallet then
    holder: str  # who holds it now
    known: int  # acknowledged keys that were looked for
    course: tuple[str, ...]  # what was done and seen
    logs: str = ""  # where they are kept, when something was wrong


def entry(played: Played) -> dict[str, Any]:
    """One phase in the report."""
    figures = played.verdict.figures
    return {
        "phase": played.phase.number,
        "faults": [fault_text(fault.phrase) for fault in played.phase.faults],
        "began_at": played.began_at,
        "holder": played.holder,
        "outage_s": longest(figures),
        "outage_by_client_s": figures.outage_s,
        "redundancy_s": figures.redundancy_s,
        "acked": figures.acked,
        "looked_for": played.known,
        "lost": figures.lost,
        "took_s": played.verdict.took_s,
        "passed": played.verdict.passed,
        "failure": played.verdict.failure,
        "logs": played.logs,
        "scenario": played.phase.text,
        "course": list(played.course),
    }


def report(seed: int, entries: Sequence[Mapping[str, Any]], ended: str) -> dict[str, Any]:
    """The whole soak; `ended` says why it ended before its time, or nothing."""
    failed = [found["phase"] for found in entries if not found["passed"]]
    outages = [found["outage_s"] for found in entries if found["outage_s"] is not None]
    times = [found["redundancy_s"] for found in entries if found["redundancy_s"] is not None]
    return {
        "passed": bool(entries) and not failed and not ended,
        "ended": ended,
        "seed": seed,
        "failed_phases": failed,
        "acked": sum(found["acked"] for found in entries),
        "lost": sum(found["lost"] for found in entries),
        "worst_outage_s": max(outages, default=None),
        "worst_redundancy_s": max(times, default=None),
        "phases": list(entries),
    }


def line(seed: int, found: Mapping[str, Any]) -> str:
    """One phase as it is said when it has ended."""
    what = "; ".join(found["faults"])
    result = "" if found["passed"] else f"  FAILED: {found['failure']} (logs: {found['logs']})"
    return (
        f"seed {seed} phase {found['phase']}: {what}; outage {_number(found['outage_s'])} s,"
        f" redundant after {_number(found['redundancy_s'])} s,"
        f" {found['looked_for']} acknowledged, {found['lost']} lost{result}"
    )


def table(told: Mapping[str, Any]) -> str:
    """The report for people, within 80 columns but for what has failed."""
    lines = [COLUMNS, *(_row(found) for found in told["phases"])]
    widths = [max(len(row[column]) for row in lines) for column in range(len(COLUMNS))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in lines
    ]
    again = f"python -m lab soak --seed {told['seed']} --phase"
    failed = [
        f"phase {found['phase']}: {found['failure']}\n  logs: {found['logs']}"
        f"\n  again: {again} {found['phase']} --holder {found['began_at'] or 'dc1'}"
        for found in told["phases"]
        if not found["passed"]
    ]
    passed = len(told["phases"]) - len(failed)
    end = [f"ended early: {told['ended']}"] if told["ended"] else []
    count = f"{passed} of {len(told['phases'])} phases passed, {told['lost']} writes lost"
    return "\n".join([*text, "", *failed, *end, count])


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    what = "; ".join(found["faults"])
    return (
        str(found["phase"]),
        what if len(what) <= SHOWN else what[: SHOWN - 1] + "…",
        _number(found["outage_s"]),
        _number(found["redundancy_s"]),
        str(found["lost"]),
        found["holder"] or "-",
        "" if found["passed"] else "FAILED",
    )


def save(told: Mapping[str, Any], path: Path) -> None:
    """The report is in the file, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
