"""What a calm soak has seen, minute by minute, and what of it must not be."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from lab.client.attempts import Attempt, Outcome

STALL_S: Final = 0.5  # an answer slower than this is what an impatient client gives up
AT_REST: Final = frozenset({"primary", "standby"})  # the roles that a data site has at rest
LOAD_AT_LEAST: Final = 0.95  # of what was wanted: less, and nothing has been shown
SHOWN: Final = 5

_YIELDING: Final = re.compile(r'"service":"([^"]*)"|"yielding":"((?:[^"\\]|\\.)+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the daemons' logs say of a time."""

    late: tuple[float, ...] = ()  # the oldest heartbeat each time one was missed
    changes: tuple[str, ...] = ()  # every new rule or role
    left_roles: tuple[str, ...] = ()  # those that end in a role which no site has at rest
    yields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One part of the time."""

    seconds: float
    requests: int = 0
    failures: tuple[str, ...] = ()
    stalls: int = 0
    slowest_s: float = 0.0
    longest_gap_s: float = 0.0  # without an acknowledgement, of the client that is worse off
    heartbeat_age_s: float = 0.0  # the oldest that a daemon was seen to have, or said it had
    looks: int = 0
    unanswered: int = 0  # looks that a daemon did not answer within a second
    late: int = 0
    reports: int = 0  # of sites, heard at the store
    role_changes: int = 0
    changes: tuple[str, ...] = ()
    left_roles: tuple[str, ...] = ()
    yields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """All of the time."""

    windows: tuple[Window, ...]
    wanted_share: float
    shares: Mapping[int, float] = field(default_factory=dict)  # of each core, what our load had
    cores: Mapping[int, float] = field(default_factory=dict)  # and how busy it was in all
    lost: int = 0
    ended: str = ""  # why it ended before its time


def requests_of(
    attempts: Mapping[str, Sequence[Attempt]], acked_at: dict[str, float]
) -> dict[str, Any]:
    """The clients' part of a window; `acked_at`, the last acknowledgements, goes on with it."""
    every = [attempt for mine in attempts.values() for attempt in mine]
    gaps = [0.0]
    for client, mine in attempts.items():
        acks = sorted(a.at for a in mine if a.outcome is Outcome.OK)
        known = [acked_at[client], *acks] if client in acked_at else acks
        gaps += [after - before for before, after in pairwise(known)]
        acked_at |= {client: known[-1]} if known else {}
    failed = [a for a in every if a.outcome is not Outcome.OK]
    latencies = [a.latency_s for a in every if a.outcome is Outcome.OK]
    return {
        "requests": len(every),
        "failures": tuple(f"{a.key} {a.outcome}: {a.detail or a.status}" for a in failed),
        "stalls": sum(latency > STALL_S for latency in latencies),
        "slowest_s": round(max(latencies, default=0.0), 3),
        "longest_gap_s": round(max(gaps), 3),
    }


def said(lines: Iterable[str]) -> Said:
    """What the lines of a daemon's log come to."""
    late: list[float] = []
    changes: list[str] = []
    left: list[str] = []
    yields: list[str] = []
    for words in _entries(lines):
        if words.get("event") == "a site is late":
            late.append(max((float(age) for age in words["sites"].values()), default=0.0))
        elif words.get("event") == "decision":
            text = f"{words['site']} {words['service']}: {words['role']}, {words['rule']}"
            changes.append(f"{words['timestamp']} {text}: {words['reason']}")
            left += [changes[-1]] if words["role"] not in AT_REST else []
            yields += [f"{text}: {words['yielding']}"] if words.get("yielding") else []
    return Said(
        late=tuple(late), changes=tuple(changes), left_roles=tuple(left), yields=tuple(yields)
    )


