"""Epochs that were climbed half-way, or from the same point twice: nothing acknowledged is lost."""

import time

import pytest

from tests.lab.direct import direct_client
from tests.lab.system import System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


async def climb_and_die(system: System, holder: str, other: str, step: str) -> None:
    """`holder` is cut off; `other` owns a newer epoch, and has died after `step`."""
    system.stop_daemon(other)
    await system.start_daemon(other, TRICAST_CRASH_AFTER=f"wallet:{step}")
    await system.daemons_answer(other)
    await system.settled()
    await system.lab.cut(holder)
    await system.until_daemon_is_dead(other)
    await system.lab.cut(other)


async def test_a_deposed_primary_that_wins_again_closes_first(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client2") as load, direct_client(system, holder) as direct:
        await climb_and_die(system, holder, other, "logs_sealed")
        # Nobody tells the old primary that it was deposed, and its sessions still wait.
        system.stop_daemon(holder)
        await system.lab.heal(holder)
        healed_at = time.monotonic()

        async def silent() -> str:
            acks = [a for table in ("ledger", "journal") for a in direct.acks(table, healed_at)]
            return f"a sealed voter has acknowledged: {acks}" if acks else ""

        await holds_for(2, silent)
        await system.lab.start(edge(holder), "controller")
        await system.until_held_by(holder, above=epoch + 1, within_s=40)
        await load.acked(20, after=healed_at)
        for table in ("ledger", "journal"):
            resumed = [a for a in direct.acks(table, healed_at) if a.sent_at < healed_at]
            assert not resumed, f"{table} went on with what had waited: {resumed}"
        await _of_epoch(system, holder)

        await system.lab.heal(other)
        await system.lab.start(edge(other), "controller")
        await system.settled()
        # And a later takeover by the other site drops nothing.
        regained = await system.epoch(holder)
        await system.lab.cut(holder)
        await system.until_held_by(other, above=regained)
        await system.lab.heal(holder)
        await system.settled()
    assert await system.intact(load) == (other, holder)
    await direct.nothing_lost(other)
    await _of_epoch(system, other)


async def test_two_promotions_from_one_point_are_two_timelines(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client2") as load:
        await climb_and_die(system, holder, other, "promoted@ledger")
        assert await system.timeline(other) == epoch + 1
        before = await _saved_tails(system, other)
        healed_at = await system.lab.heal(holder)
        await system.until_held_by(holder, above=epoch + 1, within_s=40)
        await load.acked(20, after=healed_at)
        assert await system.timeline(holder) == epoch + 2
        await system.lab.heal(other)
        await system.lab.start(edge(other), "controller")
        await system.settled()
    assert await system.intact(load) == (holder, other)
    saved = await _saved_tails(system, other) - before
    assert any(name.startswith(f"timeline-{epoch + 1}-") for name in saved), saved
    assert (await system.side(holder, other))["rule"] == 420


async def _of_epoch(system: System, site: str) -> None:
    """Both databases of `site` write under the epoch it owns."""
    epoch = await system.epoch(site)
    assert await system.timeline(site) == epoch
    row = await system.mariadb(f"{site}-db", "select max(epoch) from tricast.epoch")
    assert row.stdout.strip() == str(epoch)


async def _saved_tails(system: System, site: str) -> set[str]:
    """What PostgreSQL at `site` has thrown away so far, and kept aside."""
    directory = "/var/lib/tricast/postgres/ledger/discarded"
    done = await system.lab.run(f"{site}-db", ["ls", directory], check=False)
    return set(done.stdout.split())
