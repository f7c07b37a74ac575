"""(b) One site acknowledges; epochs of acknowledgements come in one order."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.checkers.epochs import RESTORED
from tests.sim.truth import (
    Acknowledged,
    AllHealed,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    LeaseServed,
    LossStated,
    Promoted,
)

STOPS = ("freeze", "kill", "freeze_site", "power_off")
NOTICES_S = 1.0
Name: TypeAlias = tuple[ServiceName, DatabaseName]


def _leaves_it_running(fault: str, what: str) -> bool:
    """The site's controller is there to tell haproxy."""
    return fault not in STOPS and (fault, what) != ("crash", "controller")


class OneWriter(Checker):
    """Each epoch's acknowledgements come from one site, and from none once a newer one writes.

    An acknowledgement counts from the moment the first of its confirmations left a voter: what was
    on the wire while the voter sealed may arrive later. It is not lost then, or `NothingLost` says
    so; and what a voter confirms under its seal, `PromisesKept` finds. Where an operator has said
    that nobody else acknowledges, that is the operator's word, also when a newer epoch was open by
    then; and what is acknowledged alone is lost if the others go on.
    """

    name: ClassVar[str] = "one writer"
    sees = (
        Acknowledged,
        Promoted,
        LeaseServed,
        EpochChanged,
        LossStated,
        FaultBegan,
        FaultEnded,
        AllHealed,
    )

    def __init__(self) -> None:
        self.writers: dict[tuple[Name, int], SiteName] = {}
        self.newest: dict[Name, Promoted] = {}
        self.served: dict[ServiceName, LeaseServed] = {}
        self.restored: dict[ServiceName, EpochChanged] = {}  # to what, the last time
        self.forced: dict[tuple[Name, int], float] = {}
        self.stopped = Disturbed(_leaves_it_running)

    def see(self, event: Event) -> None:
        self.stopped.see(event)
        match event:
            case Acknowledged():
                self._acknowledged(event)
            case Promoted(by_hand=False):
                name = (event.service, event.database)
                if name not in self.newest or event.epoch > self.newest[name].epoch:
                    self.newest[name] = event
            case LossStated():
                self.forced[(event.service, event.database), event.epoch] = event.at
            case LeaseServed():
                self._served(event)
            case EpochChanged(by=by) if by == RESTORED:
                newest = self.served.get(event.service)
                if newest is not None and event.epoch < newest.epoch:  # else it was put right
                    self.restored[event.service] = event
            case _:
                pass

    def _acknowledged(self, event: Acknowledged) -> None:
        name = (event.service, event.database)
        writer = self.writers.setdefault((name, event.epoch), event.site)
        what = f"write {event.write} of {event.database} under epoch {event.epoch}"
        if event.written_under not in (0, event.epoch):
            self.broken(
                event.at, f"{event.site} acknowledged {what}, written under {event.written_under}"
            )
        if writer != event.site:
            self.broken(event.at, f"{event.site} acknowledged {what}, and so did {writer}")
        newest = self.newest.get(name)
        if newest is None or newest.epoch <= event.epoch or (name, newest.epoch) in self.forced:
            return
        said_at = self.forced.get((name, event.epoch))
        if said_at is not None and (said_at >= newest.at or not event.by):
            return
        told_at = [at for voter, at in event.told_at if voter in event.by]
        confirmed_at = min(told_at, default=event.confirmed_at)
        if confirmed_at > newest.at:
            self.broken(
                event.at,
                f"{event.site} acknowledged {what}, {confirmed_at - newest.at:.3f} s after "
                f"{newest.site} was promoted under epoch {newest.epoch}",
            )

    def _served(self, event: LeaseServed) -> None:
        """Durability `lease`: no request is served under an older lease than the newest seen.

        haproxy serves on while there is nobody to tell it: a frozen or dead controller, or one that
        has just come back, is the stated limit of this durability. A store that was set back leases
        the older epoch once more, and who held the newer one has stopped by then.
        """
        newest = self.served.get(event.service)
        if newest is None or event.epoch >= newest.epoch:
            self.served[event.service] = event
            return
        if event.at <= self.stopped.until(event.site, event.at) + NOTICES_S:
            return
        if self._set_back(newest):
            return
        self.broken(
            event.at,
            f"{event.site} serves {event.service} under the lease of epoch {event.epoch}; "
            f"{newest.site} has served under epoch {newest.epoch} since {newest.at:.3f} s",
        )

    def _set_back(self, newest: LeaseServed) -> bool:
        """The store has lost the epoch that was served, and it was served no longer."""
        restored = self.restored.get(newest.service)
        if restored is None or restored.epoch >= newest.epoch:
            return False
        return newest.at <= restored.at + NOTICES_S
