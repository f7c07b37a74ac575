"""A provider prefers its customer's route and keeps that of a dead site: halves go round it."""

import time

import pytest

from lab.rehearsal.eyes import DATA_SITES, PREFIX
from lab.scenario.providers import Providers
from lab.scenario.settings import Settings, more_specifics
from tests.lab.system import System

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

PREFIXES = (PREFIX["wallet"], "2001:db8:100::/48")
HALVES = (
    "198.51.100.0/25",
    "198.51.100.128/25",
    "2001:db8:100::/49",
    "2001:db8:100:8000::/49",
)
SIX = "http://[2001:db8:100::10]/whoami"
BACK_S = 8.0  # generous: this machine plays every node at once


async def test_halves_reach_the_clients_of_a_provider_whose_route_is_stuck(system: System) -> None:
    await system.held_by("dc1")
    settings, providers = Settings(system.lab), Providers(system.lab)
    try:
        await settings.change(more_specifics, DATA_SITES)
        await system.held_by("dc1")
        await providers.stick("dc1")
        await system.settled()
        await _dies_and_returns(system)
    finally:
        await providers.restore()
        await settings.restore()


async def _dies_and_returns(system: System) -> None:
    epoch = await system.epoch("dc1")
    async with system.load("client1", "client2") as load:
        cut_at = await system.lab.cut("dc1")
        await system.until_held_by("dc2", above=epoch)
        await load.acked(20, after=cut_at)
        back = min(a.at for a in load.of("client1").acks(cut_at) if a.site == "dc2") - cut_at
        assert back < BACK_S, f"client1 wrote again only {back:.2f} s after the cut"

        # The dead site's routes are there, and preferred; only the longer prefixes lead to dc2.
        assert [await _best(system, "isp1", prefix) for prefix in PREFIXES] == ["64510 64510"] * 2
        assert [await _best(system, "isp1", half) for half in HALVES] == ["64500 64502 64510"] * 4
        assert await system.eyes.lands("client1", SIX) == "dc2"
        assert (await system.side("dc2", "dc2"))["more_specifics"] == list(HALVES)

        async def moved() -> str:
            lands = (await system.side("witness", "witness")).get("lands_at")
            return "" if lands == "dc2" else f"the witness lands at {lands or 'nobody'}"

        await system.until("the vantage sees it", moved, within_s=10)

        healed_at = await system.lab.heal("dc1")
        await system.settled()

        async def taken_back() -> str:
            for router in ("isp1", "isp2", "ix"):
                covered = [await _best(system, router, prefix) for prefix in PREFIXES]
                assert all(covered), f"{router} has no route to one of {PREFIXES}"
            left = [half for half in HALVES if await _best(system, "isp1", half)]
            return f"isp1 has {left}" if left else ""

        await system.until("the halves are taken back", taken_back, within_s=30)
        await load.acked(40, after=time.monotonic())
        failed = [a for a in load.not_ok(after=healed_at) if a.sent_at > healed_at]
        assert not failed, "a request that was sent after dc1 had come back failed"
    assert await system.intact(load) == ("dc2", "dc1")
    assert (await system.side("dc2", "dc2"))["stance"] == "preferred"


async def _best(system: System, router: str, prefix: str) -> str:
    """The AS path that the router uses for the prefix; "" for none."""
    return next(
        (str(p["as_path"]) for p in await system.eyes.route(router, prefix) if p["best"]), ""
    )
