"""The ten situations at three in the morning: what is seen, what is typed, what is seen then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.lab.desk import Desk, situations
from tests.lab.system import System, edge

pytestmark = [pytest.mark.lab, pytest.mark.runbook, pytest.mark.timeout(400)]

Situation = Callable[[System, Desk], Awaitable[None]]
ALL = situations()


@asynccontextmanager
async def cut_off(system: System, site: str) -> AsyncIterator[None]:
    await system.lab.cut(site)
    try:
        yield
    finally:
        await system.lab.heal(site)


async def seen(system: System, site: str, *texts: str, within_s: float = 30) -> None:
    """The status at `site` says each of these, as a person reads it."""

    async def look() -> str:
        desk = Desk(system, [])
        shown = (await desk.enter("tricast status --service wallet", at=site)).stdout
        missing = [text for text in texts if text not in shown]
        return f"not shown: {missing} in\n{shown}" if missing else ""

    await system.until(f"status at {site} says {texts}", look, within_s=within_s)


async def a_datacenter_died(system: System, desk: Desk) -> None:
    epoch = await system.epoch("dc1")
    async with asyncio.TaskGroup() as tasks:
        async with cut_off(system, "dc1"):
            await system.until_held_by("dc2", above=epoch)
            await seen(system, "dc2", "dc1 is not heard", "2 of 3 voters", "the NEXT failure")
            told = await desk.type("tricast history", at="dc2")
            assert "dc1 -> dc2" in told
            assert "nothing acknowledged is lost" in told
            live = f"timeout -s INT 25 {desk.line('tricast watch')}"
            watched = tasks.create_task(desk.enter(live, at="dc2"))
        await system.settled()
    assert "3 of 3 voters" in watched.result().stdout
    told = await desk.type("tricast switchover", at="dc1")
    assert "is done: dc1 serves" in told
    assert "nothing acknowledged is lost" in told


async def nobody_took_over(system: System, desk: Desk) -> None:
    for before, line in (
        ("tricast pause --service wallet --reason x", "tricast resume"),
        ("tricast drain dc2 --reason x --yes", "tricast undrain"),
        ("tricast fence dc2 --reason x --yes", "tricast unfence"),
    ):
        assert (await desk.enter(before, at="dc1")).code == 0, before
        await desk.type(line, at="dc1")
        await system.settled()
    system.stop_daemon("witness")
    await system.until_daemon_is_dead("witness")
    async with cut_off(system, "dc1"), asyncio.TaskGroup() as tasks:
        await seen(system, "dc2", "dc1 is not heard", "standby")
        assert "witness" in await desk.type("tricast explain wallet --url", at="dc2")
        to_dc2 = "tricast failover --service wallet --to dc2"
        assert "witness" in await desk.type(f"{to_dc2} --reason", at="dc2", code=3)
        await desk.type("tricast explain wallet", at="dc2")
        forced = tasks.create_task(desk.type(f"{to_dc2} --allow-data-loss", at="dc2"))
        await asyncio.sleep(3)  # what it asks is answered; then it waits for a voter
        await system.restart_daemon("witness")
    assert "is done: dc2 serves" in forced.result()


async def a_takeover_does_not_end(system: System, desk: Desk) -> None:
    epoch = await system.epoch("dc1")
    # With dc1 cut off, the journal can be proved by nobody but dc2 and the witness together.
    assert system.lab.freeze("witness", ["keeper-mariadb"])
    async with cut_off(system, "dc1"):
        try:

            async def begun() -> str:
                side = await system.side("dc2", "dc2")
                return "" if side.get("rule") in (300, 301, 310, 311) else str(side.get("rule"))

            await system.until("dc2 climbs", begun, within_s=30)
            told = await desk.type("tricast explain", at="dc2")
            assert "[>]" in told
        finally:
            system.lab.thaw("witness", ["keeper-mariadb"])
        await system.until_held_by("dc2", above=epoch, within_s=40)


async def commits_hang(system: System, desk: Desk) -> None:
    await system.lab.power_off("witness")
    await system.lab.power_off("dc2-db")
    try:
        await seen(system, "dc1", "1 of 3 voters; commits wait")
        told = await desk.type("tricast topology", at="dc1")
        assert "dc2" in told
    finally:
        await system.lab.power_on("dc2-db")
        await system.lab.power_on("witness")


async def the_witness_is_gone(system: System, desk: Desk) -> None:
    system.stop_daemon("witness")
    await system.until_daemon_is_dead("witness")
    await seen(system, "dc1", "witness is not heard")
    told = await desk.type("tricast topology", at="dc1")
    assert "site witness" in told
    assert desk.line("systemctl") == "systemctl restart tricast-witness"
    await system.restart_daemon("witness")


async def no_majority(system: System, desk: Desk) -> None:
    for site in ("dc2", "witness"):
        system.lab.kill(edge(site), "etcd", stay_down=True)
    await seen(system, "dc1", "roles stay as they are, traffic goes on")
    line = f"export ETCDCTL_API=3; {desk.line('etcdctl')}"
    assert (await desk.enter(line, at="dc1")).code != 0, "without a majority it cannot list them"
    assert desk.line("systemctl") == "systemctl restart etcd"
    for site in ("dc2", "witness"):
        await system.lab.start(edge(site), "etcd")
    assert (await desk.enter(line, at="dc1")).code == 0


async def the_daemon_is_gone(system: System, desk: Desk) -> None:
    system.stop_daemon("dc1")
    await system.until_daemon_is_dead("dc1")
    told = await desk.type("tricast status", at="dc1")
    assert "no tricast daemon answers" in told
    assert "what stands in etcd" in told
    assert "not judged: no daemon was asked" in told
    told_by_others = await desk.enter(desk.line("tricast topology"), at="dc1")
    assert "dc2" in told_by_others.stdout
    assert '"event"' in desk.log("journalctl", edge("dc1"), "controller")
    await desk.type("tricast config check", at="dc1")
    assert desk.line("systemctl") == "systemctl restart tricast"
    await system.restart_daemon("dc1")


async def sessions_are_down(system: System, desk: Desk) -> None:
    await system.lab.cut_link("dc1-edge", "isp1")
    try:
        await seen(system, "dc1", "BGP sessions of dc1 are up")
        assert "announces" in await desk.type("tricast topology", at="dc1")
        assert desk.log("journalctl", edge("dc1"), "exabgp")
        told = await desk.type("tricast switchover", at="dc1")
        assert "is done: dc2 serves" in told
        assert desk.line("systemctl") == "systemctl restart exabgp"
        system.lab.kill(edge("dc1"), "exabgp")
    finally:
        await system.lab.heal_link("dc1-edge", "isp1")
    await system.settled()
    told = (await desk.enter("tricast topology --service wallet", at="dc1")).stdout
    assert "announces backup" in told
    assert "announces preferred" in told


async def a_database_stays_away(system: System, desk: Desk) -> None:
    epoch = await system.epoch("dc1")
    system.lab.kill("dc1-db", "sshd", stay_down=True)  # nobody there can be told to rewind it
    async with cut_off(system, "dc1"):
        await system.until_held_by("dc2", above=epoch)
    try:

        async def told_of() -> str:
            side = await system.side("dc1", "dc1")
            failing = [why for key, why in side.get("evidence", {}).items() if "failing" in key]
            return "" if failing else f"rule {side.get('rule')}, nothing fails"

        await system.until("dc1 says what fails", told_of, within_s=30)
        told = await desk.type("tricast explain", at="dc1")
        assert "failing database:" in told
        assert desk.log("journalctl", edge("dc1"), "controller")
    finally:
        await system.lab.start("dc1-db", "sshd")
    told = await desk.type("tricast rejoin", at="dc1")
    assert "is done" in told


async def it_wants_to_move_again(system: System, desk: Desk) -> None:
    epoch = await system.epoch("dc1")
    async with cut_off(system, "dc1"):
        await system.until_held_by("dc2", above=epoch)
    await system.settled()
    epoch = await system.epoch("dc2")
    for app in ("dc2-app1", "dc2-app2"):
        system.lab.kill(app, "wallet", stay_down=True)
    try:

        async def forbidden() -> str:
            rule = (await system.side("dc1", "dc1")).get("rule")
            return "" if rule == 391 else f"rule {rule}"

        await system.until("dc1 may not take over yet", forbidden, within_s=30)
        await desk.type("tricast explain", at="dc2")
        await desk.type("tricast ack", at="dc2")
        await system.until_held_by("dc1", above=epoch)
    finally:
        for app in ("dc2-app1", "dc2-app2"):
            await system.lab.start(app, "wallet")
    await desk.type("tricast pause", at="dc1")
    await desk.type("tricast resume", at="dc1")


PLAYED: dict[int, Situation] = {
    1: a_datacenter_died,
    2: nobody_took_over,
    3: a_takeover_does_not_end,
    4: commits_hang,
    5: the_witness_is_gone,
    6: no_majority,
    7: the_daemon_is_gone,
    8: sessions_are_down,
    9: a_database_stays_away,
    10: it_wants_to_move_again,
}


@pytest.mark.parametrize("number", sorted(ALL))
async def test_a_situation_is_mastered_with_what_its_page_says(system: System, number: int) -> None:
    await system.held_by("dc1")
    await system.forget_flaps()
    desk = Desk(system, list(ALL[number]))
    await PLAYED[number](system, desk)
    assert not desk.lines, f"never typed: {desk.lines}"
    await system.settled()
