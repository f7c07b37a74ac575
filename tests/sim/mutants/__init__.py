"""Realistic bugs, planted one at a time. The search must find each, or the world is too kind."""

from tests.sim.mutants.deciding import DECIDING
from tests.sim.mutants.plant import Mutant
from tests.sim.mutants.shell import SHELL

MUTANTS: dict[str, Mutant] = {found.name: found for found in (*DECIDING, *SHELL)}

# Found within a few seconds of search: of these every `make sim` hunts the next few.
QUICK: tuple[str, ...] = (
    "majority_off_by_one",
    "one_seal_counted_twice",
    "seal_of_an_older_epoch_counts",
    "promise_taken_for_a_seal",
    "receiving_taken_for_quiet",
    "nearest_for_furthest",
    "promote_before_catch_up",
    "close_skipped",
    "promoted_twice_under_one_epoch",
    "step_down_forgets_to_close",
    "rejoin_as_voter_at_once",
    "every_data_site_admitted",
    "epoch_not_raised",
)

__all__ = ["DECIDING", "MUTANTS", "QUICK", "SHELL"]
