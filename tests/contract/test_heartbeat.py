"""Heartbeats over real sockets on the loopback."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.heartbeat import HeartbeatSettings, UdpHeartbeats
from controller.core.heartbeat import (
    DATAGRAM_BYTES_MAX,
    MAGIC,
    Exchange,
    PayloadTooLargeError,
    seal,
)
from controller.core.model import SiteName
from controller.ports import Refused

pytestmark = pytest.mark.contract

KEY = b"k" * 32
HOSTS = {SiteName("dc1"): "127.0.0.11", SiteName("dc2"): "127.0.0.12"}
DC1, DC2 = HOSTS
INTERVAL_S = 0.1


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC1], 0))
        return int(sock.getsockname()[1])


def _end(
    site: SiteName,
    port: int,
    key: bytes = KEY,
    on_change: Callable[[], None] = lambda: None,
) -> UdpHeartbeats:
    settings = HeartbeatSettings(
        cluster="lab",
        site=site,
        bind=(HOSTS[site], port),
        others={other: (host, port) for other, host in HOSTS.items() if other != site},
        keys=(key,),
        interval_s=INTERVAL_S,
    )
    return UdpHeartbeats(settings, SystemClock(), on_change)


@asynccontextmanager
async def _running(*ends: UdpHeartbeats) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(end.run()) for end in ends]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _figure(text: str) -> None:
    print(text)  # noqa: T201  # shown by pytest -s


async def _until(condition: Callable[[], bool], within_s: float) -> float:
    """Seconds until `condition` held."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # conditions of the outside make no events
            await asyncio.sleep(0.001)
    return time.monotonic() - began


def _says(end: UdpHeartbeats, site: SiteName, payload: dict[str, object]) -> bool:
    return end.heard()[site].payload == payload


def _age(end: UdpHeartbeats, site: SiteName) -> float:
    return SystemClock().monotonic() - end.heard()[site].at


async def test_two_ends_hear_each_other_within_three_intervals(port: int) -> None:
    a, b = _end(DC1, port), _end(DC2, port)
    async with _running(a, b):
        took = await _until(lambda: DC2 in a.heard() and DC1 in b.heard(), 3 * INTERVAL_S + 0.5)
    _figure(f"acquainted_s {took:.4f}")


async def test_what_is_said_in_a_hurry_arrives_at_once(port: int) -> None:
    a, b = _end(DC1, port), _end(DC2, port)
    took: list[float] = []
    async with _running(a, b):
        await _until(lambda: DC1 in b.heard(), 2)
        for n in range(20):
            await asyncio.sleep(0.03)
            a.say(partial(dict, n=n))
            a.hurry()
            took.append(await _until(partial(_says, b, DC1, {"n": n}), 2))
    took.sort()
    _figure(f"say_to_heard_median_s {took[10]:.4f}")
    assert took[10] < INTERVAL_S / 2


async def test_what_is_said_without_hurry_goes_with_the_next_heartbeat(port: int) -> None:
    a, b = _end(DC1, port), _end(DC2, port)
    async with _running(a, b):
        await _until(lambda: DC1 in b.heard(), 2)
        a.say(partial(dict, n=1))
        assert await _until(partial(_says, b, DC1, {"n": 1}), 2) < 2 * INTERVAL_S


async def test_first_heartbeat_and_one_after_silence_wake_the_reader(port: int) -> None:
    wakes: list[float] = []
    b = _end(DC2, port, on_change=lambda: wakes.append(time.monotonic()))
    async with _running(b):
        async with _running(_end(DC1, port)):
            await _until(lambda: len(wakes) == 1, 2)
            await asyncio.sleep(3 * INTERVAL_S)
            assert len(wakes) == 1  # the steady ones wake nobody
        silent_since = b.heard()[DC1].at
        await _until(lambda: time.monotonic() - silent_since > 4 * INTERVAL_S, 2)
        async with _running(_end(DC1, port)):
            await _until(lambda: len(wakes) == 2, 2)


async def test_saying_much_sends_little(port: int) -> None:
    a = _end(DC1, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC2], port))
        sock.setblocking(False)
        async with _running(a):
            for n in range(1000):
                a.say(partial(dict, n=n))
                a.hurry()
                await asyncio.sleep(0.0005)
        received = 0
        with suppress(BlockingIOError):
            while sock.recv(2000):
                received += 1
    assert 2 < received < 300


@pytest.mark.parametrize("restarted", [DC1, DC2])
async def test_restart_of_either_side_is_recovered_from(port: int, restarted: SiteName) -> None:
    stays = DC2 if restarted == DC1 else DC1
    end = _end(stays, port)
    async with _running(end):
        async with _running(_end(restarted, port)):
            await _until(lambda: restarted in end.heard(), 2)
        before = end.heard()[restarted]
        again = _end(restarted, port)
        async with _running(again):
            took = await _until(
                lambda: end.heard()[restarted].at > before.at and stays in again.heard(),
                3 * INTERVAL_S + 0.5,
            )
    _figure(f"heard_again_s {took:.4f}")


