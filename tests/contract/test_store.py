"""The store: etcd, and the fake held to the same cases; then etcd with members in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count

import pytest

from controller.adapters.etcd import Etcd
from controller.ports import PortError, Refused, Store, TimedOut, Unreachable
from tests.contract.etcd_cluster import EtcdCluster, running_cluster
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]

SOON_S = 5.0
_fresh = count(1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with running_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
async def etcd(cluster: EtcdCluster) -> AsyncIterator[Etcd]:
    async with _etcd(cluster) as store:
        yield store


@pytest.fixture(params=["etcd", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(MemoryCluster())
        return
    async with _etcd(request.getfixturevalue("cluster")) as store:
        yield store


@asynccontextmanager
async def _etcd(cluster: EtcdCluster, *names: str) -> AsyncIterator[Etcd]:
    """Every test has a space of keys of its own; the cluster is whole when it begins."""
    cluster.wait()
    endpoints = [cluster.endpoint(name) for name in names] or cluster.endpoints
    store = Etcd(endpoints, prefix=f"/tricast/test{next(_fresh)}/")
    try:
        yield store
    finally:
        await store.aclose()


async def _timed(action: Awaitable[object]) -> float:
    began = time.monotonic()
    await action
    return time.monotonic() - began


async def _until(condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # the outside makes no events
            await asyncio.sleep(0.02)


class Hints:
    """The hints of one watch, counted by a task of ours."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._came = asyncio.Event()

    async def __aenter__(self) -> "Hints":
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._task = self._group.create_task(self._count())
        await self.next()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await self._group.__aexit__(None, None, None)

    async def next(self, within_s: float = SOON_S) -> None:
        async with asyncio.timeout(within_s):
            await self._came.wait()
        self._came.clear()

    async def _count(self) -> None:
        async for _ in self._store.watch(self._prefix):
            self._came.set()


# --- the same for etcd and for the fake ----------------------------------------------------------


async def test_absent_key_is_swapped_in_once(store: Store) -> None:
    revision = await store.swap("services/wallet/epoch", b"one", 0, SOON_S)
    assert revision is not None
    assert await store.swap("services/wallet/epoch", b"two", 0, SOON_S) is None
    found = (await store.read("services/", SOON_S)).entries["services/wallet/epoch"]
    assert (found.value, found.revision) == (b"one", revision)


async def test_swap_needs_the_present_revision(store: Store) -> None:
    first = await store.swap("k", b"one", 0, SOON_S)
    assert first is not None
    second = await store.swap("k", b"two", first, SOON_S)
    assert second is not None
    assert second > first
    assert await store.swap("k", b"three", first, SOON_S) is None
    assert (await store.read("k", SOON_S)).entries["k"].value == b"two"


async def test_swap_of_a_key_that_was_deleted_is_refused(store: Store) -> None:
    first = await store.swap("k", b"one", 0, SOON_S)
    assert first is not None
    await store.delete("k", SOON_S)
    assert await store.swap("k", b"two", first, SOON_S) is None


async def test_of_many_contenders_exactly_one_wins(store: Store) -> None:
    revision = await store.swap("k", b"start", 0, SOON_S)
    assert revision is not None
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(store.swap("k", str(n).encode(), revision, SOON_S)) for n in range(20)
        ]
    winners = [n for n, task in enumerate(tasks) if task.result() is not None]
    assert len(winners) == 1
    assert (await store.read("k", SOON_S)).entries["k"].value == str(winners[0]).encode()


async def test_read_finds_what_is_under_the_prefix_and_nothing_else(store: Store) -> None:
    for key in ("sites/dc1", "sites/dc2", "sitesx", "site", "services/a/epoch"):
        await store.put(key, key.encode(), SOON_S)
    snapshot = await store.read("sites/", SOON_S)
    assert {k: e.value for k, e in snapshot.entries.items()} == {
        "sites/dc1": b"sites/dc1",
        "sites/dc2": b"sites/dc2",
    }
    assert snapshot.revision >= max(e.revision for e in snapshot.entries.values())
    assert len((await store.read("", SOON_S)).entries) == 5


async def test_put_returns_the_revision_that_wrote(store: Store) -> None:
    revision = await store.put("k", b"v", SOON_S)
    assert (await store.read("k", SOON_S)).entries["k"].revision == revision


