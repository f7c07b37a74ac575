"""Many scenarios, one after the other in a lab: what comes of each, and one report."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.scenario.language import Scenario, read_file
from lab.scenario.play import Figures, Say, Verdict, play
from lab.scenario.problem import ScenarioError, near_words
from lab.scenario.real import LabStage
from lab.scenario.upkeep import keep_logs, ready
from lab.scenario.words import World

COLUMNS = ("rows", "scenario", "outage s", "lost", "served by", "redundancy s", "took s", "")


def read_all(paths: Sequence[Path]) -> tuple[Scenario, ...]:
    """Every scenario of these files and folders, in order; no title twice."""
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.scn")) if path.is_dir() else [path]
    found: dict[str, Scenario] = {}
    for scenario in (scenario for file in files for scenario in read_file(file)):
        if scenario.title in found:
            raise ScenarioError(
                file=scenario.file,
                line=scenario.number,
                column=1,
                message=f"scenario {scenario.title!r} is also in {found[scenario.title].file}",
            )
        found[scenario.title] = scenario
    return tuple(found.values())


def choose(
    scenarios: Sequence[Scenario], world: World, rows: Sequence[int] = (), title: str = ""
) -> tuple[Scenario, ...]:
    """Those for this world, of these rows (none: of all), with this in their title."""
    for_world = [scenario for scenario in scenarios if world in scenario.worlds]
    chosen = [
        scenario
        for scenario in for_world
        if (not rows or set(rows) & set(scenario.rows)) and title in scenario.title
    ]
    if not chosen:
        asked = f"row {', '.join(map(str, rows))}" if rows else f"title {title!r}"
        titles = [scenario.title for scenario in for_world]
        near = near_words(title, titles) if title else ()
        raise ScenarioError(
            file="(all files)",
            line=1,
            column=1,
            message=f"no scenario for the {world} of {asked}",
            allowed=() if rows else titles,
            near=near,
        )
    return tuple(chosen)


@dataclass(slots=True)
class Suite:
    """Plays scenarios in one lab, made anew where a scenario asks for it or has broken it."""

    lab: Lab
    say: Say
    patience: float = 1.0
    played: bool = False
    spoilt: bool = False

    async def take(self, scenario: Scenario) -> Verdict:
        """What comes of it."""
        fresh = any(phrase.key == "fresh" for phrase in scenario.givens)
        if (fresh and self.played) or self.spoilt:
            self.say("a new lab")
            await self.lab.down()
        self.played = True
        await ready(self.lab, self.say)
        stage = LabStage(self.lab, self.say, self.patience)
        verdict = await play(scenario, stage, self.say)
        self.spoilt = not verdict.passed
        if self.spoilt:
            self.say(f"logs: {await keep_logs(self.lab, scenario.title)}")
            with contextlib.suppress(LabError):
                await stage.hands.mend()
        return verdict


def entry(verdict: Verdict) -> dict[str, Any]:
    """One line of the report."""
    figures, scenario = verdict.figures, verdict.scenario
    return {
        "row": scenario.rows[0],
        "rows": list(scenario.rows),
        "scenario": scenario.title,
        "file": f"{scenario.file}:{scenario.number}",
        "outage_s": longest(figures),
        "outage_by_client_s": figures.outage_s,
        "acked": figures.acked,
        "lost": figures.lost,
        "served_by": figures.served_by,
        "redundancy_s": figures.redundancy_s,
        "took_s": verdict.took_s,
        "passed": verdict.passed,
        "failure": verdict.failure,
    }


def longest(figures: Figures) -> float | None:
    """The outage that the worse-off client saw."""
    return max(figures.outage_s.values(), default=None)


def write_report(verdicts: Sequence[Verdict], path: Path) -> None:
    """The report is in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "passed": all(verdict.passed for verdict in verdicts),
        "scenarios": [entry(verdict) for verdict in verdicts],
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def table(verdicts: Sequence[Verdict]) -> str:
    """The report for people."""
    lines = [list(COLUMNS)]
    for verdict in verdicts:
        found = entry(verdict)
        lines.append(
            [
                ", ".join(map(str, found["rows"])),
                found["scenario"],
                _number(found["outage_s"]),
                str(found["lost"]),
                found["served_by"] or "-",
                _number(found["redundancy_s"]),
                _number(found["took_s"]),
                "passed" if found["passed"] else "FAILED",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    failed = [f"{v.scenario.title}: {v.failure}" for v in verdicts if not v.passed]
    count = f"{len(verdicts) - len(failed)} of {len(verdicts)} scenarios passed"
    return "\n".join([text, "", *failed, count])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
