"""Heartbeats that were forged, cut short, altered or recorded keep no dead site alive."""

import re
import signal
import time

import pytest

from tests.lab.system import System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

ADDRESS = {"dc1": "10.1.0.1", "dc2": "10.2.0.1"}
TOWARD = {"dc1": "eth1", "dc2": "eth2"}  # the interfaces of the WAN's router
FORGER = "/opt/tricast/tests/lab/forger.py"


async def test_a_flood_of_them_neither_moves_nor_keeps_anything(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client2") as load:
        forger = await system.lab.start_process(
            "wan",
            ["/usr/bin/python3", FORGER, TOWARD[other], ADDRESS[holder], ADDRESS[other]],
        )
        try:
            assert forger.process.stdout is not None
            assert await forger.process.stdout.readline() == b"captured\n"
            before = await _dropped(system, other)

            async def unmoved() -> str:
                seen = await system.eyes.service(other)
                return "" if seen.get("epoch") == epoch else f"{other} shows {seen}"

            await holds_for(2, unmoved)
            cut_at = await system.lab.cut(holder)
            await system.until_held_by(other, above=epoch, within_s=10)
            took = time.monotonic() - cut_at
            assert took < 6, f"the takeover took {took:.1f} s: recorded heartbeats were believed"
            after = await _dropped(system, other)
        finally:
            forger.signal(signal.SIGKILL)
            await forger.finish(5)
        counted = {why: after[why] - before.get(why, 0) for why in after}
        assert len([why for why, count in counted.items() if count > 20]) >= 3, counted
        await load.acked(20, after=cut_at)
        await system.lab.heal(holder)
        await system.settled()
    assert await system.intact(load) == (other, holder)


async def _dropped(system: System, site: str) -> dict[str, float]:
    """How many datagrams the daemon of `site` did not believe, by reason."""
    url = f"http://{ADDRESS[site]}:7800/metrics"
    done = await system.lab.run(edge(site), ["curl", "-s", "--max-time", "3", url])
    found = re.findall(
        r'^tricast_heartbeats_dropped_total\{reason="(.+?)"\} (\S+)', done.stdout, re.MULTILINE
    )
    return {reason: float(count) for reason, count in found}
