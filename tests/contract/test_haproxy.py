"""The haproxy adapter against haproxy, and the fake held to the same cases."""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from controller.adapters.haproxy import Haproxy, parse_servers, parse_sessions
from controller.core.model import SiteName
from controller.ports import BackendState, LoadBalancer, Refused, TimedOut, Unreachable
from tests.contract.fakes.load_balancer import FakeLoadBalancer
from tests.contract.haproxy_process import (
    CONFIGURATION,
    GATE,
    NAMES,
    HaproxyProcess,
    free_ports,
)

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

DC1, DC2 = SiteName("dc1"), SiteName("dc2")
BACKENDS = ("be_wallet", "be_lobby")
CLOSED = BackendState(
    enabled={DC1: 0, DC2: 0}, up={DC1: 0, DC2: 0}, total={DC1: 2, DC2: 2}, can_hold=True
)


@pytest_asyncio.fixture
async def haproxy() -> AsyncIterator[HaproxyProcess]:
    # The path of a unix socket may not be long, so not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="tricast-haproxy-"))
    process = HaproxyProcess(folder)
    try:
        for app in process.apps:
            await app.start()
        await process.start()
        yield process
    finally:
        process.kill()
        for app in process.apps:
            await app.stop()
        shutil.rmtree(folder)


def adapter(haproxy: HaproxyProcess) -> Haproxy:
    return Haproxy(haproxy.socket, (DC1, DC2), BACKENDS, haproxy.state_dir)


@pytest.fixture(params=["real", "fake"])
def balancer(request: pytest.FixtureRequest) -> LoadBalancer:
    if request.param == "fake":
        return FakeLoadBalancer(dict.fromkeys(BACKENDS, NAMES), (DC1, DC2))
    return adapter(request.getfixturevalue("haproxy"))


async def enabled(balancer: LoadBalancer, backend: str) -> dict[SiteName, int]:
    return dict((await balancer.observe(1.0))[backend].enabled)


# --- what both must do ---------------------------------------------------------------------------


async def test_everything_is_closed_at_first(balancer: LoadBalancer) -> None:
    assert await balancer.observe(1.0) == {"be_wallet": CLOSED, "be_lobby": CLOSED}


async def test_traffic_goes_to_one_site_only(balancer: LoadBalancer) -> None:
    await balancer.direct("be_wallet", DC1, 1.0)
    state = (await balancer.observe(1.0))["be_wallet"]
    assert (state.enabled, state.up) == ({DC1: 2, DC2: 0}, {DC1: 2, DC2: 0})
    await balancer.direct("be_wallet", DC2, 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 0, DC2: 2}


async def test_one_backend_moves_without_the_other(balancer: LoadBalancer) -> None:
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer.direct("be_lobby", DC2, 1.0)
    await balancer.direct("be_wallet", None, 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 0, DC2: 0}
    assert await enabled(balancer, "be_lobby") == {DC1: 0, DC2: 2}


async def test_asking_again_changes_nothing(balancer: LoadBalancer) -> None:
    for _ in range(3):
        await balancer.direct("be_wallet", DC1, 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 2, DC2: 0}


async def test_an_unknown_backend_is_refused_by_name(balancer: LoadBalancer) -> None:
    with pytest.raises(Refused, match=r"be_walet.*be_lobby, .*be_wallet"):
        await balancer.direct("be_walet", DC1, 1.0)


async def test_a_site_without_servers_is_refused_and_nothing_changes(
    balancer: LoadBalancer,
) -> None:
    await balancer.direct("be_wallet", DC1, 1.0)
    with pytest.raises(Refused, match=r"be_wallet.*dc3.*dc1-app1"):
        await balancer.direct("be_wallet", SiteName("dc3"), 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 2, DC2: 0}


async def test_held_requests_go_on_with_the_next_direction(balancer: LoadBalancer) -> None:
    await balancer.direct("be_wallet", DC1, 1.0)
    for _ in range(2):
        await balancer.hold("be_wallet", 1.0)
        found = await balancer.observe(1.0)
        assert found["be_wallet"].held
        assert found["be_wallet"].enabled == {DC1: 2, DC2: 0}
        assert not found["be_lobby"].held
    await balancer.direct("be_wallet", DC2, 1.0)
    state = (await balancer.observe(1.0))["be_wallet"]
    assert (state.held, state.enabled) == (False, {DC1: 0, DC2: 2})
    await balancer.hold("be_wallet", 1.0)
    await balancer.direct("be_wallet", DC2, 1.0)
    assert not (await balancer.observe(1.0))["be_wallet"].held


async def test_a_backend_without_a_gate_cannot_be_held(balancer: LoadBalancer) -> None:
    with pytest.raises(Refused, match=r"the gate of be_none is not ready: No such server\."):
        await balancer.hold("be_none", 1.0)


