"""What the benchmark asks of a stack, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lab.client.attempts import Attempt
from lab.netns.lab import Lab

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A fault that has been struck."""

    fault: str
    holder: str  # who served until then
    at: float  # monotonic
    stamp: float  # the same instant as wall-clock time, as logs have it


class Stack(Protocol):
    """One way to keep the service up, in a lab of its own."""

    name: str
    lab: Lab

    async def up(self, say: Say) -> None:
        """Every program of the stack is ready."""

    async def ready(self) -> str:
        """All copies are in place and routes lead to the holder, which is returned."""

    async def switch(self, holder: str) -> None:
        """An operator has asked for a planned switchover, and it was granted."""

    async def moved(self, blow: Blow) -> str:
        """What is missing until the service has been moved, or ""."""

    async def recovered(self, blow: Blow) -> str:
        """All copies are in place again; who holds the service now."""

    async def missing(self, holder: str, acked: list[str]) -> int:
        """How many acknowledged writes are not there, of all databases together."""

    async def parts(self, blow: Blow, holder: str, attempts: list[Attempt]) -> dict[str, Any]:
        """When each part of the outage was over, in seconds after the blow, and more detail."""
