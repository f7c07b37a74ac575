"""Right answers made wrong: drawn damage to texts, bytes and JSON values."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
LONG_NUMBER = "9" * 5000  # more digits than `int` takes
STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    10**400,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "x",
    "\u00b2",
    "\u0663",
    "\x00",
    "\ud800",
    "forever",
    "../..",
    "x" * 3000,
    [],
    {},
    [[]],
    {"": {}},
    {"x": [None]},
)
PIECES = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\x00",
        "\u2028",
        "\u00b2",
        "\u0663",
        "-",
        "/",
        ":",
        ",",
        "=",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "#",
        "&a ",
        "*a",
        "<<",
        "? ",
        "!!binary ",
        "null",
        "-1",
        "1e999",
        ".inf",
        LONG_NUMBER,
        "0" * 70,
        "\\ud800",
        "[" * 2000,
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 12), st.one_of(PIECES, st.text(max_size=6))),
    min_size=1,
    max_size=5,
)


@st.composite
def texts(draw: st.DrawFn, right: st.SearchStrategy[str]) -> str:
    """A right text with some of it cut out, replaced, or added to."""
    text = draw(right)
    for at, cut, piece in draw(EDITS):
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + cut :]
    return text


@st.composite
def blobs(draw: st.DrawFn, right: st.SearchStrategy[bytes]) -> bytes:
    """Right bytes with some of them cut out, replaced, or added to."""
    blob = draw(right)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, 2**16)) % (len(blob) + 1)
        cut = draw(st.integers(0, 8))
        blob = blob[:place] + draw(st.binary(max_size=6)) + blob[place + cut :]
    return blob


@st.composite
def values(draw: st.DrawFn, right: st.SearchStrategy[Any]) -> Any:
    """A right JSON value in which some places hold something else, or nothing."""
    value = json.loads(json.dumps(draw(right)))
    for _ in range(draw(st.integers(1, 3))):
        value = _damaged(draw, value, draw(st.integers(0, 6)))
    return value


def _damaged(draw: st.DrawFn, value: Any, deeper: int) -> Any:
    if deeper and isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 9)):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, draw(st.text(max_size=4)): draw(st.sampled_from(STRANGE))}
            case _:
                return {**value, key: _damaged(draw, value[key], deeper - 1)}
    if deeper and isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[:at] + value[at:] * 2
            case _:
                return [*value[:at], _damaged(draw, value[at], deeper - 1), *value[at + 1 :]]
    return draw(st.sampled_from(STRANGE))


def lines(right: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """A damaged JSON value as text, which may be damaged again."""
    written = values(right).map(json.dumps)
    return st.one_of(written, texts(written))


def tried(
    read: Callable[[Any], T],
    what: object,
    *,
    may_raise: type[Exception] | tuple[type[Exception], ...],
) -> T | None:
    """What was read; None when it was refused as it should be. Anything else is raised."""
    try:
        return read(what)
    except may_raise as error:
        if not str(error):
            raise AssertionError(f"{type(error).__name__} without a word") from error
        return None
