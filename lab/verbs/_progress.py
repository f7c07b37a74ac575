"""Progress lines with the time since the beginning."""

import sys
import time


class Progress:
    """Says what has been done and when; on standard error, so that `--json` stays clean."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        print(f"[{self.elapsed_s:6.2f} s] {text}", file=sys.stderr, flush=True)
