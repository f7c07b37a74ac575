"""Where text goes: standard output for answers, standard error for what went wrong."""

import os
import sys
from typing import IO

from pydantic import BaseModel
from rich.console import Console

NO_LIMIT = 1000  # a pipe has no width; whoever reads it may cut columns


class _Plain(Console):
    """A console that lets the caller know of a broken pipe."""

    def on_broken_pipe(self) -> None:
        """Rich would end the process by itself, with an error."""
        raise BrokenPipeError


def console(stream: IO[str] | None = None) -> Console:
    """A console with colour only on a terminal, and never when NO_COLOR is set."""
    out = stream or sys.stdout
    terminal = out.isatty()
    colourless = bool(os.environ.get("NO_COLOR")) or not terminal
    made = _Plain(
        file=out,
        force_terminal=terminal,
        no_color=colourless,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=not terminal,
    )
    if not terminal:
        made.width = int(os.environ.get("COLUMNS") or NO_LIMIT)
    return made


def print_json(record: BaseModel) -> None:
    """`record` as one JSON document, indented on a terminal and on one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    print(record.model_dump_json(indent=indent), flush=True)
