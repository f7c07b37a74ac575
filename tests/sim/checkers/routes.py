"""(e) Only the holder attracts, and some site always announces. As the providers see it."""

import math
from typing import ClassVar

from bgp.policy import Stance
from controller.core.model import ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.truth import (
    AllHealed,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    Final,
    PauseCleared,
    PauseSet,
    PromiseKept,
    RouteSeen,
)

ATTRACTING = frozenset({Stance.PREFERRED, Stance.OVERRIDE})
LEFT_S = 12.0  # a deposed site that nothing disturbs has left `preferred` within this


class RoutesFollowTheHolder(Checker):
    """A route attracts only in the name of its site's own epoch, and at most `LEFT_S` beyond it.

    While a fault disturbs the site or keeps its routes at a provider, the time does not run. That
    its controller is gone is no excuse: the permit of its speaker lapses. What is paused stays as
    it is.
    """

    name: ClassVar[str] = "routes follow the holder"
    sees = (
        RouteSeen,
        EpochChanged,
        PromiseKept,
        PauseSet,
        PauseCleared,
        FaultBegan,
        FaultEnded,
        AllHealed,
    )

    def __init__(self) -> None:
        self.holder: dict[ServiceName, tuple[SiteName, float]] = {}
        self.holders: dict[tuple[ServiceName, int], set[SiteName]] = {}
        self.routes: dict[tuple[ServiceName, str, SiteName], RouteSeen] = {}
        self.disturbed = Disturbed(_leaves_the_speaker)
        self.paused: dict[ServiceName, float] = {}  # until when: for ever, until it is cleared

    def see(self, event: Event) -> None:
        self.disturbed.see(event)
        match event:
            case EpochChanged(service=service, epoch=epoch, holder=holder, at=at):
                self._overdue(at)
                self.holder[service] = (holder, at)
                self.holders.setdefault((service, epoch), set()).add(holder)
            case PauseSet(service=service):
                self.paused[service] = math.inf
            case PauseCleared(service=service, at=at):
                self.paused[service] = at
            case PromiseKept(service=service, epoch=epoch, site=site):
                # Nobody has written this epoch: an operator's order to serve alone assumes it.
                if (service, epoch) not in self.holders:
                    self.holders[service, epoch] = {site}
            case RouteSeen():
                self._overdue(event.at)
                self._in_its_own_name(event)
                self.routes[(event.service, event.provider, event.site)] = event
                self._somebody_announces(event)
            case _:
                self._overdue(event.at)

    def _in_its_own_name(self, event: RouteSeen) -> None:
        if event.stance not in ATTRACTING:
            return
        if event.site not in self.holders.get((event.service, event.epoch), set()):
            self.broken(
                event.at,
                f"{event.site} is {event.stance} at {event.provider} in the name of epoch "
                f"{event.epoch}, which it never held",
            )

    def _overdue(self, at: float) -> None:
        for (service, provider, site), route in self.routes.items():
            holder = self.holder.get(service)
            if route.stance not in ATTRACTING or holder is None or holder[0] == site:
                continue
            paused = self.paused.get(service, 0.0)
            since = max(route.at, holder[1], paused, self.disturbed.until(site, at))
            if at - since > LEFT_S:
                self.broken(
                    at,
                    f"{site} is still {route.stance} at {provider}, {at - since:.1f} s after "
                    f"{holder[0]} holds {service}",
                )

    def _somebody_announces(self, event: RouteSeen) -> None:
        if event.stance not in (None, Stance.WITHDRAWN):
            return
        known = [r for (s, _, _), r in self.routes.items() if s == event.service]
        if any(route.stance not in (None, Stance.WITHDRAWN) for route in known):
            return
        if all(self.disturbed.until(r.site, event.at) < event.at - LEFT_S for r in known):
            self.broken(event.at, f"nobody announces {event.service}; {event.site} was the last")

    def end(self, final: Final) -> None:
        self._overdue(final.at)


def _leaves_the_speaker(fault: str, what: str) -> bool:
    return fault in ("kill", "freeze", "hang") and what not in ("exabgp", "etcd")
