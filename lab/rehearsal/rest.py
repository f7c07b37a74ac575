"""What a controller costs that has nothing to do: memory, and processor time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from lab.netns.lab import Lab

REST_S = 10
CONFIG = "/etc/tricast/tricast.yml"
SMALL = "/etc/tricast/one-service.yml"
DAEMONS = {"dc1-edge": "controller", "dc2-edge": "controller", "witness": "witness"}


async def at_rest(lab: Lab) -> dict[str, float]:
    """Resident MiB, and the percentage of one core, of dc1's controller."""
    pid = lab.processes("dc1-edge", "controller")[-1].pid
    before, began = cpu_s(pid), time.monotonic()
    await asyncio.sleep(REST_S)
    took = time.monotonic() - began
    return {
        "controller_rss_mib": round(_rss_mib(pid), 1),
        "controller_cpu_percent": round(100 * (cpu_s(pid) - before) / took, 2),
    }


@asynccontextmanager
async def only(lab: Lab, service: str) -> AsyncIterator[None]:
    """Meanwhile all daemons run with a configuration that has no other service."""
    for node in DAEMONS:
        whole: dict[str, Any] = yaml.safe_load((await lab.run(node, ["cat", CONFIG])).stdout)
        whole["services"] = [found for found in whole["services"] if found["name"] == service]
        lab.path(node, SMALL).write_text(yaml.safe_dump(whole), encoding="utf-8")
        await lab.run(node, ["mount", "--bind", SMALL, CONFIG])
    _restart(lab)
    try:
        yield
    finally:
        for node in DAEMONS:
            await lab.run(node, ["umount", CONFIG])
        _restart(lab)


def _restart(lab: Lab) -> None:
    for node, program in DAEMONS.items():
        lab.kill(node, program)


def cpu_s(pid: int) -> float:
    """Processor seconds that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
