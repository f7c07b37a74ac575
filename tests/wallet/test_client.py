"""The load client: what it writes down is what happened, and its proof can fail."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from lab.client.__main__ import main
from lab.client.attempts import (
    Attempt,
    Log,
    Outcome,
    acked_keys,
    longest_gap,
    missing,
    read,
    repeated,
    summarise,
)
from lab.client.whoami import Answer, Changes, Prober
from lab.client.write import LogFile, Plan, Writer
from tests.wallet.servers import PASSWORD, Server, free_port, wait_until

pytestmark = pytest.mark.timeout(60)


class FakeWallet:
    """Answers as the test says; remembers each key it has acknowledged or swallowed."""

    def __init__(self) -> None:
        self.mood = "well"
        self.changed_at: list[float] = []
        self.keys: list[str] = []
        self.connections: set[object] = set()
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeWallet"]:
        app = web.Application()
        app.add_routes([web.post("/transfer", self._transfer), web.get("/whoami", self._whoami)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self.port = self.port or free_port()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _transfer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.connections.add(request.transport)  # itself: a port is soon another connection's
        who = {"site": "dc1", "server": "app1"}
        match self.mood:
            case "failing":
                return web.json_response({**who, "outcome": "failed", "error": "no"}, status=503)
            case "doubtful":
                return web.json_response({**who, "outcome": "unknown"}, status=503)
            case "gateway":
                return web.Response(status=502, text="<html>bad gateway</html>")
            case "silent":
                self.keys.append(request.headers["Idempotency-Key"])
                await asyncio.sleep(5)
        self.keys.append(request.headers["Idempotency-Key"])
        words = {**who, "id": len(self.keys)}
        return web.json_response(words, headers={"X-Tricast-Edge": "dc2"})

    async def _whoami(self, _request: web.Request) -> web.Response:
        return web.json_response({"site": "dc1", "server": "app1"})


async def written(plan: Plan, path: Path, *moods: tuple[float, str], wallet: FakeWallet) -> Log:
    """The log of a run in which the wallet's mood changed at the given times."""
    with LogFile(path) as log:
        writer = Writer(plan, log)
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            start = time.monotonic()
            for at, mood in moods:
                await asyncio.sleep(start + at - time.monotonic())
                wallet.mood = mood
                wallet.changed_at.append(time.monotonic())
    return read(path)


async def test_a_steady_run_acknowledges_at_its_rate(tmp_path: Path) -> None:
    async with FakeWallet().serving() as wallet:
        plan = Plan(url=wallet.url, rate=100, duration_s=1.0)
        log = await written(plan, tmp_path / "log", wallet=wallet)
    summary = summarise(log)
    assert log.complete
    assert 85 <= summary.acked <= 101
    assert summary.attempts == summary.acked == len(wallet.keys) == len(wallet.connections)
    assert (summary.by_site, summary.by_edge) == ({"dc1": summary.acked}, {"dc2": summary.acked})
    assert summary.outage_s < 0.5
    assert sorted(acked_keys(log)) == sorted(wallet.keys)


async def test_keepalive_uses_few_connections(tmp_path: Path) -> None:
    async with FakeWallet().serving() as wallet:
        plan = Plan(url=wallet.url, rate=100, duration_s=0.5, keepalive=True)
        log = await written(plan, tmp_path / "log", wallet=wallet)
    assert len(wallet.connections) < len(log.attempts) / 2


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        ("failing", Outcome.FAIL),
        ("doubtful", Outcome.UNKNOWN),
        ("gateway", Outcome.UNKNOWN),
        ("silent", Outcome.UNKNOWN),
    ],
)
async def test_an_outage_is_measured_and_everything_is_retried(
    tmp_path: Path, mood: str, outcome: Outcome
) -> None:
    async with FakeWallet().serving() as wallet:
        plan = Plan(url=wallet.url, rate=60, duration_s=1.6, timeout_s=0.2, grace_s=3)
        moods = (0.4, mood), (1.2, "well")
        log = await written(plan, tmp_path / "log", *moods, wallet=wallet)
    summary = summarise(log)
    assert 0.6 <= summary.outage_s <= 1.3
    assert summary.unacked == 0
    # On a busy machine the time of an attempt may be over before it was sent, or answered.
    told = [a for a in log.attempts if a.outcome is outcome or "no answer" not in a.detail]
    assert {a.outcome for a in told} == {Outcome.OK, outcome}
    # The schedule went on: far more transfers than workers were tried in the meantime, however
    # long that became on a busy machine.
    during = {a.key for a in log.attempts if a.outcome is outcome}
    began, ended = wallet.changed_at
    assert len(during) > plan.rate * (ended - began) / 2
    assert ended - began > 0.2
    assert summary.acked >= 70


