"""Daemons that tell what they run with: real cluster files, on loopback addresses of their own."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

from controller.config import load
from controller.core.model import SiteName
from controller.daemon.config_file import RunningFile, with_configuration
from controller.web.app import build_app
from controller.web.serve import serve
from tests.config.unguarded import LAB
from tests.web.sample import STEADY, Told

HOSTS = {"dc1": "127.0.77.1", "dc2": "127.0.77.2", "witness": "127.0.77.3"}


def free_port() -> int:
    """Free on each of the addresses."""
    with ExitStack() as stack:
        port = 0
        for host in HOSTS.values():
            bound = stack.enter_context(socket.socket())
            bound.bind((host, port))
            port = int(bound.getsockname()[1])
        return port


def cluster_text(folder: Path, port: int) -> str:
    """The lab's cluster, where each daemon answers on loopback."""
    text = LAB
    for number, host in enumerate(HOSTS.values(), 1):
        text = re.sub(rf"(address: )10\.{number}\.0\.1$", rf"\g<1>{host}", text, flags=re.M)
    return f"{text}\napi:\n  port: {port}\n  socket: {folder}/local.sock\n"


def running(file: Path, site: str) -> RunningFile:
    """What the daemon of `site` would run with, were it started now."""
    return RunningFile(path=file, cluster=load(file), site=SiteName(site))


@contextmanager
def answering(*daemons: RunningFile, hosts: dict[str, str] = HOSTS) -> Iterator[None]:
    """Each answers at its site's address; the first on the local socket as well."""
    started, stopped = Event(), asyncio.Event()
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()

    async def live() -> None:
        async with AsyncExitStack() as stack:
            for number, found in enumerate(daemons):
                app = with_configuration(lambda: build_app(Told(STEADY)), found)()
                usual = Path(found.cluster.api.socket)
                path = usual.with_name(f"{number}.sock") if number else usual
                port = found.cluster.api.port
                await stack.enter_async_context(serve(app, path, hosts[found.site], port))
            started.set()
            await stopped.wait()

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:
            failed.append(error)
            started.set()

    thread = Thread(target=run, name="daemons")
    thread.start()
    try:
        assert started.wait(10)
        assert not failed, failed
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()
