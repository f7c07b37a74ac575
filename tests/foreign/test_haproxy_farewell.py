"""What a planned move leans on in haproxy to see clients of the old edge off without a reset."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.haproxy_process import HaproxyProcess
from tests.foreign.test_haproxy import say

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(60)]

LEAVES = "set server be_wallet/dc2-app1 state ready;set server be_wallet/dc1-app1 state maint"
RETURNS = "set server be_wallet/dc1-app1 state ready;set server be_wallet/dc2-app1 state maint"
HOLD, GO_ON = (f"set server tricast_hold/be_wallet state {state}" for state in ("ready", "maint"))
REQUEST = b"GET /whoami HTTP/1.1\r\nHost: wallet\r\n\r\n"


@pytest_asyncio.fixture
async def haproxy() -> AsyncIterator[HaproxyProcess]:
    """The edge of dc1, which serves the wallet."""
    folder = Path(tempfile.mkdtemp(prefix="tricast-haproxy-"))
    process = HaproxyProcess(folder)
    process.state_dir.mkdir()
    try:
        for app in process.apps:
            await app.start()
        await process.start()
        await say(process, "set server be_wallet/dc1-app1 state ready")
        yield process
    finally:
        process.kill()
        for app in process.apps:
            await app.stop()
        shutil.rmtree(folder)


class Client:
    """One connection that its client would like to keep."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, haproxy: HaproxyProcess) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", haproxy.wallet))

    async def ask(self) -> tuple[str, bool]:
        """Which site answers, and whether the answer says that it is the connection's last."""
        self._writer.write(REQUEST)
        async with asyncio.timeout(5):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split()[0])
            body = (await self._reader.readexactly(length)).decode()
        assert " 200 " in head.splitlines()[0], head
        return body.split('"site": "')[1][:3], "connection: close" in head

    async def ended(self) -> bool:
        """The other end has closed it, in order: no reset, nothing left over."""
        async with asyncio.timeout(5):
            return await self._reader.read() == b""

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def moved_away(haproxy: HaproxyProcess) -> None:
    """A hand-over as the controller does it: hold, and let go on to the other site."""
    await say(haproxy, HOLD)
    waiting = await Client.connect(haproxy)
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(waiting.ask())
        await asyncio.sleep(0.2)
        assert not answer.done()
        await say(haproxy, f"{LEAVES};{GO_ON}")
    assert answer.result() == ("dc2", True)
    await waiting.close()


async def test_a_connection_is_kept_while_nothing_moves(haproxy: HaproxyProcess) -> None:
    client = await Client.connect(haproxy)
    assert [await client.ask() for _ in range(3)] == [("dc1", False)] * 3
    await client.close()


async def test_after_a_move_each_connection_ends_with_its_next_answer(
    haproxy: HaproxyProcess,
) -> None:
    client = await Client.connect(haproxy)
    assert await client.ask() == ("dc1", False)
    await moved_away(haproxy)
    assert await client.ask() == ("dc2", True)
    assert await client.ended()
    await client.close()


async def test_it_is_noticed_also_when_nobody_asks_meanwhile(haproxy: HaproxyProcess) -> None:
    client = await Client.connect(haproxy)
    assert await client.ask() == ("dc1", False)
    await say(haproxy, HOLD)
    await asyncio.sleep(0.2)  # longer than between two looks at the gates
    await say(haproxy, f"{LEAVES};{GO_ON}")
    await asyncio.sleep(0.2)
    assert await client.ask() == ("dc2", True)
    await client.close()


async def test_where_the_service_came_to_connections_are_kept(haproxy: HaproxyProcess) -> None:
    await say(haproxy, LEAVES)
    client = await Client.connect(haproxy)
    assert await client.ask() == ("dc2", False)  # no gate was closed: it is no planned move
    await say(haproxy, HOLD)
    await asyncio.sleep(0.2)
    await say(haproxy, f"{RETURNS};{GO_ON}")
    assert await client.ask() == ("dc1", False)
    await client.close()


async def test_after_its_time_connections_are_kept_again(haproxy: HaproxyProcess) -> None:
    text = haproxy.configuration()
    short = text.replace("tricast_leaving(be_wallet,dc1,15)", "tricast_leaving(be_wallet,dc1,1)")
    assert short != text
    haproxy.kill()
    path = haproxy.folder / "haproxy.cfg"
    path.write_text(short)
    haproxy._spawn(path)
    while await haproxy.get(haproxy.alive, "/alive") != 200:
        await asyncio.sleep(0.02)
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    await moved_away(haproxy)
    client = await Client.connect(haproxy)
    async with asyncio.timeout(5):
        while (await client.ask())[1]:
            await client.close()
            client = await Client.connect(haproxy)
            await asyncio.sleep(0.05)
    assert await client.ask() == ("dc2", False)
    await client.close()
