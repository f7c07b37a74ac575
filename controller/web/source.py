"""What the web room asks of a daemon."""

from dataclasses import dataclass
from typing import Protocol

from controller.web.schema import HistoryEntry, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """An answer to `are you well?`, with the sentence that goes with it."""

    ok: bool
    detail: str


class StatusSource(Protocol):
    """A daemon, as far as it can be asked. Nothing here changes anything."""

    async def status(self) -> Status:
        """Everything this site knows now. From memory: it asks nobody and returns at once."""

    async def history(self, service: str | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Finished role changes, newest first; of every service when None."""

    def alive(self) -> Pulse:
        """Whether the loop has turned lately; a process that is not alive should be restarted."""

    def ready(self) -> Pulse:
        """Whether it has seen enough to judge: its own services, the store, the other sites."""
