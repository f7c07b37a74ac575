"""Each probe against the real thing: well, unwell, silent, gone and come back."""

import asyncio
import contextlib
import logging
import os
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.adapters.probe import Probe, ProbeSpec, build_probe
from controller.config.services import ProbeKind
from controller.ports import AnnouncerState, Sample
from tests.wallet.servers import (
    PASSWORD,
    Server,
    free_port,
    running_mariadb,
    running_postgres,
)

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\nX-Tricast-Edge: dc2\r\n\r\n"
WHOAMI = b'{"site":"dc1","server": "app1"}'


@asynccontextmanager
async def opened(
    kind: ProbeKind,
    target: str,
    *,
    timeout_s: float = 1.0,
    argv: tuple[str, ...] = (),
    **options: str,
) -> AsyncIterator[Probe]:
    spec = ProbeSpec(kind=kind, target=target, timeout_s=timeout_s, argv=argv, options=options)
    probe = build_probe(spec)
    try:
        yield probe
    finally:
        await probe.aclose()


class Listener:
    """A server on loopback that treats each connection as the test says."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Listener":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.target = f"127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._reply(reader, writer)
        self._open.discard(writer)
        writer.transport.abort()


def answers(*answers: bytes) -> Reply:
    """Replies to the n-th request of a connection with the n-th answer, then hangs up."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return reply


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def unwell(sample: Sample, words: str) -> None:
    assert not sample.ok
    assert words in sample.detail, sample.detail


# --- tcp -----------------------------------------------------------------------------------------


async def test_tcp() -> None:
    async with Listener(silence) as listener, opened(ProbeKind.TCP, listener.target) as probe:
        sample = await probe.sample()
        assert sample.ok
        assert 0 < sample.took_s < 1
    unwell(await probe.sample(), "Connect call failed")


async def test_tcp_into_a_full_queue_is_silence() -> None:
    """What a host behind a dropped link looks like: no refusal, nothing at all."""
    server = await asyncio.start_server(silence, "127.0.0.1", 0, backlog=0, start_serving=True)
    server.sockets[0].getsockname()
    port = server.sockets[0].getsockname()[1]
    asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
    writers = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            while True:
                writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
    async with opened(ProbeKind.TCP, f"127.0.0.1:{port}", timeout_s=0.2) as probe:
        sample = await probe.sample()
        unwell(sample, "no answer within 0.2 s")
        assert sample.took_s < 0.5
    for writer in writers:
        writer.transport.abort()
    server.close()
    await server.wait_closed()


# --- http ----------------------------------------------------------------------------------------


async def test_http_keeps_its_connection_and_reads_facts() -> None:
    async with Listener(answers(*[OK + WHOAMI] * 3)) as listener:
        async with opened(ProbeKind.HTTP, f"http://{listener.target}/whoami") as probe:
            for _ in range(3):
                sample = await probe.sample()
                assert sample.ok, sample.detail
            assert sample.facts == {
                "status": "200",
                "site": "dc1",
                "server": "app1",
                "edge": "dc2",
            }
        assert listener.connections == 1


async def test_http_replaces_a_connection_the_server_closed() -> None:
    async with Listener(answers(OK + WHOAMI)) as listener:
        async with opened(ProbeKind.HTTP, f"http://{listener.target}/") as probe:
            assert [(await probe.sample()).ok for _ in range(3)] == [True] * 3
        assert listener.connections == 3


async def test_http_fresh_connects_each_time() -> None:
    async with Listener(answers(*[OK + WHOAMI] * 2)) as listener:
        async with opened(ProbeKind.HTTP, f"http://{listener.target}/", fresh="yes") as probe:
            assert [(await probe.sample()).ok for _ in range(2)] == [True] * 2
        assert listener.connections == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"\x00\xff" * 70000, "limit"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "100 headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "3 bytes"),
        (b"", "closed without an answer"),
    ],
)
async def test_http_unwell(answer: bytes, words: str) -> None:
    async with (
        Listener(answers(answer)) as listener,
        opened(ProbeKind.HTTP, f"http://{listener.target}/") as probe,
    ):
        unwell(await probe.sample(), words)


