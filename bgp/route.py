"""The values a route is made of: prefix, AS path, MED, communities. A value that exists is valid.

The next hop is not among them: it is always the announcing router itself.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

MAX_ASN: Final = 2**32 - 1
MAX_PATH: Final = 32  # many networks drop longer paths; ours are a handful long

_DIGITS: Final = re.compile(r"\d{1,10}", re.ASCII)


class BadRoute(ValueError):
    """A part of a route that cannot be announced; the message names the value."""


class Family(StrEnum):
    """Address families we announce, unicast."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


def family_of(address: str) -> Family:
    """The family of one IP address, written canonically and without a zone."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise BadRoute(f"not an IP address: {address!r}") from None
    if "%" in address or str(parsed) != address:
        raise BadRoute(f"IP address {address!r} is not written canonically, as {parsed}")
    return Family.IPV4 if parsed.version == 4 else Family.IPV6


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """One network, in canonical text: no host bits, lower case, shortest form."""

    text: str

    def __post_init__(self) -> None:
        try:
            network = ipaddress.ip_network(self.text, strict=True)
        except ValueError as error:
            raise BadRoute(f"not a prefix: {self.text!r} ({error})") from None
        if "%" in self.text or str(network) != self.text:
            raise BadRoute(f"prefix {self.text!r} is not written canonically, as {network}")
        if network.prefixlen == 0:
            raise BadRoute(f"{self.text} is everything: a default route is not a service prefix")

    @property
    def family(self) -> Family:
        """IPv4 or IPv6."""
        return Family.IPV6 if ":" in self.text else Family.IPV4

    @property
    def length(self) -> int:
        """How many bits of an address it fixes."""
        return int(self.text.rpartition("/")[2])

    def within(self, other: Self) -> bool:
        """Whether every address of this prefix is in `other`."""
        mine, theirs = ipaddress.ip_network(self.text), ipaddress.ip_network(other.text)
        if isinstance(mine, ipaddress.IPv4Network) and isinstance(theirs, ipaddress.IPv4Network):
            return mine.subnet_of(theirs)
        if isinstance(mine, ipaddress.IPv6Network) and isinstance(theirs, ipaddress.IPv6Network):
            return mine.subnet_of(theirs)
        return False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class AsPath:
    """The AS path as it goes on the wire; never empty towards a neighbor of another AS."""

    asns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.asns:
            raise BadRoute("an AS path must not be empty")
        if len(self.asns) > MAX_PATH:
            raise BadRoute(f"an AS path of {len(self.asns)} is longer than {MAX_PATH}")
        for asn in self.asns:
            if not 0 < asn <= MAX_ASN:
                raise BadRoute(f"not an AS number: {asn}")

    @classmethod
    def own(cls, local_as: int, prepends: int) -> Self:
        """Our AS once, as every route has it, and `prepends` times more."""
        if prepends < 0:
            raise BadRoute(f"cannot prepend {prepends} times")
        return cls((local_as,) * (prepends + 1))


@dataclass(frozen=True, slots=True)
class Med:
    """The multi-exit discriminator: lower wins, between equals of one neighbor AS."""

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value <= MAX_ASN:
            raise BadRoute(f"not a MED: {self.value}")


@dataclass(frozen=True, slots=True, order=True)
class Community:
    """A community of two (RFC 1997) or three (large, RFC 8092) numbers."""

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        limits = {2: 0xFFFF, 3: MAX_ASN}
        limit = limits.get(len(self.numbers))
        if limit is None or not all(0 <= n <= limit for n in self.numbers):
            raise BadRoute(f"not a community: {':'.join(map(str, self.numbers))!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `64500:100` or `64500:1:2`."""
        parts = text.split(":")
        if not all(_DIGITS.fullmatch(part) for part in parts):
            raise BadRoute(f"not a community: {text!r} (want 64500:100 or 64500:1:2)")
        return cls(tuple(int(part) for part in parts))

    @property
    def large(self) -> bool:
        """Whether it is one of RFC 8092."""
        return len(self.numbers) == 3

    def __str__(self) -> str:
        return ":".join(map(str, self.numbers))


GRACEFUL_SHUTDOWN: Final = Community((65535, 0))  # RFC 8326: the receiver prefers anything else


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is said about a prefix."""

    as_path: AsPath
    med: Med | None = None
    communities: frozenset[Community] = frozenset()
