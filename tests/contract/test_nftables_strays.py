"""Connections that outlive a change of route: a client, a router, two edges with one address."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.nftables_strays import TABLE, NftablesStrays, Tunnel
from controller.core.model import SiteName
from controller.ports import Refused
from tests.contract.namespaces import Namespace, needs_root, run

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60), needs_root]

PORT: Final = 80
SERVICE: Final = {4: "198.51.100.10", 6: "2001:db8:100::10"}
ADDRESSES: Final = frozenset(SERVICE.values())
DC1, DC2 = SITES = (SiteName("dc1"), SiteName("dc2"))
VIA: Final = {DC1: ("10.71.0.1", "fd71::1"), DC2: ("10.71.0.2", "fd71::2")}
AT_ONCE_S: Final = 1.0
VERSIONS: Final = pytest.mark.parametrize("version", [4, 6])


@dataclass
class Net:
    """The edges have the service addresses, and a link of their own; the router has the route."""

    client: Namespace = field(default_factory=Namespace)
    router: Namespace = field(default_factory=Namespace)
    edges: dict[SiteName, Namespace] = field(
        default_factory=lambda: {site: Namespace() for site in SITES}
    )

    def build(self) -> None:
        for each in (self.client, self.router, *self.edges.values()):
            each.run(
                "sysctl -qw net.ipv6.conf.default.accept_dad=0",
                "sysctl -qw net.ipv4.ip_forward=1",
                "sysctl -qw net.ipv6.conf.all.forwarding=1",
            )
        for number, host in enumerate((self.client, *self.edges.values())):
            self.router.run(f"ip link add n{number} type veth peer name eth0 netns {host.path}")
            for place, device, end in ((self.router, f"n{number}", 1), (host, "eth0", 2)):
                _address(place, device, f"10.9.{number}.{end}/24", f"2001:db8:{number}::{end}/64")
            host.run(
                f"ip route add default via 10.9.{number}.1",
                f"ip -6 route add default via 2001:db8:{number}::1",
            )
        first, second = self.edges.values()
        # Link-local addresses of our own: those that the kernel makes are usable a second later.
        for edge in (first, second):
            edge.run("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1")
        first.run(f"ip link add edge2 type veth peer name edge1 netns {second.path}")
        for here, there, edge in ((1, 2, first), (2, 1, second)):
            _address(edge, f"edge{there}", f"10.71.0.{here}/30", f"fd71::{here}/64")
            edge.run(f"ip addr add fe80::71:{here}/64 dev edge{there} nodad")
            edge.run(
                f"ip addr add {SERVICE[4]}/32 dev lo",
                f"ip addr add {SERVICE[6]}/128 dev lo nodad",
            )

    def lead_to(self, site: SiteName) -> None:
        """The service's packets go to the edge of `site` from now on."""
        number = SITES.index(site) + 1
        self.router.run(
            f"ip route replace {SERVICE[4]} via 10.9.{number}.2",
            f"ip -6 route replace {SERVICE[6]} via 2001:db8:{number}::2",
        )

    def close(self) -> None:
        for namespace in (self.client, self.router, *self.edges.values()):
            namespace.close()

    @asynccontextmanager
    async def at(
        self,
        site: SiteName,
        *,
        longest_s: float = 30.0,
        packets_per_s: int = 1000,
        settle_s: float = 0.0,
    ) -> AsyncIterator[NftablesStrays]:
        """What the daemon of `site` has, used from within its host."""
        strays = NftablesStrays(
            addresses=ADDRESSES,
            tunnel=Tunnel(interface="edge*", via=VIA, packets_per_s=packets_per_s),
            longest_s=longest_s,
            clock=SystemClock(),
            settle_s=settle_s,
        )
        with self.edges[site].inside():
            await strays.prepare()
        yield strays

    async def send(self, site: SiteName, strays: NftablesStrays, to: SiteName | None) -> None:
        with self.edges[site].inside():
            await strays.send(ADDRESSES, to)

    @asynccontextmanager
    async def servers(self, version: int) -> AsyncIterator[None]:
        """Each edge answers every line with its own name."""
        talking: set[asyncio.Transport] = set()
        servers = []
        for site, edge in self.edges.items():
            with edge.inside():
                sock = socket.create_server((SERVICE[version], PORT), family=_family(version))
            talker = partial(_Talker, site, talking)
            servers.append(await asyncio.get_running_loop().create_server(talker, sock=sock))
        try:
            yield
        finally:
            for server in servers:
                server.close()
            for transport in list(talking):
                transport.abort()
            async with asyncio.timeout(AT_ONCE_S):
                while talking:  # a transport tells nobody but its protocol
                    await asyncio.sleep(0)

    async def connect(self, version: int) -> socket.socket:
        with self.client.inside():
            sock = socket.socket(_family(version), socket.SOCK_STREAM)
        sock.setblocking(False)
        async with asyncio.timeout(AT_ONCE_S):
            await asyncio.get_running_loop().sock_connect(sock, (SERVICE[version], PORT))
        return sock


