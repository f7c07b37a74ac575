"""The lines of ExaBGP's text API: what a command does, and what it says of itself.

The real encoder writes and the real parser reads them; each is made once and kept.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from bgp.policy import Policy, Stance
from bgp.route import Prefix
from bgp.spec import BgpSpec, NeighborSpec

NEIGHBOR: Final = "203.0.113.1"
POLICY: Final = Policy(local_as=64512)
_COMMAND: Final = re.compile(
    r"neighbor \S+ (announce|withdraw) (?:route (\S+) (.*)|attributes (.*) nlri (.*))"
)
_WORD: Final = re.compile(r"(as-path|community) \[ ([^\]]*) \]")


@dataclass(frozen=True, slots=True)
class Update:
    """What one command puts on the wire, and the line that tells of it."""

    prefixes: tuple[str, ...]
    stance: Stance
    line: str


def prefix_of(number: int) -> str:
    """The service address block of the service with this number."""
    return f"10.{number >> 8}.{number & 255}.0/24"


def spec_of(services: list[str], permit_s: float) -> BgpSpec:
    """One neighbor, one prefix a service."""
    return BgpSpec(
        router_id="203.0.113.2",
        policy=POLICY,
        neighbors=(NeighborSpec(address=NEIGHBOR, local_address="203.0.113.2", remote_as=64501),),
        services={name: (Prefix(prefix_of(n)),) for n, name in enumerate(services)},
        allowed_prefixes=(Prefix("10.0.0.0/8"),),
        permit_s=permit_s,
    )


@cache
def session_line(*, up: bool) -> str:
    """What ExaBGP says when the session has changed."""
    neighbor = {"address": {"peer": NEIGHBOR}, "state": "up" if up else "down", "reason": "gone"}
    return json.dumps({"type": "state", "neighbor": neighbor})


@cache
def listing(*, up: bool) -> str:
    """What ExaBGP says when it is asked for its sessions."""
    return json.dumps([{"peer": {"address": NEIGHBOR}, "fsm": "ESTABLISHED" if up else "ACTIVE"}])


@cache
def _stances() -> dict[tuple[tuple[int, ...], frozenset[str]], Stance]:
    """Which stance each saying is of."""
    said = {stance: POLICY.attributes(stance) for stance in Stance}
    return {
        (found.as_path.asns, frozenset(map(str, found.communities))): stance
        for stance, found in said.items()
        if found is not None
    }


@cache
def understood(command: str) -> Update:
    """What a command of the speaker does."""
    found = _COMMAND.fullmatch(command)
    assert found is not None, command
    verb, one, alone, together, many = found.groups()
    prefixes = (one,) if one else tuple(many.split())
    items = [{"nlri": prefix} for prefix in prefixes]
    if verb == "withdraw":
        return _update(prefixes, Stance.WITHDRAWN, {"withdraw": {"ipv4 unicast": items}})
    words = {name: value.split() for name, value in _WORD.findall(alone or together)}
    asns, communities = [int(asn) for asn in words["as-path"]], words.get("community", [])
    said = {
        "as-path": {"0": {"element": "as-sequence", "value": asns}},
        "community": [[int(part) for part in member.split(":")] for member in communities],
    }
    return _update(
        prefixes,
        _stances()[tuple(asns), frozenset(communities)],
        {"attribute": said, "announce": {"ipv4 unicast": {"203.0.113.2": items}}},
    )


def _update(prefixes: tuple[str, ...], stance: Stance, update: dict[str, object]) -> Update:
    neighbor = {
        "address": {"peer": NEIGHBOR},
        "direction": "send",
        "message": {"update": update},
    }
    return Update(prefixes, stance, json.dumps({"type": "update", "neighbor": neighbor}))