async def test_deleted_key_is_gone_and_deleting_it_again_is_fine(store: Store) -> None:
    await store.put("k", b"v", SOON_S)
    await store.delete("k", SOON_S)
    await store.delete("k", SOON_S)
    assert (await store.read("k", SOON_S)).entries == {}


async def test_leased_key_stays_while_it_is_put_and_goes_when_it_is_not(store: Store) -> None:
    await store.put_leased("gone", b"v", 2.0, SOON_S)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        await store.put_leased("stays", b"v", 2.0, SOON_S)
        assert "stays" in (await store.read("", SOON_S)).entries
        await asyncio.sleep(0.2)
    assert set((await store.read("", SOON_S)).entries) == {"stays"}


async def test_watch_hints_at_once_and_then_at_every_change(store: Store) -> None:
    async with Hints(store, "services/") as hints:
        await store.put("services/a/epoch", b"1", SOON_S)
        await hints.next()
        await store.put("services/a/epoch", b"2", SOON_S)
        await hints.next()
        await store.delete("services/a/epoch", SOON_S)
        await hints.next()


async def test_watch_is_silent_about_other_keys(store: Store) -> None:
    async with Hints(store, "services/") as hints:
        await store.put("sites/dc1", b"1", SOON_S)
        with pytest.raises(TimeoutError):
            await hints.next(within_s=0.3)


async def test_a_hint_tells_the_revision_of_the_change(store: Store) -> None:
    async with aclosing(store.watch("")) as hints:  # type: ignore[type-var]
        assert await anext(hints) == 0, "it begins: something may have changed"
        before = (await store.read("", SOON_S)).revision
        async with asyncio.timeout(SOON_S):
            _, hint = await asyncio.gather(store.put("sites/dc1", b"1", SOON_S), anext(hints))
        assert hint > before
        assert (await store.read("", SOON_S)).revision >= hint


async def test_every_read_shows_all_that_happened_before_it(store: Store) -> None:
    """Also where a reader remembers what it read: keys that came, changed, went, and came again."""
    wanted: dict[str, bytes] = {}
    for number in range(12):
        key, gone = f"k{number % 5}", f"k{(number * 3 + 1) % 5}"
        wanted[key] = str(number).encode()
        await store.put(key, wanted[key], SOON_S)
        if number % 3 == 2 and wanted.pop(gone, None) is not None:
            await store.delete(gone, SOON_S)
        found = await store.read("", SOON_S)
        assert {name: entry.value for name, entry in found.entries.items()} == wanted


async def test_a_key_that_goes_while_another_comes_is_missed(store: Store) -> None:
    await store.put("a", b"1", SOON_S)
    await store.read("", SOON_S)
    await store.delete("a", SOON_S)
    await store.put("b", b"2", SOON_S)
    assert set((await store.read("", SOON_S)).entries) == {"b"}


async def test_watch_ends_when_its_reader_has_enough(store: Store) -> None:
    async with aclosing(store.watch("")) as hints:  # type: ignore[type-var]
        async for _ in hints:
            break


async def test_status_names_members(store: Store) -> None:
    status = await store.status(SOON_S)
    assert status.member in {"dc1", "dc2", "witness"}
    assert status.leader in {"dc1", "dc2", "witness"}
    assert status.version.startswith("3.")
    assert status.db_size_bytes > 0
    assert status.alarms == ()


async def test_leader_moves_where_it_is_told(store: Store) -> None:
    for wanted in ("witness", "dc1", "dc1"):
        await store.move_leader(wanted, SOON_S)

        async def _leads(wanted: str = wanted) -> bool:
            return (await store.status(SOON_S)).leader == wanted

        await _until(_leads, SOON_S)


async def test_leader_cannot_move_to_a_stranger(store: Store) -> None:
    with pytest.raises(Refused, match="there is no member nowhere"):
        await store.move_leader("nowhere", SOON_S)


# --- etcd with members in trouble ----------------------------------------------------------------


async def _used_follower(cluster: EtcdCluster, etcd: Etcd) -> str:
    """The member that `etcd` asks first. Another one leads."""
    async with asyncio.timeout(SOON_S):
        while True:
            used = next(name for name in cluster.names if etcd.endpoint in cluster.endpoint(name))
            if (await etcd.status(SOON_S)).leader in {used, ""}:
                other = next(name for name in cluster.names if name != used)
                await etcd.move_leader(other, SOON_S)
            elif etcd.endpoint in cluster.endpoint(used):
                return used


