"""Who may announce what, and until when. Arithmetic only: time is an argument.

A permit never makes a site more attractive by running out: what was `preferred` turns `isolated`,
what an operator drained or withdrew stays so. A service nobody spoke for yet is left alone until a
permit's length has passed since the start, and is `isolated` from then on, so that its address is
not absent by accident.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from bgp.policy import Stance, less_attractive


@dataclass(frozen=True, slots=True)
class Wish:
    """What one service is to say, and the epoch in whose name."""

    stance: Stance
    epoch: int


class Denied(ValueError):
    """The wanted set was not taken, and nothing of it was; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The last wanted set that was taken. Times are instants of one clock, in seconds."""

    services: frozenset[str]
    silent_until: float  # before, a service nobody spoke for is left as it is
    sent_at: float  # when the last wanted set was sent
    until: float  # nobody speaks for the services from then on
    wanted: Mapping[str, Wish]
    epochs: Mapping[str, int]  # the highest epoch taken of each service

    @classmethod
    def at_start(cls, services: frozenset[str], now: float, permit_s: float) -> Self:
        """Nothing wanted yet; `isolated` after `permit_s`."""
        return cls(
            services=services,
            silent_until=now + permit_s,
            sent_at=-math.inf,
            until=now,
            wanted={},
            epochs={},
        )

    def renewed(
        self, wanted: Mapping[str, Wish], sent_at: float, permit_s: float, now: float
    ) -> Self:
        """The permit after this wanted set, which replaces the last one whole.

        It counts from the moment the set was sent: one that lay in a buffer while its reader or
        its writer was frozen has aged there, and one overtaken by a later one is not taken.
        """
        sent_at = min(sent_at, now)
        if now >= sent_at + permit_s:
            raise Denied(f"sent {now - sent_at:.3f} s ago, good for {permit_s:.3f} s only")
        if sent_at < self.sent_at:
            raise Denied(f"sent {self.sent_at - sent_at:.3f} s before the wanted set already taken")
        unknown = sorted(set(wanted) - self.services)
        if unknown:
            raise Denied(f"no such service: {unknown[0]!r}")
        lower = [
            f"{name}: epoch {wish.epoch} is below {self.epochs[name]}"
            for name, wish in sorted(wanted.items())
            if wish.epoch < self.epochs.get(name, 0)
        ]
        if lower:
            raise Denied("; ".join(lower))
        # A service left out of the whole set has lost its permit, not its routes.
        left_out = {name: _lapsed(wish) for name, wish in self.wanted.items()}
        return replace(
            self,
            sent_at=sent_at,
            until=sent_at + permit_s,
            wanted={**left_out, **wanted},
            epochs={**self.epochs, **{name: wish.epoch for name, wish in wanted.items()}},
        )

    def in_force(self, now: float) -> dict[str, Wish]:
        """What each service says now. One that is missing is to be left as it is."""
        lapsed = now >= self.until
        said = {n: _lapsed(w) if lapsed else w for n, w in self.wanted.items()}
        if now < self.silent_until:
            return said
        return {**dict.fromkeys(self.services, Wish(Stance.ISOLATED, 0)), **said}

    def left(self, now: float) -> float:
        """Seconds until it runs out; 0 when it has."""
        return max(0.0, self.until - now)

    def changes_at(self, now: float) -> float:
        """The next instant at which `in_force` changes by itself; infinite if never."""
        return min((t for t in (self.silent_until, self.until) if t > now), default=math.inf)


def _lapsed(wish: Wish) -> Wish:
    return Wish(less_attractive(wish.stance, Stance.ISOLATED), wish.epoch)
