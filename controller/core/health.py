"""Probe samples to a debounced verdict: `fall` failures in a row to go down, `rise` to come up.

A link that is down is told to the other sites by its name, so that a holder can see whether they
suffer from the same.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is believed of one probed thing."""

    rise: int
    fall: int
    every_s: float = 1.0  # between two samples, at most
    up: bool = True
    streak: int = 0  # samples in a row that contradict `up`
    detail: str = ""

    @property
    def settles_s(self) -> float:
        """By then, everybody who looks at the same thing has found what one has found."""
        return max(self.rise, self.fall) * self.every_s


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingLink:
    """A link of a site's health chain that is down."""

    link: str
    detail: str
    settles_s: float
    shared: bool = False  # configured as the same for every site: it moves nothing


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
