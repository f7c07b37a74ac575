"""Drawn histories: faults alone, in pairs or more, in time or at the worst moment, or by a recipe.

The same number draws the same plan, on every machine.
"""

import random
from dataclasses import replace

from tests.sim.catalogue import CATALOGUE, Breakage
from tests.sim.plan import Fault, Mend, Moment, Plan
from tests.sim.recipes import recipe_for
from tests.sim.shape import SHAPES, Shape

SHAPE_WEIGHTS = {
    "postgres": 40,
    "mariadb": 20,
    "mysql": 5,
    "both": 8,
    "two": 6,
    "lease": 12,
    "three": 8,
    "five": 9,
}
COUNTS = (1, 1, 2, 2, 2, 3, 3, 4, 5, 6)
WARM_S = 3.0  # the cluster has begun to serve
LEAST_S = 25.0  # and at least five more to settle
SOON_S, AGAIN = 12.0, 0.3  # so often is a cluster that has been through faults met by others
BY_RECIPE = 0.6
AT_A_MOMENT = 0.35  # of the faults that are not the first
TOGETHER = 0.3  # as many come right after the one before
# What somebody does by hand is mended while no more than one thing fails: docs/testing.md.
ALMOST_ALONE = frozenset({"promote_by_hand"})
# A snapshot of the same epoch, from before a learner was promoted: docs/architecture.md, Not yet.
RESTORED, VOTED = "restore_etcd", "vote"
INTENTS = {  # by how much a fault just there has to tell
    "RaiseEpoch": 5,
    "Promise": 2,
    "FenceOthers": 1,
    "StartDatabase": 1,
    "CloseDatabase": 2,
    "SealDatabase": 4,
    "CatchUp": 3,
    "Promote": 6,
    "Admit": 3,
    "SetGate": 3,
    "Rejoin": 3,
    "Follow": 3,
    "Announce": 3,
    "Direct": 2,
    "RenewLease": 1,
    "SettleRequest": 2,
    "SetLearners": 1,
}


def drawn(number: int) -> Plan:
    """The plan of this number."""
    dice = random.Random(f"plan {number}")
    shape = dice.choices(tuple(SHAPE_WEIGHTS), tuple(SHAPE_WEIGHTS.values()))[0]
    at = WARM_S + 1.5 * dice.random()
    faults = _by_recipe(dice, SHAPES[shape], at) if dice.random() < BY_RECIPE else []
    if not faults or dice.random() < 0.4:
        faults.extend(_loose(dice, SHAPES[shape], at, many=not faults))
    latest = max(fault.at for fault in faults)
    if latest < SOON_S and dice.random() < AGAIN:
        at = latest + 2.0 + 6.0 * dice.random()
        again = dice.random() < BY_RECIPE
        faults.extend(
            _by_recipe(dice, SHAPES[shape], at)
            if again
            else _loose(dice, SHAPES[shape], at, many=False)
        )
        latest = max(fault.at for fault in faults)
    lasts = max(LEAST_S, latest + dice.choice((0.5, 2.0, 5.0, 12.0)) * dice.random())
    if any(fault.name in ALMOST_ALONE for fault in faults):
        faults = [fault for fault in faults if fault.name in ALMOST_ALONE][:1] + faults[:1]
    if any(fault.name == RESTORED for fault in faults):
        faults = [fault for fault in faults if fault.name != VOTED]
    ordered = tuple(sorted(faults, key=lambda fault: fault.at))
    return Plan(seed=number, shape=shape, faults=ordered, lasts_s=round(lasts, 3))


def _by_recipe(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    return recipe_for(dice, shape)(dice, shape, at)


def _loose(dice: random.Random, shape: Shape, at: float, *, many: bool) -> list[Fault]:
    """Any faults of the catalogue."""
    faults: list[Fault] = []
    for place in range(dice.choice(COUNTS if many else COUNTS[:4])):
        if place and dice.random() > TOGETHER:
            at += dice.choice((0.05, 0.3, 1.0, 3.0, 8.0)) * (0.5 + dice.random())
        faults.append(_drawn_fault(dice, shape, round(at, 3), first=many and not place))
    return faults


def _drawn_fault(dice: random.Random, shape: Shape, at: float, *, first: bool) -> Fault:
    """A fault and, most often, what mends it."""
    kind = _kind(dice, shape)
    args = kind.draw(dice, shape)
    fault = Fault(kind.name, args, at)
    if not first and dice.random() < AT_A_MOMENT:
        fault = replace(fault, on=_moment(dice, shape))
    if not kind.mend or dice.random() < 0.3:
        return fault
    lasts = dice.choice((0.1, 0.4, 0.9, 2.0, 5.0, 12.0)) * (0.5 + dice.random())
    return replace(fault, mend=Mend(kind.mend, kind.mended(args), round(lasts, 3)))


def _kind(dice: random.Random, shape: Shape) -> Breakage:
    fit = [kind for kind in CATALOGUE if kind.needs(shape)]
    return dice.choices(fit, [kind.weight for kind in fit])[0]


def _moment(dice: random.Random, shape: Shape) -> Moment:
    return Moment(
        site=dice.choice(shape.data_names),
        intent=dice.choices(tuple(INTENTS), tuple(INTENTS.values()))[0],
        nth=dice.choice((1, 1, 1, 2)),
        after=dice.random() < 0.5,
    )
