"""The controller dies after each step of the takeover in turn, is restarted, and completes it."""

import pytest

from tests.lab.system import System, edge

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

# In the order in which they are reached. What comes after `opened` is reached while serving.
STEPS = (
    "promised",
    "logs_sealed",
    "caught_up",
    "promoted",
    "admitted",
    "committing",
    "opened",
    "serving",
    "attracting",
    "verified",
)


@pytest.mark.parametrize("step", STEPS)
async def test_the_takeover_completes(system: System, step: str) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client2") as load:
        system.stop_daemon(other)
        daemon = await system.start_daemon(other, TRICAST_CRASH_AFTER=f"wallet:{step}")
        await system.daemons_answer(other)
        await system.settled()
        cut_at = await system.lab.cut(holder)
        await system.until_daemon_is_dead(other)
        assert (await daemon.finish(5)).code != 0
        await system.lab.start(edge(other), "controller")
        await system.until_held_by(other, above=epoch, within_s=40)
        await load.acked(20, after=cut_at)
        await system.lab.heal(holder)
        await system.settled()
    assert await system.intact(load) == (other, holder)
    assert await system.timeline(other) == await system.epoch(other)
