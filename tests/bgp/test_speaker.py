"""The speaker as a process, with this test in ExaBGP's place at the other end of its pipes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bgp.messages import MAX_LINE
from tests.bgp.wire import PROVIDER, ROOT, WALLET, end, make_spec, open_directory, until

V4 = PROVIDER["ipv4"]


# Ends with 0 when it could connect and was hung up on without an answer.
ATTEMPT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
try:
    client.sendall(b"{}\\n")
    sys.exit(3 if client.recv(9) else 0)
except (BrokenPipeError, ConnectionResetError):
    sys.exit(0)
"""


class Stage:
    """A running speaker and its pipes."""

    def __init__(self, directory: Path) -> None:
        spec = make_spec(directory)
        self.path = Path(spec.socket_path)
        (directory / "speaker.json").write_text(spec.to_json())
        self.log = directory / "speaker.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bgp.speaker", "--spec", str(directory / "speaker.json")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                bufsize=0,
            )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self.stdout.fileno(), False)
        self.read = b""
        until(self.path.exists, 10, "the speaker listens")

    def commands(self) -> list[str]:
        while chunk := self.stdout.read(65536):
            self.read += chunk
        return self.read.decode("ascii").splitlines()

    def write(self, *lines: object) -> None:
        for line in lines:
            text = line if isinstance(line, str) else json.dumps(line)
            self.stdin.write(text.encode() + b"\n")

    def list_sessions(self, *, fsm: str = "ESTABLISHED") -> None:
        until(lambda: "show neighbor json" in self.commands(), 5, "it asks for sessions")
        self.write([{"fsm": fsm, "peer": {"address": V4}}], "done")

    def call(self, request: object) -> dict[str, Any]:
        with closing(self.connect()) as client:
            return self.ask(client, request)

    def ask(self, client: socket.socket, request: object) -> dict[str, Any]:
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        client.sendall(text + b"\n")
        with client.makefile("rb") as replies:
            reply = json.loads(replies.readline())
        assert isinstance(reply, dict)
        return reply

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            raise
        return client

    def want(self, stance: str = "preferred", epoch: int = 1, permit_s: float = 60.0) -> Any:
        return self.call(
            {
                "id": 1,
                "do": "announce",
                "sent_at": time.clock_gettime(time.CLOCK_BOOTTIME),
                "permit_s": permit_s,
                "wanted": {"wallet": {"stance": stance, "epoch": epoch}},
            }
        )

    def observe(self) -> dict[str, Any]:
        state = self.call({"id": 2, "do": "observe"})["state"]
        assert isinstance(state, dict)
        return state


@contextmanager
def playing(directory: Path) -> Iterator[Stage]:
    stage = Stage(directory)
    try:
        yield stage
    finally:
        end(stage.process)
        stage.stdin.close()
        stage.stdout.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with playing(tmp_path) as running:
        yield running


def said(stage: Stage, words: str) -> Callable[[], bool]:
    return lambda: any(words in command for command in stage.commands())


def test_a_wanted_set_becomes_a_command(stage: Stage) -> None:
    stage.list_sessions()
    assert stage.want()["ok"] is True
    until(said(stage, f"announce route {WALLET[0]}"), 5, "the route is said")


def test_only_its_own_user_can_reach_it() -> None:
    with open_directory() as directory, playing(directory) as stage:
        assert stage.path.stat().st_mode & 0o777 == 0o600
        if os.geteuid() != 0:
            pytest.skip("needs root to be somebody else")
        stage.path.chmod(0o666)  # even so, it looks at who connects
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ATTEMPT, str(stage.path)],
            user="nobody",
            group="nogroup",
            capture_output=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        until(lambda: "client refused" in stage.log.read_text(), 5, "it says whom it refused")


