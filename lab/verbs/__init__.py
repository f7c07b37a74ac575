"""The verbs of `python -m lab`, one file each.

A verb's file offers `HELP` (one line), `add_arguments(parser)` and
`async run(lab, options) -> int`. A file put here is a verb from then on; underscores in its name
become dashes, and a file whose name begins with one is not a verb.
"""

import argparse
import importlib
import pkgutil
from typing import Protocol, cast

from lab.netns.lab import Lab


class Verb(Protocol):
    """What a verb's file offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The verb's own options are known to `parser`."""

    async def run(self, lab: Lab, options: argparse.Namespace) -> int:
        """The verb has been carried out; the exit code."""


def verb_names() -> tuple[str, ...]:
    """Every verb there is."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(name.replace("_", "-") for name in found if not name.startswith("_"))


def load_verb(name: str) -> Verb:
    """The verb called `name`."""
    return cast("Verb", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
