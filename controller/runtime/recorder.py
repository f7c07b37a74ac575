"""Finished role changes go into the store's history, once each, as soon as it answers; and what
this site saw of each of them goes beside it, as it sees more.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from controller.core.decide import Decision
from controller.core.model import Instant, ServiceName
from controller.core.view import View
from controller.core.wire import BadRecord, Change, change_key, encode_change
from controller.history.recollection import (
    RECOLLECTIONS,
    Recollection,
    decode_recollection,
    encode_recollection,
    merged,
    recollection_key,
)
from controller.history.watching import Watching
from controller.ports import Clock, PortError, Store
from controller.runtime.progress import Progress

log = structlog.get_logger()

READ_EVERY_S = 10.0


@dataclass(slots=True, kw_only=True)
class RecollectionBook:
    """What every site has said of role changes, as last read."""

    store: Store
    prefix: str
    deadline_s: float
    known: dict[str, tuple[int, Recollection]] = field(default_factory=dict)  # revision, by key
    answered: bool = False

    async def read(self) -> bool:
        """Read again; whether the store answered. What cannot be read is left out."""
        try:
            snapshot = await self.store.read(f"{self.prefix}{RECOLLECTIONS}", self.deadline_s)
        except PortError:
            return False
        found: dict[str, tuple[int, Recollection]] = {}
        for full, entry in snapshot.entries.items():
            key = full.removeprefix(self.prefix)
            before = self.known.get(key)
            if before is not None and before[0] == entry.revision:
                found[key] = before
                continue
            try:
                found[key] = entry.revision, decode_recollection(key, entry.value)
            except BadRecord as bad:
                log.warning("unreadable recollection", key=bad.key, problem=str(bad))
        self.known, self.answered = found, True
        return True

    def of(self, service: str) -> tuple[Recollection, ...]:
        """All that is kept of `service`."""
        return tuple(said for _, said in self.known.values() if said.service == service)

    def at(self, key: str) -> Recollection | None:
        """What stands at `key`."""
        found = self.known.get(key)
        return None if found is None else found[1]


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Takes finished changes from the loops' progress and records them."""

    store: Store
    prefix: str
    deadline_s: float
    clock: Clock
    book: RecollectionBook
    waiting: list[Change] = field(default_factory=list)
    recorded: list[Change] = field(default_factory=list)
    _watched: dict[ServiceName, tuple[Watching, View]] = field(default_factory=dict)
    _kept: dict[ServiceName, Recollection] = field(default_factory=dict)
    _blind: set[ServiceName] = field(default_factory=set)
    _read_at: Instant = Instant(float("-inf"))

    def turned(self, view: View, decision: Decision) -> None:
        """A loop has turned. Whatever goes wrong in here, the loop goes on."""
        service = view.spec.name
        if service in self._blind:
            return
        watching = self._watched[service][0] if service in self._watched else Watching()
        try:
            watching.turned(view, decision, self.clock.stamp)
        except Exception:
            self._blind.add(service)
            log.exception("role changes are not looked at any more", service=service)
        self._watched[service] = watching, view

    def collect(self, progresses: Iterable[Progress]) -> None:
        """What has finished since is waiting to be recorded."""
        for progress in progresses:
            for lost in progress.thrown_away:
                if lost.service in self._watched:
                    watching, _ = self._watched[lost.service]
                    watching.threw_away(lost.epoch, lost.database, lost.what)
            progress.thrown_away.clear()
            if progress.finished is not None:
                self.waiting.append(progress.finished)
                log.info(
                    "role change",
                    service=progress.finished.service,
                    epoch=progress.finished.epoch,
                    kind=progress.finished.kind,
                    took_s=progress.finished.took_s,
                    reason=progress.finished.reason,
                )
                progress.finished = None

    async def flush(self) -> None:
        """What is waiting is recorded, unless the store does not answer; a record never changes."""
        while self.waiting:
            change = self.waiting[0]
            key = f"{self.prefix}{change_key(change.service, change.epoch)}"
            try:
                await self.store.swap(key, encode_change(change), 0, self.deadline_s)
            except PortError:
                await asyncio.sleep(0.5)
                return
            self.recorded.append(self.waiting.pop(0))
        await self.tell()

    async def tell(self) -> None:
        """What this site saw is kept, and what the others have said is known."""
        now = self.clock.monotonic()
        if now - self._read_at >= READ_EVERY_S and await self.book.read():
            self._read_at = now
        if not self.book.answered:
            return  # what this site has said before is not known: it must not be replaced by less
        for service, (watching, view) in self._watched.items():
            if service in self._blind or not watching.stirs(now):
                continue
            said = watching.recollection(view)
            if said is not None and said != self._kept.get(service):
                if not await self._keep(said):
                    return
                self._kept[service] = said

    async def _keep(self, said: Recollection) -> bool:
        key = recollection_key(said)
        whole = merged(self.book.at(key), said)
        if whole == self.book.at(key):
            return True
        try:
            revision = await self.store.put(
                f"{self.prefix}{key}", encode_recollection(whole), self.deadline_s
            )
        except PortError:
            return False
        except BadRecord as bad:
            log.warning("recollection not kept", problem=str(bad))
            return True
        self.book.known[key] = revision, whole
        return True
