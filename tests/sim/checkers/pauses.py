"""(i) Nothing changes while an operator has paused the automation."""

from typing import ClassVar

from controller.core import intents as ask
from controller.core.model import ServiceName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.checkers.epochs import RESTORED
from tests.sim.truth import (
    AllHealed,
    Decided,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    IntentBegan,
    PauseCleared,
    PauseSet,
)

UNDER_WAY_S = 3.0  # what was begun before the pause was read may still end
CHANGING = (
    ask.RaiseEpoch,
    ask.Promote,
    ask.CloseDatabase,
    ask.CatchUp,
    ask.Rejoin,
    ask.Follow,
    ask.SealDatabase,
    ask.FenceOthers,
)


class PausesHold(Checker):
    """No epoch is raised, and no database is asked for anything, once a pause can be known.

    A site that reads the store reads of the pause; one that cannot must not change roles either:
    raising an epoch needs the store. While a fault disturbs the site the time does not run, nor
    before the store has answered it since the pause. A site that an operator keeps out is closed
    nevertheless: that is his order, not the automation's.
    """

    name: ClassVar[str] = "pauses hold"
    sees = (
        PauseSet,
        PauseCleared,
        EpochChanged,
        Decided,
        IntentBegan,
        FaultBegan,
        FaultEnded,
        AllHealed,
    )

    def __init__(self) -> None:
        self.since: dict[ServiceName, float] = {}
        self.read_at: dict[tuple[ServiceName, str], float] = {}  # when the store last answered
        self.disturbed = Disturbed()

    def see(self, event: Event) -> None:
        self.disturbed.see(event)
        match event:
            case PauseSet(service=service, at=at):
                self.since[service] = at
            case PauseCleared(service=service):
                self.since.pop(service, None)
            case Decided():
                self.read_at[event.service, event.site] = event.read_at
            case EpochChanged(by=by) if by != RESTORED:
                self._late(event, event.by, f"{event.by} wrote epoch {event.epoch}")
            case IntentBegan(intent=ask.FenceOthers(orders=orders)) if orders:
                pass
            case IntentBegan(intent=intent) if isinstance(intent, CHANGING):
                self._late(event, event.site, f"{event.site} does {intent} by rule {event.rule}")
            case _:
                pass

    def _late(self, event: EpochChanged | IntentBegan, site: str, what: str) -> None:
        since = self.since.get(event.service)
        if since is None or self.read_at.get((event.service, site), event.at) <= since:
            return
        if event.at - max(since, self.disturbed.until(site, event.at)) > UNDER_WAY_S:
            self.broken(event.at, f"{what}, and {event.service} is paused since {since:.3f} s")
