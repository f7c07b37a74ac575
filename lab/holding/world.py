"""What one move needs: clients, who tells them to wait, and what changes places meanwhile."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from lab.holding import haproxy
from lab.holding.clients import Client, Http, Lines

EACH_KIND: Final = 8  # clients
_ANSWER_S: Final = 0.005  # what an app server needs

Act = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


async def _no_keys() -> Sequence[str] | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Ready for one move."""

    clients: Sequence[tuple[str, Client]]
    hold: Act  # clients wait, if this way can make them
    let_go: Act
    close: Act = _nothing  # the old primary takes nothing any more
    open: Act = _nothing  # the new one does
    keys: Callable[[], Awaitable[Sequence[str] | None]] = _no_keys  # what the new primary has


@asynccontextmanager
async def http_world(way: str) -> AsyncIterator[World]:
    """App servers of two sites behind haproxy."""
    places, ports = _places()
    async with _apps(ports), _behind("http", way, places, ports) as front:
        url = f"http://{places.bind}/transfers"
        clients: list[tuple[str, Client]] = []
        for _ in range(EACH_KIND):
            clients += [
                ("new connection", Http(url, kept=False)),
                ("kept connection", Http(url, kept=True)),
            ]
        yield World(clients=clients, hold=front.hold, let_go=front.let_go)


@asynccontextmanager
async def tcp_world(way: str) -> AsyncIterator[World]:
    """Servers of a protocol of lines, as games have, behind haproxy."""
    places, ports = _places()
    async with _echoes(ports), _behind("tcp", way, places, ports) as front:
        clients: list[tuple[str, Client]] = []
        for _ in range(EACH_KIND):
            clients += [
                ("new connection", Lines(ports[0], kept=False)),
                ("kept connection", Lines(ports[0], kept=True)),
            ]
        yield World(clients=clients, hold=front.hold, let_go=front.let_go)


def _places() -> tuple[haproxy.Places, list[int]]:
    ports = _free_ports(5)
    at = [f"127.0.0.1:{port}" for port in ports]
    return haproxy.Places(bind=at[0], plug_bind=at[1], old=at[2], new=at[3], plug=at[4]), ports


@asynccontextmanager
async def _behind(
    mode: str, way: str, places: haproxy.Places, ports: Sequence[int]
) -> AsyncIterator[haproxy.Haproxy]:
    with tempfile.TemporaryDirectory(prefix="tricast-hold-") as name:
        async with haproxy.running(Path(name), mode, way, places) as front, _plug(ports[4]):
            if way == "queue":
                _, plug = await asyncio.open_connection("127.0.0.1", ports[1])
                plug.write(b"POST /plug HTTP/1.1\r\nHost: plug\r\nContent-Length: 0\r\n\r\n")
                await front.plugged()
            yield front


@asynccontextmanager
async def _apps(ports: Sequence[int]) -> AsyncIterator[None]:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(_ANSWER_S)
        return web.Response(text=await request.text())

    async with contextlib.AsyncExitStack() as stack:
        for port in ports[2:4]:
            app = web.Application()
            app.add_routes([web.post("/transfers", answer)])
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", port).start()
        yield


@asynccontextmanager
async def _echoes(ports: Sequence[int]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while line := await reader.readline():
                await asyncio.sleep(_ANSWER_S)
                writer.write(line)

    async with contextlib.AsyncExitStack() as stack:
        for port in ports[2:4]:
            await stack.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", port))
        yield


@asynccontextmanager
async def _plug(port: int) -> AsyncIterator[None]:
    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await reader.read()

    async with await asyncio.start_server(keep, "127.0.0.1", port):
        yield


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
