"""The whole wanted set of routes, kept by the speaker on a permit that is renewed while we turn.

A service whose loop has stopped turning drops out of the renewals; the speaker then makes its
routes less preferred by itself. Nothing here ever withdraws.
"""

import asyncio
from dataclasses import dataclass, field

from bgp.policy import Stance
from controller.core.model import Epoch, Instant, ServiceName
from controller.ports import Announcer, AnnouncerState, Clock, PortError


@dataclass(slots=True)
class Wish:
    """What one service's loop last asked for, and when it last stood by it."""

    stance: Stance
    epoch: Epoch
    at: Instant


@dataclass(slots=True, kw_only=True)
class Routes:
    """Gathers the services' stances and hands the whole set to the speaker."""

    announcer: Announcer
    clock: Clock
    permit_s: float
    deadline_s: float
    wishes: dict[ServiceName, Wish] = field(default_factory=dict)
    error: str = ""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: AnnouncerState | None = None
    _sent: Instant = Instant(float("-inf"))
    _started: Instant = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock.monotonic()

    def stand_by(self, service: ServiceName, stance: Stance, epoch: Epoch) -> None:
        """The loop of `service` still wants this: its permit may be renewed."""
        self.wishes[service] = Wish(stance, epoch, self.clock.monotonic())

    async def announce(self, service: ServiceName, stance: Stance, epoch: Epoch) -> None:
        """The speaker has taken the wish."""
        self.stand_by(service, stance, epoch)
        await self._send()

    async def renew(self) -> None:
        """The permit is renewed when a third of it is used."""
        if self.clock.monotonic() - self._sent < self.permit_s / 3:
            return
        try:
            await self._send()
        except PortError as error:
            self.error = str(error)

    async def _send(self) -> None:
        async with self._lock:
            oldest = self.clock.monotonic() - self.permit_s / 2
            wanted = {
                str(service): (wish.stance, wish.epoch)
                for service, wish in self.wishes.items()
                if wish.at >= oldest
            }
            if not wanted:
                return
            wanted = {**self._not_yet_spoken_for(), **wanted}
            await self.announcer.announce(wanted, self.permit_s, self.deadline_s)
            self._sent = self.clock.monotonic()
            self.error = ""

    def _not_yet_spoken_for(self) -> dict[str, tuple[Stance, Epoch]]:
        """A service left out of the set turns `isolated`. A daemon that has just started has not
        heard of all of them yet: for one permit what they say is left as it is.
        """
        if self.clock.monotonic() - self._started > self.permit_s or self.seen is None:
            return {}
        return {
            service: (found.stance, found.epoch)
            for service, found in self.seen.services.items()
            if service not in self.wishes
        }

    async def look(self) -> AnnouncerState | None:
        """What the speaker says of itself; None while it is silent."""
        try:
            self.seen = await self.announcer.observe(self.deadline_s)
        except PortError as error:
            self.error, self.seen = str(error), None
        return self.seen
