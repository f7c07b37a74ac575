"""The client's log, and what can be said from it.

The log is JSON, one object a line: first a start, then every attempt as it ended, at last an end.
All times are the machine's monotonic clock, which every network namespace of it shares. A log
whose end is missing or cut off (the client was killed) can be read as far as it goes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path


class Outcome(StrEnum):
    """How one attempt ended."""

    OK = "ok"
    FAIL = "fail"  # nothing was sent, or the answer was that nothing was done
    UNKNOWN = "unknown"  # it was sent, and no answer says what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request."""

    sent_at: float
    at: float  # when it ended
    key: str
    attempt: int  # counts from 1 for each key
    outcome: Outcome
    site: str = ""  # whose server answered
    server: str = ""
    edge: str = ""  # whose haproxy let it in
    latency_s: float = 0.0
    status: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a log file holds."""

    started_at: float
    ended_at: float  # of a log without an end, the last line's time
    complete: bool
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The run in figures."""

    acked: int
    attempts: int
    failed_attempts: int
    unknown_attempts: int
    unacked: int  # transfers that were never acknowledged
    outage_s: float  # the longest time without an acknowledged write
    outage_from: float
    outage_until: float
    duration_s: float
    median_s: float  # latency of acknowledged attempts
    p99_s: float
    slowest_s: float
    by_site: Mapping[str, int] = field(default_factory=dict)
    by_edge: Mapping[str, int] = field(default_factory=dict)


def read(path: Path) -> Log:
    """The log at `path`, as far as it can be read."""
    started_at, ended_at, complete = 0.0, 0.0, False
    attempts: list[Attempt] = []
    for line in path.read_text().splitlines():
        try:
            words = json.loads(line)
        except ValueError:
            break
        event = words.pop("event")
        ended_at = words["at"]
        if event == "start":
            started_at = ended_at
        elif event == "end":
            complete = True
        else:
            attempts.append(Attempt(**{**words, "outcome": Outcome(words["outcome"])}))
    return Log(
        started_at=started_at, ended_at=ended_at, complete=complete, attempts=tuple(attempts)
    )


def acked_keys(log: Log) -> list[str]:
    """Each acknowledged key once, in the order of their acknowledgements."""
    return list(dict.fromkeys(a.key for a in log.attempts if a.outcome is Outcome.OK))


def missing(acked: Iterable[str], present: Iterable[str]) -> list[str]:
    """The acknowledged keys that are not present. Any at all is a broken promise."""
    there = set(present)
    return [key for key in dict.fromkeys(acked) if key not in there]


def repeated(present: Iterable[str]) -> list[str]:
    """The keys that have more than one effect."""
    return sorted(key for key, count in Counter(present).items() if count > 1)


def longest_gap(times: Iterable[float], start: float, end: float) -> tuple[float, float]:
    """From when to when nothing happened for longest, between `start` and `end`."""
    points = [start, *sorted(time for time in times if start <= time <= end), end]
    return max(pairwise(points), key=lambda gap: gap[1] - gap[0])


def summarise(log: Log, after: float = 0.0, before: float = float("inf")) -> Summary:
    """The figures of a log, or of the part of it that ended between `after` and `before`."""
    attempts = [a for a in log.attempts if after <= a.at <= before]
    acks = [a for a in attempts if a.outcome is Outcome.OK]
    latencies = sorted(a.latency_s for a in acks) or [0.0]
    start, end = max(log.started_at, after), min(log.ended_at, before)
    outage_from, outage_until = longest_gap((a.at for a in acks), start, max(start, end))
    outcomes = Counter(a.outcome for a in attempts)
    acked = {a.key for a in acks}
    return Summary(
        acked=len(acked),
        attempts=len(attempts),
        failed_attempts=outcomes[Outcome.FAIL],
        unknown_attempts=outcomes[Outcome.UNKNOWN],
        unacked=len({a.key for a in attempts} - acked),
        outage_s=round(outage_until - outage_from, 6),
        outage_from=outage_from,
        outage_until=outage_until,
        duration_s=round(max(0.0, end - start), 6),
        median_s=latencies[len(latencies) // 2],
        p99_s=latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
        slowest_s=latencies[-1],
        by_site=dict(Counter(a.site for a in acks)),
        by_edge=dict(Counter(a.edge for a in acks if a.edge)),
    )
