"""Requests through the service address, all the time, from where the operator sits.

Each has a connection of its own, as a client that has just come, and is sent whether or not those
before it were answered: one that hangs hides nothing.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

import aiohttp

from controller.drill.measure import Sample

EVERY_S: Final = 0.1
PATIENCE_S: Final = 5.0
BODY_BYTES_MAX: Final = 64 * 1024


class Canary:
    """A watch: it asks in a thread of its own for as long as the scope lasts."""

    def __init__(
        self, url: str, *, every_s: float = EVERY_S, patience_s: float = PATIENCE_S
    ) -> None:
        self.url = url
        self.every_s = every_s
        self.samples: list[Sample] = []  # only ever appended to
        self._patience_s = patience_s
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="canary", daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(self._patience_s + 1.0)

    def now_s(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._began

    def failures(self) -> dict[str, int]:
        """What came instead of good answers, and how often."""
        return dict(Counter(sample.detail for sample in list(self.samples) if not sample.ok))

    def _live(self) -> None:
        asyncio.run(self._ask_forever())

    async def once(self) -> None:
        """One more sample."""
        async with self._session() as session:
            await self._ask(session)

    async def _ask_forever(self) -> None:
        async with self._session() as session, asyncio.TaskGroup() as tasks:
            turn = 0
            while not self._ended.is_set():
                tasks.create_task(self._ask(session))
                # A host that stood still makes up for nothing.
                turn = max(turn + 1, int(self.now_s() / self.every_s))
                await asyncio.sleep(max(0.0, turn * self.every_s - self.now_s()))

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=self._patience_s),
        )

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        sent_s = self.now_s()
        ok, site, detail = False, "", ""
        try:
            async with session.get(self.url, allow_redirects=False) as answer:
                body = await answer.content.read(BODY_BYTES_MAX)
                ok = 200 <= answer.status < 300
                site, detail = site_of(body), f"status {answer.status}"
        except TimeoutError:
            detail = f"no answer within {self._patience_s:g} s"
        except aiohttp.ClientConnectorError as error:
            detail = f"no connection: {error.os_error.strerror or type(error).__name__}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            detail = str(error)[:120] or type(error).__name__
        found = Sample(
            sent_s=sent_s,
            ended_s=self.now_s(),
            ok=ok,
            site=site if ok else "",
            detail="" if ok else detail,
        )
        self.samples.append(found)


def site_of(body: bytes) -> str:
    """The site that an answer names; empty when it names none."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    site = told.get("site") if isinstance(told, dict) else None
    return site[:60] if isinstance(site, str) else ""


def asked_once(url: str) -> Sample:
    """One request, now."""
    canary = Canary(url)
    asyncio.run(canary.once())
    return canary.samples[0]
