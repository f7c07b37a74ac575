"""The data path needs neither the daemons nor the store."""

import time

import pytest

from lab.rehearsal.eyes import DATA_SITES
from tests.lab.system import DAEMON, System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SITES = (*DATA_SITES, "witness")
PATIENT_S = 4.0  # a request that is slow on this machine has not failed


async def test_every_daemon_is_killed_and_no_request_fails(system: System) -> None:
    holder, _ = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        for site in SITES:
            assert system.lab.kill(edge(site), DAEMON[site]) == 1
        killed_at = time.monotonic()
        await load.acked(80, after=killed_at)
        await system.daemons_answer()
        await system.settled()
        # All of them agree, and nothing has moved.
        for site in SITES:
            seen = await system.eyes.service(site)
            assert (seen["holder"], seen["epoch"]) == (holder, epoch), site
        await load.acked(40, after=time.monotonic())
        assert load.not_ok() == []
    assert await system.intact(load) == (holder, "dc2" if holder == "dc1" else "dc1")


async def test_all_of_the_store_is_killed_and_no_request_fails(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        for site in SITES:
            system.lab.kill(edge(site), "etcd", stay_down=True)

        async def said() -> str:
            for site in DATA_SITES:
                status = await system.eyes.status(site)
                warnings = await system.warnings(site)
                if status["store"]["ok"] or not any("etcd" in line for line in warnings):
                    return f"{site} says {status['store']} and warns of {warnings}"
            return ""

        async def unmoved() -> str:
            side = await system.side(holder, holder)
            seen = (side["role"], side["stance"])
            return "" if seen == ("primary", "preferred") else f"{holder} is {seen}"

        await system.until("the status says that the store is gone", said, within_s=10)
        began = time.monotonic()
        await holds_for(10, unmoved)
        await load.acked(200, after=began)
        for site in SITES:
            await system.lab.start(edge(site), "etcd")
        await system.settled()
        assert await system.epoch(holder) == epoch
        assert load.not_ok() == []
    assert await system.intact(load) == (holder, other)
    await system.settled("lobby")
