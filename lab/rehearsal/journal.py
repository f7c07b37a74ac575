"""When things happened, by the logs of those who did them; all times are wall-clock seconds."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lab.rehearsal.eyes import PREFIX

_UPDATE = re.compile(r"^(\S+ \S+) BGP: .* rcvd UPDATE w/ attr: .*\bpath ([\d ]+)")
_ROUTE = re.compile(r"^(\S+ \S+) BGP: .* rcvd (\S+/\d+)")
_ATTRACTS = ("Announce(stance=<Stance.OVERRIDE", "Announce(stance=<Stance.PREFERRED")


def stamp(text: str) -> float:
    """The time that an ISO 8601 text means."""
    return datetime.fromisoformat(text).timestamp()


def intents(log: str, after: float, service: str = "wallet") -> Iterator[tuple[float, str]]:
    """Each intent that a controller carried out for the service, by its own log."""
    for line in log.splitlines():
        if '"intent"' not in line:
            continue
        entry = _entry(line)
        if entry.get("event") == "intent" and entry.get("service") == service:
            at = stamp(entry["timestamp"])
            if at > after:
                yield at, str(entry["intent"])


def first_intent(log: str, after: float, *beginnings: str) -> float | None:
    """When an intent that begins so was first carried out."""
    return next((at for at, text in intents(log, after) if text.startswith(beginnings)), None)


def asked_to_attract(log: str, after: float) -> float | None:
    """When the controller first asked for routes without prepends, by its own log."""
    return first_intent(log, after, *_ATTRACTS)


def route_came(log: str, after: float, path: str = "64510") -> float | None:
    """When the service prefix with exactly this AS path was first received, by a router's log."""
    found = ""
    for line in log.splitlines():
        if (update := _UPDATE.match(line)) is not None:
            found = update[2].strip()
        elif (prefix := _ROUTE.match(line)) is not None:
            came = datetime.strptime(prefix[1], "%Y/%m/%d %H:%M:%S.%f").astimezone().timestamp()
            if found == path and prefix[2] == PREFIX["wallet"] and came > after:
                return came
    return None


_PATRONI = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) \w+: (.*)")


def patroni_said(log: str, after: float, words: str) -> float | None:
    """When Patroni first logged a line with these words."""
    for line in log.splitlines():
        if (found := _PATRONI.match(line)) is not None and words in found[3]:
            clock = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").astimezone()
            at = clock.timestamp() + int(found[2]) / 1000
            if at > after:
                return at
    return None


def _entry(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
