"""Tells people what happened, and holds up nothing: its own tasks, its own thread, bounded queues.

At least once: what is known and what waits is kept in one file, and a notice leaves it only after
it was taken. A crash between the two repeats the notice, under the same id. Without a usable disk
it goes on from memory.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import ValidationError

from controller.core.model import SiteName
from controller.notify.derive import Known, derive
from controller.notify.event import TRAITS, Event, EventKind
from controller.notify.notice import Notice, notice_of
from controller.notify.situation import Situation
from controller.ports import Clock, PortError
from controller.runtime import beat
from controller.runtime.durable import replace_file
from controller.runtime.outbox import Outbox

log = structlog.get_logger()

FORMAT: Final = 1
LOOK_S: Final = 1.0
SAVE_S: Final = 0.2  # between two writes of the file
FAULT_S: Final = 30.0  # until it begins anew after a fault of its own
FAILING_S: Final = 300.0
CLOSE_S: Final = 1.0
TEST_S: Final = 1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came back of a test."""

    target: str
    where: str
    ok: bool
    detail: str


@dataclass(slots=True, kw_only=True)
class Notifier:
    """Looks, derives, sends, and keeps what it has to remember."""

    cluster: str
    site: SiteName
    clock: Clock
    path: Path
    outboxes: Sequence[Outbox]
    changed: asyncio.Event
    lag_bytes: int
    known: Known = field(default_factory=Known)
    problem: str = ""  # why the file cannot be written or read
    tests: int = 0
    _loaded: bool = False
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="notify")
    )

    def look(self, situation: Situation) -> None:
        """What is new in `situation` waits to be sent, where this site is the one that tells."""
        before = self.known
        self.known, events = derive(before, situation, lag_bytes=self.lag_bytes)
        for event in events:
            if event.teller == self.site:
                self._offer(event)
        if _kept(before) != _kept(self.known):
            self.changed.set()
        for outbox in self.outboxes:
            self._own_up(outbox, situation.at)

    def _offer(self, event: Event) -> None:
        for outbox in self.outboxes:
            if outbox.target.wants(event):
                outbox.put(notice_of(event, self.cluster, self.site))

    def _own_up(self, outbox: Outbox, at: str) -> None:
        """What was dropped is told in its place, as soon as there is one."""
        if not outbox.untold or len(outbox.waiting) > outbox.waiting_max // 2:
            return
        lost, outbox.untold = outbox.untold, 0
        event = Event(
            id=f"{self.cluster}/{EventKind.DROPPED}/{self.site}/{outbox.target.name}/{at}",
            kind=EventKind.DROPPED,
            severity=TRAITS[EventKind.DROPPED].severity,
            at=at,
            what=f"{lost} notifications to {outbox.target.name} found no room to wait",
            facts={"dropped": str(lost), "target": outbox.target.name},
        )
        outbox.put(notice_of(event, self.cluster, self.site))

    def alarms(self) -> tuple[str, ...]:
        """What an operator has to look at; each a sentence."""
        found = [
            f"nobody at notification target {box.target.name} has been told anything for "
            f"{box.failing_s() / 60:.0f} min: {box.problem}; {len(box.waiting)} wait"
            for box in self.outboxes
            if box.failing_s() >= FAILING_S
        ]
        if self.problem:
            found.append(f"a restart may repeat or lose notifications: {self.problem}")
        return tuple(found)

    async def test(self, name: str) -> tuple[Tried, ...]:
        """What comes back of one attempt to tell a target, or each; KeyError: there is none."""
        boxes = [box for box in self.outboxes if name in ("", box.target.name)]
        if name and not boxes:
            raise KeyError(name)
        self.tests += 1
        at = self.clock.stamp()
        event = Event(
            id=f"{self.cluster}/{EventKind.TEST}/{self.site}/{at}/{self.tests}",
            kind=EventKind.TEST,
            severity=TRAITS[EventKind.TEST].severity,
            at=at,
            what=f"a test asked for at {self.site}; nothing has happened",
        )
        notice = notice_of(event, self.cluster, self.site)
        return tuple(await asyncio.gather(*(_tried(box, notice) for box in boxes)))

    # --- what runs ------------------------------------------------------------------------------

    async def run(self, situation: Callable[[], Awaitable[Situation]]) -> None:
        """Looks and sends for ever. Nothing that goes wrong with it ends the daemon."""
        await self._load()
        self._loaded = True
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._look_forever(situation))
                    tasks.create_task(self._save_forever())
                    for outbox in self.outboxes:
                        tasks.create_task(outbox.run())
            except Exception as error:
                log.exception("notifications at fault", error=str(error))
                self.problem = f"a fault of its own, {error!r:.200}"
                await asyncio.sleep(FAULT_S)

    async def aclose(self) -> None:
        """What was known last is kept, if the disk is quick."""
        try:
            if self._loaded:
                async with asyncio.timeout(CLOSE_S):
                    await self._save()
        except (OSError, TimeoutError) as error:
            log.warning("notifications", error=str(error))
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look_forever(self, situation: Callable[[], Awaitable[Situation]]) -> None:
        while True:
            self.look(await situation())
            await beat.rest(LOOK_S)

    async def _save_forever(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            try:
                await self._save()
                self.problem = ""
            except OSError as error:
                self._said(f"{self.path}: {error.strerror or error}")
            await asyncio.sleep(SAVE_S)

    async def _save(self) -> None:
        text, loop = self.state(), asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, replace_file, self.path, text)

    def _said(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("notifications", error=problem)
        self.problem = problem

    def state(self) -> str:
        """All that has to survive a restart."""
        known = self.known
        return json.dumps(
            {
                "format": FORMAT,
                "told": None if known.told is None else list(known.told),
                "standing": dict(known.standing),
                "waiting": {
                    box.target.name: [each.notice.model_dump(mode="json") for each in box.waiting]
                    for box in self.outboxes
                },
            }
        )

    async def _load(self) -> None:
        """It goes on where it ended; a file that cannot be read is as none."""
        try:
            loop = asyncio.get_running_loop()
            text = await loop.run_in_executor(self._thread, self.path.read_text)
            self.restore(json.loads(text))
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            self._said(f"{self.path} cannot be read, and is begun anew: {error!r:.200}")

    def restore(self, kept: Mapping[str, Any]) -> None:
        """As `state` was. Raises ValueError, TypeError or AttributeError: nothing was restored."""
        if kept.get("format") != FORMAT:
            raise ValueError(f"format {kept.get('format')!r} is not {FORMAT}")
        try:
            waiting = {
                name: [Notice.model_validate(each) for each in notices]
                for name, notices in kept["waiting"].items()
            }
            told, standing = kept["told"], {str(k): str(v) for k, v in kept["standing"].items()}
        except (KeyError, ValidationError) as error:
            raise ValueError(f"not what was kept: {error!r:.80}") from None
        known = None if told is None else tuple(str(each) for each in told)
        self.known = Known(told=known, standing=standing)
        for outbox in self.outboxes:
            for notice in waiting.get(outbox.target.name, ()):
                outbox.put(notice)


def _kept(known: Known) -> object:
    return known.told, known.standing


async def _tried(box: Outbox, notice: Notice) -> Tried:
    target, ok = box.target, True
    text = target.words.render(notice)
    try:
        async with asyncio.timeout(TEST_S):
            detail = await target.send(notice.model_copy(update={"text": text}))
    except PortError as error:
        ok, detail = False, str(error)
    except TimeoutError:
        ok, detail = False, f"{target.courier.where}: no answer within {TEST_S:g} s"
    return Tried(target=target.name, where=target.courier.where, ok=ok, detail=detail)