def _address(place: Namespace, device: str, four: str, six: str) -> None:
    place.run(
        f"ip addr add {four} dev {device}",
        f"ip addr add {six} dev {device} nodad",
        f"ip link set {device} up",
    )


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


class _Talker(asyncio.Protocol):
    def __init__(self, site: SiteName, talking: set[asyncio.Transport]) -> None:
        self._site, self._talking = site, talking

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._talking.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(f"{self._site}\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._talking.discard(self._transport)


async def ask(sock: socket.socket) -> str:
    """Who answers on this connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(AT_ONCE_S):
        await loop.sock_sendall(sock, b"who\n")
        answer = await loop.sock_recv(sock, 100)
    if not answer:
        raise ConnectionResetError("closed")
    return answer.decode().strip()


@pytest.fixture
def net() -> Iterator[Net]:
    net = Net()
    net.build()
    net.lead_to(DC1)
    yield net
    net.close()


@VERSIONS
async def test_without_it_a_connection_is_reset_when_the_route_moves(
    net: Net, version: int
) -> None:
    async with net.servers(version), net.at(DC2):
        with await net.connect(version) as sock:
            assert await ask(sock) == "dc1"
            net.lead_to(DC2)
            with pytest.raises(ConnectionError):
                await ask(sock)


@VERSIONS
async def test_a_connection_lives_on_at_the_edge_where_it_began(net: Net, version: int) -> None:
    async with net.servers(version), net.at(DC2) as strays:
        with await net.connect(version) as old, await net.connect(version) as quiet:
            assert await ask(old) == "dc1"
            await net.send(DC2, strays, DC1)
            net.lead_to(DC2)
            for _ in range(3):
                assert await ask(old) == "dc1"
            with await net.connect(version) as new:
                assert await ask(new) == "dc2"  # what begins here stays here
                await net.send(DC2, strays, None)
                assert await ask(new) == "dc2"
            for sock in (old, quiet):
                with pytest.raises(ConnectionError):
                    await ask(sock)


async def test_a_route_that_swings_breaks_nothing_while_both_send_to_each_other(net: Net) -> None:
    async with net.servers(4), net.at(DC1) as at_dc1, net.at(DC2) as at_dc2:
        await net.send(DC1, at_dc1, DC2)
        await net.send(DC2, at_dc2, DC1)
        with await net.connect(4) as first:
            net.lead_to(DC2)
            with await net.connect(4) as second:
                for site in (DC1, DC2, DC1):
                    net.lead_to(site)
                    assert [await ask(first), await ask(second)] == ["dc1", "dc2"]


async def test_what_neither_edge_knows_is_reset_and_does_not_circle(net: Net) -> None:
    async with net.at(DC1) as at_dc1, net.at(DC2) as at_dc2:
        async with net.servers(4):
            sock = await net.connect(4)
            assert await ask(sock) == "dc1"
        with sock:
            await net.send(DC1, at_dc1, DC2)
            await net.send(DC2, at_dc2, DC1)
            net.lead_to(DC2)
            with pytest.raises(ConnectionError):
                await ask(sock)


async def test_connections_that_stood_before_the_move_stay_local(net: Net) -> None:
    """Also those of a host whose rules were flushed and loaded again meanwhile."""
    async with net.servers(4), net.at(DC2) as strays:
        net.lead_to(DC2)
        with await net.connect(4) as sock:
            assert await ask(sock) == "dc2"
            await net.send(DC2, strays, DC1)
            assert await ask(sock) == "dc2"
            with net.edges[DC2].inside():
                await strays.prepare()
            await net.send(DC2, strays, DC1)
            assert await ask(sock) == "dc2"


async def test_connections_that_stood_before_the_first_load_have_time_to_become_known(
    net: Net,
) -> None:
    """A host that did not keep track takes them for strays until one packet of theirs was seen."""
    async with net.servers(4):
        net.lead_to(DC2)
        with await net.connect(4) as sock:
            assert await ask(sock) == "dc2"
            preparing = net.at(DC2, settle_s=0.6)
            async with asyncio.TaskGroup() as tasks:
                entering = tasks.create_task(preparing.__aenter__())
                with net.edges[DC2].inside():
                    while TABLE not in run("nft list tables"):
                        await asyncio.sleep(0.02)
                assert await ask(sock) == "dc2"
                assert not entering.done()
            strays = entering.result()
            await net.send(DC2, strays, DC1)
            assert await ask(sock) == "dc2"
            with net.edges[DC2].inside():
                async with asyncio.timeout(0.5):
                    await strays.prepare()  # it keeps track already: at once
            await preparing.__aexit__(None, None, None)


async def test_a_flood_is_not_sent_on_beyond_the_rate(net: Net) -> None:
    """Of 40 connections that come over at once, those beyond the rate are reset."""
    async with net.servers(4), net.at(DC2, packets_per_s=10) as strays:
        with ExitStack() as stack:
            socks = [stack.enter_context(await net.connect(4)) for _ in range(40)]
            assert {await ask(sock) for sock in socks} == {"dc1"}
            await net.send(DC2, strays, DC1)
            net.lead_to(DC2)
            answers = await asyncio.gather(*map(ask, socks), return_exceptions=True)
    reset = [answer for answer in answers if isinstance(answer, ConnectionError)]
    assert {answer for answer in answers if isinstance(answer, str)} == {"dc1"}
    assert 10 <= len(reset) < 40


async def test_a_port_that_is_used_again_is_a_new_connection(net: Net) -> None:
    async with net.servers(4), net.at(DC2) as strays:
        with await net.connect(4) as old:
            assert await ask(old) == "dc1"
            await net.send(DC2, strays, DC1)
            net.lead_to(DC2)
            assert await ask(old) == "dc1"
            local = old.getsockname()
            old.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with net.client.inside():
            again = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(local)
            again.setblocking(False)
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().sock_connect(again, (SERVICE[4], PORT))
            assert await ask(again) == "dc2"


async def test_the_kernel_forgets_it_without_the_daemon(net: Net) -> None:
    async with net.servers(4), net.at(DC2, longest_s=0.4) as strays:
        await net.send(DC2, strays, DC1)
        assert strays.sends_to(ADDRESSES) == DC1
        deadline = asyncio.get_running_loop().time() + 5
        with net.edges[DC2].inside():
            while SERVICE[4] in run(f"nft list map ip {TABLE} moving"):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
        assert strays.sends_to(ADDRESSES) is None


async def test_services_move_one_by_one(net: Net) -> None:
    async with net.at(DC2) as strays:
        one, other = (frozenset({address}) for address in sorted(ADDRESSES))
        with net.edges[DC2].inside():
            await strays.send(one, DC1)
            assert (strays.sends_to(one), strays.sends_to(other)) == (DC1, None)
            await strays.send(other, DC1)
            await strays.send(one, None)
            assert (strays.sends_to(one), strays.sends_to(other)) == (None, DC1)
            listed = run("nft list ruleset")
            assert (listed.count(": 10.71.0.1"), listed.count(": fd71::1")) == (0, 1)


async def test_after_a_flush_by_another_program_it_says_so_until_it_is_loaded_again(
    net: Net,
) -> None:
    async with net.at(DC2) as strays:
        with net.edges[DC2].inside():
            assert strays.ready
            run("nft flush ruleset")
            with pytest.raises(Refused):
                await strays.send(ADDRESSES, DC1)
            assert not strays.ready
            assert strays.sends_to(ADDRESSES) is None
            with pytest.raises(Refused, match="not loaded yet"):
                await strays.send(ADDRESSES, DC1)
            await strays.prepare()
            await strays.send(ADDRESSES, DC1)
            assert strays.sends_to(ADDRESSES) == DC1


async def test_a_site_without_a_way_is_refused(net: Net) -> None:
    async with net.at(DC2) as strays:
        with pytest.raises(Refused, match=r"no way leads to dc3; strays\.via has dc1, dc2"):
            await strays.send(ADDRESSES, SiteName("dc3"))
