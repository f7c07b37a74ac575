"""A daemon that finds its surroundings wrong says so clearly, and half-applies nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.rehearsal.eyes import DATA_SITES
from tests.lab.system import Load, System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

PATIENT_S = 4.0
STRANGE_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"


@contextmanager
def replaced(system: System, node: str, secret: str, content: str) -> Iterator[None]:
    """The secret of the node is another one meanwhile."""
    path: Path = system.lab.state_dir / node / "secrets" / secret
    before = path.read_text()
    path.write_text(content)
    try:
        yield
    finally:
        path.write_text(before)


async def nothing_has_moved(system: System, load: Load, holder: str, epoch: int) -> None:
    """`holder` serves under `epoch`, and no request has failed."""
    await load.acked(40, after=time.monotonic())
    assert load.not_ok() == []
    seen = await system.eyes.service(holder)
    assert (seen["holder"], seen["epoch"]) == (holder, epoch)


async def said_by(system: System, site: str, *texts: str) -> None:
    """The status that `site` gives of itself contains each text."""

    async def look() -> str:
        side = await system.side(site, site)
        databases = [
            problem for found in side.get("databases", []) for problem in found["problems"]
        ]
        words = [*side.get("not_eligible_because", []), *databases]
        words += [*side.get("evidence", {}).values(), *await system.warnings(site)]
        missing = [text for text in texts if not any(text in line for line in words)]
        return f"not said: {missing}; said: {words}" if missing else ""

    await system.until(f"{site} says what is wrong", look, within_s=20)


async def test_the_store_is_unreachable_when_the_daemons_start(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        for site in (*DATA_SITES, "witness"):
            system.lab.kill(edge(site), "etcd", stay_down=True)
        for site in DATA_SITES:
            await system.restart_daemon(site)

        async def said() -> str:
            for site, wanted in ((holder, {130}), (other, {131})):
                side = await system.side(site, site)
                status = await system.eyes.status(site)
                if status["store"]["ok"] or side.get("rule") not in wanted:
                    return f"{site}: {status['store']}, rule {side.get('rule')}"
            return ""

        await system.until("both say that they know no epoch", said, within_s=20)

        async def untouched() -> str:
            stances = {site: (await system.side(site, site))["stance"] for site in DATA_SITES}
            return "" if stances == {holder: "preferred", other: "backup"} else str(stances)

        await holds_for(3, untouched)
        await load.acked(40, after=time.monotonic())
        for site in (*DATA_SITES, "witness"):
            await system.lab.start(edge(site), "etcd")
        await system.settled()
        await nothing_has_moved(system, load, holder, epoch)
    assert await system.intact(load) == (holder, other)
    await system.settled("lobby")


async def test_a_wrong_database_password(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        with replaced(system, edge(other), "database", "not-the-password\n"):
            await system.restart_daemon(other)
            await said_by(system, other, "password authentication failed", "was not let in")
            assert (await system.side(other, other))["eligible"] is False
            await nothing_has_moved(system, load, holder, epoch)
        await system.restart_daemon(other)
        await system.settled()
    assert await system.intact(load) == (holder, other)
    log = system.lab.log(edge(other), "controller").read_text()
    assert "not-the-password" not in log


async def test_an_unknown_host_key(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    address = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}[other]
    async with system.load("client1", "client2", timeout_s=PATIENT_S) as load:
        with replaced(system, edge(other), "known_hosts", f"{address} {STRANGE_KEY}\n"):
            await system.restart_daemon(other)
            await system.settled()
            # Now it needs the host agent, and will not speak to a host it does not know.
            system.lab.kill(f"{other}-db", "postgres")
            await said_by(system, other, "the key of host", "ledger here is down")
            assert system.lab.processes(f"{other}-db", "postgres") == ()
            await nothing_has_moved(system, load, holder, epoch)
        await system.settled()
    assert await system.intact(load) == (holder, other)
