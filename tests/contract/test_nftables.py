"""The fence with real connections: client - router - server, each in a namespace of its own."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from controller.adapters import nft
from controller.adapters.nft import run_nft
from controller.adapters.nftables import TABLE, Nftables, ruleset
from controller.ports import Flow, Refused, TimedOut, Unreachable
from tests.contract.namespaces import Namespace, needs_root, run

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60), needs_root]

PORT = 5432
AT_ONCE_S = 0.5


@dataclass(frozen=True)
class Net:
    """Two hosts and the router between them."""

    client: Namespace
    router: Namespace
    server: Namespace

    @staticmethod
    def address(host: str, version: int) -> str:
        site = {"client": 1, "server": 2}[host]
        return f"10.9.{site}.2" if version == 4 else f"2001:db8:{site}::2"

    def flow(self, version: int, port: int = PORT) -> Flow:
        source, destination = self.address("client", version), self.address("server", version)
        return Flow(source=source, destination=destination, port=port)


@pytest.fixture
def net() -> Iterator[Net]:
    net = Net(Namespace(), Namespace(), Namespace())
    for each in (net.client, net.router, net.server):
        each.run("sysctl -qw net.ipv6.conf.default.accept_dad=0")
    for site, (name, host) in enumerate((("c", net.client), ("s", net.server)), start=1):
        net.router.run(f"ip link add {name} type veth peer name eth0 netns {host.path}")
        for place, device, end in ((net.router, name, 1), (host, "eth0", 2)):
            place.run(
                f"ip addr add 10.9.{site}.{end}/24 dev {device}",
                f"ip addr add 2001:db8:{site}::{end}/64 dev {device} nodad",
                f"ip link set {device} up",
            )
        host.run(
            f"ip route add default via 10.9.{site}.1",
            f"ip -6 route add default via 2001:db8:{site}::1",
        )
    net.router.run("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1")
    yield net
    for namespace in (net.client, net.router, net.server):
        namespace.close()


class _Echo(asyncio.Protocol):
    def __init__(self, open_ones: set[asyncio.Transport]) -> None:
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open_ones.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self._transport)


@asynccontextmanager
async def _echo(net: Net, version: int, port: int = PORT) -> AsyncIterator[None]:
    open_ones: set[asyncio.Transport] = set()
    with net.server.inside():
        sock = socket.create_server((net.address("server", version), port), family=_family(version))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Echo(open_ones), sock=sock)
    try:
        yield
    finally:
        server.close()
        for transport in list(open_ones):
            transport.abort()
        async with asyncio.timeout(1):
            while open_ones:  # a transport tells nobody but its protocol
                await asyncio.sleep(0)


async def _connect(net: Net, version: int, port: int = PORT) -> socket.socket:
    with net.client.inside():
        sock = socket.socket(_family(version), socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(AT_ONCE_S):
            await asyncio.get_running_loop().sock_connect(
                sock, (net.address("server", version), port)
            )
    except (OSError, TimeoutError):
        sock.close()
        raise
    return sock


async def _talk(sock: socket.socket, within_s: float = AT_ONCE_S) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within_s):
        await loop.sock_sendall(sock, b"ping")
        answer = await loop.sock_recv(sock, 10)
    if not answer:
        raise ConnectionResetError("closed")
    assert answer == b"ping"


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _black_hole(net: Net) -> None:
    with net.server.inside():
        rules = (
            "table inet hole {\nchain in {\ntype filter hook input priority 0; policy drop;\n}\n}\n"
        )
        run("nft -f -", rules)


async def _block(place: Namespace, firewall: Nftables, *flows: Flow) -> None:
    with place.inside():
        await firewall.block(frozenset(flows))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("where", ["router", "client"])
async def test_black_holed_connections_are_reset_at_once(
    net: Net, version: int, where: str
) -> None:
    """Without the fence both hang; with it both end, whether it stands on the path or at home."""
    place = {"router": net.router, "client": net.client}[where]
    firewall = Nftables()
    async with _echo(net, version):
        with await _connect(net, version) as idle, await _connect(net, version) as waiting:
            await _talk(idle)
            await _talk(waiting)
            _black_hole(net)
            with pytest.raises(TimeoutError):
                await _talk(waiting)
            with pytest.raises(TimeoutError):
                await _connect(net, version)
            await _block(place, firewall, net.flow(version))
            with pytest.raises(ConnectionError):
                await _talk(idle)
            with pytest.raises(ConnectionRefusedError):
                await _connect(net, version)
            with pytest.raises(ConnectionError):  # when it next sends its data again
                await _talk(waiting, within_s=5)


async def test_only_the_flows_named_are_blocked_and_unblocking_works(net: Net) -> None:
    firewall = Nftables()
    async with _echo(net, 4), _echo(net, 6), _echo(net, 4, PORT + 1):
        await _block(net.router, firewall, net.flow(4))
        with pytest.raises(ConnectionRefusedError):
            await _connect(net, 4)
        for version, port in ((4, PORT + 1), (6, PORT)):
            with await _connect(net, version, port) as sock:
                await _talk(sock)
        await _block(net.router, firewall, net.flow(6), net.flow(4, PORT + 1))
        with await _connect(net, 4) as sock:
            await _talk(sock)
        with pytest.raises(ConnectionRefusedError):
            await _connect(net, 6)
        await _block(net.router, firewall)
        for version, port in ((4, PORT), (4, PORT + 1), (6, PORT)):
            with await _connect(net, version, port) as sock:
                await _talk(sock)


async def test_nothing_else_on_the_host_is_touched(net: Net) -> None:
    with net.router.inside():
        run("nft add table inet others")
        firewall = Nftables()
        await firewall.block(frozenset({net.flow(4)}))
        assert run("nft list tables").split("\n")[:2] == [
            "table inet others",
            f"table inet {TABLE}",
        ]
        await firewall.block(frozenset())
        assert run("nft list tables").strip() == "table inet others"


async def test_leftover_of_a_former_daemon_is_replaced_on_first_use(net: Net) -> None:
    with net.router.inside():
        await Nftables().block(frozenset({net.flow(4)}))
        await Nftables().block(frozenset())
        assert run("nft list tables").strip() == ""


async def test_the_kernel_is_asked_only_when_the_set_changed(
    net: Net, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = str(tmp_path / "libnftables.so.1")
    with net.router.inside():
        firewall = Nftables()
        flows = frozenset({net.flow(4)})
        await firewall.block(flows)
        monkeypatch.setattr(nft, "LIBRARY", gone)
        await firewall.block(flows)
        with pytest.raises(Unreachable, match=f"{re.escape(gone)} cannot be loaded.*nftables"):
            await firewall.block(frozenset())
        with pytest.raises(Unreachable):
            await firewall.block(flows)  # what stands is not known after a failure


async def test_rules_flushed_by_another_program_come_back(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    with net.router.inside():
        firewall = Nftables()
        await firewall.block(frozenset({net.flow(4)}))
        run("nft flush ruleset")
        monkeypatch.setattr("controller.adapters.nftables.REFRESH_S", 0.0)
        await firewall.block(frozenset({net.flow(4)}))
        assert TABLE in run("nft list tables")


async def test_thousand_flows_are_two_rules(net: Net) -> None:
    flows = frozenset(
        Flow(source=f"10.1.{n // 250}.{n % 250 + 1}", destination="10.2.0.20", port=5432)
        for n in range(1000)
    )
    with net.router.inside():
        began = time.monotonic()
        await Nftables().block(flows)
        print(f"1000 flows took {(time.monotonic() - began) * 1000:.1f} ms")  # noqa: T201
        assert run(f"nft list table inet {TABLE}").count("reject with tcp reset") == 2


async def test_what_the_kernel_refuses_changes_nothing_and_is_said(net: Net) -> None:
    with net.router.inside():
        firewall = Nftables()
        await firewall.block(frozenset({net.flow(4)}))
        with pytest.raises(
            Refused, match=r"nftables: the kernel refused our rules: .*No such file"
        ):
            await run_nft("add table inet others\nadd rule inet nowhere here accept\n")
        assert run("nft list tables").strip() == f"table inet {TABLE}"


def _held_up(*_: object) -> tuple[int, str]:
    time.sleep(0.3)
    return 0, ""


async def test_another_programs_long_transaction_does_not_hold_us_up_for_ever(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.adapters.nft.DEADLINE_S", 0.05)
    monkeypatch.setattr("controller.adapters.nft._run", _held_up)
    with net.router.inside():
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"no answer of the kernel within 0\.05 s"):
            await Nftables().block(frozenset({net.flow(4)}))
        assert time.monotonic() - began < 0.25


@pytest.mark.parametrize(
    "flow",
    [
        Flow(source="10.1.0.20; flush ruleset", destination="10.2.0.20", port=1),
        Flow(source="10.1.0.20", destination="2001:db8::1", port=1),
        Flow(source="10.1.0.20", destination="10.2.0.20", port=0),
        Flow(source="10.1.0.20", destination="10.2.0.20", port=65536),
        Flow(source="10.1.0.0/24", destination="10.2.0.20", port=1),
    ],
)
def test_what_is_no_flow_is_refused(flow: Flow) -> None:
    with pytest.raises(Refused):
        ruleset(TABLE, frozenset({flow}))
