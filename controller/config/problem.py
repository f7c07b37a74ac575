"""What is wrong with a configuration: each problem names file, line, key, value and the way out."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

VALUE_LIMIT: Final = 60
_SECRET_WORDS: Final = ("password", "secret", "token", "credential", "passwd")
_SECRET_ENDINGS: Final = ("_file", "_files", "_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that keeps the configuration from being used, or, as a warning, should be known."""

    file: str
    line: int  # 0: nowhere in the file
    key: str  # dotted, list items by number: services[0].prefixes[1]
    value: str | None  # as shown to humans; None where there is no value
    sentence: str

    def render(self) -> str:
        """file:line: key: value: what is wrong and what is allowed."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        shown = "" if self.value is None else f" = {self.value}"
        return f"{place}: {self.key or '(whole file)'}{shown}: {self.sentence}"


class ConfigError(Exception):
    """The configuration cannot be used. Holds every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.render())

    def render(self) -> str:
        """One line for each problem, in the order of the file."""
        return "\n".join(problem.render() for problem in self.problems)


def dotted(path: Path) -> str:
    """A key path as people write it: services[0].databases[1].name."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def may_be_secret(path: Path) -> bool:
    """Whether a value at `path` could be a secret that was typed into the file by mistake."""
    return any(
        isinstance(part, str)
        and any(word in part.lower() for word in _SECRET_WORDS)
        and not part.lower().endswith(_SECRET_ENDINGS)
        for part in path
    )


def shown_value(path: Path, value: object) -> str:
    """`value` as it may be printed: short, and never a secret."""
    if may_be_secret(path):
        return "(hidden)"
    match value:
        case dict():
            return "{...}"
        case list():
            return "[...]"
        case None:
            return "(nothing)"
        case bool():
            return "true" if value else "false"
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= VALUE_LIMIT else f"{text[: VALUE_LIMIT - 3]}..."


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint at the nearest known word, or nothing."""
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
