"""Heartbeats carry what this site sees of the others; that one of them is late is told at once."""

import asyncio
from collections.abc import Callable

import structlog

from controller.ports import Heartbeats
from controller.runtime.hearing import Hearing

log = structlog.get_logger()

ALERT_S = 0.03  # while a site is late


async def tell_forever(
    hearing: Hearing,
    heartbeats: Heartbeats,
    on_late: Callable[[], None],
) -> None:
    """Every heartbeat tells what is seen. `on_late` is called again and again while a site has
    become late a short while ago; the first time is the moment at which it does.
    """
    heartbeats.say(hearing.tell)
    was_late = False
    while True:
        late = hearing.listen()
        if late:
            heartbeats.hurry()
            if not was_late:
                log.info("a site is late", sites=hearing.ages())
            on_late()
        was_late = late
        await asyncio.sleep(ALERT_S if late else hearing.late_in_s())
