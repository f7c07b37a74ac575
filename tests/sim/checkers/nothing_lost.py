"""(a) No acknowledged write is ever missing from what follows, but for what was said beforehand."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import (
    Acknowledged,
    ClientTold,
    Event,
    Final,
    FinalDatabase,
    FinalService,
    LossStated,
    Promoted,
    Write,
)

Name: TypeAlias = tuple[ServiceName, DatabaseName]


class NothingLost(Checker):
    """Each promoted copy holds every write acknowledged so far, and so does the end.

    A loss that an operator asked for is excused as far as it was stated: writes that the copy did
    not hold when it was stated, acknowledged before.
    """

    name: ClassVar[str] = "nothing lost"
    sees = (Acknowledged, Promoted, LossStated, ClientTold)

    def __init__(self) -> None:
        self.acked: dict[Name, set[Write]] = {}
        self.excused: dict[Name, set[Write]] = {}
        self.newest: dict[Name, Promoted] = {}
        self.told: dict[ServiceName, dict[Write, float]] = {}

    def see(self, event: Event) -> None:
        match event:
            case Acknowledged(service=service, database=database):
                self._acknowledged(event, (service, database))
            case Promoted(service=service, database=database, by_hand=False):
                name = (service, database)
                self._holds_all(event.at, name, event.holds, f"{event.site} promoted")
                if name not in self.newest or event.epoch > self.newest[name].epoch:
                    self.newest[name] = event
            case LossStated(service=service, database=database, holds=holds):
                name = (service, database)
                known = self.acked.get(name, set())
                self.excused.setdefault(name, set()).update(known - holds)
            case ClientTold(service=service, write=write, ok=True, at=at):
                self.told.setdefault(service, {}).setdefault(write, at)
            case _:
                pass

    def _acknowledged(self, event: Acknowledged, name: Name) -> None:
        self.acked.setdefault(name, set()).add(event.write)
        newest = self.newest.get(name)
        if newest is None or newest.epoch <= event.epoch or event.write in newest.holds:
            return
        self.broken(
            event.at,
            f"write {event.write} of {event.database} is acknowledged by {event.site} under epoch "
            f"{event.epoch}, and {newest.site} was promoted without it under {newest.epoch}",
        )

    def _holds_all(self, at: float, name: Name, holds: frozenset[Write], who: str) -> None:
        missing = self.acked.get(name, set()) - holds - self.excused.get(name, set())
        if missing:
            few = ", ".join(str(write) for write in sorted(missing)[:5])
            self.broken(at, f"{who} {name[1]} without {len(missing)} acknowledged write(s): {few}")

    def end(self, final: Final) -> None:
        for service in final.services:
            for database in service.databases:
                self._end_of(final.at, service, database)
            self._told_is_acknowledged(final.at, service)

    def _end_of(self, at: float, service: FinalService, database: FinalDatabase) -> None:
        name = (service.name, database.name)
        primary = next((s for s, e in database.writable.items() if e == service.epoch), None)
        if primary is not None:
            self._holds_all(at, name, database.holds[primary], f"in the end {primary} has")
            return
        anywhere = frozenset().union(*database.holds.values())
        self._holds_all(at, name, anywhere, "in the end nobody has")

    def _told_is_acknowledged(self, at: float, service: FinalService) -> None:
        for database in service.databases:
            known = self.acked.get((service.name, database.name), set())
            for write, told_at in self.told.get(service.name, {}).items():
                if write not in known:
                    self.broken(
                        at,
                        f"a client was told at {told_at:.3f} s that write {write} is done; "
                        f"{database.name} never acknowledged it",
                    )
