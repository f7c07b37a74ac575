"""A drill as a picture: who answered when, what was asked, and the steps of each move."""

import math
from collections.abc import Iterator
from typing import Final

from controller.cli.diagrams.svg import Drawing, sans_width
from controller.web.drill_schema import DrillMove, DrillReport, DrillStep

WIDTH: Final = 960
MARGIN: Final = 28
LABELS: Final = 132  # room for the names of the lanes
LEFT: Final = MARGIN + LABELS
SPAN: Final = WIDTH - LEFT - MARGIN
HEAD: Final = 58
LANE: Final = 44
BAR: Final = 26
ROW: Final = 22  # of a step
AXIS: Final = 34
LEAST: Final = 3.0  # a gap is seen, however short
TICKS: Final = 9
DOING: Final = "intent "


def draw(report: DrillReport) -> str:
    """The whole picture."""
    told = [move for move in report.moves if _goals(move)]
    height = HEAD + 2 * LANE + AXIS + sum(_height(move) for move in told) + MARGIN
    title = f"Drill of {report.service}: {report.home}, {report.target}"
    drawing = Drawing(title, WIDTH, height)
    drawing.text("ink bold", MARGIN, 34, 17, title)
    drawing.text("soft", WIDTH - MARGIN, 34, 12, "seconds since the first request", at="end")
    scale = SPAN / max(report.took_s, 0.001)
    _axis(drawing, HEAD, HEAD + 2 * LANE, report.took_s)
    _answers(drawing, report, HEAD, scale)
    _moves(drawing, report, HEAD + LANE, scale)
    y = HEAD + 2 * LANE + AXIS
    for move in told:
        _steps(drawing, move, y)
        y += _height(move)
    return drawing.render()


def _axis(drawing: Drawing, top: float, bottom: float, length_s: float) -> None:
    scale = SPAN / max(length_s, 0.001)
    for at_s in ticks(length_s):
        x = LEFT + at_s * scale
        drawing.line("rule", [(x, top), (x, bottom + 6)])
        drawing.text("soft", x, bottom + 20, 11, f"{at_s:g}", at="middle")


def ticks(length_s: float) -> Iterator[float]:
    """Round numbers from 0 to `length_s`, at most a dozen."""
    rough = max(length_s, 0.001) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough * 0.999)
    for number in range(math.floor(length_s / step + 1e-9) + 1):
        yield round(number * step, 6)


def _answers(drawing: Drawing, report: DrillReport, y: float, scale: float) -> None:
    drawing.text("ink", MARGIN, y + 18, 13, "answers")
    drawing.box("lane", LEFT, y, SPAN, BAR, round_=4)
    styles = {report.home: "own", report.target: "other"}
    for span in report.canary.spans:
        style = styles.get(span.site, "apart")
        width = max(1.0, (span.ended_s - span.began_s) * scale)
        drawing.box(style, LEFT + span.began_s * scale, y, width, BAR, round_=3)
        name = span.site or "answered"
        if sans_width(name, 12) + 10 < width:
            middle = LEFT + span.began_s * scale + width / 2
            drawing.text(f"{style}-ink bold", middle, y + 17, 12, name, at="middle")
    for gap in report.canary.gaps:
        width = max(LEAST, gap.took_s * scale)
        drawing.box("hot", LEFT + gap.began_s * scale, y, width, BAR, round_=2)
    longest = report.canary.longest
    if longest is not None:
        x = LEFT + (longest.began_s + longest.took_s / 2) * scale
        words = f"{longest.took_s:.3f} s without an answer"
        half = sans_width(words, 11) / 2
        x = min(max(x, LEFT + half), WIDTH - MARGIN - half)
        drawing.text("hot-ink", x, y - 4, 11, words, at="middle")


def _moves(drawing: Drawing, report: DrillReport, y: float, scale: float) -> None:
    drawing.text("ink", MARGIN, y + 18, 13, "moves")
    for move in report.moves:
        end_s = move.settled_s or max(move.ended_s, move.asked_s)
        x, width = LEFT + move.asked_s * scale, max(LEAST, (end_s - move.asked_s) * scale)
        style = "chip" if move.settled_s is not None else "hot"
        drawing.box(style, x, y, width, BAR, round_=3)
        words = f"to {move.target}, {end_s - move.asked_s:.1f} s"
        size = sans_width(words, 12)
        if size + 10 < width:
            drawing.text("ink", x + width / 2, y + 17, 12, words, at="middle")
        elif x + width + 6 + size < WIDTH - MARGIN:
            drawing.text("ink", x + width + 6, y + 17, 12, words)
        else:
            drawing.text("ink", x - 6, y + 17, 12, words, at="end")


def _goals(move: DrillMove) -> list[DrillStep]:
    return [step for step in move.steps if not step.name.startswith(DOING)]


def _height(move: DrillMove) -> int:
    return 40 + ROW * len(_goals(move)) + AXIS


def _steps(drawing: Drawing, move: DrillMove, y: float) -> None:
    """Each step of a move and when it was reached, on an axis of its own."""
    goals = _goals(move)
    length_s = max(0.001, *(step.reached_s for step in goals))
    scale = SPAN / length_s
    drawing.text("ink bold", MARGIN, y + 18, 13, f"{move.source} to {move.target}")
    drawing.text(
        "soft",
        LEFT,
        y + 18,
        12,
        f"steps of epoch {move.epoch}: reached so long after it was raised",
    )
    top = y + 32
    _axis(drawing, top, top + ROW * len(goals), length_s)
    for number, step in enumerate(goals):
        at = top + number * ROW
        name = f"{step.name} {step.database}".rstrip()
        drawing.text("soft mono", MARGIN, at + 15, 11, name[:20])
        width = max(2.0, step.reached_s * scale)
        drawing.box("other", LEFT, at + 4, width, ROW - 8, round_=2)
        words = f"{step.reached_s:.3f}"
        if width > SPAN - 60:
            drawing.text("other-ink", LEFT + width - 6, at + 15, 11, words, at="end")
        else:
            drawing.text("soft", LEFT + width + 6, at + 15, 11, words)