async def test_swap_passes_a_frozen_member(cluster: EtcdCluster, etcd: Etcd) -> None:
    """The nearest member is frozen a moment after it answered; the others go on."""
    revision = await etcd.swap("k", b"one", 0, SOON_S)
    assert revision is not None
    with cluster.frozen(await _used_follower(cluster, etcd)):
        began = time.monotonic()
        assert await etcd.swap("k", b"two", revision, SOON_S) is not None
        first = time.monotonic() - began
        again = await _timed(etcd.read("k", SOON_S))
    _figure(f"swap past a frozen member {first:.4f} s, the next read {again:.4f} s")
    assert first < 0.5


async def test_read_passes_a_frozen_member(cluster: EtcdCluster, etcd: Etcd) -> None:
    used = await _used_follower(cluster, etcd)
    with cluster.frozen(used):
        assert await _timed(etcd.read("", SOON_S)) < 0.6
        assert (await etcd.status(SOON_S)).member != used


async def test_watch_moves_away_from_a_frozen_member(cluster: EtcdCluster, etcd: Etcd) -> None:
    used = await _used_follower(cluster, etcd)
    async with Hints(etcd, "") as hints:
        with cluster.frozen(used):
            await etcd.read("", SOON_S)
            await hints.next()  # it watches elsewhere, and says that it may have missed something
            await etcd.put("k", b"1", SOON_S)
            await hints.next()


async def test_everything_goes_on_after_a_member_was_killed_and_came_back(
    cluster: EtcdCluster, etcd: Etcd
) -> None:
    used = await _used_follower(cluster, etcd)
    async with Hints(etcd, "") as hints:
        cluster.kill(used)
        await hints.next()
        assert await etcd.put("k", b"1", SOON_S)
        await hints.next()
        await etcd.put_leased("l", b"1", 5, SOON_S)
        cluster.start(used)
        cluster.wait()
        assert await etcd.put("k", b"2", SOON_S)
        await hints.next()


async def test_leader_that_dies_costs_an_election_only(cluster: EtcdCluster, etcd: Etcd) -> None:
    await etcd.move_leader("dc1", SOON_S)
    await etcd.put("k", b"1", SOON_S)
    cluster.kill("dc1")
    try:

        async def _written() -> bool:
            try:
                await etcd.put("k", b"2", 1.0)
            except PortError:
                return False
            return True

        await _until(_written, 15)
    finally:
        cluster.start("dc1")
    cluster.wait()


async def test_lost_lease_is_replaced(cluster: EtcdCluster, etcd: Etcd) -> None:
    await etcd.put_leased("sites/dc1", b"1", 30, SOON_S)
    for line in cluster.control("lease", "list").splitlines():
        if not line.startswith("found"):
            cluster.control("lease", "revoke", line.strip())
    assert (await etcd.read("sites/", SOON_S)).entries == {}
    await etcd.put_leased("sites/dc1", b"2", 30, SOON_S)
    assert (await etcd.read("sites/", SOON_S)).entries["sites/dc1"].value == b"2"


async def test_leased_puts_keep_one_lease(cluster: EtcdCluster, etcd: Etcd) -> None:
    before = cluster.control("lease", "list").count("\n")
    for n in range(10):
        await etcd.put_leased("sites/dc1", str(n).encode(), 30, SOON_S)
    assert cluster.control("lease", "list").count("\n") == before + 1


async def test_watch_survives_compaction(cluster: EtcdCluster) -> None:
    """The only member that a watch may use goes away, and what it had seen is compacted."""
    async with _etcd(cluster, "dc1") as etcd, Hints(etcd, "") as hints:
        revision = await etcd.put("k", b"1", SOON_S)
        await hints.next()
        cluster.kill("dc1")
        try:
            for n in range(10):
                cluster.control("put", "k", str(n), at="dc2")
            cluster.control("compact", str(revision + 5), at="dc2")
        finally:
            cluster.start("dc1")
        await hints.next()
        cluster.wait()
        await etcd.put("k", b"2", SOON_S)
        await hints.next()


