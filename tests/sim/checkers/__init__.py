"""Checkers: what must hold, watched in true time and never from what the nodes believe."""

from tests.sim.checkers.checker import Checker
from tests.sim.checkers.epochs import EpochsRise
from tests.sim.checkers.healing import Heals
from tests.sim.checkers.isolation import CutOffRefuses
from tests.sim.checkers.ladders import LaddersEnd
from tests.sim.checkers.moves import MovesNeeded
from tests.sim.checkers.nothing_lost import NothingLost
from tests.sim.checkers.one_writer import OneWriter
from tests.sim.checkers.pauses import PausesHold
from tests.sim.checkers.promises import PromisesKept
from tests.sim.checkers.promotions import PromotionsProved
from tests.sim.checkers.reads import ReadsSeeWrites
from tests.sim.checkers.reasons import ReasonsGiven
from tests.sim.checkers.relief import ReliefHelps
from tests.sim.checkers.routes import RoutesFollowTheHolder
from tests.sim.checkers.violation import Violation
from tests.sim.checkers.voters import VotersHold

KINDS: tuple[type[Checker], ...] = (
    NothingLost,
    OneWriter,
    ReadsSeeWrites,
    EpochsRise,
    PromisesKept,
    PromotionsProved,
    VotersHold,
    RoutesFollowTheHolder,
    LaddersEnd,
    Heals,
    MovesNeeded,
    ReasonsGiven,
    PausesHold,
    CutOffRefuses,
    ReliefHelps,
)


def every_checker(flap_window_s: float = 0.0) -> tuple[Checker, ...]:
    """One of each, new, for a cluster with this flap window."""
    return (MovesNeeded(flap_window_s), *(kind() for kind in KINDS if kind is not MovesNeeded))


__all__ = ["KINDS", "Checker", "Violation", "every_checker"]
