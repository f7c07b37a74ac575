"""Halves of a prefix, announced and taken back by the real ExaBGP, as a provider sees it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bgp.dialogue import RESEND_S
from bgp.policy import Stance
from bgp.specifics import MoreSpecifics, When
from tests.bgp.wire import WALLET, Wire, laid_wire
from tests.contract.test_announcer import LENGTHS, LONG_S, ONE, TWO, Rig

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

HALVES = (
    "198.51.100.0/25",
    "198.51.100.128/25",
    "2001:db8:100::/49",
    "2001:db8:100:8000::/49",
)
RULES = MoreSpecifics(
    when=When.OVERRIDE, max_length_ipv4=25, max_length_ipv6=49, after_s=0.5, take_back_s=1.0
)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with laid_wire() as laid:
        yield laid


@pytest.fixture
async def rig(wire: Wire, tmp_path: Path) -> AsyncIterator[Rig]:
    started = Rig(wire, tmp_path, more_specifics=RULES)
    try:
        await started.start()
        yield started
    finally:
        await started.clear()


async def say(rig: Rig, stance: Stance, permit_s: float = LONG_S) -> None:
    wanted = {"wallet": (stance, TWO), "lobby": (Stance.BACKUP, ONE)}
    await rig.speaker.announce(wanted, permit_s, 1.0)


async def until_beside(rig: Rig, length: int, deadline_s: float = 5.0) -> None:
    """The provider has every half with a path of this length; 0: none of them."""
    await rig.until(
        lambda: all(rig.wire.length(half) == length for half in HALVES),
        deadline_s,
        f"the provider has the halves of the wallet at length {length}",
    )


async def told(rig: Rig) -> tuple[str, ...]:
    """What the speaker says it has told of them."""
    found = (await rig.look()).services.get("wallet")
    return () if found is None else found.more_specifics


async def test_they_come_with_override_and_go_with_preferred_and_the_prefix_stays(rig: Rig) -> None:
    await say(rig, Stance.OVERRIDE)
    await rig.until_held(Stance.OVERRIDE)
    assert not any(rig.wire.path(half) for half in HALVES)  # not before it has lasted
    await until_beside(rig, 1)
    assert await told(rig) == HALVES
    await rig.until(lambda: all(map(rig.wire.best, (*WALLET, *HALVES))), 5, "all are best")
    await say(rig, Stance.PREFERRED)
    await until_beside(rig, LENGTHS[Stance.PREFERRED])
    while any(rig.wire.path(half) for half in HALVES):
        assert all(map(rig.wire.best, WALLET))
        await asyncio.sleep(0.005)
    assert rig.held(WALLET, Stance.PREFERRED)
    await rig.until(_nothing_is_told(rig), 5, "the speaker has seen them leave")
    assert (await rig.look()).problems == ()


def _nothing_is_told(rig: Rig) -> Callable[[], object]:
    async def none() -> bool:
        return not await told(rig)

    return none


@pytest.mark.parametrize("stance", [Stance.BACKUP, Stance.ISOLATED, Stance.DRAINED])
async def test_a_site_that_does_not_hold_takes_them_back_at_once(rig: Rig, stance: Stance) -> None:
    await say(rig, Stance.OVERRIDE)
    await until_beside(rig, 1)
    await say(rig, stance)
    await until_beside(rig, 0, deadline_s=4.0)  # the first withdrawal of a session is swallowed
    assert all(map(rig.wire.path, WALLET))


async def test_without_a_controller_they_are_taken_back(rig: Rig) -> None:
    await say(rig, Stance.OVERRIDE, permit_s=2.0)
    await until_beside(rig, 1)
    await rig.speaker.aclose()
    await rig.until_held(Stance.ISOLATED)
    await until_beside(rig, 0)


async def test_a_killed_speaker_s_successor_leaves_them_there(rig: Rig) -> None:
    await say(rig, Stance.OVERRIDE)
    await until_beside(rig, 1)
    first = rig.edge.helper_pid()
    assert first is not None
    before = len(rig.wire.updates_logged())
    os.kill(first, signal.SIGKILL)
    await rig.until(lambda: rig.edge.helper_pid() not in (None, first), 5, "it is respawned")
    await rig.until(rig._all_up, 5, "the new one knows the sessions")
    await say(rig, Stance.OVERRIDE)

    async def told_again() -> bool:
        assert all(rig.wire.length(half) == 1 for half in HALVES)
        return await told(rig) == HALVES

    await rig.until(told_again, 5, "the new one has told of them too")
    withdrawn = [
        line
        for line in rig.wire.updates_logged()[before:].splitlines()
        if "withdraw" in line.lower() and any(half in line for half in HALVES)
    ]
    assert not withdrawn


async def test_what_was_never_announced_is_no_problem_to_take_back(rig: Rig) -> None:
    """A speaker that was started again does not know what its sessions hold of them."""
    await say(rig, Stance.PREFERRED)
    await rig.until_held(Stance.PREFERRED)
    first = rig.edge.helper_pid()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await rig.until(lambda: rig.edge.helper_pid() not in (None, first), 5, "it is respawned")
    await rig.until(rig._all_up, 5, "the new one knows the sessions")
    await say(rig, Stance.PREFERRED)

    await rig.until_held(Stance.PREFERRED)
    loop = asyncio.get_running_loop()
    end = loop.time() + 3 * RESEND_S  # what was not seen leaving is a problem by then
    while loop.time() < end:
        assert (await rig.look()).problems == ()
        await asyncio.sleep(0.1)
    assert rig.held(WALLET, Stance.PREFERRED)
