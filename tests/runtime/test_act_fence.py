"""The fence on replication: nothing streams from a site that does not hold the epoch, but what is
missing is fetched from wherever it is.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from controller.core.intents import CatchUp, SealDatabase
from controller.core.model import DatabaseName, Epoch, Outcome, SiteName
from controller.core.position import Position
from controller.ports import Database, Firewall, Flow, Refused
from tests.core.views import DC1, DC2, END, LEDGER, WITNESS
from tests.runtime.test_act_requests import World, world

__all__ = ["world"]

JOURNAL = DatabaseName("journal")
TO_DC2 = Flow(source="10.1.0.20", destination="10.2.0.20", port=3306)


@dataclass
class Fence:
    """A firewall that remembers what is blocked."""

    blocked: frozenset[Flow] = frozenset()

    async def block(self, flows: frozenset[Flow]) -> None:
        self.blocked = flows


@dataclass
class Fetching:
    """A database that fetches for as long as the test wants."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False

    async def catch_up(self, source: SiteName, target: Position, deadline_s: float) -> None:
        del source, target, deadline_s
        self.begun.set()
        await self.go_on.wait()
        if self.fails:
            raise Refused("no")

    async def seal(self, epoch: Epoch, deadline_s: float) -> None:
        del epoch, deadline_s


@pytest.fixture
def fence(world: World) -> Fence:
    found = Fence()
    world.hands.firewall = cast("Firewall", found)
    world.hands.flows = {DC2: frozenset({TO_DC2})}
    return found


@pytest.mark.parametrize("fails", [False, True])
async def test_a_source_is_reached_while_something_is_fetched_from_it(
    world: World, fence: Fence, fails: bool
) -> None:
    database, sealed = Fetching(fails=fails), SealDatabase(database=LEDGER, epoch=Epoch(3))
    world.hands.databases = {
        JOURNAL: cast("Database", database), LEDGER: cast("Database", Fetching()),
    }  # fmt: skip
    await world.hands.carry_out(sealed)
    assert fence.blocked == {TO_DC2}
    async with asyncio.TaskGroup() as tasks:
        fetch = CatchUp(database=JOURNAL, source=DC2, target=replace(END))
        done = tasks.create_task(world.hands.carry_out(fetch))
        await database.begun.wait()
        assert fence.blocked == frozenset()
        await world.hands.carry_out(sealed)
        assert fence.blocked == frozenset(), "another database's seal does not cut it off"
        database.go_on.set()
    assert done.result().outcome is (Outcome.FAILED if fails else Outcome.OK)
    assert fence.blocked == {TO_DC2}


async def test_who_gives_nothing_stays_out_of_reach(world: World, fence: Fence) -> None:
    database = Fetching()
    world.hands.databases = {JOURNAL: cast("Database", database)}
    database.go_on.set()
    await world.hands.carry_out(CatchUp(database=JOURNAL, source=WITNESS, target=END))
    assert fence.blocked == {TO_DC2}
    assert DC1 not in world.hands.sources
