"""The lab's own haproxy configuration, moved to loopback and run with small servers behind it."""

import asyncio
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import aiohttp
from aiohttp import web

CONFIGURATION = Path(__file__).parents[2] / "lab/containerlab/nodes/dc1-edge/haproxy.cfg"
GATE = Path(__file__).parents[2] / "configs/haproxy/hold.lua"
NAMES = ("dc1-app1", "dc1-app2", "dc2-app1", "dc2-app2")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


class App:
    """One server of a backend: says its name; holds a request to /slow until it is let go."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.held = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._door: web.TCPSite

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.get("/slow", self._slow), web.get("/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._door = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._door.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._door.stop()
            for _ in range(5):  # who has just been let in is known, and so closed, only then
                await asyncio.sleep(0)
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.json_response({"site": self.name[:3], "server": self.name[4:]})

    async def _slow(self, _request: web.Request) -> web.Response:
        self.held.set()
        await asyncio.sleep(30)
        return web.json_response({})


class HaproxyProcess:
    """One haproxy, on the lab's configuration with other addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "admin.sock"
        self.state_dir = folder / "state"
        self.wallet, self.wallet6, self.lobby, self.lobby6, self.alive, *apps = free_ports(13)
        self.apps = [App(NAMES[n % 4], port) for n, port in enumerate(apps)]
        self._process: subprocess.Popen[bytes] | None = None

    def configuration(self) -> str:
        text = CONFIGURATION.read_text()
        moves = [
            ("198.51.100.10:80 transparent", f"127.0.0.1:{self.wallet}"),
            ("[2001:db8:100::10]:80 v6only transparent", f"[::1]:{self.wallet6} v6only"),
            ("192.0.2.10:80 transparent", f"127.0.0.1:{self.lobby}"),
            ("[2001:db8:200::10]:80 v6only transparent", f"[::1]:{self.lobby6} v6only"),
            ("10.1.0.1:8404", f"127.0.0.1:{self.alive}"),
            ("/run/haproxy/admin.sock", str(self.socket)),
            ("/var/lib/haproxy/state", str(self.state_dir)),
            ("/etc/haproxy/hold.lua", str(GATE)),
            ("    user haproxy\n    group haproxy\n", ""),
        ]
        for old, new in moves:
            assert old in text, old
            text = text.replace(old, new)
        ports = iter(app.port for app in self.apps)
        places: dict[str, int] = {}  # several backends may have the same servers

        def moved(place: re.Match[str]) -> str:
            if place[0] not in places:
                places[place[0]] = next(ports)
            return f"127.0.0.1:{places[place[0]]}"

        return re.sub(r"10\.\d\.0\.1\d:808\d", moved, text)

    async def start(self) -> None:
        path = self.folder / "haproxy.cfg"
        path.write_text(self.configuration())
        self._spawn(path)
        end = time.monotonic() + 10
        while await self.get(self.alive, "/alive") != 200:
            assert time.monotonic() < end, (self.folder / "haproxy.log").read_text()
            await asyncio.sleep(0.02)

    def _spawn(self, path: Path) -> None:
        with (self.folder / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/haproxy", "-db", "-f", str(path)], stdout=log, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def get(self, port: int, path: str = "/whoami") -> int | None:
        answer = await self.answer(port, path)
        return answer[0] if answer else None

    async def answer(
        self, port: int, path: str = "/whoami"
    ) -> tuple[int, dict[str, str], str] | None:
        host = "[::1]" if port in (self.wallet6, self.lobby6) else "127.0.0.1"
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                async with session.get(f"http://{host}:{port}{path}") as response:
                    return (
                        response.status,
                        {name.lower(): value for name, value in response.headers.items()},
                        await response.text(),
                    )
            except aiohttp.ClientConnectionError:
                return None

    async def servers_that_answer(self, port: int, requests: int = 6) -> set[str]:
        found: set[str] = set()
        for _ in range(requests):
            answer = await self.answer(port)
            assert answer is not None
            found.add(answer[2] if answer[0] == 200 else str(answer[0]))
        return found