async def test_garbage_from_the_other_sites_address_is_counted_only(port: int) -> None:
    a = _end(DC1, port)
    sealed = MAGIC + seal(b"[]", KEY) + b"[]"
    forger = Exchange(cluster="lab", site=DC2, others=frozenset({DC1}), boot="b", keys=(b"f" * 32,))
    wanted = {"truncated": 1, "foreign": 1, "oversized": 1, "forged": 1, "malformed": 1}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC2], 0))
        async with _running(a):
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            for data in (
                b"x",
                b"x" * 100,
                MAGIC + b"x" * DATAGRAM_BYTES_MAX,
                forger.make(DC1, {}),
                sealed,
            ):
                sock.sendto(data, (HOSTS[DC1], port))
            await _until(lambda: a.dropped() == wanted, 2)
    assert a.heard() == {}


async def test_stranger_with_the_right_key_is_not_even_looked_at(port: int) -> None:
    a = _end(DC1, port)
    stranger = Exchange(cluster="lab", site=DC2, others=frozenset({DC1}), boot="b", keys=(KEY,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.13", 0))
        async with _running(a):
            await asyncio.sleep(0.01)
            sock.sendto(stranger.make(DC1, {}), (HOSTS[DC1], port))
            await _until(lambda: a.dropped() == {"stranger": 1}, 2)


async def test_captured_datagrams_of_a_dead_site_do_not_revive_it(port: int) -> None:
    """Everything dc2 ever sent, sent again from its own address, does not count as heard."""
    a, b = _end(DC1, port), _end(DC2, port)
    captured: list[bytes] = []
    receive = a.receive

    def spy(data: bytes, source: str) -> None:
        captured.append(data)
        receive(data, source)

    a.receive = spy  # type: ignore[method-assign]
    async with _running(a):
        async with _running(b):
            await _until(lambda: len(captured) > 5 and DC2 in a.heard(), 2)
        died = a.heard()[DC2].at
        before = sum(a.dropped().values())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((HOSTS[DC2], port))
            replayed = list(captured)
            for data in replayed:
                sock.sendto(data, (HOSTS[DC1], port))
            await _until(lambda: sum(a.dropped().values()) == before + len(replayed), 2)
        assert a.heard()[DC2].at == died


async def test_flood_of_garbage_does_not_silence_a_site(port: int) -> None:
    a, b = _end(DC1, port), _end(DC2, port)
    sent = 0
    oldest = 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC2], 0))
        sock.setblocking(False)
        async with _running(a, b):
            await _until(lambda: DC2 in a.heard(), 2)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                with suppress(BlockingIOError):
                    for _ in range(50):
                        sock.sendto(MAGIC + b"x" * 500, (HOSTS[DC1], port))
                        sent += 1
                await asyncio.sleep(0.001)
                oldest = max(oldest, _age(a, DC2))
    _figure(f"forged_per_s {sent / 1.5:.4f}")
    _figure(f"oldest_heartbeat_s {oldest:.4f}")
    assert a.dropped()["forged"] > 1000
    assert oldest < 5 * INTERVAL_S


async def test_network_that_refuses_our_datagrams_is_counted_and_survived(port: int) -> None:
    settings = HeartbeatSettings(
        cluster="lab",
        site=DC1,
        bind=(HOSTS[DC1], port),
        others={DC2: ("255.255.255.255", port), SiteName("witness"): (HOSTS[DC2], port)},
        keys=(KEY,),
        interval_s=0.03,
    )
    a = UdpHeartbeats(settings, SystemClock())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC2], port))
        sock.setblocking(False)
        async with _running(a), asyncio.timeout(2):
            for _ in range(4):
                assert await asyncio.get_running_loop().sock_recv(sock, 2000)
            assert a.dropped()["socket error"] >= 3


async def test_address_in_use_is_refused_by_name(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOSTS[DC1], port))
        with pytest.raises(Refused, match=rf"127\.0\.0\.11 port {port}: .*in use"):
            await _end(DC1, port).run()


async def test_payload_that_does_not_fit_leaves_the_former_one(port: int) -> None:
    a, b = _end(DC1, port), _end(DC2, port)
    a.say(partial(dict, n=1))
    with pytest.raises(PayloadTooLargeError):
        a.say(partial(dict, n="x" * 1000))
    async with _running(a, b):
        await _until(lambda: DC1 in b.heard(), 2)
    assert b.heard()[DC1].payload == {"n": 1}


def test_neighbor_given_by_name_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        UdpHeartbeats(
            HeartbeatSettings(
                cluster="lab",
                site=DC1,
                bind=("127.0.0.11", 1),
                others={DC2: ("dc2.example", 1)},
                keys=(KEY,),
            ),
            SystemClock(),
        )
