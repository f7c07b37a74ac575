"""What arrives over the network: heartbeats, the speaker's socket, ExaBGP, haproxy, host agents."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bgp.dialogue import Dialogue
from bgp.exabgp_api import parse
from bgp.messages import BadMessage, parse_reply, parse_request
from bgp.permit import Wish
from bgp.policy import Stance
from controller.adapters.haproxy import parse_servers, parse_sessions
from controller.adapters.local_agent import read_answer
from controller.adapters.probe_http import HttpProbe
from controller.adapters.probe_look import ProbeSpec
from controller.adapters.ssh import _parsed
from controller.config.services import ProbeKind
from controller.core import heartbeat
from controller.core.heartbeat import Accepted, Datagram, Dropped, Exchange, encode
from controller.core.model import Instant, Seen, ServiceName, SiteName
from controller.core.sightings import tell
from controller.ports import Heard, PortError, Refused, Sample
from controller.runtime.hearing import Hearing, ProbePace, Watched
from tests.bgp.test_dialogue import SPEC, V4, V6
from tests.bgp.test_messages import GOOD, STATE
from tests.fuzz.damage import LONG_NUMBER, blobs, lines, texts, tried, values
from tests.runtime.clock import HandClock

pytestmark = pytest.mark.timeout(600)

KEY = b"k" * 32
A, B, W = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
WALLET = ServiceName("wallet")
SEEN = Seen(control_s=0.03, front_s=0.04, data_s=0.05)


# --- heartbeats ----------------------------------------------------------------------------------


def ends() -> tuple[Exchange, Exchange]:
    a, b = (
        Exchange(cluster="lab", site=me, others=frozenset({A, B}) - {me}, boot=boot, keys=(KEY,))
        for me, boot in ((A, "a1"), (B, "b1"))
    )
    for _ in range(3):
        a.receive(b.make(A, {}))
        b.receive(a.make(B, {}))
    return a, b


@given(st.data())
def test_a_damaged_datagram_is_dropped_and_does_no_harm(data: st.DataObject) -> None:
    a, b = ends()
    right = a.make(B, {"seen": {}})
    wrong = data.draw(blobs(st.just(right)))
    if wrong != right:
        assert isinstance(b.receive(wrong), Dropped)
    assert isinstance(b.receive(right), Accepted)
    assert isinstance(b.receive(right), Dropped)  # once only


@given(values(st.just({"c": "lab", "s": "dc1", "r": "dc2", "b": "a1", "n": 9, "e": {}, "p": {}})))
def test_what_a_holder_of_the_key_seals_wrongly_is_dropped(content: Any) -> None:
    _, b = ends()
    written = json.dumps(content).encode()
    answer = b.receive(heartbeat.MAGIC + heartbeat.seal(written, KEY) + written)
    assert isinstance(answer, Dropped)


@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=4))
def test_no_flipped_bits_and_no_replay_are_believed(at: int, pattern: bytes) -> None:
    a, b = ends()
    right = a.make(B, {})
    wrong = bytearray(right)
    for offset, bits in enumerate(pattern):
        wrong[(at + offset) % len(wrong)] ^= bits
    if bytes(wrong) != right:
        assert isinstance(b.receive(bytes(wrong)), Dropped)
    assert isinstance(b.receive(right), Accepted)
    assert isinstance(b.receive(right), Dropped)


@example({"seen": {"dc1": {"c": 10**400}}})
@given(values(st.just(tell({A: {WALLET: SEEN}}))))
def test_what_another_site_tells_of_a_third_is_an_age_or_nothing(payload: Any) -> None:
    if not isinstance(payload, dict):
        return
    seen = hearing_of(payload).told(W, A, WALLET)
    for age in (seen.control_s, seen.front_s, seen.data_s):
        assert age >= 0


class Told:
    """Heartbeats of the witness with one payload."""

    def __init__(self, payload: dict[str, object]) -> None:
        self._payload = payload

    def say(self, payload: object) -> None:
        """Nothing is sent."""

    def hurry(self) -> None:
        """Nothing is sent."""

    def heard(self) -> dict[SiteName, Heard]:
        return {W: Heard(at=Instant(1.0), payload=self._payload)}


def hearing_of(payload: dict[str, object]) -> Hearing:
    return Hearing(
        heartbeats=Told(payload),  # type: ignore[arg-type]
        watched={A: Watched(front=None, data={}), W: Watched(front=None, data={})},
        services=[WALLET],
        clock=HandClock(),
        pace=ProbePace(late_after_s=0.5, busy_s=0.1, rest_s=1.0, hitch_s=0.2, stall_s=0.5),
    )


@given(
    st.dictionaries(st.text(max_size=8), st.sampled_from([0, 1, "x", None, [1], {"y": 2.5}])),
    st.integers(1, 2**62),
)
def test_whatever_is_told_comes_back_as_it_was(payload: dict[str, Any], number: int) -> None:
    datagram = Datagram(
        cluster="lab",
        sender="dc1",
        receiver="dc2",
        boot="b",
        number=number,
        echoes={},
        payload=payload,
    )
    assert heartbeat.decode(encode(datagram, KEY), (KEY,)) == datagram


# --- the speaker and ExaBGP ----------------------------------------------------------------------


@given(lines(st.sampled_from([GOOD, {"id": 1, "do": "observe"}])))
def test_a_request_is_read_or_is_a_bad_message(line: str) -> None:
    tried(parse_request, line.encode("utf-8", "surrogatepass"), may_raise=BadMessage)


@given(lines(st.just({"id": 1, "ok": True, "state": STATE})))
def test_a_reply_is_read_or_is_a_bad_message(line: str) -> None:
    tried(parse_reply, line.encode("utf-8", "surrogatepass"), may_raise=BadMessage)


LISTED = [
    {"fsm": "ESTABLISHED", "peer": {"address": V4}},
    {"fsm": "IDLE", "peer": {"address": V6}},
]
UPDATE = {
    "type": "update",
    "neighbor": {
        "address": {"peer": V4},
        "direction": "send",
        "message": {
            "update": {
                "attribute": {
                    "as-path": {"0": {"value": [64510] * 4}},
                    "med": 5,
                    "community": [[64501, 7]],
                    "large-community": [[64501, 1, 2]],
                },
                "announce": {"ipv4 unicast": {"x": [{"nlri": "192.0.2.0/24"}]}},
                "withdraw": {"ipv4 unicast": [{"nlri": "192.0.2.0/24"}]},
            }
        },
    },
}
STATES = {"type": "state", "neighbor": {"address": {"peer": V4}, "state": "up", "reason": "x"}}
SAID = lines(st.sampled_from([LISTED, UPDATE, STATES]))


@given(SAID)
def test_no_line_of_exabgp_raises(line: str) -> None:
    parse(line)


@given(
    st.lists(st.one_of(SAID, st.sampled_from(["done", "error", json.dumps(LISTED)])), max_size=12)
)
def test_no_talk_of_exabgp_breaks_the_dialogue(said: list[str]) -> None:
    """Whatever it says, the speaker goes on, and never says two things at a time."""
    now = 1000.0
    dialogue = Dialogue(SPEC, now)
    for line in said:
        now += 0.3
        dialogue.next_command(now)
        dialogue.heard(line, now)
        assert dialogue.wake_in(now) >= 0
        dialogue.observe(now)
    dialogue.heard(json.dumps(LISTED), now)
    dialogue.heard("done", now)
    permit = dialogue.observe(now)
    assert set(permit.sessions) == {V4, V6}
    assert Wish(Stance.BACKUP, 1).epoch == 1


# --- haproxy -------------------------------------------------------------------------------------

SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 wallet 1 dc1-app1 10.1.0.1 2 0 1
3 wallet 2 dc2-app1 10.2.0.1 2 1 1

"""
SESSIONS = "# pxname,svname,qcur,scur,\nwallet,BACKEND,0,3,\nwallet,dc1-app1,0,,\n\n"


