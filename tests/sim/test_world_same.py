"""One seed is one history, byte for byte, on every machine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.shape import SHAPES
from tests.sim.world import World

ROOT = Path(__file__).parents[2]
FINGERPRINT = "from tests.sim.test_world_same import fingerprint; print(fingerprint({!r}, 7))"


def fingerprint(shape: str, seed: int) -> str:
    """Of everything that truly happened in a history with faults."""
    world = World(seed, SHAPES[shape])
    world.run(4.0)
    world.cut_site("dc1")
    world.degrade("dc2", "witness", 0.3, 0.01)
    world.run(3.0)
    world.crash("controller", "dc2")
    world.run(3.0)
    world.heal_everything()
    world.run(8.0)
    return hashlib.sha256(world.trace().encode()).hexdigest()


@pytest.mark.parametrize("shape", ["postgres", "both"])
def test_a_seed_gives_the_same_history_again(shape: str) -> None:
    assert fingerprint(shape, 7) == fingerprint(shape, 7)


def test_another_seed_gives_another_history() -> None:
    assert fingerprint("postgres", 7) != fingerprint("postgres", 8)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_order_of_hashes_changes_nothing(hash_seed: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", FINGERPRINT.format("both")],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout.strip() == fingerprint("both", 7)
