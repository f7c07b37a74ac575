"""The wallet's pool: few sessions are opened at once, and the first that there is is taken."""

import asyncio
from itertools import count

import pytest

from lab.wallet.pool import OPENED_AT_ONCE, Pool
from lab.wallet.transfer import NotDone


class Door:
    """A driver whose connections are numbers; each is opened when the test says so."""

    name = "door"

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[None]] = []
        self.numbers = count(1)
        self.dropped: list[int] = []

    async def open(self) -> int:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        await answer
        return next(self.numbers)

    def alive(self, connection: int) -> bool:
        return connection not in self.dropped

    def drop(self, connection: int) -> None:
        self.dropped.append(connection)


class Customer:
    """Holds a connection until it is told to give it back."""

    def __init__(self, pool: Pool[int]) -> None:
        self.pool = pool
        self.has: int | None = None
        self.done = asyncio.Event()

    async def come(self) -> None:
        async with self.pool.lend() as connection:
            self.has = connection
            await self.done.wait()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_takes_what_was_given_back_before_a_new_one() -> None:
    door = Door()
    pool = Pool(door, size=8, patience_s=5)
    customers = [Customer(pool) for _ in range(5)]
    async with asyncio.TaskGroup() as tasks:
        for each in customers:
            tasks.create_task(each.come())
        await turns()
        assert len(door.asked) == OPENED_AT_ONCE == 2
        door.asked[0].set_result(None)
        await turns()
        assert [each.has for each in customers] == [1, None, None, None, None]
        assert len(door.asked) == 3  # the third opens one of its own
        customers[0].done.set()
        await turns()
        assert [each.has for each in customers] == [1, None, None, 1, None]
        customers[3].done.set()
        await turns()
        assert customers[4].has == 1
        assert len(door.asked) == 3
        for answer in door.asked[1:]:
            answer.set_result(None)
        for each in customers:
            each.done.set()


async def test_no_more_are_lent_than_there_may_be() -> None:
    door = Door()
    pool = Pool(door, size=1, patience_s=0.01)
    first = Customer(pool)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first.come())
        await turns()
        door.asked[0].set_result(None)
        await turns()
        with pytest.raises(NotDone, match="every connection is busy"):
            await Customer(pool).come()
        first.done.set()
    assert len(door.asked) == 1


async def test_one_that_cannot_be_opened_or_is_called_off_keeps_no_place() -> None:
    door = Door()
    pool = Pool(door, size=2, patience_s=5)
    async with asyncio.TaskGroup() as tasks:
        refused, late, waiting = (tasks.create_task(_outcome(pool)) for _ in range(3))
        await turns()
        door.asked[0].set_exception(NotDone("door", "shut"))
        await turns()
        assert refused.result() == "door: shut"
        assert len(door.asked) == 3
        late.cancel()
        door.asked[2].set_result(None)
        await turns()
        assert waiting.result() == "1"


async def test_a_connection_that_broke_takes_the_idle_ones_with_it() -> None:
    door = Door()
    pool = Pool(door, size=3, patience_s=5)
    one, two = Customer(pool), Customer(pool)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.come())
        tasks.create_task(two.come())
        await turns()
        for answer in door.asked:
            answer.set_result(None)
        await turns()
        one.done.set()
        await turns()
        broken = tasks.create_task(_broken(pool))
        await turns()
        two.done.set()
        await turns()
        assert broken.result() == one.has
    assert door.dropped == [one.has]


async def _outcome(pool: Pool[int]) -> str:
    try:
        async with pool.lend() as connection:
            return str(connection)
    except NotDone as error:
        return str(error)


async def _broken(pool: Pool[int]) -> int:
    number = 0
    with pytest.raises(ValueError, match="broken"):
        async with pool.lend() as number:
            raise ValueError("broken")
    return number
