"""What is wrong with a scenario's text: where, what was found, what is allowed, what is near."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SHOWN = 12


@dataclass(slots=True, kw_only=True)
class ScenarioError(Exception):
    """A scenario file that cannot be understood; `render` says everything about it."""

    file: str
    line: int
    column: int
    message: str
    text: str = ""  # the line itself
    allowed: Sequence[str] = ()
    near: Sequence[str] = ()

    def render(self) -> str:
        """Place, sentence, the line with a caret, what is allowed, what is near."""
        lines = [f"{self.file}:{self.line}:{self.column}: {self.message}"]
        if self.text:
            lines += [f"  {self.text}", "  " + " " * (self.column - 1) + "^"]
        if self.allowed:
            shown = list(self.allowed[:_SHOWN])
            more = len(self.allowed) - len(shown)
            lines.append(f"  allowed here: {', '.join(shown)}{f' and {more} more' if more else ''}")
        if self.near:
            lines.append(f"  did you mean: {', '.join(self.near)}?")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def near_words(found: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known words that look like what was found."""
    return tuple(difflib.get_close_matches(found, list(dict.fromkeys(known)), n=3, cutoff=0.6))
