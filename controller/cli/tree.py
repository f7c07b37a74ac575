"""A tree for a terminal: branches of ASCII, items that are never broken in the middle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from controller.cli.table import Cell

STEP = 3


@dataclass(slots=True)
class Node:
    """A head, items that follow it on the same line while there is room, and what hangs below."""

    head: Cell
    items: Sequence[Cell] = ()
    below: list["Node"] = field(default_factory=list)


def lines(node: Node, width: int, lead: str = "", under: str = "") -> Iterator[Text]:
    """The tree, at most `width` wide where its items allow it."""
    hang = under + ("|  " if node.below else " " * STEP)
    line = Text(lead)
    line.append(node.head.text, style=node.head.style)
    fresh = True
    for number, item in enumerate(node.items):
        comma = "," if number + 1 < len(node.items) else ""
        if not fresh and line.cell_len + 1 + cell_len(item.text) + len(comma) > width:
            yield line
            line, fresh = Text(hang + " " * (STEP - 1)), True
        line.append(" ").append(item.text, style=item.style).append(comma)
        fresh = False
    yield line
    for number, child in enumerate(node.below):
        last = number + 1 == len(node.below)
        branch, beside = ("`- ", " " * STEP) if last else ("+- ", "|  ")
        yield from lines(child, width, under + branch, under + beside)
