"""(a) No acknowledged write is ever missing from what follows, but for what was said beforehand."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import (
    SERVES_ALONE,
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
    """Each promoted copy holds every write acknowledged under a lower epoch, and so does the end.

    What a client was told to be done counts too: a retry may have found it committed. A loss that
    an operator asked for is excused as far as it was stated: what the copy did not hold then, what
    others went on to acknowledge although it was asserted that they do not, and what is
    acknowledged alone, or found committed there by a retry, which exists once.
    """

    name: ClassVar[str] = "nothing lost"
    sees = (Acknowledged, Promoted, LossStated, ClientTold)

    def __init__(self) -> None:
        self.acked: dict[Name, dict[Write, int]] = {}  # under which epoch
        self.excused: dict[Name, set[Write]] = {}
        self.newest: dict[Name, Promoted] = {}
        self.epochs: dict[tuple[Name, SiteName], int] = {}  # last promoted there
        self.forced: dict[Name, int] = {}  # the highest epoch with a stated loss
        self.alone: dict[Name, tuple[SiteName, int]] = {}  # until a voter confirms to it again

    def see(self, event: Event) -> None:
        match event:
            case Acknowledged(service=service, database=database):
                self._acknowledged(event, (service, database))
            case Promoted(by_hand=False):
                self._promoted(event)
            case LossStated(service=service, database=database, epoch=epoch):
                name = (service, database)
                if event.statement == SERVES_ALONE:
                    self.alone[name] = event.site, epoch
                known = self.acked.get(name, {}).keys()
                self.excused.setdefault(name, set()).update(known - event.holds)
                self.forced[name] = max(epoch, self.forced.get(name, 0))
            case ClientTold(service=service, write=write, ok=True, site=site) if site is not None:
                for name in [name for name in self.newest if name[0] == service]:
                    epoch = self.epochs.get((name, site), 0)
                    alone = self.alone.get(name) == (site, epoch)
                    self._note(name, write, epoch, alone=alone)
            case _:
                pass

    def _promoted(self, event: Promoted) -> None:
        name = (event.service, event.database)
        who = f"{event.site} promoted {event.database}"
        self._holds_all(event.at, name, event.holds, event.epoch, who)
        self.epochs[name, event.site] = event.epoch
        if name not in self.newest or event.epoch > self.newest[name].epoch:
            self.newest[name] = event

    def _acknowledged(self, event: Acknowledged, name: Name) -> None:
        if event.by and self.alone.get(name) == (event.site, event.epoch):
            del self.alone[name]
        self._note(name, event.write, event.epoch, alone=not event.by)
        newest = self.newest.get(name)
        if newest is None or newest.epoch <= event.epoch or event.write in newest.holds:
            return
        if not event.by or event.write in self.excused.get(name, set()):
            return
        self.broken(
            event.at,
            f"write {event.write} of {event.database} is acknowledged by {event.site} under epoch "
            f"{event.epoch}, and {newest.site} was promoted without it under {newest.epoch}",
        )

    def _note(self, name: Name, write: Write, epoch: int, *, alone: bool) -> None:
        known = self.acked.setdefault(name, {})
        if write not in known and (alone or epoch < self.forced.get(name, 0)):
            self.excused.setdefault(name, set()).add(write)
        known.setdefault(write, epoch)

    def _holds_all(
        self, at: float, name: Name, holds: frozenset[Write], epoch: int, who: str
    ) -> None:
        known = self.acked.get(name, {})
        missing = known.keys() - holds - self.excused.get(name, set())
        lost = sorted(write for write in missing if known[write] < epoch)
        if lost:
            few = ", ".join(str(write) for write in lost[:5])
            self.broken(at, f"{who} without {len(lost)} acknowledged write(s): {few}")

    def end(self, final: Final) -> None:
        for service in final.services:
            for database in service.databases:
                self._end_of(final.at, service, database)

    def _end_of(self, at: float, service: FinalService, database: FinalDatabase) -> None:
        name, beyond = (service.name, database.name), service.epoch + 1
        primary = next((s for s, e in database.writable.items() if e == service.epoch), None)
        if primary is not None:
            who = f"in the end {primary} has {database.name}"
            self._holds_all(at, name, database.holds[primary], beyond, who)
            return
        anywhere = frozenset().union(*database.holds.values())
        self._holds_all(at, name, anywhere, beyond, f"in the end nobody has {database.name}")
