"""Finished role changes go into the store's history, once each, as soon as it answers."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from controller.core.wire import Change, change_key, encode_change
from controller.ports import PortError, Store
from controller.runtime.progress import Progress

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Takes finished changes from the loops' progress and records them."""

    store: Store
    prefix: str
    deadline_s: float
    waiting: list[Change] = field(default_factory=list)
    recorded: list[Change] = field(default_factory=list)

    def collect(self, progresses: Iterable[Progress]) -> None:
        """What has finished since is waiting to be recorded."""
        for progress in progresses:
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
