"""What the speaker and ExaBGP are told at their start: neighbors, services, stances.

One frozen value, JSON in and out. It holds the path of a password, never a password.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self, TypeVar

from bgp.policy import Policy, Saying, Stance
from bgp.route import MAX_ASN, BadRoute, Family, Prefix, family_of
from bgp.specifics import MoreSpecifics, When

MIN_HOLD_S: Final = 3
MAX_HOLD_S: Final = 65535
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class BadSpec(ValueError):
    """A specification that cannot be run; the message names key and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborSpec:
    """One BGP session, which carries the family of its own addresses."""

    address: str
    local_address: str  # the next hop of everything said in this session
    remote_as: int
    hold_s: int = 9
    password_file: str | None = None

    def __post_init__(self) -> None:
        try:
            families = family_of(self.address), family_of(self.local_address)
        except BadRoute as error:
            raise BadSpec(f"neighbor {self.address}: {error}") from None
        if families[0] is not families[1]:
            raise BadSpec(f"neighbor {self.address}: {self.local_address} is of another family")
        if not 0 < self.remote_as <= MAX_ASN:
            raise BadSpec(f"neighbor {self.address}: not an AS number: {self.remote_as}")
        if not MIN_HOLD_S <= self.hold_s <= MAX_HOLD_S:
            raise BadSpec(f"neighbor {self.address}: hold_s {self.hold_s} is below {MIN_HOLD_S}")

    @property
    def family(self) -> Family:
        """The only family this session carries."""
        return family_of(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpSpec:
    """Everything about one site's routes that does not change while it runs."""

    router_id: str
    policy: Policy
    neighbors: tuple[NeighborSpec, ...]
    services: Mapping[str, tuple[Prefix, ...]]
    allowed_prefixes: tuple[Prefix, ...]
    permit_s: float = 2.0  # how long a fresh speaker waits for its first wanted set
    refresh_s: float = 45.0
    socket_path: str = "/run/tricast/speaker.sock"
    host_name: str = ""  # shown by the neighbor's router; "": none
    more_specifics: MoreSpecifics = MoreSpecifics()

    def __post_init__(self) -> None:
        try:
            router = family_of(self.router_id)
        except BadRoute as error:
            raise BadSpec(f"router_id: {error}") from None
        if router is not Family.IPV4:
            raise BadSpec(f"router_id {self.router_id} must be written as an IPv4 address")
        self._check_neighbors()
        self._check_services()
        for key, value in (("permit_s", self.permit_s), ("refresh_s", self.refresh_s)):
            if not 0 < value <= 3600:
                raise BadSpec(f"{key} {value} is not between 0 and 3600")
        if not self.socket_path.startswith("/") or len(self.socket_path) > 100:
            raise BadSpec(f"socket_path {self.socket_path!r} must be absolute, at most 100 long")
        if not set(self.host_name) <= _NAME:
            raise BadSpec(f"host_name {self.host_name!r}: use a-z, 0-9, - and _")

    def _check_neighbors(self) -> None:
        if not self.neighbors:
            raise BadSpec("neighbors: there must be one at least")
        addresses = [neighbor.address for neighbor in self.neighbors]
        for address in addresses:
            if addresses.count(address) > 1:
                raise BadSpec(f"neighbor {address} is there twice")
        for neighbor in self.neighbors:
            if neighbor.remote_as == self.policy.local_as:
                raise BadSpec(
                    f"neighbor {neighbor.address}: remote_as {neighbor.remote_as} is our own;"
                    " prepends only count towards another AS"
                )

    def _check_services(self) -> None:
        owner: dict[Prefix, str] = {}
        for name, prefixes in self.services.items():
            if not name or not set(name) <= _NAME:
                raise BadSpec(f"service {name!r}: use a-z, 0-9, - and _")
            for prefix in prefixes:
                if prefix in owner:
                    raise BadSpec(f"prefix {prefix} belongs to {owner[prefix]} and to {name}")
                if not any(prefix.within(allowed) for allowed in self.allowed_prefixes):
                    raise BadSpec(f"service {name}: {prefix} is not inside allowed_prefixes")
                owner[prefix] = name
        for name in self.services:
            for prefix in self.halves_of(name):
                if owner.setdefault(prefix, name) != name:
                    raise BadSpec(f"{prefix}, half of a prefix of {name}, is {owner[prefix]}'s")

    def neighbors_of(self, family: Family) -> tuple[str, ...]:
        """The addresses of the neighbors that take this family."""
        return tuple(n.address for n in self.neighbors if n.family is family)

    def halves_of(self, service: str) -> tuple[Prefix, ...]:
        """The more-specifics that may stand beside the prefixes of `service`."""
        try:
            return tuple(
                half for prefix in self.services[service] for half in self.more_specifics.of(prefix)
            )
        except BadRoute as error:
            raise BadSpec(f"service {service}: {error}") from None

    def to_json(self) -> str:
        """The text `from_json` reads."""
        return json.dumps(
            {
                "router_id": self.router_id,
                "local_as": self.policy.local_as,
                "host_name": self.host_name,
                "neighbors": [
                    {
                        "address": neighbor.address,
                        "local_address": neighbor.local_address,
                        "remote_as": neighbor.remote_as,
                        "hold_s": neighbor.hold_s,
                        "password_file": neighbor.password_file,
                    }
                    for neighbor in self.neighbors
                ],
                "services": {n: [p.text for p in ps] for n, ps in self.services.items()},
                "stances": {str(s): saying.to_plain() for s, saying in self.policy.sayings.items()},
                "max_prepends": self.policy.max_prepends,
                "allowed_prefixes": [prefix.text for prefix in self.allowed_prefixes],
                "permit_s": self.permit_s,
                "refresh_s": self.refresh_s,
                "socket_path": self.socket_path,
                **_plain_specifics(self.more_specifics),
            },
            indent=2,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` writes; unknown and missing keys are errors."""
        try:
            top = _mapping(json.loads(text), "the specification")
        except ValueError as error:
            raise BadSpec(f"the specification is not JSON: {error}") from None
        take = _Taker(top, "")
        try:
            policy = Policy(
                local_as=take("local_as", _integer),
                sayings={
                    Stance(name): Saying.parse(value)
                    for name, value in take("stances", _mapping).items()
                },
                max_prepends=take("max_prepends", _integer),
            )
            spec = cls(
                router_id=take("router_id", _string),
                policy=policy,
                neighbors=tuple(_neighbor(item) for item in take("neighbors", _items)),
                services={
                    name: tuple(Prefix(_string(text, name)) for text in _items(prefixes, name))
                    for name, prefixes in take("services", _mapping).items()
                },
                allowed_prefixes=tuple(
                    Prefix(_string(text, "allowed_prefixes"))
                    for text in take("allowed_prefixes", _items)
                ),
                permit_s=take("permit_s", _number),
                refresh_s=take("refresh_s", _number),
                socket_path=take("socket_path", _string),
                host_name=take("host_name", _string),
                more_specifics=take.maybe("more_specifics", _specifics, MoreSpecifics()),
            )
        except BadSpec:
            raise
        except ValueError as error:
            raise BadSpec(str(error)) from None
        take.nothing_left()
        return spec


T = TypeVar("T")


class _Taker:
    """Takes keys out of a mapping one by one, so that what is left over is unknown."""

    def __init__(self, mapping: dict[str, object], where: str) -> None:
        self._rest = dict(mapping)
        self._where = where

    def __call__(self, key: str, read: Callable[[object, str], T]) -> T:
        if key not in self._rest:
            raise BadSpec(f"{self._where}{key} is missing")
        return read(self._rest.pop(key), f"{self._where}{key}")

    def maybe(self, key: str, read: Callable[[object, str], T], default: T) -> T:
        return self(key, read) if key in self._rest else default

    def nothing_left(self) -> None:
        if self._rest:
            raise BadSpec(f"{self._where}{min(self._rest)} is not a known key")


def _neighbor(value: object) -> NeighborSpec:
    take = _Taker(_mapping(value, "neighbors"), "neighbors: ")
    neighbor = NeighborSpec(
        address=take("address", _string),
        local_address=take("local_address", _string),
        remote_as=take("remote_as", _integer),
        hold_s=take("hold_s", _integer),
        password_file=take("password_file", lambda v, w: None if v is None else _string(v, w)),
    )
    take.nothing_left()
    return neighbor


def _plain_specifics(rules: MoreSpecifics) -> dict[str, object]:
    """Left out where nothing is said of them: an older speaker reads it too."""
    return {} if rules == MoreSpecifics() else {"more_specifics": asdict(rules)}


def _specifics(value: object, where: str) -> MoreSpecifics:
    take = _Taker(_mapping(value, where), f"{where}: ")
    rules = MoreSpecifics(
        when=When(take("when", _string)),
        max_length_ipv4=take("max_length_ipv4", _integer),
        max_length_ipv6=take("max_length_ipv6", _integer),
        after_s=take("after_s", _number),
        take_back_s=take("take_back_s", _number),
    )
    take.nothing_left()
    return rules


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadSpec(f"{where} is not a mapping: {value!r}")
    return value


def _items(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise BadSpec(f"{where} is not a list: {value!r}")
    return value


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise BadSpec(f"{where} is not a text: {value!r}")
    return value


def _integer(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadSpec(f"{where} is not a whole number: {value!r}")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadSpec(f"{where} is not a number: {value!r}")
    return float(value)
