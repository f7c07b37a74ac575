"""Heartbeats over UDP, behind `ports.Heartbeats`.

`run` sends to every other site each interval, and at once (at most every 20 ms) when asked to hurry
or when a restarted site has to learn of us. What a network does to datagrams, and what
strangers send, is counted and otherwise without effect; `core.heartbeat` says what is believed.
"""

import asyncio
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, cast

from controller.core.heartbeat import Accepted, Dropped, DropReason, Exchange, validate_payload
from controller.core.model import SiteName
from controller.ports import Clock, Heard, Refused

BURST_INTERVAL_S: Final = 0.02
SILENT_INTERVALS: Final = 2.5
RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
STRANGER: Final = "stranger"  # counted as dropped: not from the address of another site
SOCKET_ERROR: Final = "socket error"  # counted as dropped: the network refused one of ours

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSettings:
    """What one end needs to know."""

    cluster: str
    site: SiteName
    bind: Address
    others: Mapping[SiteName, Address]  # by IP address: a look-up of names would block
    keys: Sequence[bytes]  # `core.heartbeat.parse_keys`
    interval_s: float = 0.1


class UdpHeartbeats:
    """This site's end. `run` does the work and lasts until it is cancelled."""

    def __init__(
        self,
        settings: HeartbeatSettings,
        clock: Clock,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change` is called when a site is heard for the first time, or again after silence."""
        self._settings = settings
        self._hosts = {str(ip_address(host)) for host, _ in settings.others.values()}
        self._clock = clock
        self._on_change = on_change
        self._exchange = Exchange(
            cluster=settings.cluster,
            site=settings.site,
            others=frozenset(settings.others),
            boot=secrets.token_hex(8),
            keys=settings.keys,
        )
        self._payload: Callable[[], Mapping[str, object]] = dict
        self._heard: dict[SiteName, Heard] = {}
        self._dropped: Counter[str] = Counter()
        self._due = asyncio.Event()

    def say(self, payload: Callable[[], Mapping[str, object]]) -> None:
        """Every later heartbeat carries what `payload` answers when it is made.

        A payload that does not fit raises PayloadTooLargeError, and the former one stays.
        """
        validate_payload(payload())
        self._payload = payload

    def hurry(self) -> None:
        """A heartbeat goes out at once."""
        self._due.set()

    def heard(self) -> Mapping[SiteName, Heard]:
        """The last believed heartbeat of each site that has been heard since the start."""
        return dict(self._heard)

    def dropped(self) -> Mapping[str, int]:
        """How many datagrams were not believed, by reason."""
        return dict(self._dropped)

    async def run(self) -> None:
        """Sends and receives until cancelled. Refused when the socket cannot be had or is lost."""
        loop = asyncio.get_running_loop()
        host, port = self._settings.bind
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Receiver(self), local_addr=(host, port)
            )
        except OSError as error:
            raise Refused(f"heartbeats: cannot listen on {host} port {port}: {error}") from error
        _enlarge_buffer(transport)
        try:
            while not transport.is_closing():
                self._due.clear()
                self._send(transport)
                await self._pause()
        finally:
            transport.close()
        raise Refused(f"heartbeats: the socket on {host} port {port} was lost")

    def receive(self, data: bytes, source: str) -> None:
        """Takes one datagram that came from `source`."""
        if source not in self._hosts:
            self._dropped[STRANGER] += 1
            return
        answer = self._exchange.receive(data)
        if isinstance(answer, Dropped):
            self._dropped[answer.reason] += 1
            if answer.reason is DropReason.UNPROVEN:
                self._due.set()
            return
        self._believe(answer)

    def count_socket_error(self) -> None:
        """The network refused a datagram of ours; the next one may get through."""
        self._dropped[SOCKET_ERROR] += 1

    async def _pause(self) -> None:
        """The next heartbeat is due: by its time, or because there is something to say."""
        began = self._clock.monotonic()
        alarm = asyncio.get_running_loop().call_later(self._until_due_s(), self._due.set)
        try:
            await self._due.wait()
        finally:
            alarm.cancel()
        early_s = BURST_INTERVAL_S - (self._clock.monotonic() - began)
        if early_s > 0:
            await asyncio.sleep(early_s)

    def _until_due_s(self) -> float:
        """Until a multiple of the interval on the wall clock: where the sites' clocks agree, all
        heartbeats come at once, and a host at rest is woken once for them.
        """
        interval_s = self._settings.interval_s
        now = time.time()  # noqa: TID251 - a phase, which decides nothing
        left_s = interval_s - now % interval_s
        return left_s if left_s > interval_s / 5 else left_s + interval_s

    def _believe(self, answer: Accepted) -> None:
        now, former = self._clock.monotonic(), self._heard.get(answer.sender)
        self._heard[answer.sender] = Heard(at=now, payload=answer.payload)
        if former is None:
            self._due.set()  # so that it can believe us as soon
        if former is None or now - former.at > SILENT_INTERVALS * self._settings.interval_s:
            self._on_change()

    def _send(self, transport: asyncio.DatagramTransport) -> None:
        payload = self._payload()
        for site, address in self._settings.others.items():
            transport.sendto(self._exchange.make(site, payload), address)


class _Receiver(asyncio.DatagramProtocol):
    """Hands datagrams on."""

    def __init__(self, owner: UdpHeartbeats) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self._owner.receive(data, str(addr[0]))

    def error_received(self, exc: Exception) -> None:
        del exc  # unreachable, refused, filtered: all the same to us, and counted
        self._owner.count_socket_error()


def _enlarge_buffer(transport: asyncio.DatagramTransport) -> None:
    """A flood has to be larger before it crowds out the heartbeats."""
    sock = cast("socket.socket", transport.get_extra_info("socket"))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
