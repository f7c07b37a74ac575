"""Faults that move nothing: one link of the triangle, the witness, one of several servers."""

import time

import pytest

from tests.lab.system import Load, System, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

PATIENT_S = 4.0
LONG_ENOUGH_S = 4.0  # many times the suspicion time


async def unmoved(system: System, holder: str, epoch: int) -> None:
    """For long enough, `holder` serves under `epoch`."""

    async def look() -> str:
        seen = await system.eyes.service(holder)
        role = (await system.side(holder, holder)).get("role")
        found = (seen.get("holder"), seen.get("epoch"), role)
        return "" if found == (holder, epoch, "primary") else f"{holder} shows {found}"

    await holds_for(LONG_ENOUGH_S, look)


async def commits_go_on(load: Load) -> None:
    """New writes are acknowledged, and none has failed."""
    await load.acked(60, after=time.monotonic())
    assert load.not_ok() == []


async def test_the_data_sites_do_not_hear_each_other(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        await system.lab.part("dc1", "dc2")
        await unmoved(system, holder, epoch)
        await commits_go_on(load)  # the keeper acknowledges
        assert f"{other} is not heard" in await system.warnings(holder)
        await system.lab.join("dc1", "dc2")
        await system.settled()
        assert load.not_ok() == []
    assert await system.intact(load) == (holder, other)
    assert await system.epoch(holder) == epoch


async def test_the_witness_is_cut_off(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        await system.lab.cut("witness")
        await unmoved(system, holder, epoch)
        await commits_go_on(load)  # the standby acknowledges

        async def warned() -> str:
            seen = await system.eyes.service(holder)
            clear = "the NEXT failure cannot be survived automatically"
            votes = [f"{name}: the copy at witness does not vote" for name in ("ledger", "journal")]
            said = [*seen["warnings"], seen["guarantee"]]
            missing = [
                text
                for text in (clear, "witness is not heard", *votes)
                if not any(text in line for line in said)
            ]
            return f"not said: {missing}; said: {said}" if missing else ""

        await system.until("a clear warning", warned, within_s=15)
        await system.lab.heal("witness")
        await system.settled()
        assert load.not_ok() == []
    assert await system.intact(load) == (holder, other)
    assert await system.epoch(holder) == epoch


async def test_one_app_server_is_killed(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        system.lab.kill(f"{holder}-app1", "wallet", stay_down=True)
        killed_at = time.monotonic()
        await unmoved(system, holder, epoch)
        await load.acked(60, after=killed_at)
        # What was in its hands is lost with it; haproxy sends the rest to the other server.
        failed = load.not_ok()
        assert len(failed) <= 8, f"{len(failed)} requests failed: {failed[:3]}"
        assert all(a.at < killed_at + 1.5 for a in failed), "requests fail long after the fault"
        apps = (await system.side(holder, holder))["apps"]
        assert apps == {"up": 1, "total": 2}
        await system.lab.start(f"{holder}-app1", "wallet")
        await system.settled()
    assert await system.intact(load) == (holder, other)
    assert await system.epoch(holder) == epoch
