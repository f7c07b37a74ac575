"""The spaces in which the design must lose nothing: small ones for every run, deep ones."""

from typing import Final

from tests.model.space import Family, Space

EVERYTHING: Final = frozenset(Family) - {Family.VOTERS, Family.LEARNERS}


def _space(name: str, epochs: int, writes: int, *families: Family, copies: int = 3) -> Space:
    return Space(
        name=name, epochs=epochs, writes=writes, families=frozenset(families), copies=copies
    )


SMALL: Final = (
    _space("takeovers", 3, 1),
    _space("crashes", 2, 1, Family.RESTART),
    _space("torn tails", 2, 1, Family.TORN),
    _space("late acknowledgements", 2, 1, Family.LATE),
    _space("hand-over", 2, 1, Family.PLANNED),
    _space("two or three voters", 2, 1, Family.VOTERS),
    _space("learners", 2, 1, Family.LEARNERS),
    _space("alone", 2, 1, Family.SINGLE),
)
DEEP: Final = (
    _space("takeovers", 4, 3),
    _space("regained epochs", 5, 1),
    _space("crashes", 3, 2, Family.RESTART),
    _space("torn tails", 3, 2, Family.TORN),
    _space("late acknowledgements", 3, 2, Family.LATE),
    _space("hand-over", 4, 2, Family.PLANNED),
    _space("two or three voters", 3, 2, Family.VOTERS),
    _space("two to four voters", 2, 1, Family.VOTERS, copies=4),
    _space("learners", 3, 2, Family.LEARNERS),
    _space("learners, crashes", 2, 2, Family.LEARNERS, Family.RESTART),
    _space("learners, hand-over", 2, 2, Family.LEARNERS, Family.PLANNED),
    _space("alone", 3, 2, Family.SINGLE),
    _space("alone, then more voters", 3, 1, Family.SINGLE, Family.VOTERS),
    _space("crashes, torn, late", 2, 2, Family.RESTART, Family.TORN, Family.LATE),
    Space(name="everything but changes of voters", epochs=2, writes=1, families=EVERYTHING),
)
