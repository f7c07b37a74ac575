"""How far returning databases are, at this site and at every other: for people, decided on nowhere.

    rejoins/<site>    what that site's databases are at; under a short lease, while there is any

A site looks at its own host agents only while one of them works, and reads what the others tell
only while one of those rejoins. A store that does not answer costs nothing but the sight of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import ValidationError

from controller.core.model import DatabaseName, DatabaseState, Instant, Role, ServiceName, SiteName
from controller.daemon.rejoin_pace import CatchingUp, Pace
from controller.ports import Clock, PortError, Store, Work
from controller.runtime import beat
from controller.runtime.loop import ServiceLoop
from controller.runtime.records import Records
from controller.runtime.restraint import ELSEWHERE
from controller.web.answer import FORMAT, Answer
from controller.web.schema import RejoinView

REJOINS: Final = "rejoins/"
EVERY_S: Final = 2.0
LOOK_S: Final = 1.5
LEASE_S: Final = 10.0
CAUGHT_UP_BYTES: Final = 1 << 20
AT_WORK: Final = "at work"  # a host agent that does not tell more

Key = tuple[ServiceName, DatabaseName]


class Worker(Protocol):
    """What works on one database, as far as it tells."""

    async def look(self, deadline_s: float) -> Work | None:
        """How far it is; None when it does not say. May raise PortError."""

    async def aclose(self) -> None:
        """Connections are closed until the next look."""


class RejoinNote(Answer):
    """One database in what a site tells."""

    service: str
    database: str
    rejoin: RejoinView


class RejoinNotes(Answer):
    """The value of `rejoins/<site>`."""

    format: int = FORMAT
    rejoins: tuple[RejoinNote, ...] = ()


@dataclass(frozen=True, slots=True)
class _Heard:
    """What another site told, and when this one first saw it so."""

    revision: int
    at: Instant
    told: Mapping[Key, RejoinView]


@dataclass(slots=True, kw_only=True)
class Rejoins:
    """The rejoins of a cluster, as one site knows them."""

    site: SiteName
    store: Store
    prefix: str
    deadline_s: float
    clock: Clock
    records: Records
    loops: tuple[ServiceLoop, ...] = ()
    workers: Mapping[Key, tuple[Worker, ...]] = field(default_factory=dict)
    own: dict[Key, RejoinView] = field(default_factory=dict)
    _paces: dict[Key, Pace] = field(default_factory=dict)
    _after: dict[Key, CatchingUp] = field(default_factory=dict)
    _others: dict[SiteName, _Heard] = field(default_factory=dict)
    _told: bool = False

    async def run(self) -> None:
        """Looks, tells and reads for ever."""
        while True:
            await self.turn()
            await beat.rest(EVERY_S)

    async def turn(self) -> None:
        """What is known is as of now."""
        for loop in self.loops:
            await self._look(loop)
        await self._tell()
        await self._read()

    def of(self, site: SiteName, service: ServiceName) -> dict[str, RejoinView]:
        """The rejoins of one service at one site, by database."""
        heard = self._others.get(site)
        age, told = 0.0, self.own
        if site != self.site:
            told = {} if heard is None else dict(heard.told)
            age = 0.0 if heard is None else self.clock.monotonic() - heard.at
        return {
            name: view.model_copy(update={"age_s": round(age, 3)})
            for (owner, name), view in told.items()
            if owner == service
        }

    # --- this site's own -------------------------------------------------------------------------

    async def _look(self, loop: ServiceLoop) -> None:
        service, working = loop.hands.service, loop.lanes.rejoining()
        failed = loop.lanes.failures()
        states = {} if loop.last_view is None else {s.name: s for s in loop.last_view.own.databases}
        for name, state in states.items():
            key, now = (service, name), self.clock.monotonic()
            why = failed.get(f"database:{name}", "")
            if name in working or ELSEWHERE in why:
                self._after.pop(key, None)
                pace = self._paces.setdefault(key, Pace(now))
                work = await self._work(key) or Work(phase=AT_WORK, for_s=now - pace.began)
            elif key in self._paces and not why and _behind(state):
                after = self._after.setdefault(key, CatchingUp(now))
                work = after.work(state.lag_bytes if state.streaming else None, now)
            else:
                await self._forget(key)
                continue
            self.own[key] = self._paces[key].heard(work, self.clock.monotonic())

    async def _work(self, key: Key) -> Work | None:
        for worker in self.workers.get(key, ()):
            try:
                work = await worker.look(LOOK_S)
            except PortError:
                continue
            if work is not None:
                return work
        return None

    async def _forget(self, key: Key) -> None:
        """Nothing is known of a rejoin that is over, and no connection is kept for it."""
        self._after.pop(key, None)
        self.own.pop(key, None)
        if self._paces.pop(key, None) is not None:
            for worker in self.workers.get(key, ()):
                await worker.aclose()

    async def _tell(self) -> None:
        key = f"{self.prefix}{REJOINS}{self.site}"
        notes = RejoinNotes(
            rejoins=tuple(
                RejoinNote(service=service, database=name, rejoin=view)
                for (service, name), view in self.own.items()
            )
        )
        try:
            if notes.rejoins:
                self._told = True  # perhaps, also when the answer is lost
                value = notes.model_dump_json().encode()
                await self.store.put_leased(key, value, LEASE_S, self.deadline_s)
            elif self._told:
                await self.store.delete(key, self.deadline_s)
                self._told = False
        except PortError:
            return  # the next turn tells it

    # --- the others' -----------------------------------------------------------------------------

    async def _read(self) -> None:
        rejoining = any(
            service.role is Role.REJOINING
            for site, report in self.records.reports.items()
            for service in report.services
            if site != self.site
        )
        if not rejoining and not self._others:
            return
        place = f"{self.prefix}{REJOINS}"
        try:
            found = await self.store.read(place, self.deadline_s)
        except PortError:
            return
        heard: dict[SiteName, _Heard] = {}
        for full, entry in found.entries.items():
            site = SiteName(full.removeprefix(place))
            known = self._others.get(site)
            if known is not None and known.revision == entry.revision:
                heard[site] = known
            elif site != self.site:
                told = dict(_notes(entry.value))
                heard[site] = _Heard(entry.revision, self.clock.monotonic(), told)
        self._others = heard


def _behind(state: DatabaseState) -> bool:
    """Whether a copy that was just made follows nobody yet, or lacks much."""
    if state.writable:
        return False
    return not state.streaming or state.quarantined or (state.lag_bytes or 0) > CAUGHT_UP_BYTES


def _notes(value: bytes) -> Iterator[tuple[Key, RejoinView]]:
    """What a site told; nothing of what cannot be read."""
    try:
        notes = RejoinNotes.model_validate_json(value)
    except ValidationError:
        return
    for note in notes.rejoins:
        yield (ServiceName(note.service), DatabaseName(note.database)), note.rejoin
