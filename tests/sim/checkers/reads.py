"""(c) A read after an acknowledged write sees it, or is stale for no longer than is stated."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.truth import (
    AllHealed,
    ClientRead,
    ClientTold,
    CommitCancelled,
    Event,
    FaultBegan,
    FaultEnded,
    LossStated,
    Promoted,
    Write,
)

Name: TypeAlias = tuple[ServiceName, DatabaseName]
STALE_S = 5.0  # a deposed site that nothing disturbs stops answering within this


class ReadsSeeWrites(Checker):
    """Only a deposed primary may answer without a write that was acknowledged, or that somebody has
    read: while its controller cannot know, and `STALE_S` longer.
    """

    name: ClassVar[str] = "reads see writes"
    sees = (
        ClientRead,
        ClientTold,
        CommitCancelled,
        Promoted,
        LossStated,
        FaultBegan,
        FaultEnded,
        AllHealed,
    )

    def __init__(self) -> None:
        self.told: dict[tuple[ServiceName, Write], float] = {}
        self.read: dict[tuple[Name, Write], float] = {}
        self.cancelled: set[tuple[Name, Write]] = set()
        self.newest: dict[Name, Promoted] = {}
        self.lossy: set[Name] = set()
        self.disturbed = Disturbed()

    def see(self, event: Event) -> None:
        self.disturbed.see(event)
        match event:
            case ClientTold(ok=True):
                self.told.setdefault((event.service, event.write), event.at)
            case Promoted(by_hand=False):
                name = (event.service, event.database)
                if name not in self.newest or event.epoch > self.newest[name].epoch:
                    self.newest[name] = event
            case LossStated():
                self.lossy.add((event.service, event.database))
            case CommitCancelled():
                self.cancelled.add(((event.service, event.database), event.write))
            case ClientRead(found=True):
                key = ((event.service, event.database), event.write)
                self.read.setdefault(key, event.at)
            case ClientRead(found=False):
                self._not_found(event)
            case _:
                pass

    def _not_found(self, event: ClientRead) -> None:
        name = (event.service, event.database)
        known_at = self.told.get((event.service, event.write), float("inf"))
        if (name, event.write) not in self.cancelled:
            known_at = min(known_at, self.read.get((name, event.write), known_at))
        if known_at > event.asked_at or name in self.lossy:
            return
        newest = self.newest.get(name)
        what = f"{event.client} does not find write {event.write}, known since {known_at:.3f} s,"
        if newest is None or newest.site == event.site:
            self.broken(event.at, f"{what} at {event.site}, which is the primary")
        since = max(newest.at, self.disturbed.until(event.site, event.at))
        if event.asked_at - since > STALE_S:
            self.broken(
                event.at,
                f"{what} at {event.site}, {event.asked_at - since:.1f} s after {newest.site} was "
                f"promoted and the last fault there was mended",
            )
