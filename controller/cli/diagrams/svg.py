"""A drawing: boxes, arrows and text, for light and dark pages, the same bytes every time.

No font is asked how wide a text is: widths are taken a little too large, so that nothing runs out
of its box whichever of the fonts is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

SANS: Final = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
MONO: Final = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
MONO_EM: Final = 0.605  # the width of any character
NARROW: Final = frozenset("iljtfrI.,;:'|!()[] -")
WIDE: Final = frozenset("mwMW—→")

# class: (property, light, dark)
COLOURS: Final = (
    (".page", "fill", "#ffffff", "#10151d"),
    (".lane", "fill", "#f5f7fa", "#171e29"),
    (".card", "fill", "#ffffff", "#1e2735"),
    (".card", "stroke", "#ccd5e0", "#38465a"),
    (".pile", "fill", "#eef2f7", "#18202c"),
    (".pile", "stroke", "#ccd5e0", "#38465a"),
    (".ink", "fill", "#17202c", "#e8edf4"),
    (".soft", "fill", "#566476", "#9dabbd"),
    (".line", "stroke", "#8a99ab", "#66788f"),
    (".tip", "fill", "#8a99ab", "#66788f"),
    (".rule", "stroke", "#e3e8ef", "#2c3747"),
    (".own", "fill", "#d8f0e3", "#14432f"),
    (".own-ink", "fill", "#0b5c38", "#a5e8c6"),
    (".other", "fill", "#dbe8fb", "#1b355c"),
    (".other-ink", "fill", "#174a8c", "#b4d1fa"),
    (".apart", "fill", "#fbe9cf", "#4b3412"),
    (".apart-ink", "fill", "#7a4a06", "#f3cf95"),
    (".chip", "fill", "#e9edf3", "#2a3546"),
    (".hot", "fill", "#fbe0dc", "#57231c"),
    (".hot-ink", "fill", "#96281b", "#f7b9ae"),
)
STATIC: Final = (
    ".card, .pile { stroke-width: 1.2 } .line { fill: none; stroke-width: 1.6 }",
    ".wait { stroke-dasharray: 5 4 } .rule { stroke-width: 1 }",
    f"text {{ font-family: {SANS} }} .mono {{ font-family: {MONO} }}",
    ".bold { font-weight: 600 }",
)


@dataclass
class Drawing:
    """What has been drawn so far; later things lie above earlier ones."""

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def box(self, style: str, x: float, y: float, w: float, h: float, *, round_: int = 8) -> None:
        """A rounded rectangle."""
        self.parts.append(
            f'<rect class="{style}" x="{num(x)}" y="{num(y)}" width="{num(w)}" '
            f'height="{num(h)}" rx="{round_}"/>'
        )

    def text(
        self, style: str, x: float, y: float, size: int, words: str, *, at: str = "start"
    ) -> None:
        """One line; `y` is its baseline, `at` is start, middle or end."""
        anchor = "" if at == "start" else f' text-anchor="{at}"'
        self.parts.append(
            f'<text class="{style}" x="{num(x)}" y="{num(y)}" font-size="{size}"{anchor}>'
            f"{escape(words)}</text>"
        )

    def line(self, style: str, points: Iterable[tuple[float, float]]) -> None:
        """Straight pieces from point to point."""
        path = " ".join(f"{num(x)},{num(y)}" for x, y in points)
        self.parts.append(f'<polyline class="{style}" points="{path}"/>')

    def curve(self, points: list[tuple[float, float]]) -> None:
        """An arrow that leaves and arrives vertically, through every point."""
        (x, y), *rest = points
        path = f"M{num(x)} {num(y)}"
        for to_x, to_y in rest:
            middle = (y + to_y) / 2
            path += f" C{num(x)} {num(middle)} {num(to_x)} {num(middle)} {num(to_x)} {num(to_y)}"
            x, y = to_x, to_y
        self.parts.append(f'<path class="line" d="{path}"/>')
        self.tip(x, y, 0, 1)

    def tip(self, x: float, y: float, right: int, down: int) -> None:
        """The head of an arrow that ends at (x, y), in one of the four directions."""
        wing, length = 4.5, 8
        back_x, back_y = x - right * length, y - down * length
        side_x, side_y = down * wing, right * wing
        self.parts.append(
            f'<path class="tip" d="M{num(x)} {num(y)} '
            f"L{num(back_x + side_x)} {num(back_y + side_y)} "
            f'L{num(back_x - side_x)} {num(back_y - side_y)} Z"/>'
        )

    def chip(self, style: str, ink: str, x: float, y: float, words: str) -> float:
        """A small label whose top left corner is (x, y); the width it took."""
        width = sans_width(words, 11) + 14
        self.box(style, x, y, width, 18, round_=9)
        self.text(ink, x + width / 2, y + 13, 11, words, at="middle")
        return width

    def render(self) -> str:
        """The file."""
        light = " ".join(f"{name} {{ {what}: {day} }}" for name, what, day, _ in COLOURS)
        dark = " ".join(f"{name} {{ {what}: {night} }}" for name, what, _, night in COLOURS)
        style = "\n".join((*STATIC, light, f"@media (prefers-color-scheme: dark) {{ {dark} }}"))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img">'
        )
        page = f'<rect class="page" width="{self.width}" height="{self.height}" rx="12"/>'
        lines = (head, f"<title>{escape(self.title)}</title>", f"<style>\n{style}\n</style>", page)
        return "\n".join((*lines, *self.parts, "</svg>", ""))


def num(value: float) -> str:
    """A coordinate, without digits that mean nothing."""
    return f"{value:.1f}".removesuffix(".0")


def sans_width(words: str, size: int) -> float:
    """At most how wide a line of the page's font is."""
    return size * sum(_em(letter) for letter in words)


def _em(letter: str) -> float:
    if letter in NARROW:
        return 0.36
    if letter in WIDE:
        return 0.96
    return 0.72 if letter.isupper() else 0.59


def mono_width(words: str, size: int) -> float:
    """How wide a line of fixed width is."""
    return size * MONO_EM * len(words)


def wrapped(words: str, size: int, width: float) -> list[str]:
    """Lines no wider than `width`, broken between words."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and sans_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
