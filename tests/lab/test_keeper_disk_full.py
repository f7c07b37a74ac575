"""The log keeper's disk fills up: it acknowledges nothing it does not hold, and comes back."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.lab.system import System

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SEGMENT_MB = 16
SMALL_DISK = """
set -eu
cd /var/lib/tricast
size=$(($(du -sm keeper | cut -f1) + $1))
mount -t tmpfs -o size=${size}m,mode=0755 tmpfs /mnt
cp -a keeper/. /mnt
mount --move /mnt /var/lib/tricast/keeper
"""
OWN_DISK = """
set -eu
umount /var/lib/tricast/keeper
"""


@asynccontextmanager
async def small_disk(system: System) -> AsyncIterator[None]:
    """What the keeper writes goes to a disk with room for two segments more."""
    await _stop_keeper(system)
    room = ["sh", "-c", SMALL_DISK, "sh", str(2 * SEGMENT_MB + 4)]
    await system.lab.run("witness", room)
    try:
        await system.lab.start("witness", "witness")
        yield
    finally:
        await _stop_keeper(system)
        await system.lab.run("witness", ["sh", "-c", OWN_DISK])
        await system.lab.start("witness", "witness")


async def _stop_keeper(system: System) -> None:
    system.stop_daemon("witness")
    system.lab.kill("witness", "keeper-postgres")


async def test_commits_go_on_with_the_standby_and_an_alarm_says_why(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client1", "client2", timeout_s=4.0) as load:
        async with small_disk(system):
            await system.settled()
            for _ in range(4):  # each switch makes the next segment necessary
                await load.acked(5, after=time.monotonic())
                await system.psql(holder, "select pg_switch_wal()")

            async def said() -> str:
                witness = await system.side("witness", "witness")
                problems = [p for d in witness.get("databases", []) for p in d["problems"]]
                words = [*problems, *await system.warnings("witness")]
                full = any("disk" in w or "No space" in w or "space left" in w for w in words)
                return "" if full else f"the witness says {words}"

            await system.until("the witness says that its disk is full", said, within_s=20)
            alone_at = time.monotonic()
            await load.acked(60, after=alone_at)

            async def warned() -> str:
                words = await system.warnings(holder)
                wanted = "ledger: the copy at witness does not vote"
                return "" if any(wanted in line for line in words) else str(words)

            await system.until("the holder warns that the keeper is gone", warned, within_s=20)
            assert await system.epoch(holder) == epoch
        await system.settled()
        assert load.not_ok() == []
    assert await system.intact(load) == (holder, other)
