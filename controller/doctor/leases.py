"""Watches the holders of `lease` services renew."""

import asyncio
import time
from typing import Final

from controller.config import Service
from controller.core.model import Durability, EpochRecord, ServiceName
from controller.core.wire import BadRecord, decode_epoch, epoch_key
from controller.doctor.around import Around, store
from controller.doctor.judging import store as judging
from controller.doctor.judging.row import Row, bad, unknown
from controller.ports import PortError

SPARE_S: Final = 0.2


async def look(around: Around) -> list[Row]:
    """One row for each service of durability `lease`; they are watched side by side."""
    leased = [s for s in around.cluster.services if s.durability is Durability.LEASE]
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_service(around, service)) for service in leased]
    return [task.result() for task in asked]


async def _service(around: Around, service: Service) -> Row:
    lease_s = around.cluster.timings.lease_s
    try:
        first = await _record(around, service)
        began = time.monotonic()
        await asyncio.sleep(lease_s + SPARE_S)
        last = await _record(around, service)
    except BadRecord as error:
        step = "docs/runbook.md, etcd came back with an old record"
        return bad(judging.LEASES, service.name, str(error), step)
    except PortError as error:
        step = "see the rows of etcd"
        return unknown(judging.LEASES, service.name, str(error), step)
    if first is None or last is None:
        step = f"tricast explain {service.name}"
        return unknown(judging.LEASES, service.name, "it has no epoch yet", step)
    watched_s = time.monotonic() - began
    same = (first.epoch, first.holder) == (last.epoch, last.holder)
    advanced = last.renewal - first.renewal if same else 1  # a new epoch is a renewal, too
    return judging.renewal(service.name, last.holder, advanced, watched_s, lease_s)


async def _record(around: Around, service: Service) -> EpochRecord | None:
    key = epoch_key(ServiceName(service.name))
    async with store(around) as opened:
        entries = (await opened.read(key, around.cluster.etcd.deadline_s)).entries
    entry = entries.get(key)
    return None if entry is None else decode_epoch(key, entry.value, entry.revision)
