"""How far the host agent of a database is with a rejoin, as it tells.

An agent of an older version knows no such verb and refuses: then nothing is known, and nothing
else is different.
"""

import re
from typing import Final

from controller.ports import HostAgent, Refused, Work

_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


class AgentWork:
    """What the work on one database tells of itself, by the verb of its family."""

    def __init__(self, agent: HostAgent, verb: str, database: str) -> None:
        self._agent = agent
        self._verb = verb
        self._database = database

    async def look(self, deadline_s: float) -> Work | None:
        """How far it is; None when nobody works, or it does not tell. Raises PortError."""
        try:
            told = await self._agent.call(self._verb, {"database": self._database}, deadline_s)
        except Refused:
            return None
        phase = told.get("phase", "")
        if not phase:
            return None
        return Work(
            phase=phase,
            for_s=_seconds(told.get("for_s", "")),
            done=_bytes(told.get("done", "")),
            total=_bytes(told.get("total", "")),
        )

    async def aclose(self) -> None:
        """The way to the agent is closed until the next look."""
        await self._agent.aclose()


def _seconds(text: str) -> float:
    return float(text) if _SECONDS.fullmatch(text) else 0.0


def _bytes(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
