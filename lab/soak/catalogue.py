"""Which acts of the vocabulary a soak draws, and what mends each; the rest has its reason here.

Drawn is what the lab can do and what heals by itself once it is mended. What needs a person who
rebuilds a copy by hand is left out, for nobody does so in a soak.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final


class Reach(Enum):
    """What a fault takes away, and so what it can be drawn with."""

    PART = auto()  # a link, a process: with anything
    SITE = auto()  # everything that a site runs: with what concerns other sites
    ORDER = auto()  # an operator's, who has to be answered: before what concerns one site
    ALONE = auto()  # with nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How one act is drawn."""

    mended_by: str = ""  # the key of the act that ends it; "" when it ends by itself
    reach: Reach = Reach.PART
    weight: int = 2
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of arguments


_MOVES: Final = {"SERVICE": ("wallet", "lobby")}

DRAWN: Final[Mapping[str, Drawn]] = {
    "cut": Drawn(mended_by="heal", weight=4),
    "cut_wan": Drawn(mended_by="heal"),
    "cut_internet": Drawn(mended_by="heal"),
    "part": Drawn(mended_by="heal"),
    "cut_in": Drawn(mended_by="heal"),
    "cut_out": Drawn(mended_by="heal"),
    "drop_log": Drawn(mended_by="heal"),
    "drop_control": Drawn(mended_by="heal"),
    "lose": Drawn(mended_by="heal", values={"PERCENT": ("3%", "10%", "30%")}),
    "flap": Drawn(values={"DURATION": ("300ms", "1s", "2s"), "COUNT": ("2", "4", "6")}),
    "kill": Drawn(weight=6),
    "kill_all": Drawn(),
    "kill_keeper": Drawn(),
    "stop": Drawn(mended_by="start", weight=4),
    "stop_all": Drawn(mended_by="start_all"),
    "freeze": Drawn(mended_by="thaw", weight=6),
    "freeze_site": Drawn(mended_by="thaw_site", reach=Reach.SITE),
    "freeze_keeper": Drawn(mended_by="thaw_keeper"),
    "power_off": Drawn(mended_by="power_on", reach=Reach.SITE, weight=4),
    "misconfigure": Drawn(mended_by="correct", reach=Reach.ALONE, weight=1),
    "audit_full": Drawn(mended_by="audit_room", reach=Reach.ALONE, weight=1),
    "compact": Drawn(reach=Reach.ALONE, weight=1),
    "switchover": Drawn(reach=Reach.ORDER, weight=4, values=_MOVES),
    "failover": Drawn(reach=Reach.ORDER, values=_MOVES),
    "pause": Drawn(mended_by="resume", reach=Reach.ORDER),
    "drain": Drawn(mended_by="undrain", reach=Reach.ORDER),
}

_BY_HAND: Final = "what follows is rebuilt by hand, and nobody does so in a soak"
_GIVEN: Final = "it needs a configuration that a scenario begins with"
_TAMPERED: Final = "it touches nothing but the audit log, and the scenarios of it show what is said"

LEFT_OUT: Final[Mapping[str, str]] = {
    "force_single": _BY_HAND,
    "forced_failover": _BY_HAND,
    "promote_by_hand": _BY_HAND,
    "remember": "it is of use only before the store is restored",
    "roll_back": _BY_HAND,
    "empty": _BY_HAND,
    "roll_on": "nothing was restored",
    "stick": "the lab's configuration allows no more-specifics: clients of that provider just wait",
    "unstick": "nothing is stuck",
    "put_right": "nothing was restored",
    "sicken": _GIVEN,
    "cure": _GIVEN,
    "sicken_all": _GIVEN,
    "cure_all": _GIVEN,
    "approve": _GIVEN,
    "approve_own": _GIVEN,
    "approve_other": _GIVEN,
    "decline": _GIVEN,
    "withdraw": "a move is not asked without being meant",
    "fence": "where it is refused there is nothing to end; the scenarios of it show both",
    "unfence": "nothing is fenced",
    "reinit": "where it is refused there is nothing to wait for; the scenarios of it show both",
    "rejoin": "a quiet moment has nothing that rests; the scenario of it shows one",
    "demote": "with one voter fewer the next fault stops the service; the scenarios show it",
    "promote": "nobody only learns",
    "prefer": "two data sites have nobody to choose between",
    "prefer_none": "nobody is preferred",
    "allow_move": "the flap window is taken away at every quiet point",
    "crash_after": "the daemon that dies so is not the supervisor's; tests/lab lets it die so",
    "second": "it shows something only while the first one runs",
    "heal_all": "each fault is mended by itself",
    "audit_cut": _TAMPERED,
    "audit_edit": _TAMPERED,
    "audit_delete": _TAMPERED,
    "audit_reorder": _TAMPERED,
}
