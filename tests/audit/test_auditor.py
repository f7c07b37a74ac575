"""The log of a daemon: noted at once, written when there is room, anchored where others see it."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from controller.audit.anchor import anchor_key, decode_anchor
from controller.audit.chain import entries_of, verify
from controller.audit.entry import Event, Note
from controller.core.model import SiteName
from controller.runtime import auditor as timing
from controller.runtime.audit_anchors import AnchorBook, StoreAnchors
from controller.runtime.audit_file import AuditFile, NotArchived
from controller.runtime.auditor import Auditor
from tests.audit.disk import SmallDisk
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.runtime.clock import HandClock

PLENTY = 10**9
SOON_S = 10.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("GATHER_S", 0.01), ("RETRY_S", 0.02), ("ANCHOR_S", 0.02), ("LOOK_S", 0.05),
        ("FIRST_ANCHORS_S", 0.2), ("CHECK_S", 0.3),
    ):  # fmt: skip
        monkeypatch.setattr(timing, name, value)


class Node:
    """One site with a disk and a way to the store."""

    def __init__(self, folder: Path, cluster: MemoryCluster, site: str = "dc1") -> None:
        self.folder = folder / site
        self.site = SiteName(site)
        self.store = MemoryStore(cluster, site)
        self.disk = SmallDisk(PLENTY)
        self.cluster = cluster

    def auditor(self, configuration: str = "abc", waiting_max: int = 1000) -> Auditor:
        clock = HandClock()
        return Auditor(
            site=self.site,
            clock=clock,
            file=AuditFile(
                directory=self.folder,
                site=self.site,
                stamp=clock.stamp,
                write=self.disk.write,
                sync=self.disk.sync,
            ),
            book=AnchorBook(self.folder / "anchors.json", self.site),
            store=StoreAnchors(store=self.store, prefix="/t/", deadline_s=0.05),
            configuration=configuration,
            waiting_max=waiting_max,
        )

    @asynccontextmanager
    async def running(self, **options: object) -> AsyncIterator[Auditor]:
        found = self.auditor(**options)  # type: ignore[arg-type]
        task = asyncio.ensure_future(found.run())  # noqa: TID251
        try:
            yield found
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await found.aclose()
            found._thread.shutdown(wait=True)  # what it was writing is written

    def anchored(self, site: str = "dc1") -> int:
        entry = self.cluster.entries.get(f"/t/{anchor_key(site)}")
        return 0 if entry is None else decode_anchor(site, entry.value, "etcd").seq


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path, MemoryCluster())


def events(found: Auditor) -> list[str]:
    return [entry.event for entry in entries_of(found.file.raw())]


async def test_the_first_entry_is_the_start_even_for_what_was_noted_before(node: Node) -> None:
    async with node.running() as found:
        found.note(Event.ASKED, who="alice", verb="pause")
        await until(lambda: events(found) == ["started", "asked"])
        await until(lambda: node.anchored() == 2)
    async with node.running(configuration="other") as found:
        await until(lambda: len(events(found)) == 4)
        assert events(found)[2:] == ["started", "configured"]
        last = entries_of(found.file.raw())[-1]
        assert dict(last.facts) == {"configuration": "other", "before": "abc"}
        assert found.alarms() == ()


async def test_what_a_person_did_does_not_wait_for_others(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node.running() as found:
        await until(lambda: node.anchored() == 1)
        monkeypatch.setattr(timing, "GATHER_S", 3600.0)
        found.note(Event.RAISED, epoch=7)
        found.note(Event.ASKED, who="alice")
        await until(lambda: events(found) == ["started", "raised", "asked"])


async def test_what_is_noted_just_before_the_end_is_written(node: Node) -> None:
    async with node.running() as found:
        await until(lambda: events(found) == ["started"])
        found.note(Event.MOVED)
    assert events(found) == ["started", "moved"]


async def test_a_full_disk_holds_up_nothing_and_nothing_is_lost(node: Node) -> None:
    async with node.running() as found:
        await until(lambda: node.anchored() == 1)
        node.disk.room = 100
        for number in range(50):
            found.note(Event.RAISED, epoch=number)
        await until(lambda: bool(found.alarms()))
        assert "No space left on device; 50 entries wait in memory" in found.alarms()[0]
        assert node.anchored() == 1
        node.disk.room = PLENTY
        await until(lambda: not found.alarms() and len(events(found)) == 51)
        assert [e.epoch for e in entries_of(found.file.raw())][1:] == list(range(50))
        await until(lambda: node.anchored() == 51)


async def test_beyond_its_bound_entries_are_counted_and_the_gap_is_an_entry(node: Node) -> None:
    async with node.running(waiting_max=10) as found:
        await until(lambda: node.anchored() == 1)
        node.disk.room = 0
        for number in range(25):
            found.note(Event.RAISED, epoch=number)
        await until(lambda: bool(found.alarms()))
        assert "15 are lost" in found.alarms()[0]
        node.disk.room = PLENTY
        await until(lambda: len(events(found)) == 12)
        assert events(found) == ["started", *["raised"] * 10, "lost"]
        gap = entries_of(found.file.raw())[-1]
        assert gap.facts["lost"] == "15"
        found.note(Event.ASKED)
        await until(lambda: events(found)[-1] == "asked")
        assert verify(found.file.raw(), "dc1").whole


async def test_a_disk_that_hangs_does_not_hold_up_the_loop(node: Node) -> None:
    def hang(file: int, data: bytes) -> int:
        time.sleep(0.5)
        return os.write(file, data)

    async with node.running() as found:
        await until(lambda: node.anchored() == 1)
        found.file.write = hang
        found.note(Event.ASKED)
        longest, began = 0.0, time.monotonic()
        while time.monotonic() - began < 0.4:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            found.note(Event.RAISED)
            longest = max(longest, time.monotonic() - before)
        assert longest < 0.3
        found.file.write = os.write


async def test_a_store_that_is_away_holds_up_no_entry(node: Node) -> None:
    node.store.reachable = False
    async with node.running() as found:
        found.note(Event.ASKED)
        await until(lambda: events(found) == ["started", "asked"])
        node.store.reachable = True
        await until(lambda: node.anchored() == 2)
        assert found.alarms() == ()


async def test_every_node_keeps_the_heads_of_the_others(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    one, two = Node(tmp_path, cluster), Node(tmp_path, cluster, "dc2")
    async with one.running() as first, two.running() as second:
        await until(lambda: one.anchored("dc1") == 1 and one.anchored("dc2") == 1)
        await until(lambda: {"dc1", "dc2"} <= first.book.sites.keys() & second.book.sites.keys())
        first.note(Event.ASKED)
        await until(lambda: second.book.sites["dc1"][-1].seq == 2)
        known = second.book.sites["dc1"][-1]
        assert (known.place, known.head) == ("dc2", first.file.head)
    kept = AnchorBook(two.folder / "anchors.json", "dc2")
    assert kept.load() == ""
    assert kept.sites["dc1"][-1] == known


async def test_a_tail_cut_where_the_store_forgot_it_is_known_by_the_own_book(node: Node) -> None:
    async with node.running() as found:
        found.note(Event.ASKED)
        await until(lambda: node.anchored() == 2)
        await until(lambda: "dc1" in found.book.sites)
    log = found.file.raw()
    found.file.path.write_bytes(log.splitlines(keepends=True)[0])
    node.cluster.entries.clear()
    async with node.running() as found:
        await until(lambda: node.anchored() >= 4)
        assert events(found) == ["started", "damaged", "started"]
        assert "entry 2: tail cut" in found.alarms()[0]


async def test_a_site_that_lost_everything_goes_on_after_what_the_store_knows(node: Node) -> None:
    async with node.running() as found:
        found.note(Event.ASKED)
        await until(lambda: node.anchored() == 2)
    for path in sorted(node.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    async with node.running() as found:
        await until(lambda: node.anchored() == 4)
        assert [e.seq for e in entries_of(found.file.raw())] == [3, 4]


async def test_a_site_that_lost_everything_while_the_store_was_away_makes_up_for_it(
    node: Node,
) -> None:
    async with node.running() as found:
        for _ in range(5):
            found.note(Event.ASKED)
        await until(lambda: node.anchored() == 6)
    for path in sorted(node.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    node.store.reachable = False
    async with node.running() as found:
        await until(lambda: events(found) == ["started"])
        node.store.reachable = True
        await until(lambda: node.anchored() == 7)
        assert [e.seq for e in entries_of(found.file.raw())] == [1, 7]
        assert "etcd has entry 6 of dc1" in entries_of(found.file.raw())[1].reason


async def test_an_edit_of_a_running_log_is_found_in_time(node: Node) -> None:
    async with node.running() as found:
        found.note(Event.ASKED, reason="harmless")
        await until(lambda: node.anchored() == 2)
        path = found.file.path
        path.write_bytes(path.read_bytes().replace(b"harmless", b"harmful!"))
        await until(lambda: "damaged" in events(found))
        assert "broken at entry 2: changed" in found.alarms()[0]


async def test_an_anchor_of_another_site_that_falls_is_told_once(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    one, two = Node(tmp_path, cluster), Node(tmp_path, cluster, "dc2")
    async with two.running() as second:
        second.note(Event.ASKED)
        await until(lambda: two.anchored("dc2") == 2)
    old = cluster.entries[f"/t/{anchor_key('dc2')}"].value
    async with one.running() as first:
        await until(lambda: "dc2" in first.book.sites)
        cluster.write(f"/t/{anchor_key('dc2')}", old.replace(b'"seq":2', b'"seq":1'))
        await until(lambda: "damaged" in events(first))
        assert "etcd has entry 1 as the last of dc2" in first.alarms()[0]
        cluster.write(f"/t/{anchor_key('dc2')}", old)
        await until(lambda: first.alarms() == ())
        assert events(first).count("damaged") == 1


async def test_a_fault_of_its_own_is_an_alarm_and_not_the_end(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "FAULT_S", 0.1)
    async with node.running() as found:
        await until(lambda: node.anchored() == 1)
        right, found.file.write = found.file.write, lambda file, data: 1 // 0
        found.note(Event.ASKED)
        await until(lambda: "ZeroDivisionError" in str(found.alarms()))
        found.file.write = right
        await until(lambda: found.alarms() == () and events(found) == ["started", "asked"])
        assert verify(found.file.raw(), "dc1").whole


async def test_a_disk_that_does_not_answer_is_an_alarm(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(file: int, data: bytes) -> int:
        assert released.wait(SOON_S)
        return os.write(file, data)

    async with node.running() as found:
        await until(lambda: node.anchored() == 1)
        found.file.write = hang
        found.note(Event.ASKED)
        await until(lambda: found._writing_since is not None)
        assert isinstance(found.clock, HandClock)
        found.clock.now += 60
        assert "the disk has not answered for 60 s; 1 entries wait" in found.alarms()[0]
        released.set()
        await until(lambda: found.alarms() == () and events(found)[-1] == "asked")


async def test_a_damaged_book_is_set_aside_and_told(node: Node) -> None:
    node.folder.mkdir()
    (node.folder / "anchors.json").write_text('{"dc1": [{"seq": 1}]}')
    async with node.running() as found:
        await until(lambda: events(found) == ["started", "damaged"])
    assert (node.folder / "anchors.damaged").exists()


async def test_a_strange_anchor_in_the_store_is_replaced(node: Node) -> None:
    key = f"/t/{anchor_key('dc1')}"
    node.cluster.write(key, b"\xff")
    async with node.running():
        await until(lambda: node.cluster.entries[key].value != b"\xff")
        assert node.anchored() >= 1


async def test_an_edit_of_a_closed_file_is_found_in_time_and_holds_up_no_entry(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "CHECK_S", 0.05)
    async with node.running() as found:
        found.file.rotate_bytes = 500
        for _ in range(3):
            found.note(Event.ASKED, who="alice", reason="harmless")
            await until(lambda: not found.waiting)
        await until(lambda: len(found.file.closed()) >= 2)
        path = found.file.directory / found.file.closed()[1].name
        text = path.read_bytes()
        path.write_bytes(text.replace(b"harmless", b"harmful!"))
        await until(lambda: "changed" in str(found.alarms()))
        path.write_bytes(text)
        await until(lambda: found.alarms() == ())


async def test_an_archive_waits_for_the_log_to_be_open(node: Node) -> None:
    found = node.auditor()
    with pytest.raises(NotArchived, match="is not open yet"):
        await found.archive("x", "y", Note(at="now", event="archived"), damaged=False)
    await found.aclose()
