"""Verbs over a real sshd on the loopback, with a forced command."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.adapters.ssh import SshHostAgent, SshTarget
from controller.ports import PortError, Refused, TimedOut, Unreachable

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(60),
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd logs root in"),
]

AGENT = """
import json, os, shlex, sys, time
verb, *words = shlex.split(os.environ["SSH_ORIGINAL_COMMAND"])
args = dict(word.split("=", 1) for word in words)
if verb == "echo":
    print(json.dumps({"args": args, "pid": os.getppid(), "sentence": "as asked"}))
elif verb == "refuse":
    print(json.dumps({"error": "the server is writable"})); sys.exit(3)
elif verb == "fail":
    print(json.dumps({"error": "the disk is full"})); sys.exit(1)
elif verb == "crash":
    raise RuntimeError("no such thing")
elif verb == "babble":
    print("not JSON")
elif verb == "bytes":
    sys.stdout.buffer.write(b'{"sentence": "\\xff"}')
elif verb == "sleep":
    parent, end = os.getppid(), time.monotonic() + float(args["s"])
    while time.monotonic() < end and os.getppid() == parent:
        time.sleep(0.05)
    print("{}")
"""


@dataclass
class Sshd:
    """A server of ours, and the files a client needs."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> SshTarget:
        return SshTarget(
            host="127.0.0.1",
            port=self.port,
            user="root",
            key_file=self.folder / "client",
            known_hosts_file=self.folder / "known_hosts",
        )

    def make_key(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True, timeout=20)

    def trust_host(self) -> None:
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        self.target.known_hosts_file.write_text(f"[127.0.0.1]:{self.port} {key}\n")

    def configure(self) -> None:
        agent = self.folder / "agent.py"
        agent.write_text(AGENT)
        key = (self.folder / "client.pub").read_text()
        (self.folder / "authorized_keys").write_text(
            f'restrict,command="{sys.executable} {agent}" {key}'
        )
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPidFile none\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\n"
            "KbdInteractiveAuthentication no\nUseDNS no\n"
        )

    def start(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """The server is gone, and all its sessions."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            for child in _children(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sshd = Sshd(tmp_path, sock.getsockname()[1])
    for name in ("host", "client"):
        sshd.make_key(name)
    sshd.configure()
    sshd.trust_host()
    sshd.start()
    yield sshd
    sshd.stop()


@asynccontextmanager
async def _agent(target: SshTarget) -> AsyncIterator[SshHostAgent]:
    agent = SshHostAgent(target)
    try:
        yield agent
    finally:
        await agent.aclose()


async def test_verb_and_arguments_arrive_whole(sshd: Sshd) -> None:
    args = {"database": "ledger", "text": "two words; $HOME 'quoted' \"and\" \\ é\n", "empty": ""}
    async with _agent(sshd.target) as agent:
        answer = await agent.call("echo", args, 10)
    assert answer["sentence"] == "as asked"
    assert json.loads(answer["args"]) == args


async def test_one_connection_is_kept(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        pids = {(await agent.call("echo", {}, 10))["pid"] for _ in range(3)}
        began = time.monotonic()
        await agent.call("echo", {}, 10)
        print(f"a call took {(time.monotonic() - began) * 1000:.0f} ms")  # noqa: T201  # shown by pytest -s
    assert len(pids) == 1


async def test_many_calls_at_once_share_it(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent, asyncio.TaskGroup() as group:
        tasks = [group.create_task(agent.call("echo", {"n": str(n)}, 20)) for n in range(15)]
    assert len({task.result()["pid"] for task in tasks}) == 1


async def test_refusal_carries_the_agents_sentence(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        with pytest.raises(Refused, match=r"root@127\.0\.0\.1: refuse: the server is writable"):
            await agent.call("refuse", {}, 10)


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("fail", "fail: failed with 1: the disk is full"),
        ("crash", "crash: failed with 1: RuntimeError: no such thing"),
        ("babble", "babble: not an answer: 'not JSON"),
    ],
)
async def test_failure_is_neither_done_nor_refused(sshd: Sshd, verb: str, sentence: str) -> None:
    async with _agent(sshd.target) as agent:
        with pytest.raises(PortError, match=sentence) as caught:
            await agent.call(verb, {}, 10)
    assert type(caught.value) is PortError


async def test_bytes_that_are_no_text_do_no_harm(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        assert (await agent.call("bytes", {}, 10))["sentence"] == "\ufffd"


async def test_slow_verb_is_unknown_after_its_deadline_and_the_next_call_works(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        await agent.call("echo", {}, 10)
        began = time.monotonic()
        with pytest.raises(TimedOut, match="sleep: no answer in time"):
            await agent.call("sleep", {"s": "5"}, 0.3)
        assert time.monotonic() - began < 1
        await agent.call("echo", {}, 10)


async def test_slow_verb_does_not_cost_the_others_their_answers(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent, asyncio.TaskGroup() as group:
        await agent.call("echo", {}, 10)
        other = group.create_task(agent.call("sleep", {"s": "1"}, 10))
        with pytest.raises(TimedOut):
            await agent.call("sleep", {"s": "5"}, 0.3)
    assert other.result() == {}


async def test_changed_host_key_is_refused_and_names_host_and_file(sshd: Sshd) -> None:
    sshd.stop()
    sshd.make_key("host")
    sshd.start()
    async with _agent(sshd.target) as agent:
        with pytest.raises(Refused, match=r"key of host 127\.0\.0\.1 .* is not .*known_hosts"):
            await agent.call("echo", {}, 10)
        sshd.trust_host()
        await agent.call("echo", {}, 10)


async def test_unknown_host_is_refused(sshd: Sshd) -> None:
    sshd.target.known_hosts_file.write_text("")
    async with _agent(sshd.target) as agent:
        with pytest.raises(Refused, match="known_hosts"):
            await agent.call("echo", {}, 10)


@pytest.mark.parametrize("name", ["known_hosts", "client"])
async def test_missing_file_is_refused_by_name(sshd: Sshd, name: str) -> None:
    (sshd.folder / name).unlink()
    async with _agent(sshd.target) as agent:
        with pytest.raises(Refused, match=f"there is no file .*{name}"):
            await agent.call("echo", {}, 10)


async def test_key_that_is_not_accepted_is_refused_by_name(sshd: Sshd) -> None:
    sshd.make_key("stranger")
    target = replace(sshd.target, key_file=sshd.folder / "stranger")
    async with _agent(target) as agent:
        with pytest.raises(Refused, match=r"the key .*stranger is not accepted"):
            await agent.call("echo", {}, 10)


async def test_unreadable_key_is_refused_by_name(sshd: Sshd) -> None:
    sshd.target.key_file.write_text("not a key\n")
    async with _agent(sshd.target) as agent:
        with pytest.raises(Refused, match="client cannot be read"):
            await agent.call("echo", {}, 10)


async def test_keys_of_an_agent_or_of_the_user_are_not_offered(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment names an agent that does not exist: it is not even asked."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sshd.folder / "nowhere"))
    async with _agent(sshd.target) as agent:
        await agent.call("echo", {}, 10)


async def test_nobody_listens_is_unreachable_at_once(sshd: Sshd) -> None:
    sshd.stop()
    async with _agent(sshd.target) as agent:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await agent.call("echo", {}, 10)
        assert time.monotonic() - began < 2


async def test_silent_server_is_unreachable_after_the_deadline(tmp_path: Path) -> None:
    """It accepts the connection and says nothing: no verb can have begun."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sshd = Sshd(tmp_path, silent.getsockname()[1])
        sshd.make_key("client")
        sshd.target.known_hosts_file.write_text("")
        async with _agent(sshd.target) as agent:
            began = time.monotonic()
            with pytest.raises(Unreachable, match="no connection in time"):
                await agent.call("echo", {}, 0.3)
            assert time.monotonic() - began < 1


async def test_server_that_was_restarted_is_connected_to_again(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        first = (await agent.call("echo", {}, 10))["pid"]
        sshd.stop()
        os.kill(int(first), signal.SIGKILL)
        sshd.start()
        end = time.monotonic() + 10
        while True:
            with suppress(TimedOut, Unreachable):
                assert (await agent.call("echo", {}, 10))["pid"] != first
                break
            assert time.monotonic() < end


async def test_connection_that_dies_during_a_verb_is_unknown(sshd: Sshd) -> None:
    async with _agent(sshd.target) as agent:
        first = (await agent.call("echo", {}, 10))["pid"]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_caught(agent, "sleep", {"s": "5"}))
            await asyncio.sleep(0.3)
            os.kill(int(first), signal.SIGKILL)
    assert isinstance(task.result(), TimedOut)


async def _caught(agent: SshHostAgent, verb: str, args: dict[str, str]) -> PortError | None:
    try:
        await agent.call(verb, args, 10)
    except PortError as error:
        return error
    return None