# --- what only the real one can show -------------------------------------------------------------


async def test_new_requests_wait_at_the_gate_and_none_fails(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(haproxy.get(haproxy.wallet, "/slow"))
        waiting = [group.create_task(app.held.wait()) for app in haproxy.apps[:2]]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await balancer.hold("be_wallet", 1.0)
        asked = [group.create_task(haproxy.answer(haproxy.wallet)) for _ in range(20)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in asked)
        assert (await balancer.observe(1.0))["be_wallet"].in_flight == 1
        assert await haproxy.servers_that_answer(haproxy.lobby) == {"503"}
        await balancer.direct("be_wallet", DC2, 1.0)
    answers = [each.result() for each in asked]
    assert {json.loads(found[2])["site"] for found in answers if found} == {DC2}
    assert all(found is not None and found[0] == 200 for found in answers)
    assert slow.result() != 200


async def test_who_waited_longest_goes_on_first(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer.hold("be_wallet", 1.0)
    answered: list[int] = []

    async def ask(number: int) -> None:
        assert await haproxy.get(haproxy.wallet) == 200
        answered.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(ask(number))
            await asyncio.sleep(0.007)  # no multiple of the time between two looks of the gate
        await balancer.direct("be_wallet", DC2, 1.0)
    assert set(answered[:5]) <= set(range(10)), answered
    assert set(answered[-5:]) <= set(range(20, 30)), answered


async def test_nobody_waits_at_a_gate_that_nobody_opens_any_more(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer.hold("be_wallet", 1.0)
    closed = time.monotonic()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(haproxy.get(haproxy.wallet))
        await asyncio.sleep(2.5)
        later = group.create_task(haproxy.get(haproxy.wallet))
    assert (first.result(), later.result()) == (200, 200)
    assert 4.9 < time.monotonic() - closed < 6.0, "both until five seconds after it closed"
    assert await haproxy.get(haproxy.wallet) == 200
    assert time.monotonic() - closed < 6.5, "who comes later does not wait"
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer.hold("be_wallet", 1.0)
    again = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(haproxy.get(haproxy.wallet))
        await asyncio.sleep(0.3)
        await balancer.direct("be_wallet", DC2, 1.0)
    assert 0.3 < time.monotonic() - again < 2.0, "once opened, it closes again as before"


async def test_a_haproxy_without_gates_directs_all_the_same(haproxy: HaproxyProcess) -> None:
    text = haproxy.configuration()
    start = text.index("backend tricast_hold")
    bare = re.sub(r".*(tricast_|hold\.lua).*\n", "", text[:start])
    haproxy.kill()
    (haproxy.folder / "haproxy.cfg").write_text(bare)
    haproxy._spawn(haproxy.folder / "haproxy.cfg")
    await eventually(lambda: alive(haproxy), "it answers")
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    state = (await balancer.observe(1.0))["be_wallet"]
    assert (state.can_hold, state.enabled[DC1]) == (False, 2)


async def test_a_kept_tcp_connection_is_nothing_to_wait_for(haproxy: HaproxyProcess) -> None:
    port = await with_games(haproxy)
    balancer = Haproxy(haproxy.socket, sites=(DC1, DC2), backends=("be_games",))
    await balancer.direct("be_games", DC1, 1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /whoami HTTP/1.1\r\nHost: games\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    await balancer.hold("be_games", 1.0)
    counted = await balancer._ask("show stat -1 2 -1", 1.0)
    assert re.search(r"be_games,BACKEND,\d*,\d*,1,", counted), "haproxy counts the connection"
    state = (await balancer.observe(1.0))["be_games"]
    assert (state.held, state.in_flight) == (True, 0)
    await balancer.direct("be_games", DC2, 1.0)
    assert b"" in [await reader.readline() for _ in range(20)], "and it is cut"
    writer.close()


async def with_games(haproxy: HaproxyProcess) -> int:
    """The port of a service in `mode tcp` with a gate, after haproxy was started again."""
    (port,) = free_ports(1)
    servers = "".join(
        f"    server {app.name} 127.0.0.1:{app.port} check\n" for app in haproxy.apps[:4]
    )
    games = (
        f"frontend games\n    mode tcp\n    bind 127.0.0.1:{port}\n"
        "    tcp-request inspect-delay 6s\n"
        "    tcp-request content lua.tricast_hold be_games 5000"
        " if { srv_is_up(tricast_hold/be_games) }\n"
        f"    default_backend be_games\nbackend be_games\n    mode tcp\n{servers}"
    )
    gates = "backend tricast_hold\n    load-server-state-from-file none\n"
    text = haproxy.configuration()
    assert gates in text
    gate = "    server be_games 127.0.0.1:9 no-check disabled\n"
    haproxy.kill()
    (haproxy.folder / "haproxy.cfg").write_text(text.replace(gates, gates + gate) + games)
    haproxy._spawn(haproxy.folder / "haproxy.cfg")
    await eventually(lambda: alive(haproxy), "it answers")
    return port


async def alive(haproxy: HaproxyProcess) -> bool:
    return await haproxy.get(haproxy.alive, "/alive") == 200


async def test_clients_are_answered_by_the_site_and_only_by_it(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    for site in (DC1, DC2):
        await balancer.direct("be_wallet", site, 1.0)
        for port in (haproxy.wallet, haproxy.wallet6):
            answers = await haproxy.servers_that_answer(port)
            assert {json.loads(answer)["site"] for answer in answers} == {site}
    assert await haproxy.servers_that_answer(haproxy.lobby) == {"503"}


async def test_a_closed_service_says_so_at_once(haproxy: HaproxyProcess) -> None:
    answer = await haproxy.answer(haproxy.wallet, "/transfer")
    assert answer is not None
    status, headers, body = answer
    assert (status, headers["retry-after"], headers["x-tricast-edge"]) == (503, "1", "dc1")
    assert json.loads(body)["outcome"] == "failed"


async def test_where_packets_enter_is_answered_without_servers(haproxy: HaproxyProcess) -> None:
    answer = await haproxy.answer(haproxy.wallet6, "/.tricast/edge")
    assert answer is not None
    assert (answer[0], json.loads(answer[2])) == (200, {"edge": "dc1"})
    assert await haproxy.get(haproxy.alive, "/metrics") == 200
    assert await haproxy.get(haproxy.alive, "/other") == 404


async def test_leaving_a_site_cuts_its_sessions(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(haproxy.get(haproxy.wallet, "/slow"))
        async with asyncio.timeout(5):
            held = [group.create_task(app.held.wait()) for app in haproxy.apps[:2]]
            await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        for each in held:
            each.cancel()
        started = time.monotonic()
        await balancer.direct("be_wallet", DC2, 1.0)
    assert asked.result() != 200
    assert time.monotonic() - started < 1.0


async def test_a_dead_server_is_seen_and_gone_round(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    await haproxy.apps[0].stop()
    # Refused connections are tried once more elsewhere: no client sees the dead server.
    for _ in range(6):
        assert await haproxy.get(haproxy.wallet) == 200
    await eventually(lambda: up_is(balancer, 1), "one server is up")
    assert (await balancer.observe(1.0))["be_wallet"].enabled[DC1] == 2
    await haproxy.apps[0].start()
    await eventually(lambda: up_is(balancer, 2), "both servers are up")


async def up_is(balancer: LoadBalancer, count: int) -> bool:
    return (await balancer.observe(1.0))["be_wallet"].up[DC1] == count


async def eventually(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 5
    while not await holds():  # type: ignore[misc]
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


async def test_a_restart_keeps_who_is_active(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer.direct("be_wallet", DC2, 1.0)
    await balancer.direct("be_lobby", DC1, 1.0)
    haproxy.kill()
    await haproxy.start()
    assert await haproxy.get(haproxy.wallet) == 200
    assert await enabled(balancer, "be_wallet") == {DC1: 0, DC2: 2}
    assert await enabled(balancer, "be_lobby") == {DC1: 2, DC2: 0}
    await balancer.direct("be_wallet", None, 1.0)
    haproxy.kill()
    await haproxy.start()
    assert await enabled(balancer, "be_wallet") == {DC1: 0, DC2: 0}


async def test_a_lost_state_file_is_written_again(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    kept = (haproxy.state_dir / "be_wallet").read_text()
    shutil.rmtree(haproxy.state_dir)
    await balancer.direct("be_wallet", DC1, 1.0)
    assert (haproxy.state_dir / "be_wallet").read_text().splitlines()[1] == kept.splitlines()[1]


async def test_a_state_that_cannot_be_kept_stops_nothing(haproxy: HaproxyProcess) -> None:
    haproxy.state_dir.write_text("a file where a folder should be")
    await adapter(haproxy).direct("be_wallet", DC1, 1.0)
    assert await enabled(adapter(haproxy), "be_wallet") == {DC1: 2, DC2: 0}


async def test_a_drained_server_is_not_enabled_until_directed(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    await balancer.direct("be_wallet", DC1, 1.0)
    await balancer._ask("set server be_wallet/dc1-app1 state drain", 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 1, DC2: 0}
    await balancer.direct("be_wallet", DC1, 1.0)
    assert await enabled(balancer, "be_wallet") == {DC1: 2, DC2: 0}


async def test_turning_round_takes_milliseconds(haproxy: HaproxyProcess) -> None:
    balancer = adapter(haproxy)
    took = []
    for n in range(40):
        started = time.perf_counter()
        await balancer.direct("be_wallet", (DC1, DC2)[n % 2], 1.0)
        took.append(time.perf_counter() - started)
    assert sorted(took)[20] < 0.05


async def test_nothing_listens(tmp_path: Path) -> None:
    balancer = Haproxy(tmp_path / "none.sock", (DC1,), BACKENDS)
    with pytest.raises(Unreachable, match=r"none\.sock"):
        await balancer.observe(1.0)


async def test_a_frozen_haproxy_times_out(haproxy: HaproxyProcess) -> None:
    haproxy.freeze()
    started = time.monotonic()
    with pytest.raises(TimedOut, match="no answer within"):
        await adapter(haproxy).direct("be_wallet", DC1, 0.2)
    assert time.monotonic() - started < 1.0


@asynccontextmanager
async def impostor(answer: bytes) -> AsyncIterator[Haproxy]:
    folder = Path(tempfile.mkdtemp(prefix="tricast-impostor-"))

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(reply, folder / "sock")
    try:
        yield Haproxy(folder / "sock", (DC1,), BACKENDS)
    finally:
        server.close()
        await server.wait_closed()
        shutil.rmtree(folder)


@pytest.mark.parametrize("answer", [b"\n", b"Permission denied\n", b"\xff\x00\n# be_id\n1 2\n"])
async def test_garbage_is_refused(answer: bytes) -> None:
    async with impostor(answer) as balancer:
        with pytest.raises(Refused, match="not an answer"):
            await balancer.observe(1.0)


@pytest.mark.parametrize("answer", [b"", b"1\n# be_id be_na"])
async def test_a_broken_off_answer_is_unknown(answer: bytes) -> None:
    async with impostor(answer) as balancer:
        with pytest.raises(TimedOut, match="cut off"):
            await balancer.observe(1.0)


def test_lines_that_are_no_servers_are_passed_over() -> None:
    text = (
        "Some warning.\n1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n"
        "4 be_wallet 1 dc1-app1 10.1.0.11 2 4\n"
        "4 be_wallet 2 dc1-app2 10.1.0.12 two 4\n"
        "4 be_wallet\n"
        "\n"
    )
    assert [(server.name, server.enabled, server.up) for server in parse_servers(text)] == [
        ("dc1-app1", True, True)
    ]


def test_sessions_are_counted_by_backend() -> None:
    text = (
        "# pxname,svname,qcur,qmax,scur,smax\nbe_wallet,BACKEND,0,0,3,4\nbe_lobby,BACKEND,0,0,,\n\n"
    )
    assert parse_sessions(text) == {"be_wallet": 3}
    text = "# pxname,scur,mode\nbe_wallet,3,http\nbe_games,2,tcp\n"
    assert parse_sessions(text) == {"be_wallet": 3}
    with pytest.raises(Refused, match="show stat"):
        parse_sessions("Permission denied\n")


async def test_the_longest_site_name_owns_a_server() -> None:
    table = (
        b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n"
        b"4 be_wallet 1 dc1-app1 - 2 4\n4 be_wallet 2 dc1-b-app1 - 2 4\n\n"
    )
    async with impostor(table) as balancer:
        sites = DC1, SiteName("dc1-b")
        knowing_both = Haproxy(balancer._socket, sites, BACKENDS)
        assert await enabled(knowing_both, "be_wallet") == dict.fromkeys(sites, 1)


def test_the_labs_files_are_valid_and_differ_by_site_only(tmp_path: Path) -> None:
    other = CONFIGURATION.parents[1] / "dc2-edge" / "haproxy.cfg"
    here, there = CONFIGURATION.read_text(), other.read_text()
    own = r"(at |tricast-edge |bind |leaving\(be_\w+,)"
    words = re.sub(own + r"(dc1|10\.1\.0\.1)\b", r"\1SITE", here, flags=re.I)
    assert words != here
    assert words.replace('"dc1"', '"SITE"') == re.sub(
        own + r"(dc2|10\.2\.0\.1)\b", r"\1SITE", there, flags=re.I
    ).replace('"dc2"', '"SITE"')
    for name, text in (("here", here), ("there", there)):
        path = tmp_path / name
        path.write_text(text.replace("/etc/haproxy/hold.lua", str(GATE)))
        checked = subprocess.run(
            ["/usr/sbin/haproxy", "-c", "-f", str(path)],
            capture_output=True,
            timeout=20,
            check=False,
            text=True,
        )
        assert checked.returncode == 0, checked.stderr
        warnings = [line for line in checked.stderr.splitlines() if "WARNING" in line]
        assert all("state file" in line for line in warnings), warnings
