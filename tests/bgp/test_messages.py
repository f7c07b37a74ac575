import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.messages import (
    MAX_LINE,
    AnnounceRequest,
    BadMessage,
    Observation,
    ObserveRequest,
    Reply,
    Said,
    encode_reply,
    encode_request,
    parse_reply,
    parse_request,
)
from bgp.permit import Wish
from bgp.policy import Stance

WISHES = st.builds(Wish, st.sampled_from(Stance), st.integers(0, 2**40))
REQUESTS = st.one_of(
    st.builds(ObserveRequest, number=st.integers(0, 2**31)),
    st.builds(
        AnnounceRequest,
        number=st.integers(0, 2**31),
        wanted=st.dictionaries(st.text(max_size=8), WISHES, max_size=5),
        permit_s=st.floats(0.001, 3600.0),
        sent_at=st.floats(0, 1e9),
    ),
)
GOOD: dict[str, Any] = {
    "id": 1,
    "do": "announce",
    "sent_at": 1.0,
    "permit_s": 2.0,
    "wanted": {"wallet": {"stance": "preferred", "epoch": 3}},
}


@given(REQUESTS)
def test_requests_come_back_as_they_were(request: AnnounceRequest | ObserveRequest) -> None:
    line = encode_request(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_request(line) == request


def test_replies_come_back_as_they_were() -> None:
    state = Observation(
        sessions={"203.0.113.1": True, "2001:db8::1": False},
        services={
            "wallet": Said(stance=Stance.OVERRIDE, epoch=4, confirmed=True),
            "lobby": Said(
                stance=Stance.OVERRIDE, epoch=4, confirmed=True, more_specifics=("192.0.2.0/25",)
            ),
        },
        permit_left_s=1.25,
        problems=("the session with 2001:db8::1 is down (x)",),
        counters={"sessions_up": 3},
    )
    for reply in (Reply(number=3, state=state), Reply(number=4), Reply(number=5, error="no")):
        assert parse_reply(encode_reply(reply)) == reply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "id is not a number"),
        ({"id": True}, "id is not a number"),
        ({"id": 10**30}, "id is not a number"),
        ({"do": "shutdown"}, "neither announce nor observe"),
        ({"do": ["announce"]}, "neither announce nor observe"),
        ({"do": "observe"}, "missing or not known"),
        ({"extra": 1}, "'extra' is missing or not known"),
        ({"permit_s": 0}, "permit_s"),
        ({"permit_s": -1}, "permit_s"),
        ({"permit_s": 3601}, "permit_s"),
        ({"permit_s": "2"}, "permit_s is not a number"),
        ({"permit_s": True}, "permit_s is not a number"),
        ({"permit_s": float("nan")}, "permit_s is not finite"),
        ({"permit_s": 10**400}, "permit_s is not finite"),
        ({"sent_at": float("inf")}, "sent_at is not finite"),
        ({"wanted": []}, "wanted is not an object"),
        ({"wanted": {"wallet": 1}}, "wallet is not an object"),
        ({"wanted": {"wallet": {"stance": "best", "epoch": 1}}}, "no such stance: 'best'"),
        ({"wanted": {"wallet": {"stance": {}, "epoch": 1}}}, "no such stance"),
        ({"wanted": {"wallet": {"stance": "backup", "epoch": -1}}}, "not an epoch: -1"),
        ({"wanted": {"wallet": {"stance": "backup", "epoch": 1.5}}}, "not an epoch"),
        ({"wanted": {"wallet": {"stance": "backup", "epoch": True}}}, "not an epoch"),
        ({"wanted": {"wallet": {"stance": "backup"}}}, "wants stance and epoch"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadMessage, match=message):
        parse_request(json.dumps({**GOOD, **change}).encode())


STATE = {
    "sessions": {},
    "services": {"wallet": {"stance": "backup", "epoch": 1, "confirmed": True}},
    "permit_left_s": 1.0,
    "problems": [],
    "counters": {},
}


def halves_told(halves: object) -> dict[str, object]:
    """A reply that says this of the halves of a service."""
    said = {"stance": "override", "epoch": 1, "confirmed": True, "more_specifics": halves}
    return {"id": 1, "ok": True, "state": {**STATE, "services": {"wallet": said}}}


def test_a_speaker_that_does_not_know_of_halves_is_understood() -> None:
    reply = parse_reply(json.dumps({"id": 1, "ok": True, "state": STATE}).encode())
    assert reply.state is not None
    assert reply.state.services["wallet"].more_specifics == ()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ({"ok": True}, "KeyError 'id'"),
        ({"id": "seven", "ok": True}, "ValueError"),
        ({"id": 1}, "KeyError 'ok'"),
        ({"id": 1, "ok": False}, "KeyError 'error'"),
        ({"id": 1, "ok": True, "state": 7}, "state is not an object"),
        ({"id": 1, "ok": True, "state": {**STATE, "problems": "no"}}, "problems is not a list"),
        ({"id": 1, "ok": True, "state": {**STATE, "counters": {"a": "x"}}}, "ValueError"),
        ({"id": 1, "ok": True, "state": {**STATE, "services": {"w": {}}}}, "KeyError 'stance'"),
        ({"id": 1, "ok": True, "state": {**STATE, "permit_left_s": "1"}}, "permit_left_s"),
        (halves_told("all"), "more_specifics is not a list"),
    ],
)
def test_a_reply_of_another_shape_says_what_is_wrong(
    reply: dict[str, object], message: str
) -> None:
    with pytest.raises(BadMessage, match=message):
        parse_reply(json.dumps(reply).encode())


@given(
    st.one_of(st.binary(max_size=80), st.text(max_size=40).map(lambda t: json.dumps(t).encode()))
)
def test_noise_is_only_ever_a_bad_message(noise: bytes) -> None:
    for parse in (parse_request, parse_reply):
        with pytest.raises(BadMessage):
            parse(noise)


def test_long_and_deep_lines_are_refused() -> None:
    with pytest.raises(BadMessage, match="longer than"):
        parse_request(b" " * (MAX_LINE + 1))
    with pytest.raises(BadMessage, match="not JSON"):
        parse_request(b"[" * 100_000)
