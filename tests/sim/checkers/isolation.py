"""(j) A site that reaches nobody says so: its clients are refused, they do not wait."""

from typing import ClassVar

from controller.core.model import ServiceName, SiteName
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.disturbed import Disturbed
from tests.sim.checkers.epochs import RESTORED
from tests.sim.truth import (
    AllHealed,
    ClientTold,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    LossStated,
    Promoted,
)

REFUSES_S = 5.0  # found out, said, and the last request that waited has timed out
LINKS = frozenset({"cut_link", "cut_one_way"})


class CutOffRefuses(Checker):
    """No request that comes in at a data site is directed to its own servers `REFUSES_S` after all
    packets of all other sites began to be lost there, unless an operator has it serve alone, or its
    controller is not there to say so.
    """

    name: ClassVar[str] = "cut off refuses"
    sees = (ClientTold, FaultBegan, FaultEnded, AllHealed, Promoted, LossStated, EpochChanged)

    def __init__(self) -> None:
        self.sites: set[str] = set()
        self.cut: set[tuple[str, str]] = set()  # sender and receiver: nothing passes
        self.touched: dict[str, float] = {}  # when anything at a site was broken or mended
        self.excused: set[ServiceName] = set()
        self.silenced = Disturbed(_leaves_the_controller)

    def see(self, event: Event) -> None:
        self.silenced.see(event)
        match event:
            case ClientTold(ok=False):
                self._refused_late(event)
            case FaultBegan(fault=fault, args=args):
                self._fault(event.at, fault, args, began=True)
            case FaultEnded(fault=fault, args=args):
                self._fault(event.at, fault, args, began=False)
            case AllHealed():
                self.cut.clear()
            case Promoted(copies=copies):
                self.sites.update(copy.site for copy in copies)
            case LossStated(service=service):
                self.excused.add(service)
            case EpochChanged(service=service, by=by) if by == RESTORED:
                self.excused.add(service)
            case _:
                pass

    def _fault(self, at: float, fault: str, args: tuple[str, ...], *, began: bool) -> None:
        for site in self.sites:
            if not args or any(site in arg for arg in args):
                self.touched[site] = at
        if fault == "cut_site" and not began:  # so does whatever else was cut of its links
            self.cut = {pair for pair in self.cut if args[0] not in pair}
        if fault not in LINKS:
            return
        pairs = [(args[0], args[1])]
        if fault == "cut_link":
            pairs.append((args[1], args[0]))
        for pair in pairs:
            if not began:  # what was mended passes, whatever else was cut
                self.cut.discard(pair)
            elif args[2] == "all":
                self.cut.add(pair)

    def _cut_off(self, site: SiteName) -> bool:
        return all((other, site) in self.cut for other in self.sites - {site})

    def _refused_late(self, event: ClientTold) -> None:
        site = event.site
        if site is None or event.entry != site or event.service in self.excused:
            return
        if not self.sites or not self._cut_off(site):
            return
        since = max(self.touched.get(site, event.at), self.silenced.until(site, event.at))
        waited_s = event.at - since
        if waited_s > REFUSES_S:
            self.broken(
                event.at,
                f"{event.client} waits for an answer of {site}, which nobody has reached for "
                f"{waited_s:.1f} s",
            )


def _leaves_the_controller(fault: str, what: str) -> bool:
    return fault not in ("kill", "freeze", "hang") or what != "controller"
