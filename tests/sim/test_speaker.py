"""The real dialogue over a pipe to an ExaBGP that is slow, refuses, swallows or begins again."""

import pytest

from bgp.permit import Wish
from bgp.policy import Stance
from controller.core.model import ServiceName, SiteName
from tests.sim.exabgp import POLICY, listing, session_line, spec_of, understood
from tests.sim.speaker import PERMIT_S, Speaker
from tests.sim.world import World

WALLET, DC1 = ServiceName("wallet"), SiteName("dc1")


def quiet() -> tuple[World, Speaker]:
    """A world whose dc1 says what it is told here; its controller is away."""
    world = World(3)
    world.run(6.0)
    world.kill("controller", "dc1")
    return world, world.speakers[DC1]


def say(world: World, stance: Stance, epoch: int = 7, within_s: float = 0.2) -> Stance | None:
    """What the provider has heard a moment after dc1 was told to say it."""
    speaker = world.speakers[DC1]
    assert speaker.take({"wallet": Wish(stance, epoch)}, speaker.now)
    world.run(within_s)
    return heard(world)


def heard(world: World) -> Stance | None:
    """What dc1's provider has of dc1."""
    said = world.table("isp1").routes.get((WALLET, DC1))
    return None if said is None else said[0]


@pytest.mark.parametrize("stance", [stance for stance in Stance if stance is not Stance.WITHDRAWN])
def test_every_stance_is_read_back_from_its_command(stance: Stance) -> None:
    world, _ = quiet()
    assert say(world, stance) is stance


def test_a_route_that_stays_as_it_is_is_not_said_again() -> None:
    world, speaker = quiet()
    before = speaker.dialogue.counters["commands_done"]
    assert say(world, Stance.PREFERRED, epoch=7) is Stance.PREFERRED
    assert world.table("isp1").routes[WALLET, DC1] == (Stance.PREFERRED, 2)
    assert speaker.dialogue.counters["commands_done"] == before


def test_lines_are_what_the_parser_of_the_speaker_expects() -> None:
    world, speaker = quiet()
    say(world, Stance.BACKUP)
    counters = speaker.dialogue.counters
    assert counters["lines_unreadable"] == 0
    assert counters["updates_seen"] > 0
    assert speaker.dialogue.observe(speaker.now).services["wallet"].confirmed
    assert '"up"' in session_line(up=True)
    assert "ESTABLISHED" in listing(up=True)
    assert POLICY is spec_of(["wallet"], PERMIT_S).policy
    with pytest.raises(AssertionError):
        understood("announce something else")


def test_a_slow_exabgp_says_it_late() -> None:
    world, _ = quiet()
    say(world, Stance.PREFERRED)
    world.slow_exabgp("dc1", 1.0)
    assert say(world, Stance.ISOLATED, within_s=0.8) is Stance.PREFERRED
    world.run(2.0)
    assert heard(world) is Stance.ISOLATED


def test_what_is_refused_is_said_again() -> None:
    world, speaker = quiet()
    say(world, Stance.PREFERRED)
    world.refuse_routes("dc1")
    assert say(world, Stance.BACKUP, within_s=1.5) is Stance.PREFERRED
    assert any("refused" in problem for problem in speaker.dialogue.problems(speaker.now))
    world.accept_routes("dc1")
    world.run(1.5)
    assert heard(world) is Stance.BACKUP


def test_the_first_withdrawal_of_a_session_is_swallowed_and_said_again() -> None:
    world, _ = quiet()
    say(world, Stance.BACKUP)
    assert say(world, Stance.WITHDRAWN, within_s=1.5) is Stance.BACKUP
    world.run(1.5)
    assert heard(world) is None


def test_a_speaker_that_begins_again_leaves_the_route_until_its_permit_is_over() -> None:
    world, speaker = quiet()
    say(world, Stance.PREFERRED)
    world.restart_speaker("dc1")
    world.run(PERMIT_S - 1)
    assert speaker.session_up
    assert heard(world) is Stance.PREFERRED
    world.run(1.5)
    assert heard(world) is Stance.ISOLATED


def test_a_session_that_comes_back_is_told_everything() -> None:
    world, speaker = quiet()
    say(world, Stance.BACKUP)
    world.cut_provider("dc1")
    world.run(10.0)
    assert not speaker.session_up
    assert heard(world) is None
    world.heal_provider("dc1")
    world.run(2.5)
    assert heard(world) is Stance.ISOLATED  # the permit has run out meanwhile


def test_what_was_in_the_pipe_of_a_frozen_exabgp_does_not_stay() -> None:
    world, speaker = quiet()
    say(world, Stance.BACKUP)
    assert speaker.take({"wallet": Wish(Stance.PREFERRED, 7)}, speaker.now)
    world.freeze("exabgp", "dc1")
    world.run(PERMIT_S + 5)
    world.thaw("exabgp", "dc1")
    world.run(3.0)
    assert heard(world) is Stance.ISOLATED
