"""The outside view: at which site a request to the service address enters, as a client of the
Internet sees it. Where haproxy does not name itself it is the site that answers.

One measurement decides nothing; it is reported, and rules may read it beside other evidence.
"""

import asyncio
from dataclasses import dataclass

from controller.core.model import FOREVER_S, Instant
from controller.ports import Clock, Prober


@dataclass(slots=True, kw_only=True)
class Vantage:
    """Probes one service address for ever."""

    prober: Prober
    clock: Clock
    every_s: float
    fresh_s: float
    changed: asyncio.Event
    site: str = ""
    detail: str = "not looked yet"
    _at: Instant = Instant(-FOREVER_S)

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            sample = await self.prober.sample()
            self.detail = sample.detail
            if sample.ok:
                self._at = self.clock.monotonic()
                site = sample.facts.get("edge") or sample.facts.get("site", "")
                if site != self.site:
                    self.site = site
                    self.changed.set()
            await asyncio.sleep(self.every_s)

    def lands_at(self) -> str:
        """The site that answered last; "" when nobody has answered for a while."""
        fresh = self.clock.monotonic() - self._at <= self.fresh_s
        return self.site if fresh else ""
