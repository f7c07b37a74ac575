"""(f) Every ladder ends: done, undone, or paused, or it says what it waits for."""

from typing import ClassVar

from controller.core.model import ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.truth import Decided, Event, Final, IntentBegan, IntentEnded

REPEATS = 400  # the same intent of one site, again and again within one epoch


class LaddersEnd(Checker):
    """In the end no rung is open but under a pause, and no intent is asked for without end."""

    name: ClassVar[str] = "ladders end"
    sees = (Decided, IntentBegan, IntentEnded)

    def __init__(self) -> None:
        self.last: dict[tuple[ServiceName, SiteName], Decided] = {}
        self.asked: dict[tuple[ServiceName, SiteName, str], int] = {}

    def see(self, event: Event) -> None:
        match event:
            case Decided():
                self.last[(event.service, event.site)] = event
            case IntentBegan():
                self._again(event)
            case _:
                pass

    def _again(self, event: IntentBegan) -> None:
        key = (event.service, event.site, repr(event.intent))
        self.asked[key] = self.asked.get(key, 0) + 1
        if self.asked[key] > REPEATS:
            self.broken(
                event.at, f"{event.site} asks for {event.intent} for the {REPEATS + 1}th time"
            )

    def end(self, final: Final) -> None:
        paused = {service.name for service in final.services if service.paused}
        for (service, site), decided in self.last.items():
            if service in paused or decided.paused or not decided.ladder or decided.climbed:
                continue
            self.broken(
                final.at,
                f"{site} is still at {decided.ladder} by rule {decided.rule} since "
                f"{decided.at:.3f} s: {', '.join(decided.waiting)}",
            )
