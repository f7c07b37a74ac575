"""A sentence in lines that fit the terminal."""

import textwrap
from collections.abc import Iterator

from rich.text import Text


def folded(lead: str, sentence: str, width: int, style: str = "") -> Iterator[Text]:
    """`sentence` in lines of at most `width`, unless a word is longer."""
    hang = f"{lead}  "
    for line in textwrap.wrap(
        sentence,
        max(width, 40),
        initial_indent=lead,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield Text(line, style=style)
