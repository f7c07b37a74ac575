"""Addresses and links, in a network namespace of the test's own."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from controller.adapters.netlink import Netlink
from controller.ports import Refused
from tests.contract.namespaces import Namespace, needs_root, run

pytestmark = [pytest.mark.contract, pytest.mark.timeout(30), needs_root]

SERVICE = frozenset({"198.51.100.10", "2001:db8:100::10"})


@pytest.fixture(autouse=True)
def namespace() -> Iterator[Namespace]:
    """The test itself runs inside."""
    namespace = Namespace()
    with namespace.inside():
        yield namespace
    namespace.close()


def _addresses(device: str) -> list[str]:
    lines = run(f"ip -o addr show dev {device} scope global").splitlines()
    return [line.split()[3] for line in lines]


async def test_addresses_are_set_as_host_addresses_once() -> None:
    netlink = Netlink()
    assert await netlink.missing(SERVICE) == SERVICE
    for _ in range(2):
        await netlink.ensure(SERVICE)
        assert _addresses("lo") == ["198.51.100.10/32", "2001:db8:100::10/128"]
    assert await netlink.missing(SERVICE) == frozenset()


async def test_lost_address_is_missed_and_set_again() -> None:
    netlink = Netlink()
    await netlink.ensure(SERVICE)
    run("ip addr del 198.51.100.10/32 dev lo")
    assert await netlink.missing(SERVICE) == {"198.51.100.10"}
    await netlink.ensure(SERVICE)
    assert await netlink.missing(SERVICE) == frozenset()


async def test_addresses_of_others_are_left_alone() -> None:
    run("ip addr add 203.0.113.9/32 dev lo")
    await Netlink().ensure(SERVICE)
    assert "203.0.113.9/32" in _addresses("lo")


async def test_spelling_of_an_address_does_not_matter() -> None:
    netlink = Netlink()
    await netlink.ensure(frozenset({"2001:0DB8:100:0::10"}))
    assert await netlink.missing(frozenset({"2001:db8:100::10"})) == frozenset()


async def test_ipv6_service_address_answers_but_does_not_call() -> None:
    """It is deprecated: the kernel picks another source for connections of our own."""
    await Netlink().ensure(SERVICE)
    assert "deprecated" in run("ip -6 addr show dev lo scope global")
    assert "tentative" not in run("ip -6 addr show dev lo scope global")


async def test_address_that_is_still_tentative_is_missing() -> None:
    run("ip link add left type veth peer name right")
    run("ip link set left up")
    run("ip link set right up")
    run("ip addr add 2001:db8:5::1/64 dev left")
    assert await Netlink().missing(frozenset({"2001:db8:5::1"})) == {"2001:db8:5::1"}


async def test_device_that_cannot_be_had_is_refused_by_name() -> None:
    """Where the kernel makes dummy links the device is made, else the message says what to do."""
    try:
        run("ip link add probe type dummy")
    except RuntimeError:
        with pytest.raises(Refused, match=r"there is no link service0.*can stand on lo instead"):
            await Netlink("service0").ensure(SERVICE)
    else:
        await Netlink("service0").ensure(SERVICE)
        assert len(_addresses("service0")) == 2


@pytest.mark.parametrize("address", ["198.51.100.300", "198.51.100.0/24", "wallet", ""])
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="does not appear to be"):
        await Netlink().ensure(frozenset({address}))


async def test_link_is_up_only_with_a_carrier() -> None:
    run("ip link add left type veth peer name right")
    netlink = Netlink()
    assert await netlink.links() == {"lo": True, "left": False, "right": False}
    run("ip link set left up")
    assert not (await netlink.links())["left"]
    run("ip link set right up")
    assert await netlink.links() == {"lo": True, "left": True, "right": True}
    run("ip link set right down")
    assert not (await netlink.links())["left"]


async def test_changes_of_links_and_addresses_are_told() -> None:
    netlink = Netlink()
    async with aclosing(netlink.changes()) as changes:  # type: ignore[type-var]
        async with asyncio.timeout(5):
            await anext(changes)
            run("ip link add left type veth peer name right")
            await anext(changes)
            run("ip addr add 203.0.113.9/32 dev lo")
            await anext(changes)
            run("ip link set left up")
            await anext(changes)


async def test_changes_survive_more_news_than_the_socket_holds() -> None:
    script = "".join(f"addr add 203.0.113.{n}/32 dev lo\n" for n in range(1, 255))
    netlink = Netlink()
    async with aclosing(netlink.changes()) as changes:  # type: ignore[type-var]
        await anext(changes)
        for verb in ("add", "del") * 5:
            run("ip -batch -", script.replace(" add ", f" {verb} "))
        async with asyncio.timeout(5):
            await anext(changes)
            run("ip addr add 203.0.113.9/32 dev lo")
            await anext(changes)


async def test_reader_of_changes_can_be_cancelled() -> None:
    async def _read() -> None:
        async for _ in Netlink().changes():
            started.set()

    started = asyncio.Event()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(_read())
        await started.wait()
        task.cancel()
    assert task.cancelled()
