"""Promises: the epoch below which this site takes nothing any more, per service. On disk, fsynced.

A promise only rises. It is durable before anything that rests on it is done or told, and it is the
floor that refuses a store which was restored from an older snapshot.
"""

import asyncio
import json
from pathlib import Path

from controller.core.model import NO_EPOCH, Epoch, ServiceName
from controller.core.wire import EPOCH_MAX
from controller.runtime.durable import replace_file


class PromiseLost(Exception):
    """The file is there but cannot be understood; the message names it and what to do."""


class Promises:
    """One small JSON file; replaced whole, by rename."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "promises.json"
        self._lock = asyncio.Lock()
        self._epochs = self._load()

    def _load(self) -> dict[ServiceName, Epoch]:
        try:
            data = json.loads(self._path.read_text())
            return {ServiceName(name): _epoch(name, epoch) for name, epoch in data.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, RecursionError) as error:
            raise PromiseLost(
                f"{self._path} is damaged ({error}). Put the highest epoch of every service that "
                "any site reports into it (tricast status --json), then start again."
            ) from error

    def of(self, service: ServiceName) -> Epoch:
        """The floor of `service`; NO_EPOCH when nothing was ever promised."""
        return self._epochs.get(service, NO_EPOCH)

    async def raise_to(self, service: ServiceName, epoch: Epoch) -> None:
        """At least `epoch` is promised, durably. Lower ones change nothing."""
        async with self._lock:
            if epoch <= self.of(service):
                return
            wanted = {**self._epochs, service: epoch}
            await asyncio.to_thread(replace_file, self._path, json.dumps(wanted))
            self._epochs = wanted


def _epoch(service: str, value: object) -> Epoch:
    if type(value) is not int or not 0 <= value <= EPOCH_MAX:
        raise ValueError(f"{service}: {str(value)[:40]} is not an epoch")
    return Epoch(value)
