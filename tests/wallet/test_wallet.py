"""The wallet against real databases: acknowledged is committed twice, and retried is done once."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.wallet.conftest import Caller
from tests.wallet.servers import PASSWORD, Server, free_port, wait_until

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@contextmanager
def no_voter(postgres: Server) -> Iterator[None]:
    """Every commit waits for a standby that is not there."""
    _set_standbys(postgres, "nobody")
    try:
        yield
    finally:
        _set_standbys(postgres, "")


def _set_standbys(postgres: Server, names: str) -> None:
    postgres.postgres_admin(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    postgres.postgres_admin("SELECT pg_reload_conf()")
    shown = "SHOW synchronous_standby_names"
    wait_until(lambda: postgres.postgres_admin(shown) == [(names,)], "standby names in force")
    # Commits wait only once the checkpointer too has read the file.
    wait_until(lambda: _would_wait(postgres) == bool(names), "commits wait as asked")


def _would_wait(postgres: Server) -> bool:
    command = ["psql", "-XAtq", postgres.admin_conninfo("wallet"), "-c", "TRUNCATE ledger"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        postgres.postgres_admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )
        process.wait(5)
        return True
    return False


@asynccontextmanager
async def no_replica(mariadb: Server) -> AsyncIterator[None]:
    """Every commit waits for a replica that is not there."""
    mariadb.mysql_run("SET GLOBAL rpl_semi_sync_master_enabled = 1")
    try:
        yield
    finally:
        mariadb.mysql_run("SET GLOBAL rpl_semi_sync_master_enabled = 0")


def one_waits(postgres: Server) -> bool:
    return postgres.postgres_admin(WAITING) == [(1,)]


def in_ledger(postgres: Server, key: str) -> list[tuple[object, ...]]:
    return postgres.postgres_admin(
        f"SELECT amount, attempts FROM ledger WHERE transfer_key = '{key}'"
    )


def in_journal(mariadb: Server, key: str) -> list[tuple[object, ...]]:
    return mariadb.mysql_run(
        f"SELECT amount, attempts FROM wallet.journal WHERE transfer_key = '{key}'"
    )


async def test_acknowledged_is_in_both(wallet: Caller, postgres: Server, mariadb: Server) -> None:
    status, answer = await wallet.transfer("k1")
    assert status == 200
    assert (answer["site"], answer["server"], answer["key"]) == ("dc1", "app1", "k1")
    assert in_ledger(postgres, "k1") == [(5, 1)]
    assert in_journal(mariadb, "k1") == [(5, 1)]


async def test_a_retry_has_its_effect_once(
    wallet: Caller, postgres: Server, mariadb: Server
) -> None:
    answers = [await wallet.transfer("k1") for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert len({str(answer["id"]) for _, answer in answers}) == 1
    assert in_ledger(postgres, "k1") == [(5, 3)]
    assert in_journal(mariadb, "k1") == [(5, 3)]


async def test_retries_at_once_have_one_effect(
    wallet: Caller, postgres: Server, mariadb: Server
) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wallet.transfer("same")) for _ in range(12)]
    assert {task.result()[0] for task in tasks} == {200}
    assert len(in_ledger(postgres, "same")) == len(in_journal(mariadb, "same")) == 1


async def test_keys_differ_by_case(wallet: Caller, mariadb: Server) -> None:
    assert [(await wallet.transfer(key))[0] for key in ("key-a", "KEY-A")] == [200, 200]
    assert mariadb.mysql_run("SELECT count(*) FROM wallet.journal") == [(2,)]


async def test_a_key_never_stands_for_two_transfers(wallet: Caller, postgres: Server) -> None:
    assert (await wallet.transfer("k1", amount=5))[0] == 200
    status, answer = await wallet.transfer("k1", amount=6)
    assert (status, answer["outcome"]) == (409, "failed")
    assert in_ledger(postgres, "k1")[0][0] == 5


async def test_a_commit_without_a_voter_is_unknown_and_never_cancelled(
    wallet: Caller, postgres: Server
) -> None:
    with no_voter(postgres):
        status, answer = await wallet.transfer("k1")
        assert (status, answer["outcome"]) == (503, "unknown")
        # A cancel would have ended the wait and shown the row.
        await asyncio.sleep(0.1)
        assert postgres.postgres_admin(WAITING) == [(1,)]
        assert in_ledger(postgres, "k1") == []
    wait_until(lambda: postgres.postgres_admin(WAITING) == [(0,)], "the wait is over")
    assert (await wallet.transfer("k1"))[0] == 200
    assert len(in_ledger(postgres, "k1")) == 1


async def test_a_cancelled_wait_is_no_acknowledgement(wallet: Caller, postgres: Server) -> None:
    with no_voter(postgres):
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(wallet.transfer("k1"))
            await asyncio.to_thread(wait_until, lambda: one_waits(postgres), "a commit waits")
            postgres.postgres_admin(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
        status, answer = asked.result()
        assert (status, answer["outcome"]) == (503, "unknown")
        assert "canceling wait for synchronous replication" in str(answer["error"])
        # The row is visible now, but a retry still waits: seeing it proves nothing.
        assert len(in_ledger(postgres, "k1")) == 1
        assert (await wallet.transfer("k1"))[0] == 503
    wait_until(lambda: postgres.postgres_admin(WAITING) == [(0,)], "the wait is over")


async def test_a_ledger_killed_at_commit_is_unknown_and_the_retry_completes(
    wallet: Caller, postgres: Server, mariadb: Server
) -> None:
    with no_voter(postgres):
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(wallet.transfer("k1"))
            await asyncio.to_thread(wait_until, lambda: one_waits(postgres), "a commit waits")
            postgres.kill()
        status, answer = asked.result()
        assert (status, answer["outcome"]) == (503, "unknown")
        assert len(in_journal(mariadb, "k1")) == 1
        status, answer = await wallet.transfer("k2")
        assert (status, answer["outcome"]) == (503, "unknown")  # its journal row is there
        postgres.start()
    assert [(await wallet.transfer(key))[0] for key in ("k1", "k2")] == [200, 200]
    assert len(in_ledger(postgres, "k1")) == len(in_ledger(postgres, "k2")) == 1


async def test_a_journal_that_waits_moves_no_money(
    wallet: Caller, postgres: Server, mariadb: Server
) -> None:
    async with no_replica(mariadb):
        status, answer = await wallet.transfer("k1")
        assert (status, answer["outcome"]) == (503, "unknown")
        assert in_ledger(postgres, "k1") == []
    assert (await wallet.transfer("k1"))[0] == 200
    assert len(in_journal(mariadb, "k1")) == len(in_ledger(postgres, "k1")) == 1


async def test_a_journal_killed_is_reconnected(
    wallet: Caller, postgres: Server, mariadb: Server
) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(wallet.transfer(f"warm-{n}"))
    mariadb.kill()
    status, answer = await wallet.transfer("k1")
    assert (status, answer["outcome"]) == (503, "failed")
    status, text = await wallet.get("/healthz")
    assert (status, json.loads(text)["broken"]) == (503, "mysql")
    assert in_ledger(postgres, "k1") == []
    mariadb.start()
    # Every dead connection has been dropped, so the first attempt is already good.
    assert (await wallet.transfer("k1"))[0] == 200


async def test_a_read_only_journal_is_a_plain_failure(wallet: Caller, mariadb: Server) -> None:
    mariadb.mysql_run("SET GLOBAL read_only = 1")
    try:
        status, answer = await wallet.transfer("k1")
        assert (status, answer["outcome"]) == (503, "failed")
    finally:
        mariadb.mysql_run("SET GLOBAL read_only = 0")


async def test_health_names_the_first_broken_link(wallet: Caller, postgres: Server) -> None:
    assert (await wallet.get("/healthz"))[0] == 200
    postgres.kill()
    try:
        status, text = await wallet.get("/healthz")
        assert (status, json.loads(text)["broken"]) == (503, "postgres")
        assert [link["link"] for link in json.loads(text)["chain"]] == ["wallet", "postgres"]
    finally:
        postgres.start()
    assert (await wallet.get("/healthz"))[0] == 200


async def test_what_is_there_can_be_listed(wallet: Caller) -> None:
    for n in range(5):
        await wallet.transfer(f"k{n}", amount=10 + n)
    status, text = await wallet.get("/ledger")
    summary = json.loads(text)
    assert (status, summary["count"], summary["sum"]) == (200, 5, 60)
    status, report = await wallet.get("/reports/ledger")
    assert (status, json.loads(report)["sum"]) == (200, 60)
    status, text = await wallet.get(f"/ledger?after={summary['last_id']}")
    assert json.loads(text)["count"] == 0
    for path in ("/ledger/keys", "/journal/keys"):
        status, text = await wallet.get(path)
        assert (status, text.split()) == (200, ["k0", "k1", "k2", "k3", "k4"])
    assert (await wallet.get("/ledger?after=x"))[0] == 400


@pytest.mark.parametrize(
    ("key", "body", "names"),
    [
        (None, b'{"from":"a","to":"b","amount":1}', "Idempotency-Key"),
        ("x" * 65, b'{"from":"a","to":"b","amount":1}', "Idempotency-Key"),
        ("k", b"not json", "JSON"),
        ("k", b"[]", "object"),
        ("k", b'{"from":"a b","to":"b","amount":1}', "from"),
        ("k", b'{"from":"a","amount":1}', "to"),
        ("k", b'{"from":"a","to":"b","amount":0}', "amount"),
        ("k", b'{"from":"a","to":"b","amount":true}', "amount"),
        ("k", b'{"from":"a","to":"b","amount":1.5}', "amount"),
    ],
)
async def test_nonsense_is_refused(
    wallet: Caller, key: str | None, body: bytes, names: str
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    async with wallet.client.post("/transfer", data=body, headers=headers) as response:
        assert response.status == 400
        assert names in (await response.json())["error"]


def test_as_a_program(postgres: Server, mariadb: Server, tmp_path: Path) -> None:
    secret = tmp_path / "wallet"
    secret.write_text(PASSWORD + "\n")
    ports = free_port(), free_port()
    python = [sys.executable, "-m", "lab.wallet", "--site", "dc2", "--name", "app2", "--listen"]
    commands = (
        [
            *(*python, f"127.0.0.1:{ports[0]}", "--password-file", str(secret)),
            *("--postgres", postgres.conninfo(), "--mysql", mariadb.conninfo()),
        ],
        [*python, f"127.0.0.1:{ports[1]}", "--no-database", "--service", "lobby"],
    )
    processes = [subprocess.Popen(command) for command in commands]
    try:
        for port, service in zip(ports, ("wallet", "lobby"), strict=True):
            wait_until(lambda port=port: _health(port) == 200, "the program is healthy")  # type: ignore[misc]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/whoami", timeout=2) as answer:
                assert json.load(answer) == {"service": service, "site": "dc2", "server": "app2"}
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(5) for process in processes] == [0, 0]


def _health(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return int(answer.status)
    except OSError:
        return None
