"""The outages as a picture: one dot for each run, on a logarithmic axis of seconds.

Written by hand as SVG; a bitmap beside it needs the extra `bench` (resvg-py).
"""

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from lab.rehearsal.figures import STACKS

WIDTH, LEFT, RIGHT, TOP, BAND = 860, 170, 80, 64, 74
LEAST_S, MOST_S = 0.1, 100.0
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
COLOUR = {"tricast": "#0b6e4f", "peer": "#b5482f"}
TITLE = {"tricast": "tricast", "peer": "Patroni, etcd, haproxy, ExaBGP (tightest settings)"}
FONT = "DejaVu Sans, Verdana, sans-serif"


def draw(found: dict[str, Any]) -> str:
    """The picture of a bench's figures, as SVG."""
    faults = found["faults"]
    height = TOP + BAND * len(faults) + 56
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="{FONT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
        *_axis(height - 56),
    ]
    for number, (name, of_fault) in enumerate(faults.items()):
        lines += _band(found, name, of_fault, TOP + BAND * number)
    lines += [
        _text(LEFT, height - 14, "longest time without an acknowledged write (s), one dot a run"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def save_pictures(found: dict[str, Any], beside: Path) -> list[Path]:
    """The picture is written beside the figures; as a bitmap too where that can be made."""
    svg = beside.with_suffix(".svg")
    picture = draw(found)
    svg.write_text(picture, encoding="utf-8")
    try:
        rasteriser = importlib.import_module("resvg_py")
    except ImportError:
        return [svg]
    png = beside.with_suffix(".png")
    png.write_bytes(bytes(rasteriser.svg_to_bytes(svg_string=picture, zoom=2)))
    return [svg, png]


def position(seconds: float) -> float:
    """Where on the axis a duration stands; what is off it stands at its end."""
    bounded = min(max(seconds, LEAST_S), MOST_S)
    share = math.log(bounded / LEAST_S) / math.log(MOST_S / LEAST_S)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _legend() -> Iterator[str]:
    at = LEFT
    for stack in STACKS:
        yield f'<circle cx="{at}" cy="24" r="5" fill="{COLOUR[stack]}"/>'
        yield _text(at + 10, 28, TITLE[stack])
        at += 110


def _axis(bottom: int) -> Iterator[str]:
    for tick in TICKS_S:
        x = position(tick)
        yield f'<line x1="{x:.1f}" y1="{TOP - 12}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>'
        yield _text(x, bottom + 18, f"{tick:g}", anchor="middle")


def _band(found: dict[str, Any], name: str, of_fault: dict[str, Any], top: int) -> Iterator[str]:
    yield _text(LEFT - 12, top + BAND / 2 - 4, of_fault["title"], anchor="end", weight="bold")
    if "times" in of_fault:
        yield _text(
            LEFT - 12, top + BAND / 2 + 12, f"peer / tricast {of_fault['times']:g}", anchor="end"
        )
    for row, stack in enumerate(STACKS):
        y = top + 16 + 26 * row
        for run in found["runs"]:
            if (run["stack"], run["fault"]) == (stack, name):
                yield (
                    f'<circle cx="{position(run["outage_s"]):.1f}" cy="{y}" r="4"'
                    f' fill="{COLOUR[stack]}" fill-opacity="0.45"/>'
                )
        if "median" in of_fault[stack]:
            x = position(of_fault[stack]["median"])
            yield (
                f'<line x1="{x:.1f}" y1="{y - 9}" x2="{x:.1f}" y2="{y + 9}"'
                f' stroke="{COLOUR[stack]}" stroke-width="2"/>'
            )
            end = position(of_fault[stack]["worst"]) + 10
            yield _text(end, y + 4, f"{of_fault[stack]['median']:.2f}", colour=COLOUR[stack])


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' fill="{colour}">{escape(words)}</text>'
    )
