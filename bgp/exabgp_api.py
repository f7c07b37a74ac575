"""ExaBGP's text API: commands to text, lines to values.

ExaBGP dispatches by looking for words anywhere in a line, and one stray word (`json`) ends it. So
nothing but checked values is ever written, and the finished line is checked once more.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from bgp.rib import Announce, RouteCommand
from bgp.route import AsPath, Attributes, BadRoute, Community, Med, Prefix

SHOW_SESSIONS: Final = "show neighbor json"
MAX_COMMAND: Final = 64 * 1024
_ALLOWED: Final = re.compile(r"[a-z0-9 ,.:/\[\]-]+", re.ASCII)


class BadCommand(ValueError):
    """A command ExaBGP must never read."""


def encode(command: RouteCommand) -> str:
    """One line, without its end, that ExaBGP reads as this command."""
    if not command.neighbors or not command.prefixes:
        raise BadCommand("a command needs a neighbor and a prefix")
    to = ", ".join(f"neighbor {address}" for address in command.neighbors)
    verb = "announce" if isinstance(command, Announce) else "withdraw"
    said = _attributes(command.attributes) if isinstance(command, Announce) else "next-hop self"
    prefixes = " ".join(prefix.text for prefix in command.prefixes)
    if len(command.prefixes) == 1:
        line = f"{to} {verb} route {prefixes} {said}"
    else:
        line = f"{to} {verb} attributes {said} nlri {prefixes}"
    if not _ALLOWED.fullmatch(line) or "json" in line or len(line) > MAX_COMMAND:
        raise BadCommand(f"not for ExaBGP: {line[:120]!r}")
    return line


def _attributes(attributes: Attributes) -> str:
    words = ["next-hop self", f"as-path [ {' '.join(map(str, attributes.as_path.asns))} ]"]
    if attributes.med is not None:
        words.append(f"med {attributes.med.value}")
    for large, name in ((False, "community"), (True, "large-community")):
        members = [str(c) for c in sorted(attributes.communities) if c.large is large]
        if members:
            words.append(f"{name} [ {' '.join(members)} ]")
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Answered:
    """ExaBGP has finished with the last command, or refused it."""

    ok: bool


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session came up or went down."""

    neighbor: str
    up: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SessionsListed:
    """Every session, and whether it is established."""

    established: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Sent:
    """An update left on the wire to one neighbor."""

    neighbor: str
    announced: dict[Prefix, Attributes]
    withdrawn: frozenset[Prefix]


@dataclass(frozen=True, slots=True)
class Other:
    """Something we need not know."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something ExaBGP should not have said."""

    why: str


Line = Answered | SessionChanged | SessionsListed | Sent | Other | Unreadable


def parse(text: str) -> Line:
    """What one line from ExaBGP means. Never raises."""
    match text:
        case "done":
            return Answered(ok=True)
        case "error":
            return Answered(ok=False)
    if not text.startswith(("{", "[")):
        return Other()
    try:
        return _listed(json.loads(text)) if text.startswith("[") else _event(json.loads(text))
    except RecursionError:
        return Unreadable("nested too deep")
    except (ValueError, KeyError, TypeError, AttributeError, BadRoute) as error:
        return Unreadable(f"{type(error).__name__}: {error}: {text[:200]}")


# What `json.loads` gives is checked by use: a wrong shape raises one of the errors caught above.


def _listed(value: list[dict[str, dict[str, str]]]) -> SessionsListed:
    # The field "state" says down during the first second of a session; "fsm" does not.
    return SessionsListed(
        {str(item["peer"]["address"]): str(item["fsm"]) == "ESTABLISHED" for item in value}
    )


def _event(event: dict[str, object]) -> Line:
    neighbor = event.get("neighbor")
    if not isinstance(neighbor, dict):
        return Other()
    address = str(neighbor["address"]["peer"])
    match event["type"]:
        case "state" if neighbor["state"] in ("up", "down"):
            return SessionChanged(address, neighbor["state"] == "up", neighbor.get("reason", ""))
        case "update" if neighbor.get("direction") == "send":
            update = neighbor["message"].get("update", {})
            return Sent(
                address,
                _announced(update.get("announce", {}), update.get("attribute", {})),
                frozenset(
                    Prefix(item["nlri"])
                    for items in update.get("withdraw", {}).values()
                    for item in items
                ),
            )
    return Other()


def _announced(
    families: dict[str, dict[str, list[dict[str, str]]]], said: dict[str, object]
) -> dict[Prefix, Attributes]:
    prefixes = [
        Prefix(item["nlri"])
        for by_next_hop in families.values()
        for items in by_next_hop.values()
        for item in items
    ]
    if not prefixes:
        return {}
    attributes = _read_attributes(said)
    return dict.fromkeys(prefixes, attributes)


def _read_attributes(said: dict[str, object]) -> Attributes:
    segments, med = said["as-path"], said.get("med")
    if not isinstance(segments, dict):
        raise TypeError("as-path is not a mapping of segments")
    asns = [int(asn) for key in sorted(segments) for asn in segments[key]["value"]]
    communities: list[Community] = []
    for name in ("community", "large-community"):
        members = said.get(name, [])
        if not isinstance(members, list):
            raise TypeError(f"{name} is not a list")
        communities += [Community(tuple(int(n) for n in member)) for member in members]
    return Attributes(
        as_path=AsPath(tuple(asns)),
        med=None if med is None else Med(int(str(med))),
        communities=frozenset(communities),
    )