@given(texts(st.just(SERVERS)))
def test_an_answer_about_servers_is_read_or_refused(answer: str) -> None:
    found = tried(parse_servers, answer, may_raise=Refused)
    assert found is None or all(server.backend and server.name for server in found)


@given(texts(st.just(SESSIONS)))
def test_an_answer_about_sessions_is_read_or_refused(answer: str) -> None:
    found = tried(parse_sessions, answer, may_raise=Refused)
    assert found is None or all(count >= 0 for count in found.values())


def test_numbers_without_end_are_no_numbers() -> None:
    assert parse_servers(SERVERS.replace(" 2 0 1", f" {LONG_NUMBER} 0 1")) != []
    assert parse_sessions(SESSIONS.replace(",3,", f",{LONG_NUMBER},")) == {}


# --- host agents, probes -------------------------------------------------------------------------


@given(lines(st.just({"state": "running", "error": "x", "n": 3})))
def test_an_answer_over_ssh_is_an_object_of_texts_or_nothing(output: str) -> None:
    found = _parsed(output)
    assert found is None or all(isinstance(value, str) for value in found.values())


@given(lines(st.just({"state": "running", "error": "x"})), st.sampled_from([0, 1, 3, -9]))
def test_an_answer_of_the_own_agent_is_read_or_a_port_error(output: str, code: int) -> None:
    try:
        found = read_answer("verb", code, output.encode("utf-8", "surrogatepass"), b"")
    except PortError:
        return
    assert code == 0
    assert all(isinstance(value, str) for value in found.values())


HTTP = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"site": "dc1"}'

ENDLESS = {
    "a deep body": b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
    "a long length": b"HTTP/1.1 200 OK\r\nContent-Length: " + LONG_NUMBER.encode() + b"\r\n\r\n{}",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000,
    "a long line": b"HTTP/1.1 200 " + b"x" * 200_000,
}


@given(blobs(st.just(HTTP)))
def test_an_http_answer_is_a_sample_whatever_it_is(answer: bytes) -> None:
    assert asyncio.run(asked(answer)).detail


@pytest.mark.parametrize("kind", sorted(ENDLESS))
def test_an_http_answer_without_measure_is_a_sample(kind: str) -> None:
    assert asyncio.run(asked(ENDLESS[kind])).detail


class Deaf:
    """The writing half of a connection that is never read."""

    def __init__(self) -> None:
        self.transport = self

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """It is closed."""


async def asked(answer: bytes) -> Sample:
    spec = ProbeSpec(kind=ProbeKind.HTTP, target="http://127.0.0.1:1/", timeout_s=5.0)
    probe = HttpProbe(spec)
    reader = asyncio.StreamReader()
    reader.feed_data(answer)
    reader.feed_eof()
    probe._kept = (reader, Deaf())  # type: ignore[assignment]
    return await probe.sample()