async def test_http_expectations() -> None:
    async with Listener(answers(OK + WHOAMI)) as listener:
        url = f"http://{listener.target}/"
        async with opened(ProbeKind.HTTP, url, expect="200,503", body="app1") as probe:
            assert (await probe.sample()).ok
        async with opened(ProbeKind.HTTP, url, body="app9") as probe:
            unwell(await probe.sample(), "without 'app9'")
        async with opened(ProbeKind.HTTP, url, expect="503") as probe:
            unwell(await probe.sample(), "status 200")


async def test_http_without_a_length() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with (
        Listener(answers(chunked)) as listener,
        opened(ProbeKind.HTTP, f"http://{listener.target}/", body="ok") as probe,
    ):
        assert [(await probe.sample()).ok for _ in range(2)] == [True] * 2


async def test_http_silence_and_return() -> None:
    state = {"silent": True}

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            if not state["silent"]:
                writer.write(OK + WHOAMI)

    async with (
        Listener(reply) as listener,
        opened(ProbeKind.HTTP, f"http://{listener.target}/", timeout_s=0.2) as probe,
    ):
        sample = await probe.sample()
        unwell(sample, "no answer within 0.2 s")
        assert sample.took_s < 0.5
        state["silent"] = False
        assert (await probe.sample()).ok


