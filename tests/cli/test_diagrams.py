"""Drawings show every rule and step once, nothing overlaps, one table makes one picture."""

import re
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from controller.cli import docs
from controller.cli.diagrams.layers import Places, placed
from controller.cli.diagrams.svg import wrapped
from controller.cli.table_words import ladders, raises_epoch, roles_of
from controller.core.model import Role
from controller.core.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
DRAWN = docs.render_diagrams(RULES)
LADDERS = ladders(RULES)
SVG = "{http://www.w3.org/2000/svg}"


def texts(name: str) -> list[str]:
    """Every line of text of a drawing."""
    return [
        element.text or "" for element in ElementTree.fromstring(DRAWN[name]).iter(f"{SVG}text")
    ]


def boxes(name: str, style: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of every box of a style."""
    found = []
    for element in ElementTree.fromstring(DRAWN[name]).iter(f"{SVG}rect"):
        if style in element.get("class", "").split():
            x, y, w, h = (float(element.get(key, "0")) for key in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    return found


def test_only_what_is_drawn_lies_there() -> None:
    there = {f"diagrams/{path.name}" for path in (ROOT / "docs/diagrams").iterdir()}
    assert there == set(DRAWN)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_no_card_overlaps_another_or_the_edge(name: str) -> None:
    width, height = (
        float(ElementTree.fromstring(DRAWN[name]).get(key, "0")) for key in ("width", "height")
    )
    cards = boxes(name, "card")
    assert all(x >= 0 and y >= 0 and r <= width and b <= height for x, y, r, b in cards)
    for (x, y, r, b), (x2, y2, r2, b2) in combinations(cards, 2):
        legend = b - y < 20  # a small sample lies on its pile
        assert legend or r <= x2 or r2 <= x or b <= y2 or b2 <= y


@pytest.mark.parametrize("name", LADDERS)
def test_each_step_stands_below_what_it_needs(name: str) -> None:
    drawing = ElementTree.fromstring(DRAWN[f"diagrams/{name.lower()}.svg"])
    at = {
        element.text: float(element.get("y", "0"))
        for element in drawing.iter(f"{SVG}text")
        if "mono" in element.get("class", "") and element.get("text-anchor") == "middle"
    }
    assert at.keys() == {step.name for step in LADDERS[name]}
    for step in LADDERS[name]:
        assert all(at[step.name] > at[need] for need in step.needs)


def test_every_rule_stands_once_among_the_roles() -> None:
    shown = [int(text) for text in texts(docs.ROLES) if re.fullmatch(r"\d{2,3}", text)]
    assert sorted(shown) == [rule.number for rule in RULES]


def test_every_role_that_a_rule_leads_to_has_a_card() -> None:
    wanted = {roles_of(rule)[0].value for rule in RULES}
    assert wanted <= set(texts(docs.ROLES))
    assert wanted >= {role.value for role in Role if role is not Role.WITNESS}


def test_rules_that_raise_the_epoch_are_marked() -> None:
    raising = [rule.number for rule in RULES if raises_epoch(rule)]
    assert {300, 306, 320, 321} <= set(raising)
    assert texts(docs.ROLES).count("raises the epoch") == len(raising)


def test_one_table_makes_one_picture() -> None:
    assert docs.render_diagrams(RULES) == DRAWN


NEEDS = {
    "a": (),
    "b": ("a",),
    "c": ("a", "b"),
    "d": ("c",),
    "side": ("a",),
    "late": (),
    "end": ("d", "side", "late", "a"),
}


@pytest.fixture
def places() -> Places:
    """A graph with a shortcut, a long edge and a late beginning."""
    return placed(NEEDS)


def test_shortcuts_are_left_out(places: Places) -> None:
    ends = {(way[0], way[-1]) for way in places.ways}
    assert ends == {
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("a", "side"),
        ("d", "end"),
        ("side", "end"),
        ("late", "end"),
    }


def test_long_edges_pass_each_layer(places: Places) -> None:
    depth = {name: row for row, layer in enumerate(places.layers) for name in layer}
    for way in places.ways:
        assert [depth[name] for name in way] == list(range(depth[way[0]], depth[way[-1]] + 1))


def test_what_needs_nothing_stands_just_above_its_first_user(places: Places) -> None:
    assert "late" in places.layers[-2]


def test_places_of_a_layer_are_apart_and_chains_straight(places: Places) -> None:
    for layer in places.layers:
        columns = [places.column[name] for name in layer]
        assert all(second - first >= 1 for first, second in pairwise(columns))
    assert places.column["b"] == places.column["c"] == places.column["d"]


def test_lines_break_between_words() -> None:
    assert wrapped("one two three", 10, 1000) == ["one two three"]
    assert wrapped("one two three", 10, 10) == ["one", "two", "three"]
    assert wrapped("", 10, 10) == []
