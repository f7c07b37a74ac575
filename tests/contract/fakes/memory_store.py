"""A store in memory, held to the same cases as etcd. Its time is the event loop's.

Several sites share one `MemoryCluster`; each has a `MemoryStore` of its own, which can be cut off.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from controller.ports import Entry, Refused, Snapshot, StoreStatus, TimedOut, Unreachable


@dataclass(slots=True)
class _Lease:
    ends: float
    timer: asyncio.TimerHandle


@dataclass(slots=True)
class MemoryCluster:
    """What all sites see."""

    members: tuple[str, ...] = ("dc1", "dc2", "witness")
    leader: str = "dc1"
    revision: int = 1
    entries: dict[str, Entry] = field(default_factory=dict)
    leases: dict[str, _Lease] = field(default_factory=dict)
    watchers: set[tuple[str, asyncio.Event]] = field(default_factory=set)

    def write(self, key: str, value: bytes) -> int:
        self.revision += 1
        self.entries[key] = Entry(value=value, revision=self.revision)
        self._wake(key)
        return self.revision

    def remove(self, key: str) -> None:
        if self.entries.pop(key, None) is not None:
            self.revision += 1
            self._wake(key)

    def lease(self, key: str, ttl_s: float) -> None:
        self.unlease(key)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ttl_s, self.remove, key)
        self.leases[key] = _Lease(ends=loop.time() + ttl_s, timer=timer)

    def unlease(self, key: str) -> None:
        if lease := self.leases.pop(key, None):
            lease.timer.cancel()

    def _wake(self, key: str) -> None:
        for prefix, event in self.watchers:
            if key.startswith(prefix):
                event.set()


class MemoryStore:
    """One site's way to the cluster."""

    def __init__(self, cluster: MemoryCluster, member: str = "dc1") -> None:
        self._cluster = cluster
        self._member = member
        self.reachable = True  # False: every call waits out its deadline
        self.loses_answers = False  # True: writes take effect, and the caller is not told

    async def read(self, prefix: str, deadline_s: float) -> Snapshot:
        await self._reach(deadline_s)
        found = {k: v for k, v in self._cluster.entries.items() if k.startswith(prefix)}
        return Snapshot(revision=self._cluster.revision, entries=found)

    async def swap(self, key: str, value: bytes, expected: int, deadline_s: float) -> int | None:
        await self._reach(deadline_s)
        found = self._cluster.entries.get(key)
        if (found.revision if found else 0) != expected:
            return None
        self._cluster.unlease(key)
        revision = self._cluster.write(key, value)
        await self._answer(deadline_s)
        return revision

    async def put_leased(self, key: str, value: bytes, ttl_s: float, deadline_s: float) -> None:
        await self._reach(deadline_s)
        self._cluster.write(key, value)
        self._cluster.lease(key, ttl_s)
        await self._answer(deadline_s)

    async def put(self, key: str, value: bytes, deadline_s: float) -> int:
        await self._reach(deadline_s)
        self._cluster.unlease(key)
        revision = self._cluster.write(key, value)
        await self._answer(deadline_s)
        return revision

    async def delete(self, key: str, deadline_s: float) -> None:
        await self._reach(deadline_s)
        self._cluster.unlease(key)
        self._cluster.remove(key)
        await self._answer(deadline_s)

    async def watch(self, prefix: str) -> AsyncIterator[int]:
        event = asyncio.Event()
        watcher = (prefix, event)
        self._cluster.watchers.add(watcher)
        try:
            yield 0
            while True:
                await event.wait()
                event.clear()
                yield self._cluster.revision
        finally:
            self._cluster.watchers.discard(watcher)

    async def status(self, deadline_s: float) -> StoreStatus:
        await self._reach(deadline_s)
        return StoreStatus(
            member=self._member, leader=self._cluster.leader, version="3.5.30", db_size_bytes=4096
        )

    async def move_leader(self, member: str, deadline_s: float) -> None:
        await self._reach(deadline_s)
        if member not in self._cluster.members:
            raise Refused(f"there is no member {member}")
        self._cluster.leader = member

    async def aclose(self) -> None:
        self.reachable = False

    async def _reach(self, deadline_s: float) -> None:
        await asyncio.sleep(0 if self.reachable else deadline_s)
        if not self.reachable:
            raise Unreachable(f"the store cannot be reached from {self._member}")

    async def _answer(self, deadline_s: float) -> None:
        if self.loses_answers:
            await asyncio.sleep(deadline_s)
            raise TimedOut("the answer of the store was lost")
