"""What the store hints at is read once, however many hints come together, and never taken late."""

import pytest

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
def store() -> CountingStore:
    return CountingStore(MemoryCluster())


@pytest.fixture
def records(store: CountingStore) -> Records:
    return Records(store=store, prefix="/t/", clock=HandClock(), deadline_s=0.05)


async def test_hints_of_what_has_been_read_already_need_no_read(
    store: CountingStore, records: Records
) -> None:
    first = await store.put("/t/pause/a", b"1", 1.0)
    second = await store.put("/t/pause/b", b"2", 1.0)
    await records.heed(first)
    await records.heed(second)
    assert (store.reads, set(records.pauses)) == (1, {"a", "b"})
    await records.heed(await store.put("/t/pause/c", b"3", 1.0))
    assert (store.reads, set(records.pauses)) == (2, {"a", "b", "c"})


async def test_who_may_have_missed_something_reads(store: CountingStore, records: Records) -> None:
    await records.heed(0)
    await records.heed(0)
    assert store.reads == 2


async def test_after_a_read_that_failed_every_hint_is_read(
    store: CountingStore, records: Records
) -> None:
    first = await store.put("/t/pause/a", b"1", 1.0)
    await records.heed(first)
    store.reachable = False
    await records.refresh()
    store.reachable = True
    await records.heed(first)
    assert (store.reads, records.ok) == (3, True)
