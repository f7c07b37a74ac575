"""A keeper that may hold less than it once acknowledged, until it provably holds it all again.

Its log was removed, was shorter than before, or could not be read; or it is new. Invariant: until
then it says that it holds nothing, so no proof counts it, although it receives and acknowledges.
It is over when its log reaches, without a gap, from what every data site holds to beyond the place
where the primary's log ended when it was attached: by then the primary of its epoch had everything
that was ever acknowledged. The file that says so outlives the daemon.
"""

from dataclasses import dataclass, field
from pathlib import Path

from controller.hostagent.contract import account, sync_directory, write_file
from controller.hostagent.wal_end import LogEnd

FILE = "probation"


@dataclass(slots=True)
class Probation:
    """Whether the keeper with this state directory is on probation, and since when it may end."""

    state: Path
    why: str = field(default="", init=False)  # "" when it is not
    _goal: tuple[int, int] | None = field(default=None, init=False)  # timeline, position

    def __post_init__(self) -> None:
        try:
            self.why = self._file.read_text(encoding="utf-8").strip() or "not said"
        except FileNotFoundError:
            self.why = ""

    @property
    def _file(self) -> Path:
        return self.state / FILE

    def begin(self, why: str) -> bool:
        """It is on probation, durably; whether it was not before."""
        self._goal = None
        if self.why:
            return False
        write_file(self._file, f"{why}\n", account(""))
        self.why = why
        return True

    @property
    def under_way(self) -> bool:
        """It is known when it may end."""
        return self._goal is not None

    def attached(self, timeline: int, position: int) -> None:
        """What it receives from now on is of a log that ends at `position` now, or already did."""
        if self._goal is None or self._goal[0] != timeline:
            self._goal = (timeline, position)

    def end(self, end: LogEnd | None, begins: int | None, all_hold: int) -> bool:
        """Whether it ends now, by a log from `begins` to `end`; the data sites hold `all_hold`."""
        if not self.why or self._goal is None or end is None or begins is None:
            return False
        timeline, position = self._goal
        if end.timeline != timeline or end.position < position or all_hold < begins:
            return False
        self._file.unlink(missing_ok=True)
        sync_directory(self.state)
        self.why = ""
        return True
