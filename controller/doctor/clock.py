"""Watches the other sites' reports arrive, and asks the kernel about our own clock."""

import asyncio
import ctypes
import os
import time
from datetime import datetime
from typing import Final

from controller.adapters.clock import SystemClock
from controller.core.model import SiteName
from controller.doctor.around import Around, reports, store
from controller.doctor.judging import clock as judging
from controller.doctor.judging.row import Row
from controller.ports import PortError

POLL_S: Final = 0.1
STA_UNSYNC: Final = 0x40
TIME_ERROR: Final = 5


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex, with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


async def look(around: Around) -> list[Row]:
    """The clock of each other site, and whether ours is kept in time."""
    began = time.monotonic()
    try:
        apart = await _apart(around)
    except PortError as error:
        rows = [judging.unseen(site, str(error)) for site in around.others]
    else:
        watched_s = time.monotonic() - began
        rows = [judging.skew(site, apart.get(site), watched_s) for site in around.others]
    return [*rows, judging.synchronised(*kernel_clock())]


async def _apart(around: Around) -> dict[SiteName, judging.Apart]:
    """A report that came between two reads was stamped between them, so its stamp tells how far
    its site's clock is from ours.
    """
    clock, timings = SystemClock(), around.cluster.timings
    until = time.monotonic() + 2 * timings.report_s + 1.0
    found: dict[SiteName, judging.Apart] = {}
    async with store(around) as opened:
        before = _now(clock)
        first = await reports(opened, around.cluster.etcd.deadline_s)
        while len(found) < len(around.others) and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            asked = _now(clock)
            newest = await reports(opened, around.cluster.etcd.deadline_s)
            after = _now(clock)
            for site in set(around.others) & newest.keys() - found.keys():
                at = newest[site].at
                told = _seconds(at)
                if told is not None and (site not in first or first[site].at != at):
                    found[site] = judging.Apart(least_s=before - told, most_s=after - told)
            before = asked
    return found


def kernel_clock() -> tuple[bool | None, str]:
    """Whether the kernel takes its clock for synchronised, and what else it says of it."""
    state = _Timex()
    result = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    if result < 0:
        return None, os.strerror(ctypes.get_errno())
    good = result != TIME_ERROR and not state.status & STA_UNSYNC
    return good, f"greatest error {state.maxerror / 1000:.0f} ms"


def _now(clock: SystemClock) -> float:
    return datetime.fromisoformat(clock.stamp()).timestamp()


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None  # another version writes otherwise
