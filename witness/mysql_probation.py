"""Whether the log of a MariaDB or MySQL keeper holds everything that its site ever acknowledged.

The server says so itself, in a row that is never replicated and that a new or wiped server does not
have (`tricast.start`, column `level`). It is set once the log has the row of the epoch that is
followed and all that the holder's log had after the keeper was attached: by then whatever any
server acknowledged in this keeper's name stands in it again. Until then the keeper proves nothing,
although it receives and acknowledges. A log that ends before where it ended is no longer level.
Not guaranteed: that a server put back to an older state is noticed when the daemon did not see it
before; one that was wiped always is.
"""

from dataclasses import dataclass, field

import structlog

from controller.adapters.mysql_dialect import NOTE_LEVEL
from controller.adapters.mysql_gtid import includes
from controller.adapters.mysql_look import Look
from controller.adapters.mysql_session import Session
from controller.core.model import DatabaseName, Epoch

log = structlog.get_logger()


@dataclass(slots=True)
class Probation:
    """What one keeper's log must hold before it counts."""

    database: DatabaseName
    floor: str = field(default="", init=False)  # it ended here when it was last known to be level
    _goal: str | None = field(default=None, init=False)  # the holder's log, read once attached
    _said: str = field(default="", init=False)

    def why(self, seen: Look, floor: str) -> str:
        """Why the log proves nothing, "" for it holds everything; `floor`: ours before the look."""
        if seen.started is None or seen.started.pending:
            return ""  # nothing is known of its end, which is said elsewhere
        if not includes(seen.dialect.format, seen.log_end, floor):
            return f"its log ended at {floor}, and now at {seen.log_end or 'nothing'}"
        if not seen.started.level:
            return "its log is new, or was not yet seen to hold what its primary's log held"
        return ""

    def saw(self, seen: Look) -> str:
        """As `why`, of looks that come one after the other: what it holds now, it has to keep."""
        why = self.why(seen, self.floor)
        if not why and seen.started is not None and not seen.started.pending:
            self.floor = seen.log_end
        return why

    def attached(self) -> None:
        """It was told to follow somebody: what it must hold is asked of them again."""
        self._goal = None

    @property
    def asks(self) -> bool:
        """It is not known yet what the log of the holder holds."""
        return self._goal is None

    def must_hold(self, gtids: str) -> None:
        """The holder's log ended there, after the keeper was attached to it."""
        self._goal = gtids

    def reached(self, seen: Look, epoch: Epoch) -> bool:
        """It holds all that the holder of `epoch` had."""
        if self._goal is None or seen.epoch != epoch or seen.source is None:
            return False
        return seen.source.streaming and includes(seen.dialect.format, seen.log_end, self._goal)

    async def note(self, session: Session, seen: Look, why: str) -> None:
        """The server says from now on, also after a restart, whether its log is level."""
        level = not why
        if seen.started is not None and seen.started.level != level:
            self._goal = None
            note = NOTE_LEVEL.format(level=int(level))
            await session.run(("SET SESSION sql_log_bin=0", note, "SET SESSION sql_log_bin=1"))
        self.floor = seen.log_end if level else ""
        if level:
            self._said = ""
            log.info("keeper", database=self.database, votes_again=seen.log_end)
        elif why != self._said:
            self._said = why
            log.warning("keeper", database=self.database, proves_nothing=why)
