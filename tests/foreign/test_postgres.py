"""What tricast leans on in PostgreSQL 15, pinned: a failure here shakes the design."""

import asyncio
import signal
from contextlib import suppress

import pytest

from controller.core.model import Epoch
from controller.hostagent import pg_closed, pg_server, wal
from controller.hostagent.contract import Failed, account, run
from controller.ports import Refused, TimedOut
from tests.contract.postgres_world import BIN, DC2, WITNESS, Site, now, until, world

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(120)]


async def test_an_empty_or_missing_list_refuses_the_whole_hba_file() -> None:
    async with world() as w:
        gate = w.dc1.server.gate_dir
        for spoil in (lambda: (gate / "clients").write_text(""), (gate / "clients").unlink):
            await asyncio.to_thread(pg_closed.prepare, w.dc1.server)
            spoil()
            with pytest.raises(Failed, match=r"could not load .*pg_hba\.conf"):
                await asyncio.to_thread(pg_server.start, w.dc1.server, 10)
        # While it runs, the same mistake leaves the old rules in force: so lists are never empty.
        await w.begin(epoch=2)
        await _log_in(w.dc1)  # the open list is in force
        (gate / "clients").write_text("")
        await w.dc1.sql("select pg_reload_conf()")
        await _log_in(w.dc1)


async def test_whoever_connects_after_a_reload_meets_the_new_files() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        gate = w.dc1.server.gate_dir / "clients"
        opened = gate.read_text()
        async with asyncio.TaskGroup() as tasks:
            others = tasks.create_task(_connecting(w.dc1))
            for _ in range(50):
                gate.write_text("nobody_is_admitted\n")
                await w.dc1.sql("select pg_reload_conf()")
                with pytest.raises(Refused, match=r"no pg_hba\.conf entry"):
                    await _log_in(w.dc1)
                gate.write_text(opened)
                await w.dc1.sql("select pg_reload_conf()")
                await _log_in(w.dc1)
            others.cancel()


async def _connecting(site: Site) -> None:
    """Others who knock all the while."""
    while True:
        with suppress(Refused):
            await asyncio.gather(*(_log_in(site) for _ in range(4)))


async def _log_in(site: Site) -> None:
    link = site.link("wallet", "wallet")
    try:
        await link.query("select 1", deadline=now() + 5)
    finally:
        link.drop()


async def test_a_cancelled_wait_is_told_as_a_success() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), 5)
        await w.dc2.database.seal(Epoch(2), 5)
        await w.dc1.begin_write("cancelled")

        async def waits() -> bool:
            return (await w.dc1.state()).waiting_commits == 1

        await until("the commit waits", waits)
        await w.dc1.sql(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
        )
        # The server says INSERT 0 1 and a warning; our own link reads the warning as "unknown".
        with pytest.raises(TimedOut, match="cancelled the wait"):
            await w.dc1.client.finish(now() + 5)
        assert "cancelled" in await w.dc1.keys()


async def test_no_client_may_cancel_anothers_wait() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        for function in ("pg_cancel_backend(1)", "pg_terminate_backend(1)"):
            with pytest.raises(Refused, match="permission denied"):
                await w.dc1.client.query(f"select {function}", deadline=now() + 5)


async def test_sql_cannot_end_a_receiver() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        where = "from pg_stat_activity where backend_type = 'walreceiver'"
        before = await w.dc2.sql(f"select pid {where}")
        assert await w.dc2.sql(f"select pg_terminate_backend(pid) {where}") == [("f",)]
        assert await w.dc2.sql(f"select pid {where}") == before
        await w.dc2.agent.call("postgres-kill-receiver", {"database": "ledger"}, 10)

        async def another() -> bool:
            return await w.dc2.sql(f"select pid {where}") not in ([], before)

        await until("the startup process starts another", another)


async def test_a_diverged_standby_releases_commits_nobody_has() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.database.seal(Epoch(3), 5)
        await w.keeper.seal(Epoch(3), 5)
        bulk = "insert into ledger (transfer_key, from_account, to_account, amount, site, server)"
        bulk += " select 'phantom' || n, 'a', 'b', 1, 'x', 'y' from generate_series(1, 5000) as n"
        await w.dc1.client.begin(bulk, deadline=now() + 5)

        async def waits() -> bool:
            return (await w.dc1.state()).waiting_commits == 1

        await until("the phantoms are written", waits)
        w.dc1.signal(signal.SIGKILL)
        await w.dc2.database.promote(Epoch(3), 5)
        await w.dc2.database.admit(frozenset({w.dc1.name, WITNESS}), 5)
        await w.dc1.database.start(20)
        await w.dc1.database.follow(DC2, Epoch(3), quarantine=False, deadline_s=5)
        # dc1 never takes a record of epoch 3, the keeper is sealed, and yet:
        await w.dc2.database.canary("acknowledged by nobody", 10)
        assert (await w.dc1.state()).epoch == 2


async def test_waldump_wants_names_without_partial() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(3), 5)
        newest = max(w.keeper_spec.directory.glob("*.partial"))
        done = run([str(BIN / "pg_waldump"), str(newest)], account("postgres"), timeout_s=10)
        assert done.returncode != 0


async def test_promotion_takes_the_number_after_the_last_history() -> None:
    async with world() as w:
        await w.dc1.database.start(20)
        end = (await w.dc1.replayed()).position
        assert end is not None
        for number in (2, 3, 5):  # a gap at 4: the search ends there
            file = w.dc1.server.wal_dir / wal.history_name(number)
            file.write_text(f"1\t{end.text}\ttest\n")
            file.chmod(0o644)
        await w.dc1.sql("select pg_promote(true, 30)")
        rows = await w.dc1.sql("select pg_walfile_name(pg_current_wal_lsn())")
        assert (rows[0][0] or "")[:8] == "00000004"


def test_programs_are_those_of_version_15() -> None:
    found = run([str(BIN / "postgres"), "--version"], account("postgres"), timeout_s=10)
    assert " 15." in found.stdout
