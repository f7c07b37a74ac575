"""What the store's watch tells is known without a read, and what it cannot tell is read."""

from dataclasses import replace

import pytest

from controller.core.model import Epoch, EpochRecord, ServiceName, SiteName
from controller.core.wire import encode_epoch, epoch_key
from controller.ports import Snapshot
from controller.runtime.records import Records
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.runtime.clock import HandClock


class CountingStore(MemoryStore):
    """Counts how often it is read."""

    reads = 0

    async def read(self, prefix: str, deadline_s: float) -> Snapshot:
        self.reads += 1
        return await super().read(prefix, deadline_s)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def store(cluster: MemoryCluster) -> CountingStore:
    return CountingStore(cluster)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def records(store: CountingStore, clock: HandClock) -> Records:
    return Records(store=store, prefix="/t/", clock=clock, deadline_s=0.05)


async def test_what_is_told_needs_no_read(store: CountingStore, records: Records) -> None:
    await records.refresh()
    await store.put("/t/pause/a", b"1", 1.0)
    told = await MemoryStore.read(store, "/t/", 1.0)
    await records.heed(told)
    assert (store.reads, records.pauses, records.revision) == (1, {"a": "1"}, told.revision)


async def test_what_is_told_late_takes_nothing_back(store: CountingStore, records: Records) -> None:
    old = await MemoryStore.read(store, "/t/", 1.0)
    await store.put("/t/pause/a", b"1", 1.0)
    await records.refresh()
    await records.heed(old)
    assert (store.reads, set(records.pauses)) == (1, {"a"})


async def test_what_is_told_is_no_proof_that_the_majority_answers(
    store: CountingStore, records: Records, clock: HandClock
) -> None:
    await records.refresh()
    clock.now += 0.5
    await store.put("/t/pause/a", b"1", 1.0)
    await records.heed(await MemoryStore.read(store, "/t/", 1.0))
    assert records.silent_s() == 0.5


async def test_who_may_have_missed_something_reads(store: CountingStore, records: Records) -> None:
    await records.heed(None)
    await records.heed(None)
    assert store.reads == 2


async def test_after_a_read_that_failed_the_next_news_are_read(
    store: CountingStore, records: Records
) -> None:
    await store.put("/t/pause/a", b"1", 1.0)
    told = await MemoryStore.read(store, "/t/", 1.0)
    await records.heed(told)
    store.reachable = False
    await records.refresh()
    store.reachable = True
    await records.heed(told)
    assert (store.reads, records.ok) == (3, True)


# --- what this site has written itself -----------------------------------------------------------

WALLET = ServiceName("wallet")
FIRST = EpochRecord(
    epoch=Epoch(1), holder=SiteName("dc1"), kind="bootstrap", reason="", asked_by="", at=""
)
SECOND = replace(FIRST, epoch=Epoch(2), holder=SiteName("dc2"))


async def written(store: MemoryStore, records: Records, record: EpochRecord) -> EpochRecord:
    """`record` is in the store, and this site knows that it has put it there."""
    key = records.prefix + epoch_key(WALLET)
    mine = replace(record, revision=await store.put(key, encode_epoch(record), 1.0))
    records.took(WALLET, mine)
    return mine


async def test_news_from_before_our_own_write_do_not_hide_it(
    store: CountingStore, records: Records
) -> None:
    await written(store, records, FIRST)
    await records.refresh()
    await store.put("/t/pause/a", b"1", 1.0)
    old = await MemoryStore.read(store, "/t/", 1.0)
    mine = await written(store, records, SECOND)
    await records.heed(old)
    assert records.epochs[WALLET] == mine
    await records.heed(await MemoryStore.read(store, "/t/", 1.0))
    assert (records.epochs[WALLET], records.pauses) == (mine, {"a": "1"})


async def test_a_read_from_before_our_own_write_does_not_hide_it(
    store: CountingStore, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(store, records, FIRST)
    old = await MemoryStore.read(store, "/t/", 1.0)

    async def overtaken(prefix: str, deadline_s: float) -> Snapshot:
        await written(store, records, SECOND)
        return old

    monkeypatch.setattr(store, "read", overtaken)
    assert await records.refresh()
    assert records.epochs[WALLET].epoch == 2


async def test_an_answer_that_comes_late_does_not_hide_what_came_after_our_write(
    store: CountingStore, records: Records
) -> None:
    key = records.prefix + epoch_key(WALLET)
    mine = replace(FIRST, revision=await store.put(key, encode_epoch(FIRST), 1.0))
    await store.put(key, encode_epoch(SECOND), 1.0)
    await records.refresh()
    records.took(WALLET, mine)
    assert records.epochs[WALLET].epoch == 2


async def test_a_store_that_was_put_back_is_believed(
    store: CountingStore, records: Records, cluster: MemoryCluster
) -> None:
    await store.put(records.prefix + epoch_key(WALLET), encode_epoch(FIRST), 1.0)
    old, revision = dict(cluster.entries), cluster.revision
    await written(store, records, SECOND)
    cluster.entries, cluster.revision = old, revision
    await records.refresh()
    assert records.epochs[WALLET].epoch == 1
    await store.put("/t/pause/a", b"1", 1.0)
    await records.heed(await MemoryStore.read(store, "/t/", 1.0))
    assert records.pauses == {"a": "1"}
