"""The holder is cut off silently: clients come back, nothing is lost, it rejoins by itself."""

import time

import pytest

from lab.client.attempts import Attempt
from tests.lab.system import System

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

CLIENT2_BACK_S = 5.0  # generous: this machine plays every node at once
HOLD_S = 9.0  # after which provider 1 forgets its silent customer
CLIENT1_BACK_S = HOLD_S + 5.0


async def test_dc1_is_cut_off(system: System) -> None:
    await system.held_by("dc1")
    epoch = await system.epoch("dc1")
    copies = await _copies_made_afresh(system)
    async with system.load("client1", "client2") as load:
        cut_at = await system.lab.cut("dc1")
        await system.until_held_by("dc2", above=epoch)
        await load.of("client2").acked(20, after=cut_at)
        back = _first_ack_of(load.of("client2").acks(cut_at), "dc2") - cut_at
        assert back < CLIENT2_BACK_S, f"client2 wrote again only {back:.2f} s after the cut"

        # dc2 wins by the shorter path alone: nobody has forgotten dc1 yet.
        paths = {str(path["as_path"]): path["best"] for path in await system.eyes.route("ix")}
        at_provider = await system.best_route("isp1")
        assert time.monotonic() - cut_at < HOLD_S, "looked too late to tell"
        assert paths == {"64502 64510": True, "64501 64510 64510": False}
        assert at_provider == "64510 64510", "provider 1 must prefer its customer's route"

        async def isolated() -> str:
            side = await system.side("dc1", "dc1")
            seen = (side.get("role"), side.get("stance"))
            return "" if seen == ("isolated", "isolated") else f"dc1 is {seen}"

        await system.until("dc1 knows that it is cut off", isolated, within_s=20)
        await load.acked(20, after=cut_at)
        back = _first_ack_of(load.of("client1").acks(cut_at), "dc2") - cut_at
        assert back < CLIENT1_BACK_S, f"client1 wrote again only {back:.2f} s after the cut"
        assert not [a for a in load.of("client2").acks(cut_at) if a.site == "dc1"]

        await system.lab.heal("dc1")
        await system.settled()
    assert await system.intact(load) == ("dc2", "dc1")
    assert await system.best_route("ix") == "64502 64510 64510"
    assert await _copies_made_afresh(system) == copies, "dc1 was copied, not rewound"
    assert (await system.side("dc2", "dc1"))["rule"] == 420


async def test_dc2_is_cut_off_and_its_provider_s_clients_have_none(system: System) -> None:
    await system.held_by("dc2")
    epoch = await system.epoch("dc2")
    async with system.load("client1", "client2") as load:
        cut_at = await system.lab.cut("dc2")
        await system.until_held_by("dc1", above=epoch)
        await load.acked(20, after=cut_at)
        for node in ("client1", "client2"):
            back = _first_ack_of(load.of(node).acks(cut_at), "dc1") - cut_at
            assert back < CLIENT2_BACK_S, f"{node} wrote again only {back:.2f} s after the cut"
        await system.lab.heal("dc2")
        await system.settled()
    assert await system.intact(load) == ("dc1", "dc2")


def _first_ack_of(acks: list[Attempt], site: str) -> float:
    return min((a.at for a in acks if a.site == site), default=float("inf"))


async def _copies_made_afresh(system: System) -> str:
    """When a base backup last replaced dc1's PostgreSQL; "" for never."""
    aside = await system.lab.run(
        "dc1-db", ["stat", "-c", "%Z", "/var/lib/postgresql/15/ledger.aside"], check=False
    )
    return aside.stdout
