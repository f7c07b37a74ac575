"""What requests through the service address have shown: gaps, who answered, and the verdict.

The recovery time is the longest time between two good answers, which a client has seen at most; it
holds the interval between two requests, and is never less than the true outage. Times are seconds
since the watch began.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request and what came of it."""

    sent_s: float
    ended_s: float
    ok: bool
    site: str = ""  # who answered, where the answer tells
    detail: str = ""  # of one that was not good


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time without a good answer."""

    began_s: float
    ended_s: float

    @property
    def took_s(self) -> float:
        """How long it was."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which one site gave every good answer."""

    site: str
    began_s: float
    ended_s: float
    answers: int


def good(samples: Sequence[Sample]) -> list[Sample]:
    """Those that were answered well, in the order of the answers."""
    return sorted((s for s in samples if s.ok), key=lambda s: s.ended_s)


def gaps(samples: Sequence[Sample], began_s: float, ended_s: float) -> list[Gap]:
    """The times between good answers of a watch; together they are the whole watch."""
    times = [s.ended_s for s in good(samples) if began_s < s.ended_s < ended_s]
    edges = [began_s, *times, ended_s]
    return [Gap(began_s=first, ended_s=last) for first, last in pairwise(edges)]


def longest(samples: Sequence[Sample], began_s: float, ended_s: float) -> Gap:
    """The longest gap of a watch, the first of equals."""
    return max(gaps(samples, began_s, ended_s), key=lambda gap: gap.took_s)


def outages(
    samples: Sequence[Sample], began_s: float, ended_s: float, least_s: float
) -> tuple[Gap, ...]:
    """Gaps of at least `least_s`."""
    return tuple(gap for gap in gaps(samples, began_s, ended_s) if gap.took_s >= least_s)


def spans(samples: Sequence[Sample]) -> tuple[Span, ...]:
    """Who answered from when to when; an answer that names nobody is of nobody known."""
    found: list[Span] = []
    for sample in good(samples):
        if found and found[-1].site == sample.site:
            last = found[-1]
            found[-1] = Span(
                site=last.site,
                began_s=last.began_s,
                ended_s=sample.ended_s,
                answers=last.answers + 1,
            )
        else:
            found.append(
                Span(site=sample.site, began_s=sample.ended_s, ended_s=sample.ended_s, answers=1)
            )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One objective, what was measured, and whether it was met."""

    name: str
    wanted: str
    measured: str
    passed: bool


def judged(
    *, rto_s: float, gap_s: float | None, rpo_transactions: int, lost: int | None
) -> tuple[Judged, ...]:
    """Both objectives. What was not measured was not met."""
    return (
        Judged(
            name="recovery time",
            wanted=f"at most {rto_s:g} s",
            measured=NOT_MEASURED if gap_s is None else f"{gap_s:.3f} s",
            passed=gap_s is not None and gap_s <= rto_s,
        ),
        Judged(
            name="recovery point",
            wanted=f"at most {rpo_transactions} transactions",
            measured=NOT_MEASURED if lost is None else f"{lost} transactions",
            passed=lost is not None and lost <= rpo_transactions,
        ),
    )


def verdict(objectives: Sequence[Judged], aborted: str, troubles: Sequence[str]) -> str:
    """passed, failed or aborted. An objective that was missed outweighs how it came to an end."""
    if aborted and all(each.passed or each.measured == NOT_MEASURED for each in objectives):
        return "aborted"
    if aborted or troubles or not all(each.passed for each in objectives):
        return "failed"
    return "passed"


def lost_of(kind: str, evidence_lost: str) -> int | None:
    """Acknowledged transactions that a move has lost; None when nobody knows.

    The history tells where it has counted them. A hand-over raises the epoch only when the other
    log has been seen to be equal, with the gates closed: it loses none.
    """
    if evidence_lost.isascii() and evidence_lost.isdigit():
        return int(evidence_lost)
    return 0 if kind == "handover" else None
