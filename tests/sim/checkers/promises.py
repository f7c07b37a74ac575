"""(d) Promises and seals are never broken, across restarts too."""

import bisect
from typing import ClassVar, TypeAlias

from controller.core.intents import Intent, RaiseEpoch, Rejoin
from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.checkers.pauses import CHANGING
from tests.sim.truth import (
    Acknowledged,
    AllHealed,
    Decided,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    Following,
    IntentBegan,
    IntentEnded,
    PauseCleared,
    PauseSet,
    PromiseKept,
    PromiseRead,
    Sealed,
)

ENDING_S = 1.0
Name: TypeAlias = tuple[ServiceName, DatabaseName]


def _puts_right(intent: Intent, kept: int) -> bool:
    """An operator asks for an epoch above the promise."""
    return isinstance(intent, RaiseEpoch) and intent.epoch > kept and intent.request > 0


class PromisesKept(Checker):
    """Who says that it is sealed for an epoch follows and confirms nothing lower. From the promise
    on the receiver is being ended; it may go on, or connect again, for `ENDING_S`, and for as long
    as there is nobody to end it, or who might is paused, or has read no record since it started. A
    record below the promise, of a store that was set back, moves nothing, but that an operator may
    ask for an epoch above the promise. A receiver that somebody
    starts by hand is ended again; until then it may follow who holds the promised epoch: whatever
    it confirms there, the holder has. A rejoin that began before the promise goes on to its end: it
    is not given up, and its copy is in quarantine, where it confirms nothing.
    """

    name: ClassVar[str] = "promises kept"
    sees = (
        PromiseKept,
        PromiseRead,
        Sealed,
        Following,
        Acknowledged,
        Decided,
        EpochChanged,
        PauseSet,
        PauseCleared,
        FaultBegan,
        FaultEnded,
        AllHealed,
        IntentBegan,
        IntentEnded,
    )

    def __init__(self) -> None:
        self.kept: dict[tuple[ServiceName, SiteName], PromiseKept] = {}
        self.disturbed = Disturbed()
        self.paused_until: dict[ServiceName, float] = {}
        self.seals: dict[tuple[Name, SiteName], list[tuple[float, int]]] = {}
        self.holders: dict[tuple[ServiceName, int], SiteName] = {}
        self.by_hand: dict[tuple[str, str], float] = {}  # when a receiver was started, and where
        self.blind: dict[tuple[ServiceName, SiteName], float] = {}  # until when, or for ever
        self.rejoining: dict[tuple[Name, SiteName], IntentBegan] = {}

    def see(self, event: Event) -> None:
        self.disturbed.see(event)
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
            case EpochChanged(service=service, epoch=epoch, holder=holder):
                self.holders[service, epoch] = holder
            case FaultBegan(fault="old_keeper", args=(database, site), at=at):
                self.by_hand[database, site] = at
            case PauseSet(service=service):
                self.paused_until[service] = float("inf")
            case PauseCleared(service=service, at=at):
                self.paused_until[service] = at
            case Decided():
                self._decided(event)
            case IntentBegan(service=service, site=site, intent=Rejoin(database=database)):
                self.rejoining[(service, database), site] = event
            case IntentEnded(service=service, site=site, intent=Rejoin(database=database)):
                self.rejoining.pop(((service, database), site), None)
            case _:
                pass

    def _now(self, service: ServiceName, site: SiteName) -> int:
        kept = self.kept.get((service, site))
        return 0 if kept is None else kept.epoch

    def _kept(self, event: PromiseKept) -> None:
        before = self._now(event.service, event.site)
        if event.epoch < before:
            self.broken(
                event.at, f"{event.site} promises epoch {event.epoch} after it promised {before}"
            )
        self.kept[event.service, event.site] = event

    def _read(self, event: PromiseRead) -> None:
        before = self._now(event.service, event.site)
        if event.epoch < before:
            self.broken(
                event.at,
                f"{event.site} starts with a promise of epoch {event.epoch}; it kept {before}",
            )

    def _decided(self, event: Decided) -> None:
        kept, who = self._now(event.service, event.site), (event.service, event.site)
        if event.epoch == 0:
            self.blind[who] = float("inf")
        elif self.blind.get(who) == float("inf"):
            self.blind[who] = event.at
        changing = any(
            isinstance(intent, CHANGING) and not _puts_right(intent, kept)
            for intent in event.intents
        )
        if changing and 0 < event.epoch < kept:
            self.broken(
                event.at,
                f"{event.site} acts on a record of epoch {event.epoch} by rule {event.rule}; "
                f"it promised {kept}: {', '.join(str(intent) for intent in event.intents)}",
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
        kept = self.kept.get((event.service, event.site))
        if kept is None or not 0 < event.epoch < kept.epoch:
            return
        sealed = self._sealed_before((event.service, event.database), event.site, event.at)
        paused = self.paused_until.get(event.service, 0.0)
        blind = self.blind.get((event.service, event.site), 0.0)
        since = max(kept.at, paused, blind, self.disturbed.until(event.site, event.at))
        if sealed and self._meddled(event, event.site, event.upstream, sealed):
            return
        rejoin = self.rejoining.get(((event.service, event.database), event.site))
        if rejoin is not None and rejoin.at <= kept.at and not event.voter:
            since = event.at
        if event.epoch < sealed or event.at - since > ENDING_S:
            self.broken(
                event.at,
                f"{event.database} at {event.site} follows {event.upstream} of epoch "
                f"{event.epoch}; it promised {kept.epoch} at {kept.at:.3f} s",
            )

    def _meddled(
        self, event: Following | Acknowledged, voter: SiteName, upstream: SiteName, sealed: int
    ) -> bool:
        """Somebody has just started the receiver by hand, towards the holder."""
        began = self.by_hand.get((event.database, voter), -ENDING_S)
        return event.at - began < ENDING_S and self.holders.get((event.service, sealed)) == upstream

    def _sealed_before(self, name: Name, site: SiteName, at: float) -> int:
        seals = self.seals.get((name, site), [])
        return max((epoch for _, epoch in seals[: bisect.bisect_left(seals, (at, 0))]), default=0)

    def _acknowledged(self, event: Acknowledged) -> None:
        told_at = dict(event.told_at)
        for voter in sorted(event.by):
            name = (event.service, event.database)
            confirmed_at = told_at.get(voter, event.confirmed_at)
            sealed = self._sealed_before(name, voter, confirmed_at)
            if event.epoch < sealed and not self._meddled(event, voter, event.site, sealed):
                self.broken(
                    event.at,
                    f"{voter} confirmed write {event.write} of {event.database} to {event.site} "
                    f"under epoch {event.epoch}; it was sealed for {sealed}",
                )