def test_garbage_and_half_lines_and_hang_ups_leave_it_standing(stage: Stage) -> None:
    for noise in (b"hello", b"{}", b"\xff\xfe\x00", b"[" * 50_000, b'{"id":1,"do":"announce"}'):
        reply = stage.call(noise)
        assert reply["ok"] is False
        assert reply["error"]
    with closing(stage.connect()) as half:
        half.sendall(b'{"id": 1, "do": "obs')
    with closing(stage.connect()) as eager:
        eager.sendall(b'{"id":1,"do":"observe"}\n' * 2000)
    stage.write("{nonsense", "\x7f\x00", "done", "done")
    assert stage.observe()["counters"]["messages_bad"] == 5
    assert stage.process.poll() is None


def test_a_line_without_end_is_refused_and_cut(stage: Stage) -> None:
    with closing(stage.connect()) as client:
        client.sendall(b" " * (MAX_LINE + 1))
        with client.makefile("rb") as replies:
            assert b"too long" in replies.readline()
            assert replies.readline() == b""
    assert stage.observe()["permit_left_s"] == 0


def test_too_many_connections_push_out_the_oldest(stage: Stage) -> None:
    clients: list[socket.socket] = []
    try:
        for _ in range(40):
            clients.append(stage.connect())
            stage.ask(clients[-1], {"id": 2, "do": "observe"})
        assert stage.ask(clients[-1], {"id": 2, "do": "observe"})["ok"] is True
        assert clients[0].recv(1) == b""
    finally:
        for client in clients:
            client.close()


def test_exabgp_is_always_read_even_when_it_does_not_read_us(stage: Stage) -> None:
    stage.list_sessions()
    stage.want()
    until(said(stage, WALLET[0]), 5, "one command waits for its answer")
    os.set_blocking(stage.stdin.fileno(), True)
    update = {"type": "update", "neighbor": {"address": {"peer": V4}, "direction": "receive"}}
    line = json.dumps(update).encode() + b"\n"
    start = time.monotonic()
    for _ in range(200):
        stage.stdin.write(line * 200)
    assert time.monotonic() - start < 20
    stage.write("done")
    until(lambda: stage.observe()["counters"].get("commands_done") == 1, 5, "all of it was read")


def test_an_endless_line_of_exabgp_costs_a_question_not_memory(stage: Stage) -> None:
    stage.list_sessions()
    os.set_blocking(stage.stdin.fileno(), True)
    for _ in range(80):
        stage.stdin.write(b"x" * 65536)
    stage.write("")
    until(lambda: stage.commands().count("show neighbor json") == 2, 5, "it asks again")
    assert stage.observe()["counters"]["lines_lost"] == 1
    resident = Path(f"/proc/{stage.process.pid}/status").read_text().split("VmRSS:")[1].split()[0]
    assert int(resident) < 32 * 1024


def test_it_ends_with_exabgp(stage: Stage) -> None:
    stage.stdin.close()
    assert stage.process.wait(5) == 0


def test_it_ends_at_once_when_told(stage: Stage) -> None:
    stage.process.send_signal(signal.SIGTERM)
    assert stage.process.wait(5) == -signal.SIGTERM


def test_a_successor_takes_the_socket_of_a_dead_one(tmp_path: Path) -> None:
    with playing(tmp_path) as first:
        first.process.kill()
        first.process.wait(5)
        with playing(tmp_path) as second:
            until(lambda: answers(second), 5, "the new one answers")


def answers(stage: Stage) -> bool:
    try:
        return stage.call({"id": 1, "do": "observe"})["ok"] is True
    except OSError:
        return False


def test_a_log_nobody_reads_does_not_stop_it(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, permit_s=0.2)
    (tmp_path / "speaker.json").write_text(spec.to_json())
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bgp.speaker", "--spec", str(tmp_path / "speaker.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
        cwd=ROOT,
    )
    try:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"show neighbor json\n"
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            assert pipe
            pipe.close()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("text", ["", "{}", None])
def test_a_specification_it_cannot_run_is_said(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "speaker.json"
    if text is not None:
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "bgp.speaker", "--spec", str(path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert b"cannot start" in done.stderr
