"""What no failover of PostgreSQL can be faster than: `pg_promote` of a bare standby.

A primary and its streaming standby on this machine, no supervisor: the primary is killed, the
standby is promoted at once, and the clock stops at the first write that it accepts.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

import psycopg

from lab.netns.error import LabError
from lab.rehearsal.pair import Pair, running_pair

_WRITABLE_WITHIN_S: Final = 10


async def promote_s(beside: Path) -> float:
    """Seconds from the promotion's start to the first accepted write; files go `beside`."""
    async with running_pair(beside) as pair:
        return await asyncio.to_thread(_fail_over, pair)


def _fail_over(pair: Pair) -> float:
    """The primary was killed, the standby promoted, and has accepted a write."""
    with pair.session("standby") as promoter, pair.session("standby") as writer:
        pair.kill("primary")
        began = time.monotonic()
        promoter.execute("select pg_promote(false)")
        while True:
            try:
                writer.execute("insert into seen values (now())")
                return time.monotonic() - began
            except psycopg.errors.ReadOnlySqlTransaction:
                if time.monotonic() > began + _WRITABLE_WITHIN_S:
                    raise LabError("the bare standby does not become writable") from None
                time.sleep(0.001)
