"""Writes at a steady rate, whatever the service does.

The schedule does not wait for answers: a stall shows as what it is, and is not hidden by a client
that politely stops asking: a new transfer is due every few milliseconds, and is itself a probe. One
is sent again under its key until it is acknowledged: at once while that may be all it takes, then
ever more rarely, as any client has to. Servers that can answer all of them, but none within their
patience, would otherwise be asked for the same for ever; and those that refuse would have to refuse
thousands a second, on the processors that the service needs to come back.
"""

import asyncio
import json
import math
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import aiohttp

from lab.client.attempts import Attempt, Outcome

_AT_ONCE: Final = 2  # unanswered attempts after which the next is not put off
# From the start of an attempt to the next: the first pause, the longest; each is twice the last.
_REFUSED_S: Final = (0.04, 0.3)
_UNANSWERED_S: Final = (0.1, 1.0)  # from its end
_CATCH_UP_S: Final = 1.0  # what the schedule may be behind before it lets transfers go


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write, where and how."""

    url: str
    rate: float = 40.0
    workers: int = 4
    timeout_s: float = 0.5
    in_flight: int = 16  # transfers of one worker at a time
    keepalive: bool = False
    duration_s: float = math.inf
    grace_s: float = 5.0  # after the stop, for what is under way
    name: str = "w"  # the keys begin with it


class LogFile:
    """The log, each line whole and on its way before anything else happens."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", buffering=1)

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def event(self, event: str, **words: object) -> None:
        """A start or an end."""
        self._file.write(json.dumps({"event": event, "at": time.monotonic(), **words}) + "\n")

    def attempt(self, attempt: Attempt) -> None:
        """An attempt that has ended."""
        self._file.write(json.dumps({"event": "attempt", **asdict(attempt)}) + "\n")


class Writer:
    """The writing clients of one run."""

    def __init__(self, plan: Plan, log: LogFile) -> None:
        self._plan = plan
        self._log = log
        self._stop = asyncio.Event()
        self._give_up = asyncio.Event()
        self.skipped = 0

    def stop(self) -> None:
        """No new transfer begins; those under way may end."""
        self._stop.set()

    async def run(self) -> None:
        """Everything was written, or the grace after the stop is over."""
        plan = self._plan
        self._log.event("start", url=plan.url, rate=plan.rate, workers=plan.workers)
        connector = aiohttp.TCPConnector(limit=0, force_close=not plan.keepalive)
        sent = aiohttp.TraceConfig()
        sent.on_request_chunk_sent.append(_note_sent)
        async with (
            aiohttp.ClientSession(connector=connector, trace_configs=[sent]) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._end())
            async with asyncio.TaskGroup() as workers:
                for worker in range(plan.workers):
                    workers.create_task(self._work(session, worker))
            self._stop.set()
            self._give_up.set()
        self._log.event("end", skipped=self.skipped)

    async def _end(self) -> None:
        await _wait(self._stop, self._plan.duration_s)
        self._stop.set()
        await _wait(self._give_up, self._plan.grace_s)
        self._give_up.set()

    async def _work(self, session: aiohttp.ClientSession, worker: int) -> None:
        plan = self._plan
        every = plan.workers / plan.rate
        due = time.monotonic() + every * worker / plan.workers
        free = asyncio.Semaphore(plan.in_flight)
        number = 0
        async with asyncio.TaskGroup() as group:
            while not await _wait(self._stop, due - time.monotonic()):
                await free.acquire()
                if self._stop.is_set():
                    break
                number += 1
                key = f"{plan.name}-{worker}-{number}"
                task = group.create_task(self._transfer(session, key))
                task.add_done_callback(lambda _: free.release())
                due += every
                behind = time.monotonic() - due
                if behind > _CATCH_UP_S:
                    self.skipped += int(behind / every)
                    due += every * int(behind / every)

    async def _transfer(self, session: aiohttp.ClientSession, key: str) -> None:
        refused = unanswered = 0
        for number in range(1, 10**9):
            attempt = await self._attempt(session, key, number)
            self._log.attempt(attempt)
            if attempt.outcome is Outcome.OK or 400 <= attempt.status < 500:
                return
            late = attempt.latency_s >= self._plan.timeout_s
            unanswered, refused = unanswered + late, refused + (not late)
            name = f"{key}-{number}"
            pause = max(
                _backed_off_s(_REFUSED_S, refused, name) - attempt.latency_s,
                _backed_off_s(_UNANSWERED_S, unanswered - _AT_ONCE, name),
            )
            if await _wait(self._give_up, pause):
                return

    async def _attempt(self, session: aiohttp.ClientSession, key: str, number: int) -> Attempt:
        sent: dict[str, bool] = {}
        words: dict[str, Any] = {}
        status, detail = 0, ""
        sent_at = time.monotonic()
        try:
            async with session.post(
                f"{self._plan.url}/transfer",
                json={"from": f"player-{key}", "to": "house", "amount": 1},
                headers={"Idempotency-Key": key},
                timeout=aiohttp.ClientTimeout(total=self._plan.timeout_s),
                trace_request_ctx=sent,
            ) as response:
                status, edge = response.status, response.headers.get("X-Tricast-Edge", "")
                words = {"edge": edge, **_answer(await response.read())}
        except TimeoutError:
            detail = f"no answer within {self._plan.timeout_s:g} s"
        except aiohttp.ClientError as error:
            detail = str(error) or type(error).__name__
        at = time.monotonic()
        return Attempt(
            sent_at=sent_at,
            at=at,
            key=key,
            attempt=number,
            outcome=_outcome(status, words, whether_sent=bool(sent), broken=bool(detail)),
            site=str(words.get("site", "")),
            server=str(words.get("server", "")),
            edge=str(words.get("edge", "")),
            latency_s=round(at - sent_at, 6),
            status=status,
            detail=detail or str(words.get("error", "")),
        )


def _backed_off_s(bounds_s: tuple[float, float], failures: int, name: str) -> float:
    """Between a half and the whole of the pause after so many failures of this kind."""
    if failures <= 0:
        return 0.0
    first, longest = bounds_s
    whole = min(longest, first * 2.0 ** min(failures - 1, 10))
    return whole * (0.5 + zlib.crc32(name.encode()) / 2**33)


def _outcome(status: int, words: dict[str, Any], *, whether_sent: bool, broken: bool) -> Outcome:
    if not whether_sent:
        return Outcome.FAIL
    if broken:
        return Outcome.UNKNOWN
    if status == 200 and "id" in words:
        return Outcome.OK
    return Outcome.FAIL if words.get("outcome") == "failed" else Outcome.UNKNOWN


def _answer(body: bytes) -> dict[str, Any]:
    try:
        words = json.loads(body)
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}


async def _note_sent(
    _session: aiohttp.ClientSession,
    context: Any,  # noqa: ANN401  # as aiohttp hands it over
    _parameters: aiohttp.TraceRequestChunkSentParams,
) -> None:
    context.trace_request_ctx["sent"] = True


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within the time."""
    if seconds <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else seconds):
            return await event.wait()
    except TimeoutError:
        return False
