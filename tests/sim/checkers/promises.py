"""(d) Promises and seals are never broken, across restarts too."""

import bisect
from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import Acknowledged, Event, Following, PromiseKept, PromiseRead, Sealed

Name: TypeAlias = tuple[ServiceName, DatabaseName]


class PromisesKept(Checker):
    """Who has promised an epoch does not begin to follow a lower one; who says that it is sealed for
    it confirms nothing of a lower one. Between the two its receiver is being ended.
    """

    name: ClassVar[str] = "promises kept"
    sees = (PromiseKept, PromiseRead, Sealed, Following, Acknowledged)

    def __init__(self) -> None:
        self.kept: dict[tuple[ServiceName, SiteName], int] = {}
        self.seals: dict[tuple[Name, SiteName], list[tuple[float, int]]] = {}

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

    def _now(self, service: ServiceName, site: SiteName) -> int:
        return self.kept.get((service, site), 0)

    def _kept(self, event: PromiseKept) -> None:
        before = self._now(event.service, event.site)
        if event.epoch < before:
            self.broken(
                event.at, f"{event.site} promises epoch {event.epoch} after it promised {before}"
            )
        self.kept[event.service, event.site] = event.epoch

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
        key = ((event.service, event.database), event.site)
        self.seals.setdefault(key, []).append((event.at, event.epoch))

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
            seals = self.seals.get(((event.service, event.database), voter), [])
            before = bisect.bisect_left(seals, (event.confirmed_at, 0))
            sealed = max((epoch for _, epoch in seals[:before]), default=0)
            if event.epoch < sealed:
                self.broken(
                    event.at,
                    f"{voter} confirmed write {event.write} of {event.database} to {event.site} "
                    f"under epoch {event.epoch}; it was sealed for {sealed}",
                )
