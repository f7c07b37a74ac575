"""A daemon that answers over mutual TLS on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest

from controller.adapters.clock import SystemClock
from controller.web.access import Access, guarded
from controller.web.app import build_app
from controller.web.certificate import RevocationList
from controller.web.metrics import Metrics
from controller.web.source import Asker, AuditSource, Desk, StatusSource
from controller.web.tls import Door, TlsFiles
from tests.core.turned import serving
from tests.web.authority import Authority, Pair
from tests.web.office import Office

LOOK_S = 0.02


@dataclass(slots=True, kw_only=True)
class Gate:
    """What the door of a daemon is made of; refused changes are kept in `refused`."""

    source: StatusSource
    authority: Authority
    server: Pair
    desk: Desk | None = None
    audit: AuditSource | None = None
    crl: Path | None = None
    operators: frozenset[str] = frozenset({"ada", "grace"})
    readers: frozenset[str] = frozenset({"rita"})
    refused: list[tuple[Asker, str, str]] = field(default_factory=list)

    def door(self) -> Door:
        revoked = None
        if self.crl is not None:
            revoked = RevocationList(file=self.crl, authorities=self.authority.file)
        access = Access(
            operators=self.operators,
            readers=self.readers,
            revoked=revoked,
            clock=SystemClock(),
            refused=lambda who, asked, why: self.refused.append((who, asked, why)),
        )
        app = build_app(self.source, Metrics(), self.desk, self.audit)
        app.middlewares.append(guarded(access))
        files = TlsFiles(
            certificate=self.server.certificate,
            key=self.server.key,
            client_ca=self.authority.file,
        )
        reread = str if revoked is None else revoked.read
        return Door(app=app, files=files, host="127.0.0.1", port=0, reread=reread, look_s=LOOK_S)


@asynccontextmanager
async def opened(gate: Gate) -> AsyncIterator[int]:
    """Yields the port."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(gate.door().keep(port.set_result))
        try:
            async with asyncio.timeout(20):
                yield await port
        finally:
            task.cancel()


@contextmanager
def in_a_thread(gate: Gate) -> Iterator[int]:
    """Yields the port, to clients that block."""
    started, box = Event(), dict[str, object]()

    async def live() -> None:
        stop = asyncio.Event()
        async with opened(gate) as port:
            box.update(port=port, loop=asyncio.get_running_loop(), stop=stop)
            started.set()
            async with asyncio.timeout(None):
                await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        finally:
            started.set()

    thread = Thread(target=run, name="daemon over TLS")
    thread.start()
    try:
        assert started.wait(20)
        port = box["port"]
        assert isinstance(port, int)
        yield port
    finally:
        loop, stop = box.get("loop"), box.get("stop")
        if isinstance(loop, asyncio.AbstractEventLoop) and isinstance(stop, asyncio.Event):
            loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(serving(), tmp_path)


@pytest.fixture
def gate(office: Office, authority: Authority) -> Gate:
    return Gate(source=office, authority=authority, server=authority.server(), desk=office.desk)
