"""Probe samples to a debounced verdict: `fall` failures in a row to go down, `rise` to come up."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is believed of one probed thing."""

    rise: int
    fall: int
    up: bool = True
    streak: int = 0  # samples in a row that contradict `up`
    detail: str = ""


def heard(verdict: Verdict, *, ok: bool, detail: str) -> Verdict:
    """The verdict after one more sample."""
    assert verdict.rise > 0
    assert verdict.fall > 0
    if ok == verdict.up:
        return replace(verdict, streak=0, detail=detail)
    streak = verdict.streak + 1
    needed = verdict.rise if ok else verdict.fall
    if streak >= needed:
        return replace(verdict, up=ok, streak=0, detail=detail)
    return replace(verdict, streak=streak, detail=detail)
