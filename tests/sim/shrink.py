"""A failing history made short: the fewest faults that still break the same promise."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.sim.checkers import Violation
from tests.sim.plan import Fault, Plan

T = TypeVar("T")
Fails = Callable[[tuple[T, ...]], bool]
SPARE_S = 1.0
SAME_WORDS = 4  # of two violations that are alike


def fewest(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of `items`, in order, that still fails and of which no single one can be left out.

    Delta debugging (Zeller and Hildebrandt, `ddmin`).
    """
    kept = tuple(items)
    if not fails(kept):
        raise ValueError("the whole does not fail: nothing to shrink")
    if fails(()):
        return ()
    parts = 2
    while len(kept) >= 2:
        size = -(-len(kept) // parts)
        blocks = [kept[i : i + size] for i in range(0, len(kept), size)]
        smaller = _first_failing(blocks, fails)
        if smaller is not None:
            parts = 2 if smaller in blocks else max(parts - 1, 2)
            kept = smaller
        elif parts >= len(kept):
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept


def _first_failing(
    blocks: Sequence[tuple[T, ...]], fails: Callable[[tuple[T, ...]], bool]
) -> tuple[T, ...] | None:
    """A block alone, or everything but a block."""
    for block in blocks:
        if fails(block):
            return block
    for left_out in range(len(blocks) if len(blocks) > 2 else 0):
        rest = tuple(x for i, block in enumerate(blocks) if i != left_out for x in block)
        if fails(rest):
            return rest
    return None


def shrink(
    plan: Plan, found: Violation, run: Callable[[Plan], Violation | None], most: int = 400
) -> Plan:
    """The shortest plan found that breaks the promise of the same checker; at most `most` runs."""
    left = most

    def fails(candidate: Plan) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            return False
        violation = run(candidate)
        return violation is not None and _kind(violation) == _kind(found)

    def still(faults: tuple[Fault, ...]) -> bool:
        return fails(plan.with_faults(faults))

    shorter = plan.with_faults(fewest(plan.faults, still))
    return _simpler(shorter, fails)


def _kind(violation: Violation) -> tuple[str, str]:
    """Which promise, and broken how; numbers, of sites too, do not matter."""
    words = re.sub(r"[0-9.]+", "", violation.text).split()
    return violation.checker, " ".join(words[:SAME_WORDS])


def _simpler(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Ends soon after its last fault, whose times are round numbers where that is possible."""
    last = max((fault.at for fault in plan.faults), default=0.0)
    sooner = replace(plan, lasts_s=last + SPARE_S)
    if sooner.lasts_s < plan.lasts_s and fails(sooner):
        plan = sooner
    for digits in (0, 1):
        for number, fault in enumerate(plan.faults):
            rounder = replace(fault, at=round(fault.at, digits))
            faults = (*plan.faults[:number], rounder, *plan.faults[number + 1 :])
            if rounder != fault and fails(plan.with_faults(faults)):
                plan = plan.with_faults(faults)
    return plan
