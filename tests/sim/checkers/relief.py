"""(n) Nobody is relieved of what fails at every site alike: moving would not help."""

from typing import ClassVar, Final

from tests.sim.checkers.checker import Checker
from tests.sim.truth import AllHealed, EpochChanged, Event, FaultBegan, FaultEnded

RELIEVED: Final = 323
EVERYWHERE: Final = "unhealthy_everywhere"
ALONE: Final = "unhealthy"
FOUND_S: Final = 1.0  # by then every site has found it
SILENCING: Final = ("cut", "degrade", "slow_etcd", "silence", "restore", "kill", "crash", "freeze",
                    "power", "drift")  # fmt: skip
REASON: Final = ": payments: refused"  # and nothing else


class ReliefHelps(Checker):
    """No site takes over because of a link that fails at every site, while nothing else is broken
    that could keep the sites from telling each other.
    """

    name: ClassVar[str] = "relief helps"
    sees = (EpochChanged, FaultBegan, FaultEnded, AllHealed)

    def __init__(self) -> None:
        self.since: float | None = None  # it fails everywhere
        self.alone = True  # nothing that carries or makes reports is broken, or was

    def see(self, event: Event) -> None:
        match event:
            case FaultBegan(fault=fault, at=at) if fault == EVERYWHERE:
                self.since = at
            case FaultBegan(fault=fault) if fault.startswith(SILENCING):
                self.alone = False
            case FaultEnded(fault=fault) if fault in (EVERYWHERE, ALONE):
                self.since = None
            case AllHealed():
                self.since, self.alone = None, True
            case EpochChanged(rule=rule, reason=reason) if rule == RELIEVED:
                if self.since is not None and self.alone and reason.endswith(REASON):
                    self._relieved(event, self.since)
            case _:
                pass

    def _relieved(self, event: EpochChanged, since: float) -> None:
        if event.at - since > FOUND_S:
            self.broken(
                event.at,
                f"{event.by} takes epoch {event.epoch} of {event.service} because of what has "
                f"failed at every site for {event.at - since:.1f} s",
            )
