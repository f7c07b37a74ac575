"""A keeper whose holder refuses asks again ever more seldom, and is free for a newer epoch."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from controller.core.model import Epoch, Report, SiteName, VoterState
from controller.core.position import LogFormat, Position
from controller.ports import Flow, Refused, Store, TimedOut
from controller.runtime.promises import Promises
from controller.runtime.records import Records
from tests.core.views import DC1, DC2, LEDGER, RECORD, WITNESS, report_of_dc1
from tests.runtime.clock import HandClock
from witness.loop import LONGEST_REST_S, KeeperLoop

END = Position(epoch=1, format=LogFormat.LSN, text="0/10")


@dataclass
class RefusedKeeper:
    """Its holder admits nobody: each attempt leaves it unsealed."""

    sealed: bool = True
    attempts: int = 0

    async def observe(self, deadline_s: float) -> VoterState:
        return VoterState(database=LEDGER, promised=Epoch(0), sealed=self.sealed, position=END)

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        self.sealed = True
        return END

    async def follow(self, upstream: SiteName, epoch: Epoch, deadline_s: float) -> None:
        self.attempts += 1
        self.sealed = False
        raise Refused(f"{upstream} does not admit the witness")

    async def aclose(self) -> None:
        pass


class NoFirewall:
    async def block(self, flows: frozenset[Flow]) -> None:
        pass


def keeper_loop(port: RefusedKeeper, clock: HandClock, directory: Path) -> KeeperLoop:
    records = Records(store=cast("Store", None), prefix="", clock=clock, deadline_s=1.0)
    report = report_of_dc1()
    records.epochs[report.service] = RECORD
    records.reports[DC1] = Report(site=DC1, boot="1", version="1", at="", services=(report,))
    return KeeperLoop(
        me=WITNESS,
        service=report.service,
        database=LEDGER,
        port=port,
        fence={},
        firewall=NoFirewall(),
        records=records,
        promises=Promises(directory),
        clock=clock,
        rest_s=0.0,
        observe_s=1.0,
        seal_s=1.0,
        changed=asyncio.Event(),
        data_sites=(DC1, DC2),
    )


async def turns(loop: KeeperLoop, clock: HandClock, seconds: float) -> None:
    """As many turns as there are in `seconds` at one in ten milliseconds."""
    for _ in range(round(seconds / 0.01)):
        await loop._turn()
        clock.now += 0.01


def test_a_refused_keeper_asks_ever_more_seldom(tmp_path: Path) -> None:
    port, clock = RefusedKeeper(), HandClock()
    loop = keeper_loop(port, clock, tmp_path)
    asyncio.run(turns(loop, clock, 1.0))
    first = port.attempts
    assert 3 <= first <= 6
    asyncio.run(turns(loop, clock, 3 * LONGEST_REST_S))
    assert port.attempts - first <= 3
    assert port.sealed


def test_a_refused_keeper_promises_a_newer_epoch_at_once_and_asks_anew(tmp_path: Path) -> None:
    port, clock = RefusedKeeper(), HandClock()
    loop = keeper_loop(port, clock, tmp_path)
    asyncio.run(turns(loop, clock, 1.0))
    newer = replace(RECORD, epoch=Epoch(RECORD.epoch + 1))
    loop.records.epochs[loop.service] = newer
    asyncio.run(turns(loop, clock, 0.01))
    assert loop.promises.of(loop.service) == newer.epoch
    assert not loop.restraint.resting(clock.monotonic())


class SilentKeeper(RefusedKeeper):
    """Its holder answers nothing at all."""

    given_up: bool = False

    async def follow(self, upstream: SiteName, epoch: Epoch, deadline_s: float) -> None:
        self.sealed = False
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up = True


def test_an_attempt_nobody_answers_is_given_up_for_a_newer_epoch(tmp_path: Path) -> None:
    """The seal of that epoch is what a takeover waits for."""
    port, clock = SilentKeeper(), HandClock()
    loop = keeper_loop(port, clock, tmp_path)

    async def scene() -> None:
        await loop._turn()  # promises
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as group:
            attempt = group.create_task(loop._turn())
            await asyncio.sleep(0)
            loop.news()  # of something else
            await asyncio.sleep(0)
            assert not port.given_up
            loop.records.epochs[loop.service] = replace(RECORD, epoch=Epoch(RECORD.epoch + 1))
            loop.news()
        assert attempt.result()
        assert port.given_up
        assert loop.wake.is_set()
        await loop._turn()
        await loop._turn()

    asyncio.run(scene())
    assert port.sealed
    assert loop.promises.of(loop.service) == RECORD.epoch + 1


def test_an_attempt_ends_with_the_daemon(tmp_path: Path) -> None:
    port = SilentKeeper()
    loop = keeper_loop(port, HandClock(), tmp_path)

    async def scene() -> None:
        await loop._turn()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await loop._turn()

    asyncio.run(scene())
    assert port.given_up


def test_what_it_does_not_rest_on_does_not_wake_it(tmp_path: Path) -> None:
    loop = keeper_loop(RefusedKeeper(), HandClock(), tmp_path)
    loop.news()
    assert loop.wake.is_set(), "the first news is news"
    loop.wake.clear()
    loop.news()
    assert not loop.wake.is_set()
    loop.records.epochs[loop.service] = replace(RECORD, epoch=Epoch(RECORD.epoch + 1))
    loop.news()
    assert loop.wake.is_set()


class CountedKeeper(RefusedKeeper):
    """It is looked at as often as this says, and was sealed as often."""

    looks: int = 0
    seals: int = 0

    async def observe(self, deadline_s: float) -> VoterState:
        self.looks += 1
        return await super().observe(deadline_s)

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        self.seals += 1
        return await super().seal(epoch, deadline_s)


def test_a_new_epoch_is_promised_and_sealed_for_without_a_look(tmp_path: Path) -> None:
    """And what was seen before is not told as the seal of it."""
    port, clock = CountedKeeper(), HandClock()
    loop = keeper_loop(port, clock, tmp_path)
    loop.records.reports.clear()  # nobody has promoted

    async def scene() -> None:
        told: list[tuple[int, bool]] = []
        for number in range(6):
            if number == 3:
                loop.records.epochs[loop.service] = replace(RECORD, epoch=Epoch(RECORD.epoch + 1))
            await loop._turn()
            assert loop.state is not None
            told.append((loop.state.promised, loop.state.sealed))
            if number == 2:
                assert (port.looks, port.seals) == (3, 0)
        assert told[2:] == [
            (RECORD.epoch, True),
            (RECORD.epoch, False),
            (RECORD.epoch + 1, False),
            (RECORD.epoch + 1, True),
        ]

    asyncio.run(scene())
    assert (port.looks, port.seals) == (4, 1)


class LateKeeper(RefusedKeeper):
    """Follows, but its server may be too late with its answer."""

    late: bool = False
    seals: int = 0

    async def observe(self, deadline_s: float) -> VoterState:
        if self.late:
            raise TimedOut("keeper of ledger: look: no end of it within 0.2 s")
        seen = VoterState(database=LEDGER, promised=Epoch(0), sealed=self.sealed, position=END)
        return replace(seen, following=DC1, following_epoch=RECORD.epoch)

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        self.seals += 1
        return await super().seal(epoch, deadline_s)


def test_a_keeper_whose_look_is_late_goes_on_following(tmp_path: Path) -> None:
    port, clock = LateKeeper(sealed=False), HandClock()
    loop = keeper_loop(port, clock, tmp_path)
    asyncio.run(turns(loop, clock, 0.05))
    port.late = True
    asyncio.run(turns(loop, clock, 0.5))
    assert (port.seals, port.attempts) == (0, 0)
    assert loop.state is not None
    assert (loop.state.whole, loop.state.sealed, loop.state.position) == (False, False, None)
    assert "no end of it" in loop.state.problems[0]


def test_a_keeper_whose_look_is_late_promises_and_seals_for_a_newer_epoch(tmp_path: Path) -> None:
    port, clock = LateKeeper(sealed=False), HandClock()
    loop = keeper_loop(port, clock, tmp_path)
    asyncio.run(turns(loop, clock, 0.05))
    port.late = True
    asyncio.run(turns(loop, clock, 0.05))
    loop.records.epochs[loop.service] = replace(RECORD, epoch=Epoch(RECORD.epoch + 1))
    asyncio.run(turns(loop, clock, 0.02))
    assert (loop.promises.of(loop.service), port.seals) == (RECORD.epoch + 1, 1)
