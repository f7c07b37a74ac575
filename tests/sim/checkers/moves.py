"""(g) No role changes that nothing asks for: a holder that the witness hears, a move within the
flap window.
"""

from typing import ClassVar

from controller.core.model import DatabaseName, ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.truth import (
    AllHealed,
    Closed,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    GateSet,
    RequestMade,
    SiteFenced,
)

SILENT = frozenset({320, 321})  # rules that say: silent to this site and to the witness
RELIEVED = frozenset({323, 324})  # rules that the flap window holds back
WITNESSED_S = 2.0  # heard for so long without a break is not silent
TOLD_S = 4.0  # the record of the last move has reached the store
NEVER = float("inf")
UNTOUCHED_S = 5.0  # nothing that carries requests was broken or mended for so long


class MovesNeeded(Checker):
    """Nobody is deposed as silent whom the witness hears, or whose data path works while only what
    decides is gone; relief keeps to the flap window, unless an operator keeps the holder out.
    """

    name: ClassVar[str] = "moves needed"
    sees = (
        *(EpochChanged, FaultBegan, FaultEnded, AllHealed),
        *(RequestMade, SiteFenced, GateSet, Closed),
    )

    def __init__(self, flap_window_s: float = 0.0) -> None:
        self.flap_window_s = flap_window_s
        self.last: dict[ServiceName, EpochChanged] = {}
        self.disturbed = Disturbed()
        self.path = Disturbed(_only_decides)
        self.asked: set[ServiceName] = set()
        self.fenced: dict[SiteName, float] = {}  # site -> until when, as far as everybody has heard
        self.open: dict[tuple[ServiceName, SiteName], dict[DatabaseName, float]] = {}

    def see(self, event: Event) -> None:
        match event:
            case EpochChanged():
                self._changed(event)
            case RequestMade(service=service):
                self.asked.add(service)
            case GateSet(service=service, site=site, database=database, opened=opened, at=at):
                self.open.setdefault((service, site), {})[database] = at if opened else NEVER
            case SiteFenced(site=site, stands=stands, at=at):
                self.fenced[site] = NEVER if stands else at + TOLD_S
            case Closed(service=service, site=site, database=database):
                self.open.setdefault((service, site), {})[database] = NEVER
            case _:
                self.disturbed.see(event)
                self.path.see(event)

    def _serves(self, service: ServiceName, site: SiteName, at: float) -> bool:
        """Its databases are open, and nothing on their way to clients was touched, for a while."""
        gates = self.open.get((service, site), {})
        untouched = not any(at - UNTOUCHED_S <= when for when in self.path.times(at))
        served = all(opened < at for opened in gates.values())
        return bool(gates) and served and untouched and self.path.quiet()

    def _changed(self, event: EpochChanged) -> None:
        last = self.last.get(event.service)
        if event.rule in SILENT and last and self._serves(event.service, last.holder, event.at):
            self.broken(
                event.at,
                f"{event.by} takes epoch {event.epoch} of {event.service} by rule {event.rule}; "
                f"{last.holder} serves, and nothing has failed but what decides",
            )
        if event.rule in SILENT and event.witnessed_s > WITNESSED_S:
            self.broken(
                event.at,
                f"{event.by} takes epoch {event.epoch} of {event.service} by rule {event.rule}; a "
                f"witness it hears has heard the holder for {event.witnessed_s:.1f} s",
            )
        self.last[event.service] = event
        if last is None or event.rule not in RELIEVED or event.service in self.asked:
            return
        if event.at <= self.fenced.get(last.holder, 0.0):
            return
        ago = event.at - last.at
        noted = last.kind in ("failover", "handover") and self._undisturbed(last.at, event.at)
        if noted and TOLD_S < ago < self.flap_window_s:
            self.broken(
                event.at,
                f"{event.by} takes epoch {event.epoch} of {event.service} by rule {event.rule}, "
                f"{ago:.1f} s after the last move; the flap window is {self.flap_window_s:g} s",
            )

    def _undisturbed(self, began: float, now: float) -> bool:
        """Nothing was broken or mended while the last move was being written down."""
        return not any(began <= at <= began + TOLD_S for at in self.disturbed.times(now))


def _only_decides(fault: str, what: str) -> bool:
    """Without it nothing changes for clients."""
    return fault in ("kill", "crash", "freeze") and what in ("controller", "witness", "etcd")
