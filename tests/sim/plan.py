"""What a history is made of: a seed, a shape of cluster, and faults in time or at an intent.

A plan is a value and goes through JSON unchanged: it is what a failing history is replayed from.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

Argument = str | float | int | bool


@dataclass(frozen=True, slots=True)
class Moment:
    """An intent of one site: just before its effect begins, or when its effect is there and its
    daemon does not know yet.
    """

    site: str
    intent: str  # name of its class
    nth: int  # of this site and class, from 1, counted from the fault's own earliest time
    after: bool

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} {self.intent} no. {self.nth} of {self.site}"


@dataclass(frozen=True, slots=True)
class Mend:
    """The call that takes a fault back, so long after it."""

    name: str
    args: tuple[Argument, ...]
    after_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One call of the world's fault surface, at `at` or at the first such moment after it."""

    name: str
    args: tuple[Argument, ...] = ()
    at: float = 0.0
    on: Moment | None = None
    mend: Mend | None = None  # else it lasts until everything is mended

    def __str__(self) -> str:
        call = f"{self.name}({', '.join(str(arg) for arg in self.args)})"
        when = "" if self.on is None else f" {self.on}"
        back = "" if self.mend is None else f", {self.mend.name} {self.mend.after_s:.3f} s later"
        return f"{self.at:8.3f}  {call}{when}{back}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One history."""

    seed: int
    shape: str
    faults: tuple[Fault, ...] = ()
    lasts_s: float = 30.0  # then everything is mended

    def with_faults(self, faults: tuple[Fault, ...]) -> "Plan":
        """The same with other faults."""
        return replace(self, faults=faults)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan that `to_json` wrote."""
        data = json.loads(text)
        return cls(
            seed=data["seed"],
            shape=data["shape"],
            faults=tuple(_fault(found) for found in data["faults"]),
            lasts_s=data["lasts_s"],
        )


def _fault(data: Mapping[str, Any]) -> Fault:
    on, mend = data["on"], data["mend"]
    return Fault(
        name=data["name"],
        args=tuple(data["args"]),
        at=data["at"],
        on=None if on is None else Moment(**on),
        mend=None if mend is None else Mend(mend["name"], tuple(mend["args"]), mend["after_s"]),
    )
