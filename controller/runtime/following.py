"""Low-priority backends send where their service's own backend does, as haproxy itself has it.

Nothing here decides where that is. haproxy's own `track` would do the same, but its servers stay in
maintenance when haproxy is started with kept states (tests/foreign/test_haproxy.py).
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from controller.core.model import Instant, SiteName
from controller.ports import BackendState, Clock, LoadBalancer, PortError

LOOK_S: Final = 1.0
DEADLINE_S: Final = 1.0

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Following:
    """Every low-priority backend of this site's haproxy."""

    balancer: LoadBalancer
    leaders: Mapping[str, str]  # by low-priority backend: its service's own
    turned: Callable[[], Hashable]  # another value: traffic may have been directed elsewhere
    clock: Clock
    failed: dict[str, str] = field(default_factory=dict)  # by backend, what the last try said
    _looked_at: Instant = Instant(float("-inf"))
    _known: Hashable = None

    async def turn(self) -> None:
        """Looks when it is time, or when traffic has turned, and directs what differs."""
        now, turned = self.clock.monotonic(), self.turned()
        if turned == self._known and now - self._looked_at < LOOK_S:
            return
        self._known, self._looked_at = turned, now
        try:
            found = await self.balancer.observe(DEADLINE_S)
        except PortError:
            return  # said elsewhere
        for backend, leader in self.leaders.items():
            if backend in found and leader in found:
                await self._follow(backend, found[backend], found[leader])

    async def _follow(self, backend: str, state: BackendState, leader: BackendState) -> None:
        wanted = _sites(leader) & {site for site, count in state.total.items() if count}
        if wanted == _sites(state) or len(wanted) > 1:
            self.failed.pop(backend, None)
            return
        site = next(iter(wanted), None)
        try:
            await self.balancer.direct(backend, site, DEADLINE_S)
        except PortError as error:
            if self.failed.get(backend) != str(error):
                log.warning("follow_failed", backend=backend, site=site, error=str(error))
            self.failed[backend] = str(error)
        else:
            self.failed.pop(backend, None)
            log.info("followed", backend=backend, site=site)


def _sites(state: BackendState) -> frozenset[SiteName]:
    return frozenset(site for site, count in state.enabled.items() if count)
