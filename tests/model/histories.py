"""The shortest losing history of each variant, as it was found, and its way through the moves."""

from pathlib import Path
from typing import Final

from tests.model.search import Walk, told
from tests.model.space import Space
from tests.model.state import State, initial

FILE: Final = Path(__file__).with_name("histories.txt")
HEAD: Final = """\
The shortest history with which each variant loses an acknowledged write, one line a move.
Written by `python -m tests.model --record`. Do not edit.
"""


def render(histories: dict[str, tuple[str, ...]]) -> str:
    """The file, from the histories by name."""
    parts = [HEAD]
    for name, lines in histories.items():
        body = "".join(f"{number:3}  {line}\n" for number, line in enumerate(lines, 1))
        parts.append(f"== {name}\n{body}")
    return "\n".join(parts)


def recorded() -> dict[str, tuple[str, ...]]:
    """The histories by name, from the file."""
    found: dict[str, tuple[str, ...]] = {}
    for part in FILE.read_text(encoding="utf-8").split("\n== ")[1:]:
        name, _, body = part.partition("\n")
        lines = (line.strip() for line in body.splitlines() if line.strip())
        found[name] = tuple(line.partition("  ")[2] for line in lines)
    return found


def replayed(space: Space, lines: tuple[str, ...]) -> tuple[State, int]:
    """The state a history leads to in `space`, and how many of its moves can be made there."""
    walk, state = Walk(space), initial(space.copies)
    for number, line in enumerate(lines):
        after = [move.state for move in walk.next_moves(state) if told(move, state) == line]
        if not after:
            return state, number
        state = after[0]
    return state, len(lines)
