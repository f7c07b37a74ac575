"""Each shortcut loses an acknowledged write, by a history that does not harm the design."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model import histories
from tests.model.search import explore
from tests.model.space import DESIGN
from tests.model.state import violation
from tests.model.variants import VARIANTS, Variant

RECORDED = histories.recorded()
NAMES = [variant.name for variant in VARIANTS]
QUICK = 9  # moves: histories as short as this are searched for in every run, not only replayed


def test_each_variant_has_its_history() -> None:
    assert list(RECORDED) == NAMES
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_shortcut_loses_an_acknowledged_write(variant: Variant) -> None:
    lines = RECORDED[variant.name]
    state, made = histories.replayed(variant.space, lines)
    assert made == len(lines), f"cannot be done: {lines[made]}"
    assert "acknowledged" in violation(state)


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_design_refuses_the_history_or_loses_nothing_by_it(variant: Variant) -> None:
    lines = RECORDED[variant.name]
    state, _made = histories.replayed(replace(variant.space, protocol=DESIGN), lines)
    assert not violation(state)


SHORT = [variant for variant in VARIANTS if len(RECORDED.get(variant.name, ())) <= QUICK]


@pytest.mark.parametrize("variant", SHORT, ids=[variant.name for variant in SHORT])
def test_recorded_history_is_the_shortest(variant: Variant) -> None:
    found = explore(variant.space, at_most=40_000)
    assert len(found.history) == len(RECORDED[variant.name])


def test_page_lists_each_variant_with_its_length() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/testing.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z-]+) \|.*\| (\d+) \|$", page, re.MULTILINE))
    lengths = {name: str(len(lines)) for name, lines in RECORDED.items()}
    assert {name: listed.get(name) for name in NAMES} == lengths
