"""Realistic bugs, planted one at a time. The search must find each, or the world is too kind."""

from tests.sim.mutants.deciding import DECIDING
from tests.sim.mutants.plant import Mutant
from tests.sim.mutants.shell import SHELL

MUTANTS: dict[str, Mutant] = {found.name: found for found in (*DECIDING, *SHELL)}

__all__ = ["DECIDING", "MUTANTS", "SHELL"]
