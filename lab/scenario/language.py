"""Reading scenarios: text in, frozen values out, or a ScenarioError that says where and what.

    scenario "dc1 is cut off silently"
    rows: 1
    worlds: sim, lab
    given a healthy cluster, dc1 holds wallet
    at 1s cut dc1 silently
    expect within 5s dc2 serves wallet
    never two sites acknowledge
    finally no acknowledged write is missing

A line is one sentence; `and` says the beginning of the line before again. `#` begins a comment.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn

from lab.scenario.arguments import seconds_of
from lab.scenario.matching import Phrase, Token, match
from lab.scenario.problem import ScenarioError, near_words
from lab.scenario.words import Kind, World

LAST_ROW: Final = 74
_TOKEN = re.compile(r'"[^"]*"|,|[^\s,"#]+|"')
_COMMENT = re.compile(r"""^((?:[^"#]|"[^"]*")*)#.*$""")


class Head(StrEnum):
    """How a line of the course of events begins."""

    AT = "at"  # at this time of the scenario, or at once if it is later already
    AFTER = "after"  # so long after the line before
    THEN = "then"  # at once
    WITHIN = "expect within"  # it comes true, at the latest so long after the last act
    FOR = "expect for"  # it is true all the time, so long
    NOW = "expect"  # it is true


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the course of events."""

    head: Head
    phrase: Phrase
    text: str
    number: int
    seconds: float = 0.0

    @property
    def is_act(self) -> bool:
        """Whether something is done, and not looked at."""
        return self.head in (Head.AT, Head.AFTER, Head.THEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario."""

    title: str
    file: str
    number: int  # of its first line
    rows: tuple[int, ...]
    worlds: frozenset[World]
    why_not: str  # why it is not for the other world
    givens: tuple[Phrase, ...]
    lines: tuple[Line, ...]
    nevers: tuple[Phrase, ...]
    finals: tuple[Phrase, ...]

    def phrases(self) -> Iterator[Phrase]:
        """Every sentence of it."""
        yield from self.givens
        yield from (line.phrase for line in self.lines)
        yield from self.nevers
        yield from self.finals


@dataclass(slots=True)
class _Draft:
    title: str
    number: int
    rows: tuple[int, ...] = ()
    worlds: frozenset[World] = frozenset(World)
    why_not: str = ""
    givens: list[Phrase] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    nevers: list[Phrase] = field(default_factory=list)
    finals: list[Phrase] = field(default_factory=list)


def read_file(path: Path) -> tuple[Scenario, ...]:
    """Every scenario of a file."""
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, file: str = "scenario") -> tuple[Scenario, ...]:
    """Every scenario of a text."""
    reader = _Reader(file)
    for number, line in enumerate(text.splitlines(), 1):
        reader.feed(number, line)
    return reader.finish()


HEADS: Final = ("scenario", "rows:", "worlds:", "given", "at", "after", "then")
HEADS_TOO: Final = (*HEADS, "expect", "never", "finally", "and")


class _Reader:
    """Reads line by line; knows the scenario that is open and how the last line began."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.done: list[Scenario] = []
        self.open: _Draft | None = None
        self.last: tuple[str, Head | None, float] | None = None
        self.number = 0
        self.text = ""

    def feed(self, number: int, text: str) -> None:
        """One line more."""
        self.number, self.text = number, text.rstrip()
        tokens = self._tokens(_COMMENT.sub(r"\1", text))
        if not tokens:
            return
        head = tokens[0]
        if head.text not in HEADS_TOO:
            self._fail(
                head,
                f"a line cannot begin with {head.text!r}",
                allowed=HEADS_TOO,
                near=near_words(head.text, HEADS_TOO),
            )
        if head.text == "scenario":
            self._begin(tokens)
            return
        if self.open is None:
            self._fail(head, f"{head.text!r} before any scenario", allowed=("scenario",))
        match head.text:
            case "rows:":
                self.open.rows = self._rows(tokens)
            case "worlds:":
                self.open.worlds, self.open.why_not = self._worlds(tokens)
            case _:
                self._sentence(self.open, tokens)

    def finish(self) -> tuple[Scenario, ...]:
        """All of them; the last one is whole."""
        self._close()
        if not self.done:
            self._fail(None, "no scenario in this file", allowed=('scenario "TITLE"',))
        return tuple(self.done)

    # --- lines -------------------------------------------------------------------------------

    def _begin(self, tokens: Sequence[Token]) -> None:
        self._close()
        title = tokens[1].text if len(tokens) > 1 else ""
        if len(tokens) != 2 or len(title) < 3 or title[0] != '"' or title[-1] != '"':
            self._fail(tokens[-1], "a scenario has one title, in quotes", allowed=('"TITLE"',))
        if any(known.title == title[1:-1] for known in self.done):
            self._fail(tokens[1], f"there is a scenario {title} in this file already")
        self.open = _Draft(title=title[1:-1], number=self.number)
        self.last = None

    def _rows(self, tokens: Sequence[Token]) -> tuple[int, ...]:
        rows: list[int] = []
        for token in (found for found in tokens[1:] if found.text != ","):
            row = int(token.text) if re.fullmatch("[0-9]{1,3}", token.text) else 0
            if not 1 <= row <= LAST_ROW:
                self._fail(token, f"no row {token.text!r}", allowed=(f"1 to {LAST_ROW}",))
            rows.append(row)
        if not rows:
            self._fail(tokens[0], "which rows of the table of faults?", allowed=("rows: 1, 2",))
        return tuple(rows)

    def _worlds(self, tokens: Sequence[Token]) -> tuple[frozenset[World], str]:
        words = [token for token in tokens[1:] if token.text != ","]
        names = [token.text for token in words]
        cut = names.index("because") if "because" in names else len(names)
        for token in words[:cut]:
            if token.text not in tuple(World):
                self._fail(
                    token,
                    f"no world {token.text!r}",
                    allowed=tuple(World),
                    near=near_words(token.text, World),
                )
        worlds = frozenset(World(name) for name in names[:cut])
        why_not = " ".join(names[cut + 1 :])
        if not worlds:
            self._fail(tokens[0], "which worlds?", allowed=tuple(World))
        if (len(worlds) < len(World)) != bool(why_not):
            self._fail(
                tokens[-1],
                "one world alone needs its reason; both worlds need none",
                allowed=("worlds: sim, lab", "worlds: sim because REASON"),
            )
        return worlds, why_not

    def _sentence(self, draft: _Draft, tokens: Sequence[Token]) -> None:
        head, rest = tokens[0], tokens[1:]
        if head.text == "and":
            if self.last is None:
                self._fail(head, "`and` needs a line before it that it can go on with")
            word, kind, seconds = self.last
        else:
            word, kind, seconds, rest = self._head(head, rest)
        self.last = (word, kind, seconds)
        match word:
            case "given":
                parts = self._parts(rest)
                draft.givens += [self._phrase(Kind.GIVEN, part, head) for part in parts]
            case "never":
                draft.nevers.append(self._phrase(Kind.CONDITION, rest, head))
            case "finally":
                draft.finals.append(self._phrase(Kind.CONDITION, rest, head))
            case _:
                assert kind is not None
                act = word != "expect"
                phrase = self._phrase(Kind.ACT if act else Kind.CONDITION, rest, head)
                draft.lines.append(
                    Line(
                        head=kind,
                        phrase=phrase,
                        text=self.text.strip(),
                        number=self.number,
                        seconds=seconds,
                    )
                )

    def _head(
        self, head: Token, rest: Sequence[Token]
    ) -> tuple[str, Head | None, float, Sequence[Token]]:
        if head.text in ("given", "never", "finally"):
            return head.text, None, 0.0, rest
        if head.text == "then":
            return head.text, Head.THEN, 0.0, rest
        if head.text in ("at", "after"):
            return head.text, Head(head.text), self._duration(head, rest), rest[1:]
        if rest and rest[0].text in ("within", "for"):
            kind = Head(f"expect {rest[0].text}")
            return head.text, kind, self._duration(rest[0], rest[1:]), rest[2:]
        return head.text, Head.NOW, 0.0, rest

    def _duration(self, before: Token, rest: Sequence[Token]) -> float:
        seconds = seconds_of(rest[0].text) if rest else None
        if seconds is None:
            found = repr(rest[0].text) if rest else "the end of the line"
            self._fail(
                rest[0] if rest else before,
                f"found {found} after {before.text!r}, where a duration stands",
                allowed=("500ms", "3s", "2m"),
            )
        return seconds

    # --- parts -------------------------------------------------------------------------------

    def _phrase(self, kind: Kind, tokens: Sequence[Token], head: Token) -> Phrase:
        stray = next((token for token in tokens if token.text == ","), None)
        if stray is not None:
            self._fail(stray, "one sentence a line; go on with `and` on the next")
        found = match(kind, tokens)
        if isinstance(found, Phrase):
            self._require_head(found, tokens[0])
            return found
        end = Token("", len(self.text) + 1)
        self._fail(
            found.token or (end if tokens else head),
            found.message,
            allowed=found.allowed,
            near=found.near,
        )

    def _require_head(self, phrase: Phrase, first: Token) -> None:
        heads = phrase.form.heads
        word = "" if self.last is None else self.last[0]
        if heads and word not in heads:
            self._fail(first, f"{phrase.form.pattern!r} cannot stand after {word!r}", allowed=heads)

    def _parts(self, tokens: Sequence[Token]) -> list[list[Token]]:
        parts: list[list[Token]] = [[]]
        for token in tokens:
            if token.text == ",":
                parts.append([])
            else:
                parts[-1].append(token)
        return parts

    def _tokens(self, text: str) -> list[Token]:
        tokens = [Token(found.group(), found.start() + 1) for found in _TOKEN.finditer(text)]
        for token in tokens:
            if token.text == '"':
                self._fail(token, "these quotes are not closed")
        return tokens

    def _close(self) -> None:
        draft = self.open
        if draft is None:
            return
        for what, missing in (
            ("no `rows:` line says which rows of the table of faults it covers", not draft.rows),
            ("no `given` says how it begins", not draft.givens),
            ("nothing is expected", not (draft.lines or draft.nevers or draft.finals)),
        ):
            if missing:
                self._fail(Token("", 1), f"scenario {draft.title!r}: {what}", at=draft.number)
        scenario = Scenario(
            title=draft.title,
            file=self.file,
            number=draft.number,
            rows=draft.rows,
            worlds=draft.worlds,
            why_not=draft.why_not,
            givens=tuple(draft.givens),
            lines=tuple(draft.lines),
            nevers=tuple(draft.nevers),
            finals=tuple(draft.finals),
        )
        self._require_worlds(scenario)
        self.done.append(scenario)
        self.open = None

    def _require_worlds(self, scenario: Scenario) -> None:
        for phrase in scenario.phrases():
            for world in sorted(scenario.worlds - phrase.form.worlds()):
                why = phrase.form.why_not(world)
                message = (
                    f"scenario {scenario.title!r} is for {world}, but {world} cannot"
                    f" {phrase.form.pattern!r}: {why}"
                )
                self._fail(Token("", 1), message, at=scenario.number)

    def _fail(
        self,
        token: Token | None,
        message: str,
        *,
        allowed: Sequence[str] = (),
        near: Sequence[str] = (),
        at: int = 0,
    ) -> NoReturn:
        raise ScenarioError(
            file=self.file,
            line=at or max(1, self.number),
            column=1 if token is None else token.column,
            message=message,
            text="" if at else self.text,
            allowed=allowed,
            near=near,
        )
