"""What a check says: one row about one subject."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Grade(StrEnum):
    """How it is. `unknown` is an answer: it could not be seen, and the row says why."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARN = "warn"
    BAD = "bad"


ORDER: Final = tuple(Grade)  # each is worse than those before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding. `next_step` is empty only where there is nothing to do."""

    check: str
    subject: str
    grade: Grade
    seen: str
    next_step: str = ""


def worst(rows: Iterable[Row]) -> Grade:
    """The worst grade among `rows`; ok where there is none."""
    return max((row.grade for row in rows), key=ORDER.index, default=Grade.OK)


def ok(check: str, subject: str, seen: str) -> Row:
    """Nothing to do."""
    return Row(check=check, subject=subject, grade=Grade.OK, seen=seen)


def warn(check: str, subject: str, seen: str, next_step: str) -> Row:
    """An incident would go well, and not as well as it could."""
    return Row(check=check, subject=subject, grade=Grade.WARN, seen=seen, next_step=next_step)


def bad(check: str, subject: str, seen: str, next_step: str) -> Row:
    """An incident would go wrong."""
    return Row(check=check, subject=subject, grade=Grade.BAD, seen=seen, next_step=next_step)


def unknown(check: str, subject: str, why: str, next_step: str) -> Row:
    """It could not be seen."""
    return Row(check=check, subject=subject, grade=Grade.UNKNOWN, seen=why, next_step=next_step)
