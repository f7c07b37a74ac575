"""Requests in the store: numbered, changed only as they were seen, and counted from first sight."""

import asyncio
from dataclasses import replace

import pytest

from controller.core.model import Epoch, ServiceName, SiteName
from controller.core.requests import Kind, NotAllowed, Request, State
from controller.core.wire import encode_epoch, encode_request, epoch_key
from controller.ports import Entry, TimedOut, Unreachable
from controller.runtime import requests as room
from controller.runtime.publish import news
from controller.runtime.records import Records
from controller.runtime.requests import RequestBook, RequestDesk
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.views import DC1, DC2, RECORD, WALLET
from tests.core.wishes import settling, wish
from tests.runtime.clock import HandClock

PREFIX = "/t/"
MOVE = wish(Kind.SWITCHOVER, target="dc2", number=1)


class Site:
    """One site's records and desk."""

    def __init__(self, cluster: MemoryCluster, name: SiteName) -> None:
        self.clock = HandClock()
        self.store = MemoryStore(cluster, name)
        self.records = Records(store=self.store, prefix=PREFIX, clock=self.clock, deadline_s=0.05)
        self.book = self.records.requests
        self.desk = RequestDesk(
            site=name,
            store=self.store,
            prefix=PREFIX,
            clock=self.clock,
            book=self.book,
            deadline_s=0.05,
        )


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def dc1(cluster: MemoryCluster) -> Site:
    return Site(cluster, DC1)


@pytest.fixture
def dc2(cluster: MemoryCluster) -> Site:
    return Site(cluster, DC2)


async def test_of_two_operators_at_once_one_wins(dc1: Site, dc2: Site) -> None:
    first, second = await asyncio.gather(
        dc1.desk.open(MOVE), dc2.desk.open(MOVE), return_exceptions=True
    )
    assert isinstance(first, Request)
    assert isinstance(second, NotAllowed)
    assert "at the same time" in str(second)
    await dc2.records.refresh()
    with pytest.raises(NotAllowed, match="request 1 is open: switchover to dc2 asked by ann"):
        await dc2.desk.open(MOVE)


async def test_numbers_go_on_and_old_ones_are_dropped(
    dc1: Site, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "KEPT", 2)
    for number in range(1, 5):
        opened = await dc1.desk.open(MOVE)
        assert opened.number == number
        seen = dc1.book.newest(WALLET)
        assert seen is not None
        await dc1.desk.settle(WALLET, settling(number, seen.revision, State.DONE, "done"))
    assert sorted(cluster.entries) == [f"{PREFIX}requests/wallet/{n}" for n in (3, 4)]
    await dc1.records.refresh()
    assert [seen.request.number for seen in dc1.book.of(WALLET)] == [3, 4]


async def test_what_was_changed_meanwhile_is_not_overwritten(dc1: Site, dc2: Site) -> None:
    await dc1.desk.open(MOVE)
    await dc2.records.refresh()
    mine, theirs = dc1.book.newest(WALLET), dc2.book.newest(WALLET)
    assert mine is not None
    assert theirs is not None
    await dc1.desk.settle(WALLET, settling(1, mine.revision, State.RUNNING, "it begins"))
    with pytest.raises(NotAllowed, match="changed meanwhile; look again"):
        await dc2.desk.change(theirs, replace(MOVE, state=State.WITHDRAWN))
    with pytest.raises(NotAllowed, match="request 1 of wallet was changed meanwhile"):
        await dc1.desk.settle(WALLET, settling(1, mine.revision, State.DONE, ""))
    with pytest.raises(NotAllowed, match="request 2 of wallet"):
        await dc1.desk.settle(WALLET, settling(2, mine.revision, State.DONE, ""))
    await dc2.records.refresh()
    now = dc2.book.newest(WALLET)
    assert now is not None
    assert (now.request.state, now.request.state_by) == (State.RUNNING, "tricast at dc1")
    assert now.request.state_at == "at 100.0"


async def test_durations_are_counted_from_first_sight(dc1: Site, dc2: Site) -> None:
    await dc1.desk.open(MOVE)
    await dc2.records.refresh()
    dc2.clock.now += 5
    await dc2.records.refresh()
    seen = dc2.book.newest(WALLET)
    assert seen is not None
    assert (seen.age_s, seen.unchanged_s) == (5.0, 5.0)
    await dc2.desk.settle(WALLET, settling(1, seen.revision, State.RUNNING, ""))
    dc2.clock.now += 1
    seen = dc2.book.newest(WALLET)
    assert seen is not None
    assert (seen.age_s, seen.unchanged_s) == (6.0, 1.0)


async def test_a_drain_is_one_order_that_is_given_again(dc1: Site, dc2: Site) -> None:
    order = wish(Kind.DRAIN, target="dc2", number=7)
    assert (await dc1.desk.order(order, None)).number == 1
    with pytest.raises(NotAllowed, match="somebody else changed the order for dc2 first"):
        await dc2.desk.order(order, None)
    await dc2.records.refresh()
    before = dc2.book.drains()[DC2]
    ended = replace(before.request, state=State.WITHDRAWN)
    await dc2.desk.change(before, ended)
    dc2.clock.now += 9
    assert dc2.book.drains()[DC2].age_s == 9.0
    again = await dc2.desk.order(order, dc2.book.drains()[DC2])
    assert again.number == 2
    assert dc2.book.drains()[DC2].age_s == 0.0  # a new order, not one that is old already
    assert dc2.book.newest(WALLET) is None


async def test_the_newest_acknowledged_epoch(dc1: Site) -> None:
    assert dc1.book.acknowledged(WALLET) == 0
    for epoch, state in ((3, State.DONE), (4, State.OPEN), (2, State.DONE)):
        ack = wish(Kind.ACK, number=epoch, epoch=Epoch(epoch), state=state)
        dc1.book.took(f"requests/wallet/{epoch}", ack, 1)
    assert dc1.book.acknowledged(WALLET) == 3
    assert dc1.book.acknowledged(ServiceName("lobby")) == 0


async def test_a_change_is_news_and_a_bad_record_is_a_problem(
    dc1: Site, cluster: MemoryCluster
) -> None:
    cluster.write(f"{PREFIX}{epoch_key(WALLET)}", encode_epoch(RECORD))
    await dc1.records.refresh()
    before = news(dc1.records)
    cluster.write(f"{PREFIX}requests/wallet/1", encode_request(MOVE))
    await dc1.records.refresh()
    assert news(dc1.records) != before
    cluster.write(f"{PREFIX}requests/wallet/2", b"{}")
    await dc1.records.refresh()
    assert "requests/wallet/2" in dc1.records.problems[0]
    cluster.remove(f"{PREFIX}requests/wallet/1")
    await dc1.records.refresh()
    assert dc1.book.newest(WALLET) is None
    assert not RequestBook(clock=dc1.clock).take("sites/dc1", Entry(value=b"", revision=1))


async def test_an_answer_that_is_lost_is_unknown_and_a_lost_store_is_told(dc1: Site) -> None:
    dc1.store.loses_answers = True
    with pytest.raises(TimedOut):
        await dc1.desk.open(MOVE)
    dc1.store.reachable = False
    with pytest.raises(Unreachable):
        await dc1.desk.open(MOVE)
