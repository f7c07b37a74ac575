"""Addresses and links of this host, behind `ports.Addresses`, by the kernel's netlink sockets."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from controller.ports import Refused, TimedOut, Unreachable

DEADLINE_S: Final = 2.0
RUNNING: Final = 0x41  # administratively up, and with a carrier
IFA_F_NODAD: Final = 0x02
UNUSABLE: Final = 0x48  # an IPv6 address that is being tested, or was found to be a duplicate
GROUPS: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
MESSAGE_BYTES: Final = 65536

Message = Any  # the library is untyped


class Netlink:
    """This network namespace. Addresses are put on `device`, each as a host address."""

    def __init__(self, device: str = "lo") -> None:
        """`device` is `lo`, or a dummy link, which is made if it is not there."""
        self._device = device

    async def ensure(self, addresses: frozenset[str]) -> None:
        """Each address stands on this host. Others are left alone."""
        absent = await self.missing(addresses)
        if not absent:
            return
        async with _deadline(f"setting addresses on {self._device}"), AsyncIPRoute() as netlink:
            index = await self._device_index(netlink)
            for address in sorted(absent):
                await self._set(netlink, index, address)

    async def missing(self, addresses: frozenset[str]) -> frozenset[str]:
        """Those that do not stand on this host, or are not yet, or no longer, usable."""
        wanted = {_parsed(address): address for address in addresses}
        async with _deadline("reading addresses"), AsyncIPRoute() as netlink:
            standing = {
                ip_address(message.get("address"))
                async for message in await netlink.get_addr()
                if message.get("address") and not message.get("flags") & UNUSABLE
            }
        return frozenset(text for parsed, text in wanted.items() if parsed not in standing)

    async def links(self) -> Mapping[str, bool]:
        """Interface name -> up, with a carrier."""
        async with _deadline("reading links"), AsyncIPRoute() as netlink:
            return {
                str(message.get("ifname")): message["flags"] & RUNNING == RUNNING
                async for message in await netlink.get_links()
            }

    async def changes(self) -> AsyncIterator[None]:
        """Yields at once, and when a link or an address has changed. A hint: readers read again."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
            events.settimeout(0)
            events.bind((0, GROUPS))
            yield
            while True:
                try:
                    await loop.sock_recv(events, MESSAGE_BYTES)
                    _drain(events)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise Unreachable(f"netlink: no news of links: {error}") from error
                yield

    async def _device_index(self, netlink: Message) -> int:
        found = await netlink.link_lookup(ifname=self._device)
        if not found:
            try:
                await netlink.link("add", ifname=self._device, kind="dummy")
            except NetlinkError as error:
                raise Refused(
                    f"netlink: there is no link {self._device}, and the kernel makes no dummy"
                    f" link of this name ({error.args[-1]}); addresses can stand on lo instead"
                ) from error
            found = await netlink.link_lookup(ifname=self._device)
        await netlink.link("set", index=found[0], state="up")
        return int(found[0])

    async def _set(self, netlink: Message, index: int, address: str) -> None:
        parsed = _parsed(address)
        options: dict[str, object] = {"address": str(parsed), "prefixlen": parsed.max_prefixlen}
        if parsed.version == 6:
            options["flags"] = IFA_F_NODAD  # every site has this address: not a duplicate
            options["preferred_lft"] = 0  # nothing of ours may use it to call others
        try:
            await netlink.addr("replace", index=index, **options)
        except NetlinkError as error:
            raise Refused(f"netlink: {address} on {self._device}: {error.args[-1]}") from error


def _parsed(address: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(address)
    except ValueError as error:
        raise Refused(f"netlink: {error}") from None


def _drain(events: socket.socket) -> None:
    """One hint for what came together."""
    with suppress(BlockingIOError):
        while events.recv(MESSAGE_BYTES):
            pass


@asynccontextmanager
async def _deadline(what: str) -> AsyncIterator[None]:
    """What the kernel or the library says becomes one of our errors."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield
    except TimeoutError:
        raise TimedOut(f"netlink: {what}: no answer from the kernel") from None
    except NetlinkError as error:
        raise Refused(f"netlink: {what}: {error.args[-1]}") from error
    except OSError as error:
        raise Unreachable(f"netlink: {what}: {error}") from error