async def test_cluster_without_a_majority_neither_reads_nor_writes(
    cluster: EtcdCluster, etcd: Etcd
) -> None:
    revision = await etcd.swap("k", b"one", 0, SOON_S)
    assert revision is not None
    with cluster.frozen("dc2", "witness"):

        async def _leaderless() -> bool:
            return (await etcd.status(1)).leader == ""

        await _until(_leaderless, 10)
        for action in (
            etcd.read("", 0.3),
            etcd.swap("k", b"two", revision, 0.3),
            etcd.put("k", b"two", 0.3),
            etcd.put_leased("k", b"two", 5, 0.3),
            etcd.delete("k", 0.3),
        ):
            began = time.monotonic()
            with pytest.raises(PortError):
                await action
            assert time.monotonic() - began < 1.0
    cluster.wait()
    assert (await etcd.read("k", SOON_S)).entries["k"].revision == revision


async def test_swap_whose_answer_is_lost_is_unknown_and_not_repeated(
    cluster: EtcdCluster, etcd: Etcd
) -> None:
    """The write has been sent when every member freezes: TimedOut, and at most one revision."""
    revision = await etcd.swap("k", b"one", 0, SOON_S)
    assert revision is not None
    member = etcd._favourite  # freezing between the two requests needs a hook
    send = member.kv.Txn

    def _freeze_and_send(*arguments: object, **options: object) -> object:
        frozen.__enter__()
        return send(*arguments, **options)

    frozen = cluster.frozen(*cluster.names)
    for each in etcd._members:
        each.kv.Txn = _freeze_and_send if each is member else each.kv.Txn
    try:
        with pytest.raises(TimedOut, match="swapping k"):
            await etcd.swap("k", b"two", revision, 0.3)
    finally:
        frozen.__exit__(None, None, None)
    cluster.wait()
    found = (await etcd.read("k", SOON_S)).entries["k"]
    assert found.revision == revision or found.value == b"two"


async def test_nobody_listens_is_said_at_once() -> None:
    store = Etcd(["http://127.0.0.1:1", "http://127.0.0.1:2"])
    try:
        for action in (store.read("", SOON_S), store.put("k", b"", SOON_S), store.status(SOON_S)):
            began = time.monotonic()
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1.*127\.0\.0\.1:2"):
                await action
            assert time.monotonic() - began < 1.0
    finally:
        await store.aclose()


async def test_too_large_a_value_is_refused(etcd: Etcd) -> None:
    with pytest.raises(Refused, match="too large"):
        await etcd.put("k", b"x" * 2_000_000, SOON_S)


async def test_watch_of_a_closed_store_ends(etcd: Etcd) -> None:
    async with asyncio.timeout(SOON_S):
        async for _ in etcd.watch(""):
            await etcd.aclose()


async def test_a_second_read_brings_over_only_what_has_changed(etcd: Etcd) -> None:
    for key in ("a", "b", "c"):
        await etcd.put(key, b"1", SOON_S)
    seen = await etcd.read("", SOON_S)
    await etcd.put("b", b"2", SOON_S)
    answer = await etcd._range_of("", seen.revision + 1, SOON_S)
    assert [pair.key.rpartition(b"/")[2] for pair in answer.kvs] == [b"b"]
    assert answer.count == 3, "of all keys, also of those that were left out"
    assert {k: e.value for k, e in (await etcd.read("", SOON_S)).entries.items()} == {
        "a": b"1", "b": b"2", "c": b"1",
    }  # fmt: skip


async def test_figures_without_trouble(etcd: Etcd) -> None:
    """Printed, not asserted: the machine is shared."""
    await etcd.move_leader("witness", SOON_S)
    reads, puts, swaps = [], [], []
    revision = 0
    for _ in range(100):
        reads.append(await _timed(etcd.read("", SOON_S)))
        puts.append(await _timed(etcd.put("a", b"x" * 300, SOON_S)))
        began = time.monotonic()
        revision = await etcd.swap("k", b"x" * 300, revision, SOON_S) or 0
        swaps.append(time.monotonic() - began)
        assert revision
    for name, took in (("read", reads), ("put", puts), ("swap", swaps)):
        took.sort()
        _figure(f"{name} median {took[50] * 1000:.2f} ms, 95 % {took[95] * 1000:.2f} ms")


def _figure(text: str) -> None:
    print(text)  # noqa: T201  # shown by pytest -s
