"""The fence on replication: nothing streams from a site that does not hold the epoch, but what is
missing is fetched from wherever it is.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from controller.core.intents import CatchUp, FenceOthers, SealDatabase
from controller.core.model import DatabaseName, Epoch, Outcome, SiteName
from controller.core.position import Position
from controller.ports import Database, Firewall, Flow, HostAgent, Refused, Unreachable
from controller.runtime.act import Fence as Outside
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


@dataclass
class Agent:
    """A host agent that closes, or cannot be reached."""

    asked: list[str] = field(default_factory=list)
    reached: bool = True

    async def call(self, verb: str, args: Mapping[str, str], deadline_s: float) -> object:
        del deadline_s
        self.asked.append(f"{verb} {dict(args)}")
        if not self.reached:
            raise Unreachable("no route")
        return {}


async def test_a_site_that_is_kept_out_is_closed_and_how_that_went_is_kept(
    world: World, fence: Fence
) -> None:
    there, elsewhere = Agent(), Agent()
    args = {"database": "ledger"}
    world.hands.fences = {
        f"ledger at {site}": Outside(
            agent=cast("HostAgent", agent), verb="postgres-close", args=args, site=site
        )
        for site, agent in ((DC2, there), (SiteName("dc3"), elsewhere))
    }
    done = await world.hands.carry_out(FenceOthers(epoch=Epoch(2), orders=((DC2, 4),)))
    assert (done.outcome, done.detail) == (Outcome.OK, "")
    close = "postgres-close {'database': 'ledger', 'epoch': '2'}"
    assert (there.asked, elsewhere.asked) == ([close], [])
    assert world.hands.closings[DC2].order == 4
    assert world.hands.closings[DC2].failed == ()
    assert world.hands.fenced == 0
    assert fence.blocked == {TO_DC2}
    there.reached = False
    await world.hands.carry_out(FenceOthers(epoch=Epoch(2), orders=((DC2, 5),)))
    assert world.hands.closings[DC2].order == 5
    assert world.hands.closings[DC2].failed == ("ledger at dc2: no route",)
    done = await world.hands.carry_out(FenceOthers(epoch=Epoch(2)))
    assert (world.hands.fenced, done.detail) == (2, "ledger at dc2: no route")
    assert elsewhere.asked == [close]
