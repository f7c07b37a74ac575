"""(d) Promises and seals are never broken, across restarts too."""

import bisect
from typing import ClassVar

from controller.core.model import ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import Acknowledged, Event, Following, PromiseKept, PromiseRead, Sealed


class PromisesKept(Checker):
    """A voter that has promised an epoch takes nothing, and confirms nothing, of a lower one."""

    name: ClassVar[str] = "promises kept"
    sees = (PromiseKept, PromiseRead, Sealed, Following, Acknowledged)

    def __init__(self) -> None:
        self.kept: dict[tuple[ServiceName, SiteName], list[tuple[float, int]]] = {}

    def see(self, event: Event) -> None:
        match event:
            case PromiseKept():
                self._kept(event)
            case PromiseRead():
                self._read(event)
            case Sealed():
                self._sealed(event)
            case Following():
                self._following(event)
            case Acknowledged():
                self._acknowledged(event)
            case _:
                pass

    def _promised(self, service: ServiceName, site: SiteName, at: float) -> int:
        known = self.kept.get((service, site), [])
        found = bisect.bisect_left(known, (at, 0))
        return known[found - 1][1] if found else 0

    def _now(self, service: ServiceName, site: SiteName) -> int:
        known = self.kept.get((service, site), [])
        return known[-1][1] if known else 0

    def _kept(self, event: PromiseKept) -> None:
        before = self._now(event.service, event.site)
        if event.epoch < before:
            self.broken(
                event.at, f"{event.site} promises epoch {event.epoch} after it promised {before}"
            )
        self.kept.setdefault((event.service, event.site), []).append((event.at, event.epoch))

    def _read(self, event: PromiseRead) -> None:
        before = self._now(event.service, event.site)
        if event.epoch < before:
            self.broken(
                event.at,
                f"{event.site} starts with a promise of epoch {event.epoch}; it kept {before}",
            )

    def _sealed(self, event: Sealed) -> None:
        kept = self._now(event.service, event.site)
        if event.epoch > kept:
            self.broken(
                event.at,
                f"{event.site} says that it is sealed for epoch {event.epoch}; "
                f"its disk says {kept}",
            )

    def _following(self, event: Following) -> None:
        kept = self._now(event.service, event.site)
        if 0 < event.epoch < kept:
            self.broken(
                event.at,
                f"{event.database} at {event.site} follows {event.upstream} of epoch "
                f"{event.epoch}; it has promised {kept}",
            )

    def _acknowledged(self, event: Acknowledged) -> None:
        for voter in sorted(event.by):
            kept = self._promised(event.service, voter, event.confirmed_at)
            if event.epoch < kept:
                self.broken(
                    event.at,
                    f"{voter} confirmed write {event.write} of {event.database} to {event.site} "
                    f"under epoch {event.epoch}; it has promised {kept}",
                )