async def test_who_is_not_answered_asks_ever_more_rarely(tmp_path: Path) -> None:
    async with FakeWallet().serving() as wallet:
        plan = Plan(
            url=wallet.url, rate=40, workers=1, in_flight=1, duration_s=2, timeout_s=0.1, grace_s=0
        )
        log = await written(plan, tmp_path / "log", (0.0, "silent"), wallet=wallet)
    starts = [a.sent_at for a in log.attempts]
    pauses = [b - a.at for a, b in zip(log.attempts, starts[1:], strict=False)]
    assert {a.key for a in log.attempts} == {"w-0-1"}
    assert max(pauses[:2]) < 0.05, "the first are sent again at once"
    assert 4 <= len(pauses) <= 7
    assert pauses[3] > 0.09
    assert pauses[4] > 0.19


async def test_who_is_refused_asks_ever_more_rarely(tmp_path: Path) -> None:
    async with FakeWallet().serving() as wallet:
        wallet.mood = "failing"
        plan = Plan(url=wallet.url, rate=40, workers=1, in_flight=1, duration_s=2, grace_s=0)
        log = await written(plan, tmp_path / "log", wallet=wallet)
    starts = [a.sent_at for a in log.attempts]
    gaps = [b - a for a, b in pairwise(starts)]
    assert {a.key for a in log.attempts} == {"w-0-1"}
    assert gaps[0] > 0.019, "not in a busy loop"
    assert len(gaps) < 2 / 0.1
    assert min(gaps[4:]) > 0.14


async def test_nothing_listening_is_a_failure_and_not_a_doubt(tmp_path: Path) -> None:
    plan = Plan(url=f"http://127.0.0.1:{free_port()}", duration_s=0.3, grace_s=0.1)
    log = await written(plan, tmp_path / "log", wallet=FakeWallet())
    assert {a.outcome for a in log.attempts} == {Outcome.FAIL}
    summary = summarise(log)
    assert (summary.acked, summary.unacked > 5) == (0, True)
    assert summary.outage_s == pytest.approx(summary.duration_s, abs=1e-4)
    assert len(log.attempts) < 400, "a refused connection is not retried in a busy loop"


async def test_a_log_without_an_end_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with FakeWallet().serving() as wallet:
        await written(Plan(url=wallet.url, duration_s=0.3), path, wallet=wallet)
    whole = read(path)
    text = path.read_text().splitlines()
    path.write_text("\n".join(text[:-1])[:-7])
    cut = read(path)
    assert (whole.complete, cut.complete) == (True, False)
    assert cut.attempts == whole.attempts[:-1]


async def test_who_answers(capsys: pytest.CaptureFixture[str]) -> None:
    wallet = FakeWallet()
    changes = Changes()
    wallet.port = free_port()
    prober = Prober(wallet.url, 0.02, 0.2, changes.tell)
    async with asyncio.TaskGroup() as group:
        group.create_task(prober.run())
        await asyncio.to_thread(wait_until, lambda: changes.count.get("nobody", 0) > 3, "nobody")
        async with wallet.serving():
            await asyncio.to_thread(wait_until, lambda: changes.count.get("dc1", 0) > 3, "dc1")
            prober.stop()
            await asyncio.sleep(0.1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["site"] for line in lines] == ["nobody", "dc1"]
    assert changes.summary()["probes"] == sum(changes.count.values())


def test_a_gap_in_the_answers_is_counted() -> None:
    changes = Changes()
    for at in (1.0, 1.1, 2.6, 2.7):
        changes.tell(Answer(asked_at=at, at=at, site="dc1"))
    assert changes.summary()["longest_gap_s"] == pytest.approx(1.5)


# --- the pure part -------------------------------------------------------------------------------


def attempt(key: str, at: float, outcome: Outcome = Outcome.OK, site: str = "dc1") -> Attempt:
    return Attempt(sent_at=at - 0.01, at=at, key=key, attempt=1, outcome=outcome, site=site)


def test_the_longest_time_without_an_acknowledgement() -> None:
    attempts = (
        attempt("a", 10.1),
        attempt("b", 10.4, Outcome.FAIL),
        attempt("b", 11.0, Outcome.UNKNOWN),
        attempt("b", 11.5, site="dc2"),
        attempt("c", 11.6, site="dc2"),
        attempt("d", 11.7, Outcome.FAIL),
    )
    log = Log(started_at=10.0, ended_at=12.0, complete=True, attempts=attempts)
    summary = summarise(log)
    assert (summary.outage_from, summary.outage_until) == (10.1, 11.5)
    assert summary.outage_s == pytest.approx(1.4)
    assert (summary.acked, summary.unacked) == (3, 1)
    assert (summary.failed_attempts, summary.unknown_attempts) == (2, 1)
    assert summary.by_site == {"dc1": 1, "dc2": 2}
    later = summarise(log, after=11.55)
    assert later.acked == 1
    assert later.outage_s == pytest.approx(0.4)


