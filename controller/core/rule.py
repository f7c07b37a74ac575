"""What one row of the role table is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from bgp.policy import Stance
from controller.core import raising, sequences, wants
from controller.core.intents import Intent
from controller.core.ladder import AnyStep
from controller.core.model import Role, SiteName
from controller.core.reason import Reason
from controller.core.view import View
from controller.core.wants import Keep

Guard = Callable[[View], bool]


@cache
def no(guard: Guard) -> Guard:
    """The opposite, under a name that the evidence can show; of one guard always the same one."""

    def opposite(view: View) -> bool:
        return not guard(view)

    opposite.__name__ = f"not_{guard.__name__}"
    return opposite


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row."""

    number: int
    when: tuple[Guard, ...]
    role: Callable[[View], Role]
    reason: Reason
    ladder: tuple[AnyStep, ...] = sequences.NOTHING
    ladder_name: str = ""
    stance: Callable[[View], Stance | None] = wants.hold_routes
    traffic: Callable[[View], SiteName | Keep | None] = wants.keep_traffic
    intent: Callable[[View], Intent | None] | None = None
    may_yield: bool = False
    refusals: Callable[[View], tuple[str, ...]] = raising.no_refusals