async def test_https_with_a_certificate_of_its_own_authority(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += [
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=probe",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    command += ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=20)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = Listener(answers(OK + WHOAMI))
    server = await asyncio.start_server(listener._serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        async with opened(ProbeKind.HTTP, url, ca_file=str(certificate)) as probe:
            sample = await probe.sample()
            assert sample.ok, sample.detail
        async with opened(ProbeKind.HTTP, url) as probe:
            unwell(await probe.sample(), "CERTIFICATE_VERIFY_FAILED")
    finally:
        server.close()
        await server.wait_closed()


# --- databases -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    with running_mariadb() as server:
        yield server


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


async def restarted(probe: Probe, server: Server) -> None:
    """Well, unwell while it is down, and well in the first look after it is back."""
    first = await probe.sample()
    assert first.ok, first.detail
    second = await probe.sample()
    assert (second.ok, second.facts["value"]) == (True, "1")
    await asyncio.to_thread(server.kill)
    assert not (await probe.sample()).ok
    unwell(await probe.sample(), "efused" if server.name == "postgres" else "Can't connect")
    await asyncio.to_thread(server.start)
    last = await probe.sample()
    assert last.ok, last.detail


async def test_postgres(postgres: Server) -> None:
    target = f"127.0.0.1:{postgres.port}"
    async with opened(ProbeKind.POSTGRES, target, user="wallet", database="wallet") as probe:
        await restarted(probe, postgres)
    async with opened(ProbeKind.POSTGRES, target, user="nobody", database="wallet") as probe:
        unwell(await probe.sample(), 'role "nobody" does not exist')


async def test_postgres_slow_is_hung_up_on_and_not_cancelled(
    postgres: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "psycopg")
    target, slow = f"127.0.0.1:{postgres.port}", "SELECT pg_sleep(1.5)"
    async with opened(
        ProbeKind.POSTGRES, target, timeout_s=0.3, user="postgres", database="wallet", query=slow
    ) as probe:
        sample = await probe.sample()
        unwell(sample, "no answer within 0.3 s")
        assert sample.took_s < 0.6
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        assert postgres.postgres_admin(sleeping) == [(1,)]


async def test_mysql(mariadb: Server, password_file: str) -> None:
    target = f"127.0.0.1:{mariadb.port}"
    async with opened(ProbeKind.MYSQL, target, user="wallet", password_file=password_file) as probe:
        await restarted(probe, mariadb)
    async with opened(ProbeKind.MYSQL, target, user="nobody") as probe:
        unwell(await probe.sample(), "Access denied")


@pytest.mark.parametrize("kind", [ProbeKind.POSTGRES, ProbeKind.MYSQL])
async def test_a_database_that_accepts_and_says_nothing(kind: ProbeKind) -> None:
    async with Listener(silence) as listener, opened(kind, listener.target, timeout_s=0.2) as probe:
        for _ in range(2):
            sample = await probe.sample()
            unwell(sample, "no answer within 0.2 s")
            assert sample.took_s < 0.5


# --- bgp -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sessions", "words"),
    [
        ("any", {"203.0.113.1": True, "2001:db8::1": False}, None),
        ("any", {"203.0.113.1": False}, "not established: 203.0.113.1"),
        ("any", {}, "no neighbor at all"),
        ("all", {"203.0.113.1": True, "2001:db8::1": False}, "not established: 2001:db8::1"),
        ("all", {"203.0.113.1": True}, None),
        ("all", {}, "no neighbor at all"),
        ("203.0.113.1", {"203.0.113.1": True}, None),
        ("203.0.113.1", {"203.0.113.1": False}, "not established"),
        ("203.0.113.9", {"203.0.113.1": True}, "no such neighbor; the speaker has 203.0.113.1"),
        ("any", None, "said nothing"),
    ],
)
async def test_bgp(target: str, sessions: dict[str, bool] | None, words: str | None) -> None:
    state = None
    if sessions is not None:
        state = AnnouncerState(sessions=sessions, services={}, permit_left_s=1.0)
    spec = ProbeSpec(kind=ProbeKind.BGP, target=target, timeout_s=1.0)
    sample = await build_probe(spec, lambda: state).sample()
    if words is None:
        assert sample.ok, sample.detail
    else:
        unwell(sample, words)


# --- exec ----------------------------------------------------------------------------------------


async def test_exec() -> None:
    async with opened(ProbeKind.EXEC, "check", argv=("echo", "fine; $HOME")) as probe:
        sample = await probe.sample()
        assert (sample.ok, sample.facts["output"]) == (True, "fine; $HOME")
    async with opened(ProbeKind.EXEC, "check", argv=("sh", "-c", "echo bad >&2; exit 3")) as probe:
        unwell(await probe.sample(), "exit 3: bad")
    async with opened(ProbeKind.EXEC, "check", argv=("/does/not/exist",)) as probe:
        unwell(await probe.sample(), "No such file")
    async with opened(ProbeKind.EXEC, "check", argv=("head", "-c", "999999", "/dev/zero")) as probe:
        assert (await probe.sample()).ok


async def test_exec_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    async with opened(ProbeKind.EXEC, "check", timeout_s=0.3, argv=("sh", "-c", script)) as probe:
        sample = await probe.sample()
        unwell(sample, "no answer within 0.3 s")
        assert sample.took_s < 1.0
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 5
    while _runs(child):
        assert time.monotonic() < end, "the child outlives the probe"
        await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- what cannot be probed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (ProbeKind.TCP, "10.0.0.1"),
        (ProbeKind.TCP, "10.0.0.1:0"),
        (ProbeKind.POSTGRES, ":5432"),
        (ProbeKind.MYSQL, "host:port"),
        (ProbeKind.HTTP, "ftp://host/"),
        (ProbeKind.HAPROXY, "10.0.0.1:8404"),
        (ProbeKind.EXEC, "empty"),
        (ProbeKind.BGP, "any"),
    ],
)
def test_a_wrong_target_is_said_at_once(kind: ProbeKind, target: str) -> None:
    with pytest.raises(ValueError, match=r"not |argv|speaker"):
        build_probe(ProbeSpec(kind=kind, target=target, timeout_s=1.0))


async def test_nothing_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with Listener(answers(*[OK + WHOAMI] * 9)) as listener:
        for _ in range(3):
            async with opened(ProbeKind.HTTP, f"http://{listener.target}/") as probe:
                assert (await probe.sample()).ok
            async with opened(ProbeKind.TCP, listener.target) as probe:
                assert (await probe.sample()).ok
    unwell_port = free_port()
    async with opened(ProbeKind.HAPROXY, f"http://127.0.0.1:{unwell_port}/alive") as probe:
        assert not (await probe.sample()).ok
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before
