"""Which form of sentence some words are, or where they stop being one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.scenario.arguments import ARGUMENTS, RUNS_AT, Value, read_argument
from lab.scenario.problem import near_words
from lab.scenario.words import Form, Kind, forms_of

ARTICLES: Final = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word and the column where it begins."""

    text: str
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A sentence that was understood."""

    form: Form
    arguments: Mapping[str, Value]
    negated: bool = False

    @property
    def key(self) -> str:
        """Its form's key."""
        return self.form.key

    def text(self, name: str) -> str:
        """An argument that is a word."""
        return str(self.arguments[name])

    def number(self, name: str) -> float:
        """An argument that is a number."""
        return float(self.arguments[name])

    def __str__(self) -> str:
        words = [str(self.arguments.get(word, word)) for word in self.form.words]
        return " ".join((["no"] if self.negated else []) + words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Where the words stop being any sentence."""

    token: Token | None  # None: at the end of the line
    message: str
    allowed: tuple[str, ...]
    near: tuple[str, ...] = ()


def match(kind: Kind, tokens: Sequence[Token]) -> Phrase | Mismatch:
    """The sentence of this kind that the words are, or the best that can be said against it."""
    words = [token for token in tokens if token.text not in ARTICLES]
    negated = kind is Kind.CONDITION and bool(words) and words[0].text == "no"
    if negated:
        words = words[1:]
    reach = 0
    wanted: list[str] = []
    for form in forms_of(kind):
        arguments, come = _along(form, words)
        if come == len(words) == len(form.words):
            return _fits(form, arguments, words) or Phrase(
                form=form, arguments=arguments, negated=negated
            )
        if come > reach:
            reach, wanted = come, []
        if come == reach:
            wanted.append(form.words[come] if come < len(form.words) else "")
    return _mismatch(words, reach, tuple(dict.fromkeys(wanted)), kind)


def _along(form: Form, words: Sequence[Token]) -> tuple[dict[str, Value], int]:
    """The arguments, and how many words fit."""
    arguments: dict[str, Value] = {}
    for come, (wanted, found) in enumerate(zip(form.words, words, strict=False)):
        if wanted in ARGUMENTS:
            value = read_argument(wanted, found.text)
            if value is None:
                return arguments, come
            arguments[wanted] = value
        elif wanted != found.text:
            return arguments, come
    return arguments, min(len(form.words), len(words))


def _fits(form: Form, arguments: Mapping[str, Value], words: Sequence[Token]) -> Mismatch | None:
    """What stands against it although every word fits."""
    ends = [name for name in ("DC", "SITE", "OTHER") if name in arguments]
    if len(ends) == 2 and len({arguments[name] for name in ends}) == 1:
        site = str(arguments[ends[0]])
        token = [word for word in words if word.text == site][-1]
        others = tuple(other for other in ARGUMENTS[ends[1]].values if other != site)
        return Mismatch(token=token, message=f"{site} and itself", allowed=others)
    program, place = arguments.get("PROGRAM", arguments.get("UNIT")), arguments.get("SITE")
    if program is not None and place is not None and place not in RUNS_AT[str(program)]:
        token = [word for word in words if word.text == place][-1]
        message = f"there is no {program} at {place}"
        return Mismatch(token=token, message=message, allowed=RUNS_AT[str(program)])
    return None


def _mismatch(words: Sequence[Token], reach: int, wanted: tuple[str, ...], kind: Kind) -> Mismatch:
    token = words[reach] if reach < len(words) else None
    known = tuple(
        value
        for word in wanted
        for value in (ARGUMENTS[word].values if word in ARGUMENTS else (word,))
        if value
    )
    allowed = tuple(_says(word) for word in wanted)
    found = "the line ends" if token is None else f"found {token.text!r}"
    before = " ".join(word.text for word in words[:reach])
    where = f"after {before!r}" if before else f"where {_A[kind]} begins"
    near = near_words(token.text, known) if token is not None else ()
    return Mismatch(token=token, message=f"{found} {where}", allowed=allowed, near=near)


_A: Final = {Kind.GIVEN: "a beginning", Kind.ACT: "an act", Kind.CONDITION: "a condition"}


def _says(word: str) -> str:
    if not word:
        return "the end of the line"
    if word not in ARGUMENTS:
        return word
    argument = ARGUMENTS[word]
    if not argument.values or len(argument.values) > 6:
        return argument.says
    return f"{argument.says} ({', '.join(argument.values)})"
