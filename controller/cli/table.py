"""A table in the shape operators know from other cluster tools: title in the top border."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. Of those with a `drop` above 0, the highest goes first when space is short."""

    title: str
    right: bool = False
    drop: int = 0
    cut: int = 0  # its cells may be shortened to so many characters before others are dropped


@dataclass(frozen=True, slots=True)
class Cell:
    """Text and its style."""

    text: str = ""
    style: str = ""


@dataclass(slots=True)
class Table:
    """Rows under columns; `ruled` rows begin a new group, with a line above."""

    title: str
    columns: Sequence[Column]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    ruled: set[int] = field(default_factory=set)

    def add(self, *cells: Cell, rule: bool = False) -> None:
        """One more row; `rule` draws a line above it unless it is the first."""
        if rule and self.rows:
            self.ruled.add(len(self.rows))
        self.rows.append(cells)

    def lines(self, width: int) -> list[Text]:
        """The table, at most `width` wide if dropping and cutting can make it so."""
        shown = self._shown(width)
        widths = self._widths(shown, width)
        rule = "+" + "+".join("-" * (widths[i] + 2) for i in shown) + "+"
        lines = [_titled(rule, self.title), self._row(self._heads(), shown, widths), Text(rule)]
        for number, row in enumerate(self.rows):
            if number in self.ruled:
                lines.append(Text(rule))
            lines.append(self._row(row, shown, widths))
        lines.append(Text(rule))
        return lines

    def _heads(self) -> tuple[Cell, ...]:
        return tuple(Cell(column.title, "bold") for column in self.columns)

    def _natural(self, index: int) -> int:
        cells = [row[index].text for row in self.rows]
        return max(cell_len(text) for text in (self.columns[index].title, *cells))

    def _least(self, index: int) -> int:
        natural = self._natural(index)
        return min(natural, self.columns[index].cut or natural)

    def _total(self, shown: Sequence[int]) -> int:
        return sum(self._least(i) + 3 for i in shown) + 1

    def _shown(self, width: int) -> list[int]:
        # A column without a single entry says nothing.
        shown = [
            i for i in range(len(self.columns)) if any(row[i].text for row in self.rows) or i == 0
        ]
        while self._total(shown) > width:
            droppable = [i for i in shown if self.columns[i].drop]
            if not droppable:
                break
            shown.remove(max(droppable, key=lambda i: self.columns[i].drop))
        return shown

    def _widths(self, shown: Sequence[int], width: int) -> dict[int, int]:
        widths = {i: self._natural(i) for i in shown}
        for i in (i for i in shown if self.columns[i].cut):
            over = sum(size + 3 for size in widths.values()) + 1 - width
            if over > 0:
                widths[i] = max(self._least(i), widths[i] - over)
        return widths

    def _row(self, cells: Sequence[Cell], shown: Sequence[int], widths: dict[int, int]) -> Text:
        line = Text("|")
        for i in shown:
            text = cells[i].text
            if cell_len(text) > widths[i]:
                text = set_cell_size(text, widths[i] - 1) + "~"
            space = " " * (widths[i] - cell_len(text))
            line.append(" ")
            line.append(space if self.columns[i].right else "")
            line.append(text, style=cells[i].style)
            line.append("" if self.columns[i].right else space)
            line.append(" |")
        return line


def _titled(rule: str, title: str) -> Text:
    """The top border with the title inside; the border grows when the title is longer."""
    label = f" {title} "
    rest = rule[1 + len(label) :] if len(rule) > len(label) + 3 else "-+"
    line = Text("+ ")
    line.append(title, style="bold")
    line.append(" " + rest)
    return line