def test_a_run_that_never_recovers_counts_to_its_end() -> None:
    log = Log(started_at=0.0, ended_at=9.0, complete=True, attempts=(attempt("a", 1.0),))
    assert summarise(log).outage_s == 8.0


@given(st.lists(st.text("abc", max_size=2)), st.lists(st.text("abc", max_size=2)))
def test_missing_and_repeated(acked: list[str], present: list[str]) -> None:
    lost = missing(acked, present)
    assert set(lost) == set(acked) - set(present)
    assert len(lost) == len(set(lost))
    assert set(repeated(present)) == {key for key in present if present.count(key) > 1}


@given(st.lists(st.floats(0, 10)))
def test_no_gap_is_longer_than_the_longest(times: list[float]) -> None:
    since, until = longest_gap(times, 0.0, 10.0)
    assert not any(since < time < until for time in times)
    assert until - since >= 10.0 / (len(times) + 1) - 1e-9


@pytest.mark.parametrize(
    ("postgres", "mysql", "code"),
    [
        ("a\nb\nc\n", "a\nb\n", 0),
        ("a\n", "a\nb\n", 1),
        ("a\nb\n", "b\n", 1),
        ("a\nb\na\n", "a\nb\n", 1),
        ("", "", 1),
    ],
)
def test_the_proof_can_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], postgres: str, mysql: str, code: int
) -> None:
    with LogFile(tmp_path / "log") as log:
        log.event("start")
        for key in "ab":
            log.attempt(attempt(key, 1.0))
        log.attempt(attempt("c", 1.0, Outcome.UNKNOWN))
        log.event("end")
    (tmp_path / "postgres").write_text(postgres)
    (tmp_path / "mysql").write_text(mysql)
    command = ["check", "--log", str(tmp_path / "log")]
    command += ["--postgres-keys", str(tmp_path / "postgres")]
    command += ["--mysql-keys", str(tmp_path / "mysql")]
    assert main(command) == code
    found = json.loads(capsys.readouterr().out)
    assert found["acked"] == 2
    assert set(found["missing_postgres"]) == {"a", "b"} - set(postgres.split())
    assert set(found["missing_mysql"]) == {"a", "b"} - set(mysql.split())


# --- all of it together --------------------------------------------------------------------------


@pytest.mark.contract
def test_a_database_is_killed_under_load(postgres: Server, mariadb: Server, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(PASSWORD)
    port, log = free_port(), tmp_path / "log"
    python, url = [sys.executable, "-m"], f"http://127.0.0.1:{port}"
    wallet = subprocess.Popen(
        [
            *(*python, "lab.wallet", "--listen", f"127.0.0.1:{port}", "--site", "dc1"),
            *("--name", "app1", "--password-file", str(tmp_path / "secret")),
            *("--postgres", postgres.conninfo(), "--mysql", mariadb.conninfo()),
        ]
    )
    command = [*python, "lab.client", "write", "--url", url, "--log", str(log), "--rate", "100"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: acked(log) > 50, "fifty acknowledged writes")
        for server in (postgres, mariadb):
            server.kill()
            before = acked(log)
            server.start()
            wait_until(lambda before=before: acked(log) > before + 50, "writes go on")  # type: ignore[misc]
        client.send_signal(signal.SIGTERM)
        output, _ = client.communicate(timeout=10)
        summary = json.loads(output)
        for database in ("postgres", "mysql"):
            path = "ledger" if database == "postgres" else "journal"
            keys = subprocess.run(
                ["curl", "-sf", f"{url}/{path}/keys"], capture_output=True, check=True, timeout=10
            )
            (tmp_path / database).write_bytes(keys.stdout)
    finally:
        for process in (client, wallet):
            process.terminate()
            process.wait(10)
    assert client.returncode == 0
    assert (summary["acked"] > 150, summary["unacked"]) == (True, 0)
    assert summary["unknown_attempts"] + summary["failed_attempts"] > 0
    checking = ["check", "--log", str(log), "--postgres-keys", str(tmp_path / "postgres")]
    assert main([*checking, "--mysql-keys", str(tmp_path / "mysql")]) == 0


def acked(log: Path) -> int:
    return len(acked_keys(read(log))) if log.exists() else 0
