"""The design loses nothing in all of the small spaces, and everything that can happen happens."""

from dataclasses import replace

import pytest

from controller.core.position import LogFormat
from tests.model import report
from tests.model.search import SENTENCES, explore
from tests.model.space import Space
from tests.model.spaces import DEEP, SMALL
from tests.model.variants import VARIANTS

OF_VARIANTS = {"overwrite", "record shrinks", "record replaces", "record restores"} | {
    "database widens",
    "alone",
}


@pytest.fixture(scope="module")
def made() -> set[str]:
    """Kinds of moves that were made in any space so far."""
    return set()


@pytest.mark.parametrize("space", SMALL, ids=[space.name for space in SMALL])
def test_nothing_is_lost(space: Space, made: set[str]) -> None:
    found = explore(space)
    made.update(found.moves)
    assert found.sound, "\n".join(found.history)


def test_every_move_of_the_design_was_made(made: set[str]) -> None:
    for space in SMALL:
        if not made >= set(SENTENCES) - OF_VARIANTS:
            made.update(explore(space).moves)
    assert made == set(SENTENCES) - OF_VARIANTS


def test_no_dialect_of_positions_makes_a_difference() -> None:
    space = replace(SMALL[0], epochs=2, writes=2)
    found = [explore(replace(space, log_format=log_format)) for log_format in LogFormat]
    assert all(result.sound for result in found)
    assert len({(result.states, result.transitions) for result in found}) == 1


def test_names_are_not_used_twice() -> None:
    names = [space.name for space in (*DEEP, *(variant.space for variant in VARIANTS))]
    assert len(names) == len(set(names))


def test_report_fails_when_a_search_was_cut_short() -> None:
    found = explore(SMALL[0], at_most=100)
    assert not found.complete
    assert report.as_json([found])["sound"] is False
