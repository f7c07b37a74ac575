"""Stances: what a site's routes say, and the attributes that say it.

A prepend never withdraws anything and costs no packet: the receiver replaces the old path by the
new one. So stances differ by prepends with headroom: `override` is shorter than anything the other
site ever announced as `preferred`, and a site that lost everything is still there, as `isolated`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final, Self

from bgp.route import GRACEFUL_SHUTDOWN, AsPath, Attributes, BadRoute, Community, Med


class Stance(StrEnum):
    """From most to least attractive."""

    OVERRIDE = "override"
    PREFERRED = "preferred"
    BACKUP = "backup"
    ISOLATED = "isolated"
    DRAINED = "drained"
    WITHDRAWN = "withdrawn"


_ORDER: Final = tuple(Stance)
_RISING: Final = (Stance.OVERRIDE, Stance.PREFERRED, Stance.BACKUP, Stance.ISOLATED)
MAX_PREPENDS: Final = 5


class BadPolicy(ValueError):
    """Stances that cannot work together; the message names stance and value."""


def less_attractive(first: Stance, second: Stance) -> Stance:
    """The one of the two that draws less traffic."""
    return max(first, second, key=_ORDER.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """How one stance is said."""

    prepends: int
    med: Med | None = None
    communities: frozenset[Community] = frozenset()

    @classmethod
    def parse(cls, value: object) -> Self:
        """From configuration: a number of prepends, or prepends, med and communities by name."""
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(prepends=value)
        if not isinstance(value, Mapping):
            raise BadPolicy(f"a stance is a number of prepends or a mapping, not {value!r}")
        unknown = set(value) - {"prepends", "med", "communities"}
        if unknown:
            raise BadPolicy(f"a stance has no {sorted(map(str, unknown))[0]!r}")
        prepends, med = value.get("prepends"), value.get("med")
        if not isinstance(prepends, int) or isinstance(prepends, bool):
            raise BadPolicy(f"prepends is a number, not {prepends!r}")
        if med is not None and (not isinstance(med, int) or isinstance(med, bool)):
            raise BadPolicy(f"med is a number, not {med!r}")
        communities = value.get("communities") or ()
        if isinstance(communities, str) or not isinstance(communities, Sequence):
            raise BadPolicy(f"communities is a list, not {communities!r}")
        return cls(
            prepends=prepends,
            med=None if med is None else Med(med),
            communities=frozenset(Community.parse(str(text)) for text in communities),
        )

    def to_plain(self) -> dict[str, object]:
        """The inverse of `parse`."""
        return {
            "prepends": self.prepends,
            "med": self.med.value if self.med else None,
            "communities": [str(community) for community in sorted(self.communities)],
        }


DEFAULT_SAYINGS: Final[Mapping[Stance, Saying]] = {
    Stance.OVERRIDE: Saying(prepends=0),
    Stance.PREFERRED: Saying(prepends=1),
    Stance.BACKUP: Saying(prepends=3),
    Stance.ISOLATED: Saying(prepends=5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every stance of one router, checked against each other when built."""

    local_as: int
    sayings: Mapping[Stance, Saying] = field(default_factory=lambda: dict(DEFAULT_SAYINGS))
    max_prepends: int = MAX_PREPENDS

    def __post_init__(self) -> None:
        extra = set(self.sayings) - {*_RISING, Stance.DRAINED}
        if extra:
            raise BadPolicy(f"stance {min(extra)} has no attributes to configure")
        for stance in _RISING:
            if stance not in self.sayings:
                raise BadPolicy(f"stance {stance} is not configured")
        counts = [(stance, self.sayings[stance].prepends) for stance in _RISING]
        for (nearer, fewer), (farther, more) in pairwise(counts):
            if not fewer < more:
                raise BadPolicy(
                    f"stance {farther} must prepend more than {nearer}: {more} is not above {fewer}"
                )
        if counts[0][1] < 0:
            raise BadPolicy(f"stance {counts[0][0]} prepends {counts[0][1]} times: below 0")
        for stance, saying in self.sayings.items():
            if saying.prepends > self.max_prepends:
                raise BadPolicy(
                    f"stance {stance} prepends {saying.prepends} times:"
                    f" more than {self.max_prepends} harms more than it helps"
                )
        if self._drained().prepends < self.sayings[Stance.ISOLATED].prepends:
            raise BadPolicy("stance drained must prepend at least as often as isolated")
        try:
            AsPath.own(self.local_as, self.max_prepends)
        except BadRoute as error:
            raise BadPolicy(str(error)) from None

    def attributes(self, stance: Stance) -> Attributes | None:
        """What is announced in this stance; None: no route."""
        if stance is Stance.WITHDRAWN:
            return None
        saying = self._drained() if stance is Stance.DRAINED else self.sayings[stance]
        communities = saying.communities
        if stance is Stance.DRAINED:
            communities |= {GRACEFUL_SHUTDOWN}
        return Attributes(
            as_path=AsPath.own(self.local_as, saying.prepends),
            med=saying.med,
            communities=communities,
        )

    def _drained(self) -> Saying:
        return self.sayings.get(Stance.DRAINED) or self.sayings[Stance.ISOLATED]
