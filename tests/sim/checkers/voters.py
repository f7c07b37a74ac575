"""I6: who confirmed a commit truly holds it; an un-rewound database never counts as a voter."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import (
    Acknowledged,
    EpochChanged,
    Event,
    Following,
    LearnersSet,
    LogCut,
    LossStated,
    Write,
)

Name: TypeAlias = tuple[ServiceName, DatabaseName]


class VotersHold(Checker):
    """An acknowledged write is durable at its primary and at each voter that confirmed it, and at
    one other voter at least, unless an operator has said that nobody else is needed. What a voter
    confirmed before its log was destroyed it had. Nobody who only learns confirms anything, from
    the moment in which the record says so.
    """

    name: ClassVar[str] = "voters hold"
    sees = (Acknowledged, Following, LossStated, LogCut, LearnersSet, EpochChanged)

    def __init__(self) -> None:
        self.alone: set[Name] = set()
        self.destroyed: dict[tuple[Name, SiteName], frozenset[Write]] = {}
        self.learns: dict[ServiceName, dict[SiteName, float]] = {}  # since when

    def see(self, event: Event) -> None:
        match event:
            case LossStated():
                self.alone.add((event.service, event.database))
            case LogCut(service=service, database=database, site=site, lost=lost, why="wiped"):
                key = ((service, database), site)
                self.destroyed[key] = lost | self.destroyed.get(key, frozenset())
            case Following(voter=True, prefix=False):
                self.broken(
                    event.at,
                    f"{event.database} at {event.site} follows {event.upstream} of epoch "
                    f"{event.epoch} as a voter, with records that {event.upstream} does not have",
                )
            case LearnersSet(service=service, learners=learners, at=at):
                before = self.learns.get(service, {})
                self.learns[service] = {site: before.get(site, at) for site in learners}
            case EpochChanged(service=service, holder=holder):
                self.learns.get(service, {}).pop(holder, None)
            case Acknowledged():
                self._acknowledged(event)
            case _:
                pass

    def _acknowledged(self, event: Acknowledged) -> None:
        what = f"{event.site} acknowledged write {event.write} of {event.database}"
        if event.site not in event.held_by:
            self.broken(event.at, f"{what}, which it does not hold")
        name = (event.service, event.database)
        for voter in sorted(event.by - event.held_by):
            if event.write in self.destroyed.get((name, voter), ()):
                continue
            self.broken(event.at, f"{what} on the word of {voter}, which does not hold it")
        if not event.by and name not in self.alone:
            self.broken(event.at, f"{what}, and no other voter confirmed it")
        learns = self.learns.get(event.service, {})
        for voter, told_at in event.told_at:
            if voter in event.by and told_at > learns.get(voter, float("inf")):
                self.broken(event.at, f"{what} on the word of {voter}, which only learns")
