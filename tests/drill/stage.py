"""A cluster to rehearse in: the real desk and notes on a store in memory, and a service address.

Requests do what they say, a step at each look, unless the play says otherwise.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from controller.config import Service
from controller.config.services import Objectives
from controller.core.model import Epoch, SiteName
from controller.core.requests import State, closed, moved
from controller.core.wire import Change
from controller.daemon.drills import DrillNotes
from controller.daemon.history import history_entry
from controller.daemon.request_view import request_view
from controller.runtime.auditor import Auditor
from controller.web.drill_schema import DrillView, LastDrill
from controller.web.schema import HistoryEntry, ServiceView, SiteView, Status, StepView, StoreView
from tests.core.turned import record, serving
from tests.core.views import DC2, WALLET
from tests.runtime.clock import HandClock
from tests.web.office import Office
from tests.web.sample import DC1 as SITE_1
from tests.web.sample import DC2 as SITE_2
from tests.web.sample import PRIMARY, STEADY, WITNESS, daemon, standby


class Dated(HandClock):
    """A clock that knows the day."""

    def stamp(self) -> str:
        return "2026-11-22T01:20:00.000Z"


class Notes:
    """What was put into the audit log."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def note(self, event: str, **given: Any) -> None:
        self.told.append((event, given))


@dataclass(slots=True)
class Address:
    """The service address: who answers there, and how."""

    site: Callable[[], str]
    status: int = 200
    silent_s: float = 0.0
    asked: int = 0
    url: str = ""
    tells: bool = True

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.silent_s)
        body = json.dumps({"site": self.site()}) if self.tells else "fine"
        return web.Response(text=body, status=self.status)


class Stage(Office):
    """wallet is held by dc2, and every request for it is carried out."""

    def __init__(self, folder: Path) -> None:
        super().__init__(serving(), folder)
        self.holder: SiteName = DC2
        self.epoch = 2
        self.changes: list[HistoryEntry] = []
        # What becomes of the next moves: done (default), failed, refused, stuck.
        self.ways: list[str] = []
        self.turned: dict[str, Any] = {}  # of the service
        self.sites: dict[str, dict[str, Any]] = {}  # of a site
        self.on_move: Callable[[], None] = lambda: None
        self.on_running: Callable[[], None] = lambda: None
        self.address = Address(site=lambda: self.holder)
        self.notes = Notes()
        self.goals: dict[str, Any] = {"rto_s": 5.0, "rpo_transactions": 0}
        self.last: LastDrill | None = None
        service = SimpleNamespace(objectives=Objectives(), canary_url="http://x/")
        self.drills = DrillNotes(
            site=DC2,
            store=self.store,
            prefix="/t/",
            deadline_s=0.5,
            clock=Dated(),
            records=self.records,
            services={"wallet": cast("Service", service)},
            auditor=cast("Auditor", self.notes),
        )

    async def status(self) -> Status:
        return STEADY.model_copy(
            update={
                "site": "dc2",
                "now": "2026-11-22T01:10:00.000Z",
                "store": StoreView(ok=True),
                "services": (self._service(),),
                "history": tuple(reversed(self.changes)),
            }
        )

    def _service(self) -> ServiceView:
        drill = DrillView(**self.goals, canary_url=self.address.url, known=True, last=self.last)
        seen = self.records.requests.newest(WALLET)
        open_ = seen is not None and not closed(seen.request)
        asked = None
        if open_ and seen is not None:
            asked = request_view(seen)
        found = ServiceView(
            name="wallet",
            durability="quorum",
            epoch=self.epoch,
            holder=self.holder,
            guarantee="quorum: 3 of 3 voters",
            request=asked,
            sites=tuple(self._site(site) for site in (SITE_1, SITE_2, WITNESS)),
            drill=drill,
        )
        return found.model_copy(update=self.turned)

    def _site(self, site: SiteView) -> SiteView:
        holds = site.site == self.holder
        ledger = PRIMARY.model_copy(update={"epoch": self.epoch})
        copy = ledger if holds else standby(ledger, upstream=self.holder)
        changes: dict[str, Any] = {"databases": (copy,)}
        if site.kind == "data":
            changes |= {
                "role": "primary" if holds else "standby",
                "eligible": not holds,
                "not_eligible_because": (),
                "apps": site.apps.model_copy(update={"up": 2, "total": 2}),
            }
        return site.model_copy(update=changes | self.sites.get(site.site, {}))

    async def _advance(self) -> None:
        seen = self.records.requests.newest(WALLET)
        if seen is None or closed(seen.request) or seen.request.approvals_needed:
            return
        way = self.ways[0] if self.ways else "done"
        if way == "waits":
            return
        after = State.RUNNING
        if seen.request.state is State.RUNNING:
            if way == "stuck":
                return
            after = State.FAILED if way == "failed" else State.DONE
        elif way == "refused":
            after = State.REFUSED
        if after is not State.RUNNING:
            self.ways[:1] = []
        changed = moved(seen.request, after, by="tricast at dc2", why=f"{way} it is", at="now")
        await self.desk.desk.change(seen, changed)
        if after is State.RUNNING:
            self.on_running()
        if after is State.DONE:
            self.move(SiteName(seen.request.target))

    def move(self, target: SiteName) -> None:
        """`target` holds the service from now on."""
        source, self.holder, self.epoch = self.holder, target, self.epoch + 1
        self.turn(record(serving(), holder=target, epoch=Epoch(self.epoch)))
        change = Change(
            service=WALLET, epoch=Epoch(self.epoch), previous_holder=source, holder=target,
            kind="handover", reason="asked for", rule=210, asked_by="ann",
            began_at=f"t{self.epoch}", took_s=0.4, outcome="ok", evidence={}, steps=(),
        )  # fmt: skip
        self.records.changes[WALLET] = [*self.records.changes.get(WALLET, []), change]
        steps = (
            StepView(name="promoted", database="ledger", done=True, took_s=0.2),
            StepView(name="intent PromoteDatabase", done=True, took_s=0.1, began_s=0.05),
            StepView(name="serving", done=True, took_s=0.31),
        )
        entry = history_entry(change).model_copy(update={"steps": steps})
        self.changes.append(entry)
        self.on_move()


@contextmanager
def play(stage: Stage, socket: Path) -> Iterator[None]:
    """The daemon and the service address answer."""
    with served(stage.address), daemon(stage, socket, stage.desk, drills=stage.drills):
        yield


@contextmanager
def served(address: Address) -> Iterator[None]:
    """A web server in a thread of its own."""
    started, box = Event(), dict[str, Any]()

    async def live() -> None:
        stop, app = asyncio.Event(), web.Application()
        app.router.add_get("/whoami", address.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            address.url = f"http://127.0.0.1:{port}/whoami"
            box.update(loop=asyncio.get_running_loop(), stop=stop)
            started.set()
            await stop.wait()
        finally:
            await runner.cleanup()

    thread = Thread(target=lambda: asyncio.run(live()), name="address")
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(10)


def facts(notes: Notes) -> Mapping[str, str]:
    """Of the newest entry."""
    found: Mapping[str, str] = notes.told[-1][1]["facts"]
    return found
