"""Measures round trips to the other sites: how long the kernel there takes to answer a SYN."""

import socket
import time
from contextlib import suppress
from typing import Final

from controller.core.model import SiteName
from controller.doctor.around import Around
from controller.doctor.aside import aside
from controller.doctor.judging import distance as judging
from controller.doctor.judging.row import Row

SAMPLES: Final = 100
BUDGET_S: Final = 3.0
ONE_S: Final = 1.0


async def look(around: Around) -> list[Row]:
    """Each other site, at the port of its API."""
    cluster = around.cluster
    rows = []
    for site in around.others:
        where = (cluster.api_address(site), cluster.api.port)
        samples, why = await aside(_measure, *where)
        rows.append(judging.profile(SiteName(site), samples, cluster.profile.value, why))
    return rows


def _measure(address: str, port: int) -> tuple[list[float], str]:
    """Round trips, and why there are no more. A refused connection is an answer, too."""
    samples: list[float] = []
    why, end = "", time.monotonic() + BUDGET_S
    while len(samples) < SAMPLES and time.monotonic() < end:
        began = time.perf_counter()
        with socket.socket(_family(address), socket.SOCK_STREAM) as probe:
            probe.settimeout(ONE_S)
            try:
                with suppress(ConnectionRefusedError):
                    probe.connect((address, port))
            except OSError as error:
                why = f"{address} port {port}: {error.strerror or 'no answer'}"
                break
            samples.append(time.perf_counter() - began)
    return samples, why


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
