"""Of three sites: who takes over is the one that an operator prefers, and nothing moves before."""

import pytest

from tests.sim import truth
from tests.sim.shape import SHAPES
from tests.sim.world import World


def holder(world: World) -> str | None:
    (service,) = world.final().services
    return service.holder


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("heavy", ["dc2", "dc3"])
def test_the_heavier_of_two_standbys_takes_over(heavy: str, seed: int) -> None:
    world = World(seed, SHAPES["three"])
    world.run(6.0)
    world.weigh("wallet", **{heavy: 200})
    world.run(20.0)
    assert holder(world) == "dc1"  # lighter, and it stays
    world.power_off("dc1")
    world.run(6.0)
    assert holder(world) == heavy
    world.heal_everything()
    world.run(25.0)
    assert holder(world) == heavy
    raised = [e for e in world.truth.events if isinstance(e, truth.EpochChanged)]
    assert raised[-1].holder == heavy


def test_cleared_the_configuration_counts_again() -> None:
    world = World(4, SHAPES["three"])
    world.run(6.0)
    world.weigh("wallet", dc2=200)
    world.run(1.0)
    world.weigh("wallet")
    world.run(1.0)
    world.power_off("dc1")
    world.run(6.0)
    assert holder(world) == "dc3"  # of two that weigh the same, the later name


def test_a_drained_holder_hands_over_to_the_heavier_one() -> None:
    world = World(5, SHAPES["three"])
    world.run(6.0)
    world.weigh("wallet", dc2=200)
    world.run(1.0)
    world.drain("dc1")
    world.run(15.0)
    assert holder(world) == "dc2"
