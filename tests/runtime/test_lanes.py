"""Lanes: one intent at a time each, a rest after a failure, no news for ever."""

import asyncio

from controller.core.intents import Follow, Intent, Rejoin, SealDatabase, lane
from controller.core.model import DatabaseName, Epoch, Outcome, SiteName
from controller.runtime.act import OK, Result
from controller.runtime.lanes import Done, Lanes
from controller.runtime.restraint import ELSEWHERE, FIRST_REST_S, FORGET_S, TRIES
from tests.runtime.clock import HandClock

SEAL = SealDatabase(database=DatabaseName("ledger"), epoch=Epoch(3))


async def run_once(results: list[Result], clock: HandClock) -> tuple[Lanes, list[Done]]:
    done: list[Done] = []

    async def carry_out(intent: Intent) -> Result:
        return results.pop(0)

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(
            carry_out=carry_out,
            on_done=done.append,
            tasks=tasks,
            clock=clock,
            longest_rest_s=2.0,
        )
        while results:
            lanes.start(SEAL)
            assert lane(SEAL) in lanes.busy() - lanes.resting()
            while len(lanes.running()):
                await asyncio.sleep(0)
    return lanes, done


async def test_a_lane_is_free_after_success() -> None:
    lanes, done = await run_once([OK], HandClock())
    assert lanes.busy() == frozenset()
    assert [d.result.outcome for d in done] == [Outcome.OK]


async def test_a_lane_rests_longer_after_each_failure_and_then_is_free() -> None:
    clock = HandClock()
    failed = Result(outcome=Outcome.FAILED, detail="no route")
    lanes, _ = await run_once([failed, failed, failed], clock)
    assert lanes.busy() == lanes.resting() == {lane(SEAL)}
    clock.now += FIRST_REST_S * 3.9
    assert lanes.busy() == {lane(SEAL)}
    clock.now += FIRST_REST_S * 0.2
    assert lanes.busy() == lanes.resting() == frozenset()
    assert lanes.failures() == {lane(SEAL): "no route"}
    clock.now += FORGET_S + 1
    assert lanes.failures() == {}


async def test_what_fails_again_and_again_is_told_until_it_is_to_be_tried_again() -> None:
    clock = HandClock()
    failed = Result(outcome=Outcome.FAILED, detail="no space")
    lanes, _ = await run_once([failed] * (TRIES - 1), clock)
    assert lanes.failed_for_good() == {}
    lanes, _ = await run_once([failed] * TRIES, clock)
    assert lanes.failed_for_good() == {lane(SEAL): "no space"}
    lanes.try_again(frozenset({"routes"}))
    assert lanes.resting() == {lane(SEAL)}
    lanes.try_again(frozenset({lane(SEAL)}))
    assert (lanes.resting(), lanes.failed_for_good()) == (frozenset(), {})


async def test_a_host_agent_that_still_works_for_the_daemon_before_is_no_failure() -> None:
    busy = Result(outcome=Outcome.FAILED, detail=f"host agent: {ELSEWHERE} on ledger")
    lanes, _ = await run_once([busy] * TRIES, HandClock())
    assert lanes.failed_for_good() == {}


async def test_what_succeeds_without_effect_is_asked_for_ever_more_seldom() -> None:
    clock, carried = HandClock(), 0

    async def carry_out(intent: Intent) -> Result:
        nonlocal carried
        carried += 1
        return OK

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(
            carry_out=carry_out,
            on_done=lambda done: None,
            tasks=tasks,
            clock=clock,
            longest_rest_s=2.0,
        )
        for _ in range(1000):
            lanes.start(SEAL)
            while lanes.running():
                await asyncio.sleep(0)
            clock.now += 0.01
        assert 15 < carried < 30, "ten seconds of asking"
        other = SealDatabase(database=SEAL.database, epoch=Epoch(4))
        assert lanes.start(other), "another intent of the lane never waits"
        while lanes.running():
            await asyncio.sleep(0)
        clock.now += 60
        assert lanes.start(SEAL)


REJOIN = Rejoin(database=SEAL.database, upstream=SiteName("dc1"), epoch=Epoch(2))


async def test_a_rejoin_of_an_older_epoch_goes_on_because_its_host_agent_does() -> None:
    ended = asyncio.Event()

    async def carry_out(intent: Intent) -> Result:
        await ended.wait()
        return OK

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(
            carry_out=carry_out,
            on_done=lambda done: None,
            tasks=tasks,
            clock=HandClock(),
            longest_rest_s=2.0,
        )
        assert lanes.rejoining() == frozenset()
        lanes.start(REJOIN)
        await asyncio.sleep(0)
        lanes.new_epoch(Epoch(3))
        await asyncio.sleep(0)
        assert lanes.busy() == {lane(SEAL)}
        assert lanes.rejoining() == {SEAL.database}
        ended.set()


async def test_following_under_an_older_epoch_is_given_up_for_a_newer_one() -> None:
    clock, done = HandClock(), list[Done]()
    follow = Follow(
        database=SEAL.database, upstream=SiteName("dc1"), epoch=Epoch(2), quarantine=False
    )

    async def carry_out(intent: Intent) -> Result:
        if intent == follow:
            await asyncio.Event().wait()  # the upstream has died, and nobody says so
        return OK

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(
            carry_out=carry_out,
            on_done=done.append,
            tasks=tasks,
            clock=clock,
            longest_rest_s=2.0,
        )
        lanes.start(follow)
        await asyncio.sleep(0)
        lanes.new_epoch(Epoch(2))
        await asyncio.sleep(0)
        assert lanes.busy() == {lane(SEAL)}, "it is of this very epoch"
        lanes.new_epoch(Epoch(3))
        while lanes.running():
            await asyncio.sleep(0)
        assert lanes.busy() == frozenset()
        assert [d.result.outcome for d in done] == [Outcome.UNKNOWN]
        assert lanes.start(SEAL)


async def test_nothing_rests_longer_than_its_epoch() -> None:
    failed = Result(outcome=Outcome.FAILED, detail="no route")
    lanes, _ = await run_once([failed], HandClock())
    assert lanes.busy() == {lane(SEAL)}
    lanes.new_epoch(Epoch(4))
    assert lanes.busy() == frozenset()
