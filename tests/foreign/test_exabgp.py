"""What we believe of ExaBGP 5.0, so that a version that behaves otherwise is noticed here.

Its helper is a two-way pipe into this test: what the test writes are its commands.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bgp.exabgp_conf import environment
from tests.bgp.wire import (
    EXABGP,
    HOLD_S,
    LOCAL_AS,
    PROVIDER,
    WALLET,
    Edge,
    Wire,
    helper_edge,
    laid_wire,
    until,
)

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

V4 = WALLET[0]
ROUTE = f"announce route {V4} next-hop self as-path [ {LOCAL_AS} {LOCAL_AS} ]"

# Connects to the test and copies both ways; at two words of the test it does otherwise, and says
# the word back: "deaf" no longer reads what ExaBGP says, "shut" closes that pipe and lives on.
HELPER = """
import os, select, socket, sys
test = socket.socket(socket.AF_UNIX)
test.connect(sys.argv[1])
listening = [0, test]
while True:
    for ready in select.select(listening, [], [])[0]:
        if ready == 0:
            data = os.read(0, 65536)
            if not data:
                sys.exit(0)
            test.sendall(data)
            continue
        data = test.recv(65536)
        if data in (b"deaf\\n", b"shut\\n"):
            listening.remove(0)
            if data == b"shut\\n":
                os.close(0)
            test.sendall(data)
        elif data:
            os.write(1, data)
        else:
            sys.exit(0)
