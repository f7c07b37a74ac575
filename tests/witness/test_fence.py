"""The fence and the seal of a keeper do not wait for each other; the seal counts without it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from controller.core.model import Epoch
from controller.core.position import Position
from controller.daemon.wiring import SharedFirewall
from controller.ports import Flow, Refused
from tests.core.views import RECORD
from tests.runtime.clock import HandClock
from tests.witness.test_rests import END, RefusedKeeper, keeper_loop

ONE = frozenset({Flow(source="10.0.0.1", destination="10.0.0.2", port=5432)})
TWO = frozenset({Flow(source="10.0.0.1", destination="10.0.0.2", port=3306)})


@dataclass
class Kernel:
    """Takes rules when it is told to."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: bool = False
    taken: list[frozenset[Flow]] = field(default_factory=list)

    async def block(self, flows: frozenset[Flow]) -> None:
        await self.ready.wait()
        if self.refuses:
            raise Refused("nftables: the kernel refused our rules")
        self.taken.append(flows)


class SealedKeeper(RefusedKeeper):
    """Says when it was asked to seal."""

    asked: int = 0

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        self.asked += 1
        return await super().seal(epoch, deadline_s)


def test_a_seal_does_not_wait_for_the_fence_and_is_told_with_it(tmp_path: Path) -> None:
    async def scene() -> None:
        port, kernel = SealedKeeper(sealed=False), Kernel()
        loop = keeper_loop(port, HandClock(), tmp_path)
        loop.firewall = kernel
        await loop._turn()  # promises
        async with asyncio.timeout(1.0), asyncio.TaskGroup() as group:
            turn = group.create_task(loop._turn())
            while not port.asked:
                await asyncio.sleep(0)
            assert not turn.done()
            kernel.ready.set()
        assert (await loop.port.observe(1.0)).position == END
        assert kernel.taken == [frozenset()]

    asyncio.run(scene())


def test_a_fence_that_is_refused_is_said_and_no_seal_fails_for_it(tmp_path: Path) -> None:
    async def scene() -> None:
        port, kernel = SealedKeeper(sealed=False), Kernel(refuses=True)
        kernel.ready.set()
        loop = keeper_loop(port, HandClock(), tmp_path)
        loop.firewall = kernel
        await loop._turn()  # promises
        await loop._turn()
        assert "refused our rules" in loop.error
        assert port.sealed
        assert loop.promises.of(loop.service) == RECORD.epoch

    asyncio.run(scene())


def test_parts_that_are_wanted_at_one_moment_are_one_table() -> None:
    async def scene() -> None:
        kernel = Kernel()
        kernel.ready.set()
        shared = SharedFirewall(kernel)
        async with asyncio.TaskGroup() as group:
            group.create_task(shared.part("ledger").block(ONE))
            group.create_task(shared.part("journal").block(TWO))
        assert kernel.taken == [ONE | TWO, ONE | TWO]

    asyncio.run(scene())
