"""(d) Epochs only rise, and each has one holder and one promotion of each database."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import EpochChanged, Event, Promoted

Name: TypeAlias = tuple[ServiceName, DatabaseName]
RESTORED = "restored"


class EpochsRise(Checker):
    """The record in the store rises but for a restored snapshot; no epoch is promoted twice, unless
    the snapshot had lost it. A site that had not heard of it may give its number once more: that is
    a stated limit.
    """

    name: ClassVar[str] = "epochs rise"
    sees = (EpochChanged, Promoted)

    def __init__(self) -> None:
        self.record: dict[ServiceName, EpochChanged] = {}
        self.holders: dict[tuple[ServiceName, int], SiteName] = {}
        self.restored: dict[ServiceName, EpochChanged] = {}  # to what, the last time
        self.promoted: dict[tuple[Name, int], Promoted] = {}

    def see(self, event: Event) -> None:
        match event:
            case EpochChanged():
                self._changed(event)
            case Promoted(by_hand=False):
                self._promoted(event)
            case _:
                pass

    def _changed(self, event: EpochChanged) -> None:
        before = self.record.get(event.service)
        self.record[event.service] = event
        if event.by == RESTORED:
            self.restored[event.service] = event
            return
        if before is not None and event.epoch <= before.epoch:
            self.broken(
                event.at,
                f"{event.by} wrote epoch {event.epoch} of {event.service} over epoch "
                f"{before.epoch} of {before.holder}",
            )
        if event.service in self.restored:
            return  # what a lost record said is not known to the store: promotions still tell
        holder = self.holders.setdefault((event.service, event.epoch), event.holder)
        if holder != event.holder:
            self.broken(
                event.at,
                f"epoch {event.epoch} of {event.service} is of {event.holder} and of {holder}",
            )

    def _promoted(self, event: Promoted) -> None:
        key = ((event.service, event.database), event.epoch)
        before = self.promoted.get(key)
        if before is not None and not self._lost(before):
            self.broken(
                event.at,
                f"{event.database} is promoted under epoch {event.epoch} at {event.site}, and was "
                f"at {before.site} already",
            )
        self.promoted[key] = event
        holder = self.holders.get((event.service, event.epoch))
        if holder is not None and holder != event.site and event.service not in self.restored:
            self.broken(
                event.at,
                f"{event.database} is promoted under epoch {event.epoch} at {event.site}; "
                f"its holder is {holder}",
            )

    def _lost(self, before: Promoted) -> bool:
        """The store was set back since then to what had not heard of that epoch."""
        restored = self.restored.get(before.service)
        return restored is not None and restored.at > before.at and restored.epoch < before.epoch
