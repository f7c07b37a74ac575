"""The server that a PostgreSQL keeper receives from: what it is asked, and the slot there.

The questions are those of the replication protocol, which a voter's role may ask (PostgreSQL
manual, 55.4): the server is the primary of the epoch that is asked for, or the keeper does not
follow it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from controller.adapters.postgres_link import Link, SqlRefused
from controller.adapters.postgres_spec import VoterLink
from controller.core.model import Epoch, SiteName
from controller.hostagent import wal
from controller.ports import Refused

NO_SUCH_SLOT: Final = "42704"


@dataclass(frozen=True, slots=True)
class Log:
    """What a primary says of its log."""

    system: str  # the identifier that initdb gave it
    ends: int  # bytes; durable at the primary
    ancestry: wal.Ancestry


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One server, as the keeper of `site` reaches it. Deadlines are instants of the loop's."""

    name: str
    link: VoterLink
    site: SiteName
    user: str
    password: str = field(repr=False)

    @property
    def target(self) -> Mapping[str, str]:
        """How the receiver connects; its password is in a file."""
        return {
            "host": self.link.address,
            "port": str(self.link.port),
            "user": self.user,
            "application_name": self.site,
            "connect_timeout": "3",
            "keepalives_idle": "3",
            "keepalives_interval": "1",
            "keepalives_count": "3",
            "tcp_user_timeout": "5000",
        }

    def password_line(self) -> str:
        """The password file of the receiver."""
        password = self.password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:{self.user}:{password}\n"

    async def log(self, epoch: Epoch, deadline: float) -> Log:
        """Where its log comes from and ends; refused when it is not the primary of `epoch`."""
        with self._asked() as link:
            rows = await link.query("IDENTIFY_SYSTEM", deadline=deadline)
            system, timeline, ends = rows[0][0] or "", int(rows[0][1] or 0), rows[0][2] or ""
            if timeline != epoch:
                raise Refused(f"{self.name} is on timeline {timeline}, not {epoch}: not followed")
            if timeline == 1:
                return Log(system, wal.to_bytes(ends), ())
            found = await link.query(f"TIMELINE_HISTORY {timeline}", deadline=deadline)
            return Log(system, wal.to_bytes(ends), wal.parse_history(found[0][1] or ""))

    async def renew_slot(self, slot: str, deadline: float) -> None:
        """The slot asks for the log from the last checkpoint on, and for nothing before.

        A receiver without a log begins where its slot stands, and what it says when it begins can
        take the slot back to a place that the server has removed.
        """
        with self._asked() as link:
            try:
                await link.query(f"DROP_REPLICATION_SLOT {slot} WAIT", deadline=deadline)
            except SqlRefused as error:
                if error.sqlstate != NO_SUCH_SLOT:
                    raise
            create = f"CREATE_REPLICATION_SLOT {slot} PHYSICAL RESERVE_WAL"
            await link.query(create, deadline=deadline)

    @contextmanager
    def _asked(self) -> Iterator[Link]:
        """A connection of the replication protocol, for a question or two."""
        where = {key: value for key, value in self.target.items() if key != "host"}
        where |= {
            "hostaddr": self.link.address,
            "replication": "true",
            "password": self.password,
        }
        link = Link(self.name, where)
        try:
            yield link
        finally:
            link.drop()
