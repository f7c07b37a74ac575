"""The audit log of one node: what happened is noted at once, and written as soon as it can be.

`note` never waits and never fails. A thread of its own writes what is waiting: what a person did at
once, anything else a moment later, so that a role change has the disk to itself. A disk that is
full, slow or broken holds up nothing but this log. What waits is bounded: beyond that it is
counted, and an entry says how many are lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import structlog

from controller.audit.anchor import Anchor
from controller.audit.chain import Break
from controller.audit.entry import Entry, Event, Head, Note
from controller.core.model import Instant, SiteName
from controller.ports import Clock, PortError
from controller.runtime import beat
from controller.runtime.audit_anchors import STORE, AnchorBook, StoreAnchors
from controller.runtime.audit_file import AuditFile, NotArchived
from controller.runtime.audit_reader import AuditReader, Part

log = structlog.get_logger()

WAITING_MAX: Final = 5000
BATCH: Final = 200
GATHER_S: Final = 1.0  # what follows a role change closely is written with it
RETRY_S: Final = 1.0
FIRST_ANCHORS_S: Final = 5.0  # how long the log stays closed for want of the store
ANCHOR_S: Final = 1.0  # between two writes to the store
LOOK_S: Final = 10.0  # between two looks at the other sites' heads
CHECK_S: Final = 600.0  # between two looks at the whole own chain
CLOSE_S: Final = 1.0
FAULT_S: Final = 30.0  # until it begins anew after a fault of its own
SLOW_S: Final = 5.0  # a disk that has not answered for so long is told

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Auditor:
    """Notes, writes, anchors, and looks at what others have anchored."""

    site: SiteName
    clock: Clock
    file: AuditFile
    book: AnchorBook
    store: StoreAnchors
    configuration: str = ""  # fingerprint of what this daemon runs with
    version: str = ""
    waiting_max: int = WAITING_MAX
    waiting: deque[Note] = field(default_factory=deque)
    lost: int = 0
    lost_since: str = ""
    problem: str = ""  # why nothing can be written now
    breaks: tuple[Break, ...] = ()
    contradictions: dict[str, str] = field(default_factory=dict)  # by whom, and whose chain
    opened: bool = False
    _begun: bool = False
    _writing_since: Instant | None = None
    _come: asyncio.Event = field(default_factory=asyncio.Event)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _written: asyncio.Event = field(default_factory=asyncio.Event)
    _anchored: Head = field(default_factory=Head)
    _closed: dict[str, tuple[Break, ...]] = field(default_factory=dict)  # in which closed file
    _thread: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "audit"))
    _reading: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, 1, "audit-reader")
    )
    reader: AuditReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = AuditReader(directory=self.file.directory, site=self.site)

    def note(  # noqa: PLR0913 - one argument a field of the entry
        self,
        event: Event,
        *,
        who: str = "",
        verb: str = "",
        service: str = "",
        epoch: int = 0,
        reason: str = "",
        outcome: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """It will be an entry, or be counted as lost. Returns at once."""
        self._add(
            Note(
                at=self.clock.stamp(),
                event=event,
                who=who,
                verb=verb,
                service=service,
                epoch=epoch,
                reason=reason,
                outcome=outcome,
                facts=dict(facts or {}),
            )
        )

    def _add(self, note: Note) -> None:
        if len(self.waiting) >= self.waiting_max:
            self.lost += 1
            self.lost_since = self.lost_since or note.at
            return
        self._own_up()
        self.waiting.append(note)
        self._come.set()
        if note.who:
            self._hurry.set()

    def _own_up(self) -> None:
        """What was lost is told in its place, as soon as there is one."""
        if not self.lost:
            return
        text = f"{self.lost} entries since {self.lost_since} could not be kept: no room for them"
        facts = {"lost": str(self.lost), "since": self.lost_since}
        self.waiting.append(Note(at=self.clock.stamp(), event=Event.LOST, reason=text, facts=facts))
        self.lost, self.lost_since = 0, ""

    def alarms(self) -> tuple[str, ...]:
        """What an operator has to look at; each a sentence."""
        found: list[str] = []
        if problem := self.problem or self._slow():
            kept = f"{len(self.waiting)} entries wait in memory"
            gone = f", {self.lost} are lost" if self.lost else ""
            found.append(f"the audit log cannot be written: {problem}; {kept}{gone}")
        if self.breaks:
            found.append(f"the audit log is broken at {self.breaks[0]}: see tricast audit verify")
        return (*found, *(f"audit anchors: {said}" for said in self.contradictions.values()))

    def _slow(self) -> str:
        since = self._writing_since
        took_s = 0.0 if since is None else self.clock.monotonic() - since
        return f"the disk has not answered for {took_s:.0f} s" if took_s > SLOW_S else ""

    async def parts(self) -> tuple[Part, ...]:
        """Every file of the log. Raises OSError."""
        return await self._in_thread(self.reader.parts)

    async def part(self, ident: int, offset: int) -> bytes | None:
        """Bytes of a file, no entry half written; None: it is not here. Raises OSError."""
        return await self._in_thread(partial(self.reader.part, ident, offset))

    async def entries(self, service: str | None, since: str, limit: int) -> tuple[Entry, ...]:
        """The newest that can be read, the oldest of them first. Raises OSError."""
        return await self._aside(partial(self.reader.newest, service, since, limit))

    async def archive(self, name: str, end: str, note: Note, *, damaged: bool) -> Head:
        """A closed file is on record as archived, and gone. Raises NotArchived and OSError."""
        if not self.opened:
            raise NotArchived("the audit log is not open yet: tricast status says why")
        work = partial(self.file.archive, name, end, note, damaged=damaged)
        try:
            return await self._in_thread(work)
        finally:
            self._written.set()

    async def anchors(self) -> tuple[tuple[Anchor, ...], tuple[str, ...]]:
        """Every anchor that this node can tell now, and what it cannot."""
        kept = await self._in_thread(self.book.all)
        try:
            found, problems = await self.store.read()
        except PortError as error:
            return kept, (str(error),)
        return (*kept, *found), problems

    # --- what runs ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes, anchors and looks, for ever. Nothing that goes wrong with it ends the daemon."""
        while True:
            try:
                await self._run()
            except Exception as error:
                log.exception("audit log at fault", error=str(error))
                self.problem, self.opened = f"a fault of its own, {error!r:.200}", False
                self._writing_since = None
                await asyncio.sleep(FAULT_S)

    async def _run(self) -> None:
        await self._open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_forever())
            tasks.create_task(self._anchor_forever())
            tasks.create_task(self._look_forever())
            tasks.create_task(self._check_forever())

    async def aclose(self) -> None:
        """What was waiting has been written, if the disk is quick."""
        if self.opened and self.waiting:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._in_thread(self._write)
            except (OSError, TimeoutError) as error:
                log.warning("audit", error=str(error), waiting=len(self.waiting))
        self.reader.stop.set()
        self._reading.shutdown(wait=False, cancel_futures=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _open(self) -> None:
        """The log is open, and begins with this start."""
        damaged = ""
        known: tuple[Anchor, ...] = ()
        while not self.opened:
            try:
                damaged = damaged or await self._in_thread(self.book.load)
                known = known or await self._first_anchors()
                kept = await self._in_thread(self.book.all)
                found = await self._in_thread(partial(self.file.open, (*kept, *known)))
            except OSError as error:
                self._failed(error)
                await asyncio.sleep(RETRY_S)
                continue
            self.opened, self.problem, self.breaks = True, "", found.breaks
            if damaged:
                self.note(Event.DAMAGED, reason=damaged)
            self._started(found.configuration)
            self._come.set()
            self._hurry.set()
        if self.breaks:
            log.error("audit log broken", first=str(self.breaks[0]), breaks=len(self.breaks))

    def _started(self, before: str) -> None:
        """What waited since the start comes after the start; there is one start a daemon."""
        if self._begun:
            return
        self._begun = True
        text = f"tricast {self.version} with configuration {self.configuration[:16]}"
        facts = {"configuration": self.configuration, "version": self.version}
        began = [Note(at=self.clock.stamp(), event=Event.STARTED, reason=text, facts=facts)]
        if before not in ("", self.configuration):
            text = "the configuration is not that of the start before"
            facts = {"configuration": self.configuration, "before": before}
            began.append(
                Note(at=self.clock.stamp(), event=Event.CONFIGURED, reason=text, facts=facts)
            )
        self.waiting.extendleft(reversed(began))

    async def _first_anchors(self) -> tuple[Anchor, ...]:
        """What the store says before the first entry is made, if it says it soon."""
        try:
            async with asyncio.timeout(FIRST_ANCHORS_S):
                while True:
                    try:
                        return (await self.store.read())[0]
                    except PortError:
                        await asyncio.sleep(RETRY_S)
        except TimeoutError:
            return ()

    async def _write_forever(self) -> None:
        while True:
            await self._come.wait()
            try:
                async with asyncio.timeout(GATHER_S):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._come.clear()
            self._hurry.clear()
            self._writing_since = self.clock.monotonic()
            try:
                await self._in_thread(self._write)
            except OSError as error:
                self._writing_since = None
                self._failed(error)
                self._come.set()
                await asyncio.sleep(RETRY_S)
                continue
            self._writing_since = None
            if self.problem:
                log.info("audit log written again")
            self.problem = ""
            self._own_up()
            if self.waiting:
                self._come.set()
            self._written.set()

    def _failed(self, error: OSError) -> None:
        text = f"{self.file.path}: {error.strerror or error}"
        if text != self.problem:
            log.error("audit log cannot be written", error=text, waiting=len(self.waiting))
        self.problem = text

    def _write(self) -> None:
        """In the thread: what waits is written, in order; only what is durable leaves the queue."""
        while self.waiting:
            batch = [self.waiting[place] for place in range(min(BATCH, len(self.waiting)))]
            self.file.append(batch)
            for _ in batch:
                self.waiting.popleft()

    async def _anchor_forever(self) -> None:
        """The store has the newest head, soon after it was written."""
        self._written.set()
        while True:
            await self._written.wait()
            self._written.clear()
            head = self.file.head
            if head not in (self._anchored, Head()):
                await self._anchor(head)
            await asyncio.sleep(ANCHOR_S)

    async def _anchor(self, head: Head) -> None:
        try:
            other = await self.store.raise_to(self.site, head, self.clock.stamp())
        except PortError:
            self._written.set()
            return
        if other is None:
            self._anchored = head
            self.contradictions.pop(f"{STORE} {self.site}", None)
            own = Anchor(site=self.site, seq=head.seq, hash=head.hash, at=self.clock.stamp())
            await self._keep((own,))
            return
        self._contradicted(
            f"{other.place} {self.site}",
            f"{other.place} has entry {other.seq} of {self.site} as {other.hash[:16]}, this log "
            f"ends with entry {head.seq}, {head.hash[:16]}",
        )
        if other.seq >= head.seq:
            await self._in_thread(partial(self.file.go_on_after, other))

    async def _look_forever(self) -> None:
        """What the other sites have anchored is kept here too."""
        while True:
            try:
                found, problems = await self.store.read()
            except PortError:
                found, problems = (), ()
            for problem in problems:
                self._contradicted(problem.partition(":")[0], problem)
            await self._keep(tuple(a for a in found if a.site != self.site))
            await beat.rest(LOOK_S)

    async def _keep(self, anchors: tuple[Anchor, ...]) -> None:
        """They are in this node's book, on its disk if that can be."""

        def keep() -> list[tuple[str, str]]:
            told = [(f"{a.place} {a.site}", self.book.take(a)) for a in anchors]
            self.book.save()
            return told

        try:
            told = await self._in_thread(keep)
        except OSError as error:
            log.warning("audit anchors", error=str(error))
            return
        for where, said in told:
            if said:
                self._contradicted(where, said)
            else:
                self.contradictions.pop(where, None)

    def _contradicted(self, where: str, said: str) -> None:
        if where not in self.contradictions:
            log.error("audit anchors", error=said)
            self.note(Event.DAMAGED, reason=said, facts={"where": where})
        self.contradictions[where] = said

    async def _check_forever(self) -> None:
        """That somebody has edited the log of a running daemon is found in time."""
        while True:
            await beat.rest(CHECK_S)
            anchors, _ = await self.anchors()
            try:
                verdict = await self._in_thread(partial(self.file.check, anchors))
            except OSError as error:
                self._failed(error)
                continue
            await self._look_at_closed()
            self.breaks = (*(b for each in self._closed.values() for b in each), *verdict.breaks)
            for note in self.file.damage(self.breaks):
                self._add(note)

    async def _look_at_closed(self) -> None:
        """One closed file that was not looked at as it is now."""
        try:
            name, breaks = await self._aside(self.reader.look_at_one)
            here = {closed.name for closed in await self._in_thread(self.file.closed)}
        except OSError as error:
            log.warning("audit", error=str(error))
            return
        self._closed = {n: b for n, b in (self._closed | {name: breaks}).items() if n in here and b}

    async def _aside(self, work: Callable[[], T]) -> T:
        """What takes long holds up no entry."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
