"""I5: what is promoted is as far as the furthest of a sealed majority, its own copy among them."""

from typing import ClassVar, TypeAlias

from controller.core.model import DatabaseName, ServiceName
from controller.core.quorum import majority
from tests.sim.checkers.checker import Checker
from tests.sim.truth import Copy, Event, LossStated, Promoted

Name: TypeAlias = tuple[ServiceName, DatabaseName]


class PromotionsProved(Checker):
    """At its promotion a majority of voters takes nothing from older epochs, and none is further.

    Each learner is one seal fewer to ask for, since a commit needs as many copies as ever.

    The first epoch counts like every other: a cold start compares positions too. One that comes so
    late that a newer epoch writes already is harmless: it can never acknowledge. And what a voter
    that has promised a newer one holds beyond, it may have fetched since then.
    """

    name: ClassVar[str] = "promotions proved"
    sees = (Promoted, LossStated)

    def __init__(self) -> None:
        self.stated: set[tuple[Name, int]] = set()
        self.newest: dict[Name, int] = {}

    def see(self, event: Event) -> None:
        match event:
            case LossStated(service=service, database=database, epoch=epoch):
                self.stated.add(((service, database), epoch))
            case Promoted(by_hand=False):
                self._promoted(event)
            case _:
                pass

    def _promoted(self, event: Promoted) -> None:
        name = (event.service, event.database)
        late = event.epoch < self.newest.get(name, 0)
        self.newest[name] = max(event.epoch, self.newest.get(name, 0))
        if late or (name, event.epoch) in self.stated:
            return
        learners = event.learners - {event.site}
        needed = majority(len(event.copies)) - len(learners)
        others = [c for c in event.copies if c.site != event.site and c.site not in learners]
        sealed = [copy for copy in others if _sealed(copy, event.epoch)]
        what = f"{event.site} promoted {event.database} under epoch {event.epoch}"
        if len(sealed) + 1 < needed:
            self.broken(event.at, f"{what} with {len(sealed) + 1} of {needed} voters sealed")
        covered = [copy for copy in sealed if copy.end <= event.end or copy.promised > event.epoch]
        if len(covered) + 1 < needed:
            ahead = next(copy for copy in sealed if copy not in covered)
            self.broken(
                event.at, f"{what} at {event.end}; {ahead.site} is sealed, and at {ahead.end}"
            )


def _sealed(copy: Copy, epoch: int) -> bool:
    return copy.promised >= epoch and (copy.receiving == 0 or copy.receiving >= epoch)
