"""Asks each member of etcd by itself, with a few writes and reads of a key that goes away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from controller.core.model import SiteName
from controller.doctor.around import Around, store
from controller.doctor.judging import store as judging
from controller.doctor.judging.row import Row
from controller.ports import PortError

TIMES: Final = 3
KEY_LIVES_S: Final = 5.0


async def look(around: Around) -> list[Row]:
    """Every member, and the leader they tell of."""
    cluster = around.cluster
    async with asyncio.TaskGroup() as tasks:
        asked = {site: tasks.create_task(_member(around, SiteName(site))) for site in cluster.sites}
    rows: list[Row] = []
    leaders: dict[str, str] = {}
    for site, task in asked.items():
        found = task.result()
        if isinstance(found, Row):
            rows.append(found)
            continue
        leaders[site] = found.leader
        rows += judging.member(site, found, cluster.etcd.deadline_s)
    return [*rows, judging.leader(leaders, cluster.witnesses)]


async def _member(around: Around, site: SiteName) -> judging.MemberSeen | Row:
    endpoint, deadline_s = around.cluster.sites[site].etcd, around.cluster.etcd.deadline_s
    key = f"doctor/{around.site}/{site}"
    try:
        async with store(around, (endpoint,)) as opened:
            status = await opened.status(deadline_s)
            put_s = await _slowest(lambda: opened.put_leased(key, b"", KEY_LIVES_S, deadline_s))
            get_s = await _slowest(lambda: opened.read(key, deadline_s))
    except PortError as error:
        return judging.silent(site, endpoint, str(error))
    return judging.MemberSeen(
        version=status.version,
        leader=status.leader,
        alarms=status.alarms,
        put_s=put_s,
        get_s=get_s,
    )


async def _slowest(call: Callable[[], Awaitable[object]]) -> float:
    slowest = 0.0
    for _ in range(TIMES):
        began = time.monotonic()
        await call()
        slowest = max(slowest, time.monotonic() - began)
    return slowest
