"""decide(view): the first rule that fits, the next rungs of its ladder, and what follows.

Pure: the same view gives the same decision. The last rule fits everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from bgp.policy import Stance
from controller.core import asked, fencing, strays, troubles, voters
from controller.core.intents import (
    Announce,
    Direct,
    ForwardStrays,
    HoldTraffic,
    Intent,
    lane,
)
from controller.core.ladder import Rung, climb
from controller.core.model import Role, SiteName
from controller.core.reason import Reason
from controller.core.rule import Guard, Rule
from controller.core.rules import RULES
from controller.core.view import View
from controller.core.wants import HOLD, KEEP, Keep

Asked: TypeAlias = tuple[int, Guard, int, int]  # which; if it does not hold: row, and where in it
Row: TypeAlias = tuple[Rule, tuple[Asked, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and why."""

    rule: int
    role: Role
    reason: Reason
    evidence: Mapping[str, bool]  # the guards of the rule, all true
    ladder: str
    rungs: tuple[Rung, ...]
    intents: tuple[Intent, ...]  # at most one a lane, none of a busy lane
    stance: Stance | None  # what the routes should say, renewed every turn; None: leave them be
    traffic: SiteName | Keep | None
    yielding: str
    eligible: bool
    not_eligible_because: tuple[str, ...]
    refused_because: tuple[str, ...] = ()


def decide(view: View) -> Decision:
    """The decision for `view`. Total: every view has one."""
    rule = _first_that_fits(view)
    rungs = climb(rule.ladder, view)
    stance = rule.stance(view)
    traffic = rule.traffic(view)
    wanted = [*(rung.intent for rung in rungs if rung.intent is not None)]
    if rule.intent is not None and (extra := rule.intent(view)) is not None:
        wanted.insert(0, extra)
    if traffic is HOLD:
        if view.own.front_ok and view.own.can_hold and not view.own.held:
            wanted.append(HoldTraffic())
    elif not isinstance(traffic, Keep) and not _directed(view, traffic):
        wanted.append(Direct(site=traffic))
    if stance is not None and _announce_due(view, stance):
        wanted.append(Announce(stance=stance, epoch=view.own.promised))
    if view.own.can_forward and view.own.strays_to != (edge := strays.other_edge(view)):
        wanted.append(ForwardStrays(site=edge))
    if (change := voters.change(view)) is not None:
        wanted.append(change)
    if (closing := fencing.close_fenced(view)) is not None:
        wanted.append(closing)
    if (settled := asked.settlement(view)) is not None:
        wanted.append(settled)
    because = (
        *troubles.ineligible_reasons(view),
        *troubles.unfollowed_reasons(view),
        *troubles.service_reasons(view),
    )
    return Decision(
        rule=rule.number,
        role=rule.role(view),
        reason=rule.reason,
        evidence={guard.__name__: True for guard in rule.when},
        ladder=rule.ladder_name,
        rungs=rungs,
        intents=_one_a_lane(wanted, view.busy),
        stance=stance,
        traffic=traffic,
        yielding="; ".join(troubles.yield_reasons(view)) if rule.may_yield else "",
        eligible=not because,
        not_eligible_because=because,
        refused_because=rule.refusals(view),
    )


def _with_leaps(rules: tuple[Rule, ...]) -> tuple[Row, ...]:
    """Each row with its guards, and for each the next row that does not ask it.

    Guards that the two rows begin with alike are known to hold there.
    """
    numbers: dict[Guard, int] = {}
    rows: list[Row] = []
    for at, rule in enumerate(rules):
        asked: list[Asked] = []
        for place, guard in enumerate(rule.when):
            beyond = _beyond(rules, at, guard)
            alike = _alike(rule.when[:place], rules[beyond].when)
            asked.append((numbers.setdefault(guard, len(numbers)), guard, beyond, alike))
        rows.append((rule, tuple(asked)))
    return tuple(rows)


def _beyond(rules: tuple[Rule, ...], number: int, guard: Guard) -> int:
    while guard in rules[number].when:
        number += 1
    return number


def _alike(held: tuple[Guard, ...], when: tuple[Guard, ...]) -> int:
    pairs = enumerate(zip(held, when, strict=False))
    return next(
        (place for place, (one, other) in pairs if one is not other), min(len(held), len(when))
    )


ROWS: Final = _with_leaps(RULES)  # the last rule has no guard
GUARDS: Final = len({number for _, asked in ROWS for number, *_ in asked})


def _first_that_fits(view: View) -> Rule:
    """The first rule whose guards all hold.

    Many rules share a guard: each is asked once, and one that does not hold rules out at one go
    all the rows in succession that ask it.
    """
    known: list[bool | None] = [None] * GUARDS
    row = place = 0
    while True:
        rule, asked = ROWS[row]
        for number, guard, beyond, alike in asked[place:] if place else asked:
            held = known[number]
            if held is None:
                held = known[number] = guard(view)
            if not held:
                row, place = beyond, alike
                break
        else:
            return rule


def _directed(view: View, site: SiteName | None) -> bool:
    if not view.own.front_ok:
        return True  # nothing listens: asking again would only fail
    wanted = frozenset() if site is None else frozenset({site})
    return view.own.directed_to == wanted and not view.own.held


def _announce_due(view: View, stance: Stance) -> bool:
    return view.own.stance is not stance or view.own.stance_epoch != view.own.promised


def _one_a_lane(wanted: list[Intent], busy: frozenset[str]) -> tuple[Intent, ...]:
    taken = set(busy)
    chosen: list[Intent] = []
    for intent in wanted:
        if lane(intent) not in taken:
            taken.add(lane(intent))
            chosen.append(intent)
    return tuple(chosen)


__all__ = ["KEEP", "Decision", "decide"]
