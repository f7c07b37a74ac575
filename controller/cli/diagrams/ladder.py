"""One ladder as a graph: each step below the steps it needs."""

from collections.abc import Mapping
from typing import Final

from controller.cli.diagrams.layers import placed
from controller.cli.diagrams.svg import Drawing, mono_width, sans_width
from controller.core.ladder import AnyStep, Step

MARGIN: Final = 28
HEIGHT: Final = 50
GAP: Final = 36  # between layers
BETWEEN: Final = 26  # between places of a layer
HEAD: Final = 62
FOOT: Final = 52
ASIDE: Final = 34  # a caption above what needs nothing
NAME: Final = 14  # font sizes
SAYS: Final = 12
LEAST: Final = 660  # so that the ladders stand on a page in one scale
LEGEND: Final = (
    ("card", "of the service"),
    ("pile", "of each database, side by side"),
    ("card wait", "brought about elsewhere"),
)
WAITS = "wait"


def draw(name: str, ladder: tuple[AnyStep, ...], users: str, asks: Mapping[str, str]) -> str:
    """The ladder called `name`, climbed under `users`; `asks` is what each step asks for."""
    free = [step for step in ladder if _stands_alone(step, ladder)]
    bound = [step for step in ladder if step not in free]
    places = placed({step.name: step.needs for step in bound})
    width = max(_width(step, asks[step.name]) for step in ladder)
    pitch = width + BETWEEN
    columns = max(places.column.values(), default=0) + 1
    rows = len(places.layers)
    graph_width = columns * pitch - BETWEEN
    free_columns = max(1, min(len(free), int(max(columns, (LEAST + BETWEEN) // pitch))))
    free_rows = -(-len(free) // free_columns)
    total = max(graph_width, free_columns * pitch - BETWEEN, LEAST) + 2 * MARGIN
    graph_height = rows * (HEIGHT + GAP)
    aside = ASIDE if free and bound else 0
    height = HEAD + graph_height + aside + free_rows * (HEIGHT + GAP) + FOOT
    drawing = Drawing(f"Ladder {name}", round(total), round(height))
    drawing.text("ink bold mono", MARGIN, 36, 19, name)
    drawing.text("soft", total - MARGIN, 36, 13, f"climbed under {users}", at="end")
    left = (total - graph_width) / 2
    middle = {
        place: (left + places.column[place] * pitch + width / 2, HEAD + depth * (HEIGHT + GAP))
        for depth, layer in enumerate(places.layers)
        for place in layer
    }
    for way in places.ways:
        drawing.curve(_through(way, middle))
    for step in bound:
        _box(drawing, step, asks[step.name], *middle[step.name], width)
    if aside:
        _caption(drawing, total, HEAD + graph_height)
    left = (total - free_columns * pitch + BETWEEN) / 2
    for number, step in enumerate(free):
        row, column = divmod(number, free_columns)
        y = HEAD + graph_height + aside + row * (HEIGHT + GAP)
        _box(drawing, step, asks[step.name], left + column * pitch + width / 2, y, width)
    _legend(drawing, total, height)
    return drawing.render()


def _stands_alone(step: AnyStep, ladder: tuple[AnyStep, ...]) -> bool:
    return not step.needs and not any(step.name in other.needs for other in ladder)


def _width(step: AnyStep, asks: str) -> float:
    return max(mono_width(step.name, NAME), sans_width(_says(asks), SAYS)) + 36


def _says(asks: str) -> str:
    return "waits" if asks.startswith(WAITS) else f"asks to {asks}"


def _through(
    way: tuple[str, ...], middle: Mapping[str, tuple[float, float]]
) -> list[tuple[float, float]]:
    """From the foot of the first box, along the passages, to the head of the last."""
    first, *passages, last = way
    points = [(middle[first][0], middle[first][1] + HEIGHT)]
    for passage in passages:
        x, y = middle[passage]
        points += [(x, y), (x, y + HEIGHT)]
    return [*points, (middle[last][0], middle[last][1] - 2)]


def _box(drawing: Drawing, step: AnyStep, asks: str, x: float, y: float, width: float) -> None:
    left = x - width / 2
    if not isinstance(step, Step):
        drawing.box("pile", left + 5, y + 5, width, HEIGHT)
    drawing.box("card wait" if asks.startswith(WAITS) else "card", left, y, width, HEIGHT)
    drawing.text("ink bold mono", x, y + 21, NAME, step.name, at="middle")
    drawing.text("soft", x, y + 39, SAYS, _says(asks), at="middle")


def _caption(drawing: Drawing, total: float, y: float) -> None:
    words = "at any time"
    half = sans_width(words, SAYS) / 2 + 10
    for start, end in ((MARGIN, total / 2 - half), (total / 2 + half, total - MARGIN)):
        drawing.line("rule", ((start, y + 4), (end, y + 4)))
    drawing.text("soft", total / 2, y + 8, SAYS, words, at="middle")


def _legend(drawing: Drawing, total: float, height: float) -> None:
    wide = sum(sans_width(words, SAYS) + 58 for _, words in LEGEND) - 26
    x, y = (total - wide) / 2, height - 36
    for style, words in LEGEND:
        if style == "pile":
            drawing.box("pile", x + 3, y + 3, 24, 14, round_=4)
            drawing.box("card", x, y, 24, 14, round_=4)
        else:
            drawing.box(style, x, y, 24, 14, round_=4)
        drawing.text("soft", x + 34, y + 12, SAYS, words)
        x += sans_width(words, SAYS) + 58
