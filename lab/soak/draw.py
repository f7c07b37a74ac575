"""Phases from a seed: what breaks when, and what mends it, each phase a scenario of its own.

The same seed and number give the same phase, whatever was played before. Nothing is known here of
who holds what: a site that is named may be the holder or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from lab.scenario.arguments import ARGUMENTS, RUNS_AT, WITNESS
from lab.scenario.language import Scenario, parse
from lab.scenario.matching import Mismatch, Phrase, Token, match
from lab.scenario.words import ACTS, Form, Kind
from lab.soak.catalogue import DRAWN, Drawn, Reach

FORMS: Final = {form.key: form for form in ACTS}
TAKES_LONG: Final = ("flap",)  # it is over when it is done: it comes second
PAIRS: Final = 0.5  # of the blows
GAPS_S: Final = (0.0, 0.3, 1.0, 3.0)  # between the two of a pair
LASTS_S: Final = ((1.0, 4.0), (6.0, 12.0), (12.0, 24.0))  # until it is mended
BETWEEN_S: Final = (2.0, 8.0)  # from the end of a blow to the next
MENDED_IN_ORDER: Final = ("heal", "thaw", "power_on", "start")  # then people
HEAD: Final = """\
scenario "soak of seed {seed}, phase {number}"
rows: 63
worlds: lab because it was drawn for the lab
given a healthy cluster{holder}
"""
TAIL: Final = """\
never two sites acknowledge
finally no acknowledged write is missing
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and the sentence that mends it."""

    phrase: Phrase
    mended: str = ""

    @property
    def drawn(self) -> Drawn:
        """How it was drawn."""
        return DRAWN[self.phrase.key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What is done between two quiet points."""

    seed: int
    number: int
    faults: tuple[Fault, ...]
    text: str  # the scenario that plays it

    def scenario(self) -> Scenario:
        """As the player reads it."""
        (found,) = parse(self.text, f"(soak of seed {self.seed})")
        return found

    @property
    def name(self) -> str:
        """Its faults in a line."""
        return "; ".join(fault_text(fault.phrase) for fault in self.faults)


def phase(seed: int, number: int, holder: str = "") -> Phase:
    """The phase of this number; `holder` holds the wallet when it begins, if one is named."""
    dice = Random(f"{seed}/{number}")
    faults: list[Fault] = []
    lines: list[tuple[float, str]] = []
    at = 1.0
    blows = dice.choice((1, 1, 2))
    for _ in range(blows):
        blow = _blow(dice, only=blows == 1)
        faults += blow
        lines += (found := _timed(dice, blow, at))
        at = max(when for when, _ in found) + dice.uniform(*BETWEEN_S)
    head = HEAD.format(seed=seed, number=number, holder=f", {holder} holds wallet" * bool(holder))
    body = "".join(f"at {when:.1f}s {said}\n" for when, said in lines)
    return Phase(seed=seed, number=number, faults=tuple(faults), text=head + body + TAIL)


def phases(seed: int) -> Iterator[Phase]:
    """All of them; there is no last one."""
    number = 0
    while True:
        number += 1
        yield phase(seed, number)


def sites_of(phrase: Phrase) -> frozenset[str]:
    """The sites that it concerns."""
    named = {
        str(phrase.arguments[word]) for word in ("DC", "SITE", "OTHER") if word in phrase.arguments
    }
    if named:
        return frozenset(named)
    if "keeper" in phrase.form.words:
        return frozenset({WITNESS})
    everywhere = phrase.arguments.get("PROGRAM") or phrase.arguments.get("UNIT")
    return frozenset(RUNS_AT[str(everywhere)]) if everywhere else frozenset()


def go_together(first: Phrase, second: Phrase) -> bool:
    """Whether the second can be drawn while the first lasts."""
    if first == second:
        return False
    reaches = DRAWN[first.key].reach, DRAWN[second.key].reach
    if Reach.ALONE in reaches or reaches[1] is Reach.ORDER:
        return False
    if reaches[0] is Reach.ORDER:
        return len(sites_of(second)) == 1
    return Reach.SITE not in reaches or not sites_of(first) & sites_of(second)


def fault_text(phrase: Phrase) -> str:
    """The sentence as the language has it, percentages and durations included."""
    return " ".join(_spoken(word, phrase) for word in phrase.form.words)


def _spoken(word: str, phrase: Phrase) -> str:
    value = phrase.arguments.get(word, word)
    return {"PERCENT": f"{value}%", "DURATION": f"{value}s"}.get(word, str(value))


def _blow(dice: Random, *, only: bool) -> list[Fault]:
    """One fault, or two that are there together; what goes with nothing, in a phase of its own."""
    first = _fault(dice)
    while first.drawn.reach is Reach.ALONE and not only:
        first = _fault(dice)
    if first.drawn.reach is Reach.ALONE or dice.random() >= PAIRS:
        return [first]
    while not go_together(first.phrase, (second := _fault(dice)).phrase):
        pass
    return sorted([first, second], key=lambda fault: fault.phrase.key in TAKES_LONG)


def _fault(dice: Random) -> Fault:
    keys = sorted(DRAWN)
    (key,) = dice.choices(keys, [DRAWN[key].weight for key in keys])
    found = _said(dice, FORMS[key])
    while not isinstance(found, Phrase):  # as dc1 and itself
        found = _said(dice, FORMS[key])
    mending = DRAWN[key].mended_by
    mended = " ".join(_spoken(word, found) for word in FORMS[mending].words) if mending else ""
    return Fault(phrase=found, mended=mended)


def _said(dice: Random, form: Form) -> Phrase | Mismatch:
    """A sentence of this form, or what stands against the words that were drawn."""
    given = DRAWN[form.key].values
    words = [_word(dice, word, given.get(word, ())) for word in form.words]
    return match(Kind.ACT, [Token(word, 1) for word in words])


def _word(dice: Random, word: str, given: Sequence[str]) -> str:
    if word not in ARGUMENTS:
        return word
    return dice.choice(given or ARGUMENTS[word].values)


def _timed(dice: Random, blow: Sequence[Fault], at: float) -> list[tuple[float, str]]:
    """When each is done, and then when each is mended: links before what needs them."""
    lines: list[tuple[float, str]] = []
    for fault in blow:
        lines.append((at, fault_text(fault.phrase)))
        at += dice.choice(GAPS_S)
    mends = sorted(
        (fault for fault in blow if fault.mended), key=lambda fault: _turn(fault.drawn.mended_by)
    )
    at += dice.uniform(*dice.choice(LASTS_S)) if mends else 0.0
    for fault in mends:
        lines.append((at, fault.mended))
        at += dice.choice(GAPS_S)
    return lines


def _turn(mending: str) -> int:
    """Its place in the order of mending."""
    beginnings = [mending.startswith(found) for found in MENDED_IN_ORDER]
    return beginnings.index(True) if True in beginnings else len(beginnings)
