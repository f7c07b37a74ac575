"""Who answers on an address: a short question every few milliseconds, on a new connection each."""

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from lab.client.attempts import longest_gap

_MOST_IN_FLIGHT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one question brought; nobody answered when `site` and `edge` are empty."""

    asked_at: float
    at: float
    site: str = ""
    server: str = ""
    edge: str = ""
    status: int = 0
    detail: str = ""


class Prober:
    """Asks until it is stopped, and tells every answer in the order of the questions."""

    def __init__(
        self, url: str, every_s: float, timeout_s: float, tell: Callable[[Answer], None]
    ) -> None:
        self._url = url
        self._every_s = every_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._tell = tell
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """No more questions."""
        self._stop.set()

    async def run(self, duration_s: float = math.inf) -> None:
        """Every question asked has had its answer, or its time."""
        asked: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue(_MOST_IN_FLIGHT)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._listen(asked))
            due = time.monotonic()
            end = due + duration_s
            while due < end and not self._stop.is_set():
                await asked.put(group.create_task(self._ask(session)))
                due = max(due + self._every_s, time.monotonic() - self._every_s)
                await self._pause(due)
            await asked.put(None)

    async def _pause(self, due: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _listen(self, asked: asyncio.Queue[asyncio.Task[Answer] | None]) -> None:
        while (task := await asked.get()) is not None:
            self._tell(await task)

    async def _ask(self, session: aiohttp.ClientSession) -> Answer:
        asked_at = time.monotonic()
        words: dict[str, Any] = {}
        edge, status, detail = "", 0, ""
        try:
            async with session.get(f"{self._url}/whoami") as response:
                edge, status = response.headers.get("X-Tricast-Edge", ""), response.status
                words = await response.json(content_type=None)
        except TimeoutError:
            detail = "no answer"
        except (aiohttp.ClientError, ValueError) as error:
            detail = str(error) or type(error).__name__
        known = words if isinstance(words, dict) else {}
        return Answer(
            asked_at=asked_at,
            at=time.monotonic(),
            site=str(known.get("site", "")),
            server=str(known.get("server", "")),
            edge=edge,
            status=status,
            detail=detail,
        )


class Changes:
    """Prints an answer that differs from the one before; counts them all."""

    def __init__(self, *, everything: bool = False) -> None:
        self._everything = everything
        self._last: tuple[str, str] | None = None
        self.count: dict[str, int] = {}
        self._answered: list[float] = []
        self._first = 0.0
        self._latest = 0.0

    def tell(self, answer: Answer) -> None:
        """One answer more."""
        who = (answer.site or "nobody", answer.edge)
        self.count[who[0]] = self.count.get(who[0], 0) + 1
        self._first = self._first or answer.asked_at
        self._latest = answer.at
        if answer.site:
            self._answered.append(answer.at)
        if self._everything or who != self._last:
            words = {"at": answer.at, "site": who[0], "server": answer.server, "edge": answer.edge}
            print(json.dumps({**words, "detail": answer.detail}), flush=True)
        self._last = who

    def summary(self) -> dict[str, object]:
        """How often who answered, and the longest time in which nobody did."""
        since, until = longest_gap(self._answered, self._first, max(self._latest, self._first))
        return {
            "probes": sum(self.count.values()),
            "by_site": self.count,
            "longest_gap_s": round(until - since, 6),
        }