def _entries(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            words = json.loads(line)
        except ValueError:
            continue
        if isinstance(words, dict):
            yield words


def yielding(report: str) -> tuple[str, ...]:
    """Which services the report of a site asks to be relieved of, and why."""
    found: list[str] = []
    service = ""
    for named, why in _YIELDING.findall(report):
        service = named or service
        found += [f"{service}: {why}"] if why else []
    return tuple(found)


def complaints(calm: Calm) -> tuple[str, ...]:
    """Everything that must not be and was; nothing means that it was calm."""
    every = calm.windows
    idle = [core for core, had in calm.cores.items() if had < LOAD_AT_LEAST * calm.wanted_share]
    counted = (
        (sum(found.role_changes for found in every), "role changes", _first(every, "changes")),
        (_count(every, "yields"), "times yielding", _first(every, "yields")),
        (_count(every, "left_roles"), "times in no role of rest", _first(every, "left_roles")),
        (_count(every, "failures"), "requests failed", _first(every, "failures")),
        (sum(not found.reports for found in every), "parts without a report at the store", ""),
        (calm.lost, "acknowledged writes are missing", ""),
        (len(idle), "cores were not kept busy", f"{dict(calm.cores)}"),
        (int(not sum(found.requests for found in every)), "clients: no request was sent", ""),
    )
    return tuple(
        [
            f"{count} {what}{f': {shown}' if shown else ''}"
            for count, what, shown in counted
            if count
        ]
        + ([f"ended early: {calm.ended}"] if calm.ended else [])
    )


def _count(windows: Sequence[Window], name: str) -> int:
    return sum(len(getattr(found, name)) for found in windows)


def _first(windows: Sequence[Window], name: str) -> str:
    return "; ".join([text for found in windows for text in getattr(found, name)][:SHOWN])


def report(calm: Calm) -> dict[str, Any]:
    """The whole of it."""
    every, wrong = calm.windows, complaints(calm)
    return {
        "passed": not wrong,
        "complaints": list(wrong),
        "ended": calm.ended,
        "seconds": round(sum(found.seconds for found in every), 1),
        "load": {
            "wanted_share": calm.wanted_share,
            "shares": {str(core): share for core, share in calm.shares.items()},
            "cores": {str(core): share for core, share in calm.cores.items()},
        },
        "role_changes": sum(found.role_changes for found in every),
        "yields": _count(every, "yields"),
        "left_roles": _count(every, "left_roles"),
        "rule_changes": _count(every, "changes"),
        "requests": sum(found.requests for found in every),
        "failed": _count(every, "failures"),
        "lost": calm.lost,
        "stalls": sum(found.stalls for found in every),
        "slowest_s": max((found.slowest_s for found in every), default=0.0),
        "longest_gap_s": max((found.longest_gap_s for found in every), default=0.0),
        "worst_heartbeat_age_s": max((found.heartbeat_age_s for found in every), default=0.0),
        "late": sum(found.late for found in every),
        "looks": sum(found.looks for found in every),
        "reports": sum(found.reports for found in every),
        "unanswered": sum(found.unanswered for found in every),
        "windows": [asdict(found) for found in every],
    }


def line(number: int, found: Window) -> str:
    """One window as it is said when it has ended."""
    return (
        f"part {number}: {found.requests} requests, {len(found.failures)} failed, slowest"
        f" {found.slowest_s:.2f} s; heartbeats up to {found.heartbeat_age_s:.2f} s old,"
        f" {found.late} late; {found.role_changes} role changes, {len(found.yields)} yields"
    )


def render(told: Mapping[str, Any]) -> str:
    """The report for people."""
    load = told["load"]
    cores = ", ".join(
        f"core {core} {busy:.0%} busy, {load['shares'][core]:.0%} by us"
        for core, busy in load["cores"].items()
    )
    rows = (
        ("time", f"{told['seconds']:.0f} s"),
        ("load", cores),
        ("role changes, yields", f"{told['role_changes']}, {told['yields']}"),
        ("roles left", str(told["left_roles"])),
        ("rules changed", str(told["rule_changes"])),
        ("requests, failed", f"{told['requests']}, {told['failed']}"),
        (f"slower than {STALL_S:g} s", str(told["stalls"])),
        ("slowest", f"{told['slowest_s']:.3f} s"),
        ("longest without an ack", f"{told['longest_gap_s']:.3f} s"),
        ("oldest heartbeat", f"{told['worst_heartbeat_age_s']:.3f} s, late {told['late']} times"),
        ("writes missing", str(told["lost"])),
    )
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", *told["complaints"], "calm" if told["passed"] else "NOT calm"])
