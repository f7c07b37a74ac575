"""How far a MySQL server is that makes itself a copy of another, as it tells."""

from typing import Final

from controller.adapters.mysql_session import Login, Session, by_deadline
from controller.ports import Work

_PROGRESS: Final = (
    "SELECT p.stage AS stage, p.state AS state, p.estimate AS estimate, p.data AS data,"
    " TIMESTAMPDIFF(MICROSECOND, p.begin_time, NOW(6)) / 1000000 AS for_s"
    " FROM performance_schema.clone_progress p"
    " JOIN performance_schema.clone_status s USING (id)"
    " WHERE s.state = 'In Progress'"
)
_COPYING: Final = frozenset({"FILE COPY", "PAGE COPY", "REDO COPY"})


class CloneWork:
    """The clone that runs inside one server."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._session = Session(login)

    async def look(self, deadline_s: float) -> Work | None:
        """How far it is; None when it makes no copy. Raises PortError."""
        async with by_deadline(f"{self._login}: look at its clone", deadline_s):
            rows = await self._session.rows(_PROGRESS)
        under_way = [row for row in rows if row["state"] == "In Progress"]
        if not under_way:
            return None
        copying = [row for row in rows if row["stage"] in _COPYING]
        return Work(
            phase=f"clone: {str(under_way[0]['stage']).lower()}",
            for_s=max(0.0, float(under_way[0]["for_s"] or 0)),
            done=sum(int(row["data"] or 0) for row in copying),
            total=sum(int(row["estimate"] or 0) for row in copying),
        )

    async def aclose(self) -> None:
        """The connection is closed until the next look."""
        self._session.drop()
