"""A bench measures what is lacking, goes on after a run that did not end, and keeps to its time."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.bench import LABS, Bench
from lab.rehearsal.eyes import NotSeen
from lab.rehearsal.faults import FAULTS, Fault
from lab.rehearsal.stack import Say, Stack
from lab.rehearsal.tally import Tally, failures, runs

FOUND = {"outage_s": 1.0, "resumed_s": 1.0, "failed_attempts": 0, "acked": 9, "missing": 0}
LOSS = FAULTS["site_loss"]


class Stage:
    """A stack whose labs come and go, and whose runs end as they are told to."""

    name = "peer"

    def __init__(self, endings: Iterator[bool]) -> None:
        self.labs: list[str] = []
        self.endings = endings
        self.lab = SimpleNamespace(down=self._down)

    async def up(self, say: Say) -> None:
        self.labs.append("up")

    async def _down(self, *, say: Say) -> None:
        self.labs.append("down")


def bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: Stage, seconds: float = 1e9
) -> Bench:
    async def strike(_self: Bench, _stack: Stack, fault: Fault) -> dict[str, Any]:
        if next(stage.endings):
            return {**FOUND, "parts": {}}
        raise NotSeen(f"not within 120 s: {fault.name}")

    monkeypatch.setattr(Bench, "_strike", strike)
    return Bench(
        lab=cast("Lab", None),
        say=lambda _: None,
        tally=Tally(tmp_path / "runs.jsonl"),
        wanted={"peer": 3},
        faults=[LOSS],
        seconds=seconds,
    )


async def test_only_what_is_lacking_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = Stage(iter([True, True]))
    found = bench(monkeypatch, tmp_path, stage)
    found.tally.add({"stack": "peer", "fault": "site_loss", "took_s": 5.0, **FOUND})
    await found._series(cast("Stack", stage))
    assert len(runs(found.tally.entries(), "peer", "site_loss")) == 3
    assert stage.labs == ["up", "down"]


async def test_after_a_run_that_did_not_end_the_lab_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = Stage(iter([True, False, True, True]))
    found = bench(monkeypatch, tmp_path, stage)
    await found._series(cast("Stack", stage))
    entries = found.tally.entries()
    assert len(runs(entries, "peer", "site_loss")) == 3
    assert [entry["failed"] for entry in failures(entries, "peer", "site_loss")] == [
        "not within 120 s: site_loss"
    ]
    assert stage.labs == ["up", "down"] * 2


async def test_a_stack_that_never_recovers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = Stage(iter([False] * LABS))
    found = bench(monkeypatch, tmp_path, stage)
    with pytest.raises(LabError, match="peer: runs did not end in"):
        await found._series(cast("Stack", stage))
    assert stage.labs == ["up", "down"] * LABS


async def test_no_run_begins_that_would_end_too_late(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = Stage(iter([]))
    found = bench(monkeypatch, tmp_path, stage, seconds=30)
    await found._series(cast("Stack", stage))
    assert stage.labs == []
