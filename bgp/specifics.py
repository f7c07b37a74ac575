"""More-specific prefixes: the two halves of each prefix, for providers that no path convinces.

A router takes the longest prefix that fits before it compares anything else. So halves win where a
provider prefers its own customer's route whatever its length, or keeps one of a site that is dead.
They stand beside the prefix itself, never in its place, so that taking them back leaves a route.

Arithmetic only: time is an argument.
"""

import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from bgp.policy import Stance
from bgp.route import Attributes, BadRoute, Family, Prefix


class When(StrEnum):
    """In which stance halves are announced."""

    NEVER = "never"
    OVERRIDE = "override"


def halves(prefix: Prefix) -> tuple[Prefix, Prefix]:
    """The two prefixes that are one bit longer: together `prefix`, and nothing else."""
    network = ipaddress.ip_network(prefix.text)
    if network.prefixlen == network.max_prefixlen:
        raise BadRoute(f"{prefix} is one address: it has no halves")
    lower, upper = network.subnets(prefixlen_diff=1)
    return Prefix(str(lower)), Prefix(str(upper))


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreSpecifics:
    """When halves are announced, how long they may be, and how they come and go."""

    when: When = When.NEVER
    max_length_ipv4: int = 24
    max_length_ipv6: int = 48
    after_s: float = 2.0  # `override` has lasted so long before they come
    take_back_s: float = 30.0  # and `preferred` before they go

    def __post_init__(self) -> None:
        for key, value, limit in (
            ("max_length_ipv4", self.max_length_ipv4, 32),
            ("max_length_ipv6", self.max_length_ipv6, 128),
        ):
            if not 0 < value <= limit:
                raise BadRoute(f"more_specifics: {key} {value} is not between 1 and {limit}")
        for key, seconds in (("after_s", self.after_s), ("take_back_s", self.take_back_s)):
            if not 0 <= seconds <= 3600:
                raise BadRoute(f"more_specifics: {key} {seconds} is not between 0 and 3600")

    def of(self, prefix: Prefix) -> tuple[Prefix, ...]:
        """What may stand beside `prefix`; BadRoute when it would be too long."""
        if self.when is When.NEVER:
            return ()
        found = halves(prefix)
        four = prefix.family is Family.IPV4
        limit = self.max_length_ipv4 if four else self.max_length_ipv6
        if prefix.length + 1 > limit:
            raise BadRoute(
                f"more_specifics: the halves of {prefix} are /{prefix.length + 1}, longer than"
                f" max_length_{prefix.family} {limit}"
            )
        return found


@dataclass(frozen=True, slots=True)
class Span:
    """From when on, and until when, the halves of one service are announced."""

    begin: float = math.inf
    end: float = math.inf

    def holds(self, now: float) -> bool:
        """Whether they are announced now."""
        return self.begin <= now < self.end

    def waits(self, now: float) -> bool:
        """Whether they soon will be. Until then they are left as they are: a speaker that was
        started again must not take back what a former one said for the same reason.
        """
        return now < self.begin < math.inf

    def changes_at(self, now: float) -> float:
        """The next instant at which they come or go by themselves; infinite if never."""
        return min((t for t in (self.begin, self.end) if t > now), default=math.inf)

    def after(self, stance: Stance, now: float, rules: MoreSpecifics) -> Self:
        """The span once `stance` is in force.

        Halves come with `override`, and outlive it only under `preferred`, which says that this
        site still holds: any other stance takes them back at once.
        """
        if stance is Stance.OVERRIDE:
            comes = now + rules.after_s
            return type(self)(comes if self.end <= now else min(self.begin, comes))
        if stance is Stance.PREFERRED and self.holds(now):
            return type(self)(self.begin, min(self.end, now + rules.take_back_s))
        return type(self)()


class Halves:
    """The halves of every service that has some, over time."""

    def __init__(self, of: Mapping[str, tuple[Prefix, ...]], rules: MoreSpecifics) -> None:
        self._of = {name: prefixes for name, prefixes in of.items() if prefixes}
        self._rules = rules
        self._spans = dict.fromkeys(self._of, Span())

    def of(self, service: str) -> tuple[Prefix, ...]:
        """All there may be."""
        return self._of.get(service, ())

    def in_force(self, stances: Mapping[str, Stance], now: float) -> None:
        """From now on the services say this."""
        for name in self._of.keys() & stances.keys():
            self._spans[name] = self._spans[name].after(stances[name], now, self._rules)

    def wanted(
        self, service: str, said: Attributes | None, now: float
    ) -> dict[Prefix, Attributes | None]:
        """What to say of them beside a service that is said so; of one that is missing, nothing."""
        span = self._spans.get(service, NO_SPAN)
        if span.waits(now):
            return {}
        return dict.fromkeys(self.of(service), said if span.holds(now) else None)

    def changes_at(self, now: float) -> float:
        """The next instant at which `wanted` changes by itself; infinite if never."""
        return min((span.changes_at(now) for span in self._spans.values()), default=math.inf)


NO_SPAN: Final = Span()
