"""Webhooks against a real web server, commands as real processes."""

import asyncio
import json
import os
import sys
from pathlib import Path
from threading import Event

import pytest

from controller.adapters.notice_command import NoticeCommand
from controller.adapters.webhook import Webhook
from controller.config import Secret
from controller.ports import PortError, Refused, TimedOut, Unreachable
from tests.notify.post_office import post_office

JSON = "application/json"


async def test_a_webhook_posts_the_body_with_its_headers() -> None:
    async with post_office() as office:
        said = await office.webhook(Authorization="Bearer t0ken").deliver(b'{"a":1}', JSON, 5.0)
        [(headers, body)] = office.posted
    assert said == "status 200"
    assert body == b'{"a":1}'
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Content-Type"] == JSON


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, PortError), (503, PortError), (429, PortError), (404, Refused), (302, Refused)],
)
async def test_what_a_web_server_says_against_it(status: int, kind: type[PortError]) -> None:
    async with post_office() as office:
        office.answers.append(status)
        with pytest.raises(PortError, match=f"127.0.0.1:{office.port}: status {status}$") as caught:
            await office.webhook(Authorization="t0ken").deliver(b"{}", JSON, 5.0)
        assert len(office.posted) == 1
    assert type(caught.value) is kind
    assert "s3cret" not in str(caught.value)


async def test_a_slow_web_server_is_given_up_in_time() -> None:
    async with post_office() as office:
        office.delay_s = 5.0
        with pytest.raises(TimedOut, match=r"no answer within 0\.2 s"):
            await office.webhook().deliver(b"{}", JSON, 0.2)


async def test_nobody_listens_and_the_url_is_not_told() -> None:
    async with post_office() as office:
        webhook = office.webhook()
    with pytest.raises(Unreachable) as caught:
        await webhook.deliver(b"{}", JSON, 5.0)
    assert "s3cret" not in str(caught.value)
    assert webhook.where == f"http://127.0.0.1:{office.port}"


async def test_a_header_that_cannot_be_sent_is_an_error_without_its_value() -> None:
    webhook = Webhook(Secret("http://127.0.0.1:1/"), {"X": Secret("bad\r\nt0ken")})
    with pytest.raises(PortError) as caught:
        await webhook.deliver(b"{}", JSON, 5.0)
    assert "t0ken" not in str(caught.value)


async def test_a_name_is_looked_up() -> None:
    async with post_office() as office:
        webhook = Webhook(Secret(f"http://localhost:{office.port}/"), {})
        assert await webhook.deliver(b"{}", JSON, 5.0) == "status 200"
        with pytest.raises(PortError, match=r"no-such-name\.invalid"):
            await Webhook(Secret("http://no-such-name.invalid/"), {}).deliver(b"{}", JSON, 10.0)


async def test_a_name_server_that_hangs_takes_none_of_the_threads_that_promises_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, asked = Event(), list[str]()

    def hangs(host: str, *_: object) -> list[object]:
        asked.append(host)
        held.wait(60)
        return []

    monkeypatch.setattr("controller.adapters.webhook_names.socket.getaddrinfo", hangs)
    webhooks = [Webhook(Secret(f"http://hook{n}.example/"), {}) for n in range(40)]
    try:
        for webhook in webhooks:
            with pytest.raises(TimedOut):
                await webhook.deliver(b"{}", JSON, 0.01)
        with pytest.raises(PortError, match="still hangs"):
            await webhooks[0].deliver(b"{}", JSON, 10.0)
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "written") == "written"
        assert len(asked) == 40
    finally:
        held.set()


def python(code: str) -> NoticeCommand:
    return NoticeCommand((sys.executable, "-c", code))


async def test_a_command_reads_the_notice_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRICAST_SECRET", "hunter2")
    out = tmp_path / "out"
    command = python(
        "import json, os, sys; "
        f"json.dump([json.load(sys.stdin), dict(os.environ)], open({str(out)!r}, 'w'))"
    )
    assert await command.deliver(b'{"a": 1}', JSON, 10.0) == "exit 0"
    notice, environment = json.loads(out.read_text())
    assert notice == {"a": 1}
    assert "hunter2" not in environment.values()


async def test_a_command_that_fails_says_its_first_line() -> None:
    with pytest.raises(PortError, match=r"exit 3: no modem$"):
        await python("print('no modem'); print('x' * 10**6); raise SystemExit(3)").deliver(
            b"{}", JSON, 10.0
        )


async def test_a_command_need_not_read_what_it_is_given() -> None:
    assert await NoticeCommand(("/bin/true",)).deliver(b"x" * 2_000_000, JSON, 10.0) == "exit 0"


async def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreachable, match="/nowhere/tell: No such file"):
        await NoticeCommand(("/nowhere/tell",)).deliver(b"{}", JSON, 5.0)


async def test_a_slow_command_is_killed_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = NoticeCommand(("/bin/sh", "-c", f"sleep 60 & echo $! $$ > {pids}; wait"))
    with pytest.raises(TimedOut, match="did not end within 3 s"):
        await command.deliver(b"{}", JSON, 3.0)
    async with asyncio.timeout(10):
        while not all(_gone(int(pid)) for pid in pids.read_text().split()):
            await asyncio.sleep(0.01)


def _gone(pid: int) -> bool:
    """Ended, or ended and not yet reaped by whoever inherits it."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state in {"Z", "X"}
