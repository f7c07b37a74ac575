"""The arguments of a sentence: what may stand where the vocabulary writes a word in capitals."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bgp.policy import Stance
from controller.core.model import Role
from controller.core.requests import Kind, State
from controller.core.sequences import TAKE_OVER

Value = str | int | float

DATA_SITES: Final = ("dc1", "dc2")
WITNESS: Final = "witness"
SITES: Final = (*DATA_SITES, WITNESS)
SERVICES: Final = ("wallet", "lobby")
DATABASES: Final = ("ledger", "journal")
CLIENTS: Final = ("client1", "client2")
PROGRAMS: Final = (
    "controller",
    "daemon",
    "haproxy",
    "exabgp",
    "speaker",
    "etcd",
    "ledger",
    "journal",
    "app1",
    "app2",
)
UNITS: Final = ("controller", "daemon", "haproxy", "exabgp", "etcd", "app1", "app2")
RUNS_AT: Final = {  # which sites have which program
    **dict.fromkeys(PROGRAMS, DATA_SITES),
    "etcd": SITES,
    "daemon": (WITNESS,),
}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_FACTORS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One kind of argument."""

    name: str  # as the patterns write it
    says: str  # what it is, for people
    values: tuple[str, ...] = ()  # all of them, if they can be listed
    read: Callable[[str], Value | None] | None = None  # None back: not one of this kind


def seconds_of(text: str) -> float | None:
    """`500ms`, `3s`, `2m` in seconds."""
    found = _DURATION.fullmatch(text)
    return round(float(found.group(1)) * _FACTORS[found.group(2)], 6) if found else None


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _percent(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,2}|100)%", text)
    return int(found.group(1)) if found else None


def _quoted(text: str) -> str | None:
    closed = len(text) > 2 and text[0] == '"' and text[-1] == '"'
    return text[1:-1] if closed else None


ARGUMENTS: Final = {
    argument.name: argument
    for argument in (
        Argument(name="SITE", says="a site", values=SITES),
        Argument(name="OTHER", says="another site", values=SITES),
        Argument(name="DC", says="a data site", values=DATA_SITES),
        Argument(name="SERVICE", says="a service", values=SERVICES),
        Argument(name="DATABASE", says="a database", values=DATABASES),
        Argument(name="PROGRAM", says="a program", values=PROGRAMS),
        Argument(name="UNIT", says="a program that only its supervisor starts", values=UNITS),
        Argument(name="CLIENT", says="a client", values=CLIENTS),
        Argument(name="STANCE", says="a stance of the routes", values=tuple(Stance)),
        Argument(name="STATE", says="how far a request is", values=tuple(State)),
        Argument(name="MOVE", says="a move", values=(Kind.SWITCHOVER, Kind.FAILOVER)),
        Argument(name="ROLE", says="a role", values=tuple(Role)),
        Argument(
            name="STEP",
            says="a step of TAKE_OVER",
            values=tuple(step.name for step in TAKE_OVER),
        ),
        Argument(name="DURATION", says="a duration, as 500ms, 3s or 2m", read=seconds_of),
        Argument(name="COUNT", says="a number", read=_count),
        Argument(name="RULE", says="a rule's number", read=_count),
        Argument(name="PERCENT", says="a percentage, as 30%", read=_percent),
        Argument(name="TEXT", says='words in quotes, as "does not vote"', read=_quoted),
    )
}


def read_argument(name: str, text: str) -> Value | None:
    """The value that `text` is as an argument called `name`; None when it is none."""
    argument = ARGUMENTS[name]
    if argument.read is not None:
        return argument.read(text)
    return text if text in argument.values else None
