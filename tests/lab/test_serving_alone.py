"""dc2 and the witness are gone, the store's majority with them: the last survivor serves alone."""

import pytest

from controller.web.schema import Status
from tests.lab.system import System, other_of
from tests.lab.test_switchover import tricast

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


async def test_the_holder_serves_alone_until_the_others_are_back(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    await system.lab.cut(other)
    await system.lab.cut("witness")

    async def refused() -> str:
        done = await tricast(
            system, holder, "force-single", holder, "--service", "wallet", "--confirm", holder
        )
        return "" if done.code == 0 else done.stderr[-200:]

    # Refused at first: the others were heard a moment ago.
    await system.until(f"{holder} is ordered to serve alone", refused, within_s=30)

    async def alone() -> str:
        seen = await system.eyes.service(holder)
        return "" if str(seen.get("guarantee", "")).startswith("NONE") else str(seen)[:200]

    await system.until("the status says so", alone, within_s=10)
    async with system.load("client1" if holder == "dc1" else "client2", timeout_s=4.0) as load:
        await load.acked(20)
    assert any("SERVES ALONE" in warning for warning in await system.warnings(holder))
    assert await system.epoch(holder) == epoch
    await system.lab.heal(other)
    await system.lab.heal("witness")
    assert (await system.settled())[0] == holder

    async def ended() -> str:
        done = await tricast(system, holder, "status", "--json")
        status = Status.model_validate_json(done.stdout)
        wallet = next(found for found in status.services if found.name == "wallet")
        return "" if wallet.guarantee.startswith("quorum: 3 of 3") else wallet.guarantee

    await system.until("every voter counts again", ended, within_s=30)
    await system.nothing_lost(load.keys, holder)
    assert other_of(holder) == other
