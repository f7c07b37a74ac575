"""Promises: the epoch below which this site takes nothing any more, per service. On disk, fsynced.

A promise only rises. It is durable before anything that rests on it is done or told, and it is the
floor that refuses a store which was restored from an older snapshot.
"""

import asyncio
import json
import os
from pathlib import Path

from controller.core.model import NO_EPOCH, Epoch, ServiceName


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
            return {ServiceName(name): Epoch(int(epoch)) for name, epoch in data.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
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
            await asyncio.to_thread(self._store, wanted)
            self._epochs = wanted

    def _store(self, epochs: dict[ServiceName, Epoch]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(epochs, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
