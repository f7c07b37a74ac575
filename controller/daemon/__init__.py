"""The daemon of a data site. `main` is the composition root: it builds adapters, runs, and ends."""

from controller.daemon.main import main

__all__ = ["main"]
