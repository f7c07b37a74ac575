import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.exabgp_api import (
    Answered,
    BadCommand,
    Other,
    Sent,
    SessionChanged,
    SessionsListed,
    Unreadable,
    encode,
    parse,
)
from bgp.policy import DEFAULT_SAYINGS, Policy, Saying, Stance
from bgp.rib import Announce, Withdraw
from bgp.route import Attributes, Prefix

SAYINGS = {
    **DEFAULT_SAYINGS,
    Stance.BACKUP: Saying.parse(
        {"prepends": 3, "med": 50, "communities": ["64501:7", "65535:0", "64501:1:2"]}
    ),
}
POLICY = Policy(local_as=64510, sayings=SAYINGS)
V4, V6 = Prefix("198.51.100.0/24"), Prefix("2001:db8:100::/48")


def said(stance: Stance) -> Attributes:
    attributes = POLICY.attributes(stance)
    assert attributes is not None
    return attributes


def test_one_prefix_is_one_route() -> None:
    assert encode(Announce(("203.0.113.1",), said(Stance.OVERRIDE), (V4,))) == (
        "neighbor 203.0.113.1 announce route 198.51.100.0/24 next-hop self as-path [ 64510 ]"
    )


def test_every_attribute_is_said() -> None:
    assert encode(Announce(("2001:db8::1",), said(Stance.BACKUP), (V6,))) == (
        "neighbor 2001:db8::1 announce route 2001:db8:100::/48 next-hop self"
        " as-path [ 64510 64510 64510 64510 ] med 50"
        " community [ 64501:7 65535:0 ] large-community [ 64501:1:2 ]"
    )


def test_several_prefixes_and_neighbors_share_one_line() -> None:
    two = (V4, Prefix("192.0.2.0/24"))
    neighbors = ("203.0.113.1", "203.0.113.5")
    assert encode(Announce(neighbors, said(Stance.PREFERRED), two)) == (
        "neighbor 203.0.113.1, neighbor 203.0.113.5 announce attributes next-hop self"
        " as-path [ 64510 64510 ] nlri 198.51.100.0/24 192.0.2.0/24"
    )
    assert encode(Withdraw(neighbors, two)) == (
        "neighbor 203.0.113.1, neighbor 203.0.113.5 withdraw attributes next-hop self"
        " nlri 198.51.100.0/24 192.0.2.0/24"
    )


@pytest.mark.parametrize(
    "neighbor",
    [
        "json",
        "203.0.113.1 json",
        "203.0.113.1\nshutdown",
        "203.0.113.1;",
        "É",
        "A",
        "*",
        "a" * 70000,
    ],
)
def test_nothing_strange_reaches_exabgp(neighbor: str) -> None:
    with pytest.raises(BadCommand):
        encode(Withdraw((neighbor,), (V4,)))


def test_a_command_for_nobody_or_nothing_is_refused() -> None:
    # Without a neighbor it would be for all of them.
    with pytest.raises(BadCommand):
        encode(Withdraw((), (V4,)))
    with pytest.raises(BadCommand):
        encode(Withdraw(("203.0.113.1",), ()))


def event(kind: str, **neighbor: object) -> str:
    address = {"local": "203.0.113.2", "peer": "203.0.113.1"}
    return json.dumps(
        {"exabgp": "5.0.0", "type": kind, "neighbor": {"address": address, **neighbor}}
    )


def test_answers() -> None:
    assert parse("done") == Answered(ok=True)
    assert parse("error") == Answered(ok=False)
    assert parse("shutdown in progress") == Other()


def test_sessions_come_and_go() -> None:
    assert parse(event("state", state="up")) == SessionChanged("203.0.113.1", True, "")
    assert parse(event("state", state="down", reason="hold timer")) == SessionChanged(
        "203.0.113.1", False, "hold timer"
    )
    assert parse(event("state", state="connected")) == Other()


def test_a_session_is_up_when_its_state_machine_says_so() -> None:
    listed = [
        {"state": "down", "fsm": "ESTABLISHED", "peer": {"address": "203.0.113.1"}},
        {"state": "down", "fsm": "ACTIVE", "peer": {"address": "2001:db8::1"}},
    ]
    assert parse(json.dumps(listed)) == SessionsListed({"203.0.113.1": True, "2001:db8::1": False})


def test_what_left_on_the_wire_reads_as_it_was_said() -> None:
    update = {
        "attribute": {
            "origin": "igp",
            "as-path": {"0": {"element": "as-sequence", "value": [64510] * 4}},
            "med": 50,
            "community": [[64501, 7], [65535, 0]],
            "large-community": [[64501, 1, 2]],
        },
        "announce": {"ipv4 unicast": {"203.0.113.2": [{"nlri": V4.text}]}},
        "withdraw": {"ipv4 unicast": [{"nlri": "192.0.2.0/24"}]},
    }
    line = event("update", direction="send", message={"update": update})
    assert parse(line) == Sent(
        "203.0.113.1", {V4: said(Stance.BACKUP)}, frozenset({Prefix("192.0.2.0/24")})
    )


def test_what_was_received_and_ends_of_tables_do_not_count() -> None:
    eor = event("update", direction="send", message={"eor": {"afi": "ipv4", "safi": "unicast"}})
    assert parse(eor) == Sent("203.0.113.1", {}, frozenset())
    assert parse(event("update", direction="receive", message={})) == Other()
    assert parse(event("notification", notification="x")) == Other()
    assert parse('{"type": "state", "neighbor": ["203.0.113.1"]}') == Other()


def sent(**attribute: object) -> str:
    update = {"attribute": attribute, "announce": {"ipv4 unicast": {"x": [{"nlri": V4.text}]}}}
    return event("update", direction="send", message={"update": update})


PATH = {"0": {"value": [64510]}}


def test_attributes_of_another_shape_are_named() -> None:
    assert isinstance(parse(sent(**{"as-path": PATH})), Sent)
    for wrong, message in (
        (sent(**{"as-path": [64510]}), "as-path is not a mapping of segments"),
        (sent(**{"as-path": PATH, "community": 7}), "community is not a list"),
        (sent(**{"as-path": PATH, "large-community": {}}), "large-community is not a list"),
    ):
        found = parse(wrong)
        assert isinstance(found, Unreadable)
        assert message in found.why


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '[{"peer": {}}]',
        "{}x",
        '{"neighbor": {}}',
        '{"neighbor": {"address": {"peer": "x"}}}',
        event("state"),
        event("update", direction="send"),
        event("update", direction="send", message={"update": {"announce": {"a": {"b": [{}]}}}}),
        event("update", direction="send", message={"update": {"withdraw": 7}}),
        "[" * 100_000,
    ],
)
def test_lines_of_another_shape_are_unreadable_not_fatal(line: str) -> None:
    assert isinstance(parse(line), Unreadable)


@given(st.text(max_size=60))
def test_noise_never_raises(line: str) -> None:
    parse(line)
    parse("{" + line)
    parse("[" + line)
