"""What the adapter and the lab's configuration lean on in haproxy itself."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.haproxy_process import HaproxyProcess

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(60)]


@pytest_asyncio.fixture
async def haproxy() -> AsyncIterator[HaproxyProcess]:
    folder = Path(tempfile.mkdtemp(prefix="tricast-haproxy-"))
    process = HaproxyProcess(folder)
    process.state_dir.mkdir()
    try:
        await process.start()
        yield process
    finally:
        process.kill()
        for app in process.apps:
            await app.stop()
        shutil.rmtree(folder)


async def say(haproxy: HaproxyProcess, line: str) -> str:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(haproxy.socket)
        writer.write(line.encode() + b"\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer.decode()


async def row(haproxy: HaproxyProcess, server: str) -> dict[str, str]:
    lines = (await say(haproxy, "show servers state be_wallet")).splitlines()
    names = lines[1].split()[1:]
    rows = [dict(zip(names, line.split(), strict=True)) for line in lines[2:] if line]
    return next(each for each in rows if each["srv_name"] == server)


async def changes(haproxy: HaproxyProcess, column: str, values: set[str]) -> None:
    """Until the first server's `column` is none of `values`."""
    end = time.monotonic() + 5
    while (await row(haproxy, "dc1-app1"))[column] in values:
        assert time.monotonic() < end, f"{column} stays in {values}"
        await asyncio.sleep(0.02)


async def test_disabled_in_the_file_is_forced_maintenance_and_a_mark(
    haproxy: HaproxyProcess,
) -> None:
    assert (await row(haproxy, "dc1-app1"))["srv_admin_state"] == "5"
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    assert (await row(haproxy, "dc1-app1"))["srv_admin_state"] == "4"


async def test_a_server_let_in_is_up_before_its_first_check(haproxy: HaproxyProcess) -> None:
    """So opening costs no check interval; a dead server is open for one check's time."""
    line = "set server be_wallet/dc1-app1 state ready;show servers state be_wallet"
    table = (await say(haproxy, line)).splitlines()
    assert next(each for each in table if " dc1-app1 " in each).split()[5] == "2"
    await changes(haproxy, "srv_op_state", {"2"})  # no app is running in this test


async def test_a_wrong_command_does_not_stop_the_rest_of_its_line(haproxy: HaproxyProcess) -> None:
    line = "set server be_wallet/none state maint;set server be_wallet/dc1-app1 state ready"
    assert (await say(haproxy, line)).strip() == "No such server."
    assert (await row(haproxy, "dc1-app1"))["srv_admin_state"] == "4"


async def test_an_unknown_backend_has_no_table(haproxy: HaproxyProcess) -> None:
    assert (await say(haproxy, "show servers state be_none")).strip() == "Can't find backend."


async def test_servers_in_maintenance_are_not_checked(haproxy: HaproxyProcess) -> None:
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    await changes(haproxy, "srv_check_result", {"0", "1"})
    assert (await row(haproxy, "dc1-app2"))["srv_check_result"] == "0"


async def test_the_kept_state_overrules_disabled_and_the_port(haproxy: HaproxyProcess) -> None:
    """The second is a trap: whoever changes a server's port must delete the kept file."""
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    table = await say(haproxy, "show servers state be_wallet")
    (haproxy.state_dir / "be_wallet").write_text(table)
    haproxy.kill()
    port = haproxy.apps[0].port
    haproxy.apps[0].port = haproxy.apps[7].port
    await haproxy.start()
    found = await row(haproxy, "dc1-app1")
    assert found["srv_admin_state"] == "4"
    assert found["srv_port"] == str(port)
    assert (await row(haproxy, "dc1-app2"))["srv_admin_state"] == "5"


async def test_garbage_in_the_kept_state_does_not_stop_the_start(haproxy: HaproxyProcess) -> None:
    haproxy.kill()
    (haproxy.state_dir / "be_wallet").write_bytes(b"\xff\x00 not a table\n1 2 3\n")
    await haproxy.start()
    assert (await row(haproxy, "dc1-app1"))["srv_admin_state"] == "5"


async def lines(haproxy: HaproxyProcess, backend: str) -> dict[str, dict[str, str]]:
    """Each server of `backend`, by column."""
    _, head, *rest = (await say(haproxy, f"show servers state {backend}")).splitlines()
    rows = [dict(zip(head.split()[1:], line.split(), strict=True)) for line in rest if line]
    return {row["srv_name"]: row for row in rows}


async def test_a_server_that_tracks_stays_in_maintenance_after_a_start_with_kept_states(
    haproxy: HaproxyProcess,
) -> None:
    """So low-priority backends are directed as others are; `track` would do until then."""
    text = haproxy.configuration()
    tracked = f"127.0.0.1:{haproxy.apps[0].port} no-check enabled track be_wallet/dc1-app1"
    text += f"\nbackend be_tracking\n    server dc1-app1 {tracked}\n"
    haproxy.configuration = lambda: text  # type: ignore[method-assign]
    haproxy.kill()
    await haproxy.start()
    await say(haproxy, "set server be_wallet/dc1-app1 state ready")
    assert (await lines(haproxy, "be_tracking"))["dc1-app1"]["srv_admin_state"] == "0"
    table = await say(haproxy, "show servers state be_wallet")
    (haproxy.state_dir / "be_wallet").write_text(table)
    haproxy.kill()
    await haproxy.start()
    assert (await lines(haproxy, "be_wallet"))["dc1-app1"]["srv_admin_state"] == "4"
    assert (await lines(haproxy, "be_tracking"))["dc1-app1"]["srv_admin_state"] == "2"


async def test_the_age_of_a_switch_counts_from_when_it_was_turned_and_not_asked_for_again(
    haproxy: HaproxyProcess,
) -> None:
    column = "srv_time_since_last_change"
    gate = "tricast_shed/be_reports"

    async def age() -> int:
        return int((await lines(haproxy, "tricast_shed"))["be_reports"][column])

    await say(haproxy, f"set server {gate} state ready")
    end = time.monotonic() + 5
    while await age() < 2:
        assert time.monotonic() < end, "it does not grow"
        await asyncio.sleep(0.05)
    await say(haproxy, f"set server {gate} state ready")
    assert await age() >= 2
    await say(haproxy, f"set server {gate} state maint")
    assert await age() < 2
