"""Every mutant fits the code as it is, and leaves no trace when it is taken out."""

import pytest

from controller.core import quorum
from tests.sim.mutants import DECIDING, MUTANTS, SHELL
from tests.sim.mutants.plant import Mutant, Stale, mutant, planted


@pytest.mark.parametrize("found", MUTANTS.values(), ids=lambda found: found.name)
def test_each_mutant_can_be_planted(found: Mutant) -> None:
    with planted(found):
        pass


def test_names_are_unique_and_each_has_a_story() -> None:
    assert len(MUTANTS) == len(DECIDING) + len(SHELL)
    assert all(found.story and found.edits for found in MUTANTS.values())


def test_a_planted_mutant_changes_what_everybody_calls_and_is_taken_out() -> None:
    imported = quorum.majority
    with planted(MUTANTS["majority_off_by_one"]):
        assert imported(3) == 1
    assert imported(3) == 2


def test_a_fragment_that_is_gone_is_an_error() -> None:
    stale = mutant("x", "y", ("controller.core.quorum:majority", "voters // 3", "voters"))
    with pytest.raises(Stale, match="0 times"), planted(stale):
        pass


def test_several_edits_of_one_function_are_one() -> None:
    twice = mutant(
        "x",
        "y",
        ("controller.core.quorum:majority", "voters // 2", "voters // 4"),
        ("controller.core.quorum:majority", "+ 1", "+ 7"),
    )
    with planted(twice):
        assert quorum.majority(8) == 9
