"""Two services at different sites: one moves, and the other does not notice."""

import time

import pytest

from tests.lab.system import System, other_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

LOBBY = "http://192.0.2.10/whoami"


async def move_lobby(system: System, holder: str) -> None:
    """The lobby's servers at `holder` are killed, and the other site has taken over."""
    await system.forget_flaps()
    epoch = await system.epoch(holder, "lobby")
    for server in ("app1", "app2"):
        system.lab.kill(f"{holder}-{server}", "lobby", stay_down=True)
    await system.until_held_by(other_of(holder), above=epoch, service="lobby", within_s=20)

    async def lands() -> str:
        site = await system.eyes.lands("client2", LOBBY)
        return "" if site == other_of(holder) else f"client2 lands at {site or 'nobody'}"

    await system.until("client2 lands at the lobby's new holder", lands, within_s=15)
    for server in ("app1", "app2"):
        await system.lab.start(f"{holder}-{server}", "lobby")


async def test_the_lobby_moves_and_the_wallet_stays(system: System) -> None:
    wallet, _ = await system.settled()
    lobby, _ = await system.settled("lobby")
    if lobby == wallet:
        await move_lobby(system, lobby)
        lobby, _ = await system.settled("lobby")
    assert lobby != wallet
    wallet_epoch = await system.epoch(wallet)
    routes = await system.eyes.route("ix")
    async with system.load("client1", "client2", timeout_s=4.0) as load:
        await move_lobby(system, lobby)
        moved_at = time.monotonic()
        assert (await system.settled("lobby"))[0] == wallet
        await load.acked(40, after=moved_at)
        assert load.not_ok() == []
        assert await system.epoch(wallet) == wallet_epoch
        assert await system.eyes.route("ix") == routes
        assert {a.site for w in load.writers.values() for a in w.acks()} == {wallet}
    assert (await system.intact(load))[0] == wallet