"""


class Mouth:
    """ExaBGP on the wire, and the pipe into it."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self.wire = wire
        self.lines: list[str] = []
        self._half = b""
        self._pipe: socket.socket | None = None
        path = directory / "helper.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(15)
        helper = directory / "helper.py"
        helper.write_text(HELPER)
        program = [sys.executable, str(helper), str(path)]
        self.edge: Edge = helper_edge(wire, directory, program)

    def start(self, **settings: str) -> None:
        self.edge.settings = {**environment(), **settings}
        self.edge.start()
        self.take_helper()
        self.until_up()

    def take_helper(self) -> None:
        """The next helper ExaBGP starts is on the pipe."""
        if self._pipe is not None:
            self._pipe.close()
        self._pipe, _ = self._listener.accept()
        os.set_blocking(self._pipe.fileno(), False)
        self._half = b""

    def until_up(self) -> None:
        until(self.both_up, 15, "both sessions are up")

    def both_up(self) -> bool:
        """Whether both ends of both sessions say so."""
        last = {
            event["neighbor"]["address"]["peer"]: event["neighbor"]["state"]
            for event in self.events("state")
        }
        families = ("ipv4", "ipv6")
        return all(
            last.get(PROVIDER[family]) == "up" and self.wire.established(family)
            for family in families
        )

    def say(self, *commands: str) -> None:
        assert self._pipe is not None
        for command in commands:
            self._pipe.sendall(command.encode() + b"\n")

    def hear(self) -> list[str]:
        """Every line so far."""
        assert self._pipe is not None
        try:
            while data := self._pipe.recv(65536):
                *lines, self._half = (self._half + data).split(b"\n")
                self.lines += [line.decode() for line in lines]
        except BlockingIOError:
            pass
        return self.lines

    def ask(self, command: str) -> list[str]:
        """The lines from this command to its answer."""
        start = len(self.hear())
        self.say(command)
        until(lambda: {"done", "error"} & set(self.hear()[start:]), 5, f"answer to {command}")
        return self.lines[start:]

    def turn(self, word: str) -> None:
        """The helper has changed its manners."""
        self.say(word)
        until(lambda: word in self.hear(), 5, f"the helper is {word}")

    def events(self, kind: str, start: int = 0) -> list[dict[str, Any]]:
        lines = [line for line in self.hear()[start:] if line.startswith("{")]
        return [event for event in map(json.loads, lines) if event["type"] == kind]

    def sent(self, start: int = 0) -> list[dict[str, Any]]:
        """Updates seen leaving, end-of-table markers aside."""
        neighbors = [event["neighbor"] for event in self.events("update", start)]
        updates = [n["message"] for n in neighbors if n["direction"] == "send"]
        return [update["update"] for update in updates if "update" in update]

    def settled(self, condition: Callable[[], object]) -> bool:
        """Whether it holds, and still does after ExaBGP has answered three more questions."""
        for _ in range(3):
            self.ask("show neighbor json")
        return bool(condition())

    def clear(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._listener.close()
        self.edge.stop()
        until(lambda: not self.wire.path(V4), 10, "the provider has forgotten")


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with laid_wire() as laid:
        yield laid


@pytest.fixture
def mouth(wire: Wire, tmp_path: Path) -> Iterator[Mouth]:
    made = Mouth(wire, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.clear()


def test_it_is_the_version_we_know() -> None:
    said = subprocess.run([str(EXABGP), "version"], capture_output=True, text=True, check=True)
    assert re.search(r"\b5\.0\.(1[3-9]|[2-9]\d)", said.stdout), said.stdout


def test_the_as_path_is_said_literally(mouth: Mouth) -> None:
    for count in (1, 2, 6):
        asns = " ".join([str(LOCAL_AS)] * count)
        assert "done" in mouth.ask(f"announce route {V4} next-hop self as-path [ {asns} ]")
        until(lambda n=count: mouth.wire.length(V4) == n, 5, f"a path of {count}")


def test_an_empty_as_path_really_is_sent_empty(mouth: Mouth) -> None:
    assert "done" in mouth.ask(f"announce route {V4} next-hop self as-path []")
    until(lambda: mouth.wire.path(V4), 5, "the provider took it")
    assert mouth.wire.length(V4) == 0


def test_done_is_not_sent(mouth: Mouth) -> None:
    start = len(mouth.hear())
    with mouth.wire.cut():
        until(lambda: len(mouth.events("state", start)) >= 2, HOLD_S + 5, "sessions end")
        start = len(mouth.lines)
        assert "done" in mouth.ask(ROUTE)
        assert mouth.settled(lambda: not mouth.sent(start))


def test_a_session_that_comes_back_is_told_nothing_by_itself(mouth: Mouth) -> None:
    assert "done" in mouth.ask(ROUTE)
    until(lambda: mouth.wire.length(V4) == 2, 5, "the route is there")
    with mouth.wire.cut():
        until(lambda: not mouth.wire.path(V4), HOLD_S + 5, "the provider dropped it")
        until(lambda: len(mouth.events("state")) >= 6, HOLD_S + 5, "so did ExaBGP")
    mouth.until_up()
    assert mouth.settled(lambda: not mouth.wire.path(V4))
    assert "done" in mouth.ask(ROUTE)
    until(lambda: mouth.wire.length(V4) == 2, 5, "said again, it is there")


def test_sessions_are_back_soon_after_a_long_black_hole(mouth: Mouth) -> None:
    # ExaBGP alone: 9 s here, and 33 s after a cut of 40 s.
    with mouth.wire.cut():
        until(lambda: len(mouth.events("state")) >= 6, HOLD_S + 5, "sessions end")
        time.sleep(30)  # the cut is what is tested: its attempts grow apart meanwhile
    assert until(mouth.both_up, 60, "both sessions are up") < 6


def test_the_same_announcement_is_sent_again_each_time(mouth: Mouth) -> None:
    for count in (1, 2, 3):
        mouth.ask(ROUTE)
        until(lambda n=count: len(mouth.sent()) == n, 5, f"{count} updates")


def test_the_first_withdrawal_of_a_session_is_swallowed_and_the_next_is_sent(
    mouth: Mouth,
) -> None:
    # A respawned speaker must be able to withdraw what its predecessor said. It can, since it
    # says again what it did not see leaving.
    line = f"neighbor {PROVIDER['ipv4']} withdraw route {V4} next-hop self"
    assert "done" in mouth.ask(line)
    assert mouth.settled(lambda: not mouth.sent())
    assert "done" in mouth.ask(line)
    until(lambda: len(mouth.sent()) == 1, 5, "the withdrawal left")
    assert mouth.sent()[0]["withdraw"] == {"ipv4 unicast": [{"nlri": V4}]}


def test_a_frozen_and_thawed_exabgp_brings_nothing_back(mouth: Mouth) -> None:
    mouth.ask(ROUTE)
    until(lambda: mouth.wire.length(V4) == 2, 5, "the route is there")
    mouth.edge.signal(signal.SIGSTOP)
    until(lambda: not mouth.wire.path(V4), HOLD_S + 5, "the provider dropped it")
    mouth.edge.signal(signal.SIGCONT)
    mouth.until_up()
    assert mouth.settled(lambda: not mouth.wire.path(V4))


def test_a_remembering_exabgp_would_bring_it_back(wire: Wire, tmp_path: Path) -> None:
    # The opposite of the test above, which would otherwise prove little.
    mouth = Mouth(wire, tmp_path)
    mouth.edge.config = mouth.edge.config.replace("adj-rib-out false", "adj-rib-out true")
    try:
        mouth.start()
        mouth.ask(ROUTE)
        until(lambda: mouth.wire.length(V4) == 2, 5, "the route is there")
        mouth.edge.signal(signal.SIGSTOP)
        until(lambda: not mouth.wire.path(V4), HOLD_S + 5, "the provider dropped it")
        mouth.edge.signal(signal.SIGCONT)
        until(lambda: mouth.wire.length(V4) == 2, 15, "the old route is back")
    finally:
        mouth.clear()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_helper_is_respawned_told_nothing_and_its_routes_stay(
    mouth: Mouth, how: signal.Signals
) -> None:
    mouth.ask(ROUTE)
    until(lambda: mouth.wire.length(V4) == 2, 5, "the route is there")
    helper = mouth.edge.helper_pid()
    assert helper is not None
    os.kill(helper, how)
    mouth.take_helper()
    mouth.lines.clear()
    assert mouth.settled(lambda: mouth.wire.length(V4) == 2)
    assert not mouth.events("state")


def test_a_session_is_listed_as_established_from_its_first_moment(mouth: Mouth) -> None:
    (line,) = (line for line in mouth.ask("show neighbor json") if line.startswith("["))
    listed = json.loads(line)
    assert {item["fsm"] for item in listed} == {"ESTABLISHED"}
    assert {item["peer"]["address"] for item in listed} == set(PROVIDER.values())


def test_a_list_of_sessions_is_one_line_and_its_answer_the_next(mouth: Mouth) -> None:
    mouth.ask(ROUTE)
    answers = [line for line in mouth.ask("show neighbor json") if not line.startswith("{")]
    assert [line[0] for line in answers] == ["[", "d"]


def test_commands_for_unknown_neighbors_and_bad_routes_are_errors(mouth: Mouth) -> None:
    assert "error" in mouth.ask(f"neighbor 192.0.2.99 {ROUTE}")
    assert "error" in mouth.ask(f"announce route {V4} next-hop self as-path [ x ]")


def test_one_command_reaches_several_neighbors_and_prefixes(mouth: Mouth) -> None:
    two = ["198.51.100.0/25", "198.51.100.128/25"]
    line = f"neighbor {PROVIDER['ipv4']}, neighbor {PROVIDER['ipv4']} announce attributes"
    assert "done" in mouth.ask(f"{line} next-hop self as-path [ {LOCAL_AS} ] nlri {' '.join(two)}")
    until(lambda: all(mouth.wire.length(p) == 1 for p in two), 5, "both are there")
    line = line.replace("announce", "withdraw")
    assert "done" in mouth.ask(f"{line} next-hop self nlri {' '.join(two)}")
    until(lambda: not any(map(mouth.wire.path, two)), 5, "both are gone")


def test_the_word_json_in_a_command_ends_it(mouth: Mouth) -> None:
    # Why nothing but checked values is ever written (bgp/exabgp_api.py).
    mouth.say(f"announce route {V4} next-hop self json")
    assert mouth.edge.process is not None
    mouth.edge.process.wait(10)


def test_a_helper_that_does_not_read_stops_it(mouth: Mouth) -> None:
    # Why the speaker never waits on anything but everything at once.
    mouth.turn("deaf")
    with contextlib.suppress(BlockingIOError):  # as soon as it no longer reads us either
        mouth.say(*["show neighbor json"] * 200)
    until(lambda: not mouth.wire.established("ipv4"), HOLD_S + 10, "the hold timer ends it")
    helper = mouth.edge.helper_pid()
    assert helper is not None
    os.kill(helper, signal.SIGKILL)


@pytest.mark.parametrize("terminate", ["true", "false"])
def test_a_helper_it_cannot_write_to(wire: Wire, tmp_path: Path, terminate: str) -> None:
    # With our setting ExaBGP ends and its supervisor starts it anew; without, it lives on and its
    # sessions never come back.
    mouth = Mouth(wire, tmp_path)
    try:
        mouth.start(exabgp_api_terminate=terminate)
        process = mouth.edge.process
        assert process is not None
        mouth.turn("shut")
        # Its own buffer hides the first few failures from it.
        mouth.say(*["show neighbor json"] * 30)
        if terminate == "true":
            process.wait(10)
            return
        until(lambda: "lost the helper" in mouth.edge.log.read_text(), 10, "it says so")
        until(lambda: not mouth.wire.established("ipv4"), HOLD_S + 5, "the session is gone")
        with pytest.raises(AssertionError, match="comes back"):
            until(lambda: mouth.wire.established("ipv4"), HOLD_S, "it comes back")
        assert process.poll() is None
    finally:
        mouth.clear()
