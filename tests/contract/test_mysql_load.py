"""Takeover after takeover under load: whatever falls when, nothing a client was told is missing."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field

import pytest

from controller.core.model import Epoch, SiteName
from controller.core.position import Order, Position, compare
from controller.ports import PortError
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    NAME,
    WITNESS,
    Cluster,
    eventually,
    keys_at,
    write,
)

pytestmark = [pytest.mark.contract, pytest.mark.timeout(180)]
ROUNDS = 4
WRITERS = 8
PAUSE_S = 0.02  # of each between two writes: a copy on a slow host must be able to keep up


@dataclass
class Load:
    """Clients that write to whichever site serves, each key once, and note what they were told."""

    three: Cluster
    site: SiteName
    told: set[str] = field(default_factory=set)
    ending: bool = False

    async def writer(self, name: str) -> None:
        for number in itertools.count():
            if self.ending:
                return
            site, key = self.site, f"{name}-{number}"
            session = self.three.servers[site].session()
            try:
                while not self.ending and site == self.site:
                    async with asyncio.timeout(0.7):
                        await write(session, key)
                    self.told.add(key)
                    key += "+"
                    await asyncio.sleep(PAUSE_S)
            except (PortError, TimeoutError):
                await asyncio.sleep(0.02)
            finally:
                session.drop()


@dataclass
class Turn:
    """One takeover: who leads before and after, what is broken first, how the primary goes."""

    three: Cluster
    epoch: Epoch
    old: SiteName
    new: SiteName
    early: str
    how: str

    async def run(self, load: Load) -> None:
        await self._hurt()
        sealed = await self._seal()
        candidate = self.three.databases[self.new]
        mine = (await self.three.look(self.new)).position
        assert mine is not None
        order = compare(mine, sealed)
        assert order is not Order.DIVERGED, (mine, sealed)
        if order is Order.BEHIND:
            await candidate.catch_up(WITNESS, sealed, LONG_S)
        await candidate.promote(self.epoch, LONG_S)
        await candidate.admit(frozenset({WITNESS}), LONG_S)
        await self.three.keeper.follow(self.new, self.epoch, LONG_S)
        await candidate.set_gate(opened=True, deadline_s=LONG_S)
        load.site = self.new
        await self._bring_back()

    async def _hurt(self) -> None:
        three, before = self.three, Epoch(self.epoch - 1)
        match self.early:
            case "standby sealed":
                other = DC2 if self.old == DC1 else DC1
                await three.databases[other].seal(before, LONG_S)
            case "keeper sealed":
                await three.keeper.seal(before, LONG_S)
            case "keeper killed":
                three.servers[WITNESS].kill()
        await asyncio.sleep(0.2)
        match self.how:
            case "killed" | "regained":
                three.servers[self.old].kill()
            case "frozen":
                three.servers[self.old].freeze()

    async def _seal(self) -> Position:
        if self.early == "keeper killed":
            await self.three.servers[WITNESS].agent.call("mysql-start", {"database": NAME}, LONG_S)
        if self.how == "regained":
            await self.three.databases[self.new].start(LONG_S)
        await self.three.databases[self.new].seal(self.epoch, LONG_S)
        return await self.three.keeper.seal(self.epoch, LONG_S)

    async def _bring_back(self) -> None:
        """The other data site follows the new primary, as a voter again."""
        back = DC1 if self.new == DC2 else DC2
        if self.how == "frozen":
            self.three.servers[back].thaw()
        database = self.three.databases[back]
        if self.how != "regained":
            await (database.start(LONG_S) if self.how == "killed" else database.close(LONG_S))
        await database.rejoin(self.new, self.epoch, LONG_S)
        await self.three.databases[self.new].admit(frozenset({WITNESS, back}), LONG_S)
        await database.follow(self.new, self.epoch, quarantine=False, deadline_s=LONG_S)


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_a_client_was_told_is_ever_missing(three: Cluster, seed: int) -> None:
    dice = random.Random(seed)
    load = Load(three, DC1)
    await three.serve(DC1, 2, DC2, WITNESS)
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(load.writer(f"w{number}"))
        for epoch in range(3, 3 + ROUNDS):
            await asyncio.sleep(0.3)
            how = dice.choice(["killed", "frozen", "alive", "regained"])
            old = load.site
            new = old if how == "regained" else DC2 if old == DC1 else DC1
            early = dice.choice(["", "standby sealed", "keeper sealed", "keeper killed"])
            turn = Turn(three=three, epoch=Epoch(epoch), old=old, new=new, early=early, how=how)
            await turn.run(load)
        load.ending = True
    await eventually(lambda: all_equal(three), "the three logs to be equal")
    held = {site: keys_at(server) for site, server in three.servers.items()}
    assert len(load.told) > 50
    assert [load.told - keys for keys in held.values()] == [set(), set(), set()]
    assert held[DC1] == held[DC2] == held[WITNESS]
    assert [(await three.look(site)).problems for site in (DC1, DC2)] == [(), ()]


async def all_equal(three: Cluster) -> bool:
    keeper = await three.keeper.observe(2)
    states = [await three.look(site) for site in (DC1, DC2)]
    waiting = sum(state.waiting_commits for state in states)  # in every log, and not yet to be read
    return not waiting and all(state.applied == keeper.position for state in states)
