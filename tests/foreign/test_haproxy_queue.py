"""What a takeover leans on in haproxy when more ask than the servers can answer at once.

After a takeover every client asks again. A queue that keeps the requests of those who have given up
makes the others wait longer than they do, so that they give up too: nobody is ever answered.
"""

import asyncio
import time

import pytest

from tests.contract.haproxy_process import HaproxyProcess
from tests.foreign.test_haproxy import haproxy, say

__all__ = ["haproxy"]

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(60)]

SESSIONS = 8  # maxconn of a server in the lab's configuration
GONE_WITHIN_S = 1.0  # far less than `timeout queue`


async def ask(haproxy: HaproxyProcess, path: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", haproxy.wallet)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: wallet\r\n\r\n".encode())
    return writer


async def counted(haproxy: HaproxyProcess, what: str) -> int:
    """A figure of the wallet's backend."""
    lines = (await say(haproxy, "show stat be_wallet 2 -1")).splitlines()
    names = lines[0].removeprefix("# ").split(",")
    return int(dict(zip(names, lines[1].split(","), strict=True))[what])


async def until(haproxy: HaproxyProcess, what: str, count: int, *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while (found := await counted(haproxy, what)) != count:
        assert time.monotonic() < end, f"{what} is {found}, not {count}"
        await asyncio.sleep(0.02)


async def test_a_request_leaves_the_queue_with_its_client(haproxy: HaproxyProcess) -> None:
    await haproxy.apps[0].start()
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    busy = [await ask(haproxy, "/slow") for _ in range(SESSIONS)]
    await until(haproxy, "scur", SESSIONS, within_s=5)
    patient, hasty = await ask(haproxy, "/patient"), await ask(haproxy, "/hasty")
    await until(haproxy, "qcur", 2, within_s=5)
    hasty.close()
    await until(haproxy, "qcur", 1, within_s=GONE_WITHIN_S)
    for each in (*busy, patient):
        each.close()
