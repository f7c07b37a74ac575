"""Who may log in to a PostgreSQL server, and what weakens its guarantee."""

import asyncio
import functools
from collections.abc import Callable

import pytest

from controller.core.model import DatabaseState, Epoch
from controller.ports import PortError, Refused, TimedOut
from tests.contract.postgres_world import DC2, WITNESS, Site, now, until, world

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

USED = "select slot_name from pg_replication_slots where active order by slot_name"


async def test_closing_the_gate_cuts_every_client_and_lets_none_in() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        sessions = [w.dc1.link("wallet", "wallet") for _ in range(5)]
        for session in sessions:
            await session.query("select 1", deadline=now() + 5)
        await w.dc1.database.set_gate(opened=False, deadline_s=5)
        assert not (await w.dc1.state()).gate_open
        rows = await w.dc1.sql("select count(*) from pg_stat_activity where usename = 'wallet'")
        assert rows == [("0",)]
        with pytest.raises(Refused, match=r"no pg_hba\.conf entry"):
            await w.dc1.link("wallet", "wallet").query("select 1", deadline=now() + 5)
        await w.dc1.database.set_gate(opened=False, deadline_s=5)
        await w.dc1.database.set_gate(opened=True, deadline_s=5)
        await w.dc1.write("again")
        for session in sessions:
            session.drop()


async def test_a_voter_that_is_not_admitted_any_more_is_cut() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.database.admit(frozenset({WITNESS}), 5)
        state = await w.dc1.state()
        assert state.admitted == {WITNESS}
        assert {f.site for f in state.followers} == {WITNESS}

        async def gone() -> bool:
            return not (await w.dc2.state()).streaming

        await until("dc2 knows that it was cut", gone)
        await w.keeper.seal(Epoch(2), 5)
        await w.dc1.begin_write("nobody")
        with pytest.raises(TimedOut):
            await w.dc1.client.finish(now() + 1.0)
        await w.dc1.database.admit(frozenset({DC2}), 5)
        await w.dc1.client.finish(now() + 10)


async def test_a_voter_without_a_slot_is_not_admitted_until_it_has_one_again() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.keeper.seal(Epoch(2), 5)

        async def idle() -> bool:
            return await w.dc1.sql(USED) == [("dc2",)]

        await until("the keeper has left its slot", idle)
        await w.dc1.sql("select pg_drop_replication_slot('witness')")
        assert (await w.dc1.state()).admitted == {DC2}
        await w.dc1.database.admit(frozenset({DC2, WITNESS}), 5)
        assert (await w.dc1.state()).admitted == {DC2, WITNESS}
        await w.keeper.follow(w.dc1.name, Epoch(2), 10)


async def test_a_standby_admits_nobody() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        with pytest.raises(Refused, match="not a primary"):
            await w.dc2.database.admit(frozenset({WITNESS}), 5)
        with pytest.raises(PortError):
            await w.keeper.follow(DC2, Epoch(2), 5)


async def test_whoever_calls_itself_a_voter_is_found_and_cut() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc2.sql("select pg_reload_conf()")
        conninfo = (
            f"host=127.0.0.1 port={w.dc1.port} user=rejoin_dc2 application_name=dc2"
            f" passfile={w.dc2.directory}/gate/rejoin.pgpass"
        )
        await w.dc2.sql(f"alter system set primary_conninfo = '{conninfo}'")
        await w.dc2.sql("select pg_reload_conf()")
        await problem(w.dc1, lambda s: "rejoin_dc2 calls itself 'dc2'" in " ".join(s.problems))
        await w.dc2.database.seal(Epoch(2), 5)
        await w.dc1.database.admit(frozenset({DC2, WITNESS}), 5)
        assert {f.site for f in (await w.dc1.state()).followers} == {WITNESS}


async def problem(site: Site, seen: Callable[[DatabaseState], bool]) -> None:
    """The site's own look says it."""

    async def said() -> bool:
        return seen(await site.state())

    await until("the problem is said", said)


WEAKENED = (
    ("alter system set synchronous_standby_names = ''", "synchronous_standby_names is ''"),
    ("alter role wallet set synchronous_commit = 'local'", "synchronous_commit=local is set"),
    ("alter system set synchronous_commit = 'remote_write'", "must be on"),
    ("alter system set fsync = 'off'", "fsync is off"),
)


async def test_what_weakens_the_guarantee_is_said() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        assert (await w.dc1.state()).problems == ()
        for statement, said in WEAKENED:
            await w.dc1.sql(statement)
            await w.dc1.sql("select pg_reload_conf()")
            await problem(w.dc1, functools.partial(says, said))
        # A start through the host agent puts the server's own file in force again.
        await w.dc1.database.close(20)
        await problem(w.dc1, lambda s: len(s.problems) == 1 and says(WEAKENED[1][1], s))


def says(sentence: str, state: DatabaseState) -> bool:
    """A problem holds the sentence."""
    return sentence in " ".join(state.problems)


async def test_looking_is_cheap_and_survives_full_connection_slots() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        await w.dc1.sql("alter role wallet connection limit -1")
        crowd = [w.dc1.link("wallet", "wallet") for _ in range(90)]
        async with asyncio.TaskGroup() as tasks:
            for member in crowd:
                tasks.create_task(attempt(member.query("select 1", deadline=now() + 10)))
        fresh = w.dc1.adapter()
        assert (await fresh.observe(5)).writable
        times = []
        for _ in range(50):
            began = now()
            await fresh.observe(5)
            times.append(now() - began)
        assert sorted(times)[len(times) // 2] < 0.05  # some 2 ms on an idle machine
        for member in crowd:
            member.drop()
        await fresh.aclose()


async def attempt(action: object) -> None:
    """The action has ended, refused or not."""
    try:
        await action  # type: ignore[misc]
    except PortError:
        return


async def test_files_written_and_not_in_force_are_put_in_force_by_the_next_controller() -> None:
    async with world() as w:
        await w.begin(epoch=2)
        gate = w.dc1.directory / "gate/clients"
        await w.dc1.client.query("select 1", deadline=now() + 5)  # the open list is in force
        gate.write_text("nobody_is_admitted\n")
        w.dc1.client.drop()
        fresh = w.dc1.adapter()
        assert not (await fresh.observe(5)).gate_open

        async def refused() -> bool:
            try:
                await w.dc1.link("wallet", "wallet").query("select 1", deadline=now() + 5)
            except Refused:
                return True
            return False

        await until("the list is in force", refused)
        await fresh.aclose()
