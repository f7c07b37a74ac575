"""What was explored, as a table for a reader and as JSON for a machine."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.model.search import Explored


def as_json(found: Iterable[Explored]) -> dict[str, Any]:
    """Every space: its bounds, what was seen there, and the losing history if any."""
    results = list(found)
    return {
        "design": [_one(result) for result in results if not _is_variant(result)],
        "variants": [_one(result) for result in results if _is_variant(result)],
        "sound": all(_as_wanted(result) for result in results),
    }


def write_json(found: Iterable[Explored], path: Path) -> None:
    """The report, in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(found), indent=2) + "\n", encoding="utf-8")


def _is_variant(result: Explored) -> bool:
    return result.space.is_variant


def _as_wanted(result: Explored) -> bool:
    return bool(result.loss) if _is_variant(result) else result.sound


def _one(result: Explored) -> dict[str, Any]:
    space = result.space
    return {
        "name": space.name,
        "epochs": space.epochs,
        "writes": space.writes,
        "copies": space.copies,
        "moves_of": sorted(family.value for family in space.families),
        "states": result.states,
        "transitions": result.transitions,
        "depth": result.depth,
        "seconds": result.seconds,
        "complete": result.complete,
        "moves": result.moves,
        "loss": result.loss,
        "history": list(result.history),
        "as_wanted": _as_wanted(result),
    }


def summary(result: Explored) -> str:
    """One line about one space."""
    space = result.space
    bounds = f"{space.epochs} epochs, {space.writes} writes"
    if result.loss:
        verdict = f"loses after {len(result.history)} moves"
    elif result.complete:
        verdict = f"loses nothing, {result.depth} moves deep"
    else:
        verdict = "not explored to its end"
    sign = "ok  " if _as_wanted(result) else "FAIL"
    return (
        f"{sign} {space.name:27} {bounds:19} {result.states:>10,} states"
        f" {result.seconds:>8.1f} s   {verdict}"
    )
