"""The end of the log of a sealed standby: replayed as far as its records are whole.

What a receiver was given may end in the middle of a record, for a primary sends whole pages when
it is not in a hurry. The startup process then tries to read on for ever, and never says that it
cannot. The record's own length says so at once.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import Final

from controller.adapters.postgres_deadline import left, within
from controller.adapters.postgres_eyes import Eyes
from controller.adapters.postgres_link import Link, literal
from controller.adapters.postgres_look import Look
from controller.adapters.postgres_sql import RELOAD
from controller.core.position import Position
from controller.hostagent import wal
from controller.ports import TimedOut

POLL_S: Final = 0.002
POKE_S: Final = 0.03
POKES: Final = 3  # tries to read on that must have failed, where the record says nothing

PROGRESS: Final = """
select pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),
    (select wait_event from pg_stat_activity where backend_type = 'startup')
"""
_PAGE: Final = struct.Struct("<HHIQ")  # magic, flags, timeline, position
_LENGTH: Final = struct.Struct("<I")  # a record begins with its length


@dataclass(slots=True)
class Tail:
    """Reads and waits, over one connection; changes nothing."""

    name: str
    link: Link
    eyes: Eyes

    async def settled(self, deadline: float) -> tuple[Look, Position]:
        """All the log it holds is replayed; a look then, and where its last whole record ends."""
        poked, pokes = within(0), 0
        while True:
            received, replayed, wait = (await self.link.again(PROGRESS, deadline=deadline))[0]
            if wait == "RecoveryRetrieveRetryInterval" and replayed:
                if pokes > POKES or await self._is_whole(replayed, received, deadline):
                    look = await self.eyes.look(deadline)
                    if look.replayed == replayed:
                        return look, self.eyes.at(look, replayed)
                elif within(0) > poked:
                    poked, pokes = within(POKE_S), pokes + 1
                    await self.link.again(RELOAD, deadline=deadline)
            await asyncio.sleep(POLL_S)

    async def replayed_to(self, target: str, deadline: float) -> None:
        """Everything up to `target` is replayed."""
        while True:
            _, replayed, _ = (await self.link.again(PROGRESS, deadline=deadline))[0]
            if replayed and wal.to_bytes(replayed) >= wal.to_bytes(target):
                return
            if left(deadline) <= POLL_S:
                raise TimedOut(f"{self.name} has replayed {replayed}, not yet {target}")
            await asyncio.sleep(POLL_S)

    async def _is_whole(self, replayed: str, received: str | None, deadline: float) -> bool:
        """No whole record that was received is left: none at all, or the next one ends later."""
        start, end = wal.to_bytes(replayed), wal.to_bytes(received or replayed)
        if start >= end:
            return True
        rows = await self.link.again(page_and_length(start), deadline=deadline)
        ends = [record_end(start, bytes.fromhex(row[0] or ""), row[1] or "") for row in rows]
        known = [found for found in ends if found is not None]
        return bool(known) and min(known) > end


def page_and_length(start: int) -> str:
    """The beginning of the page that holds `start`, and the length of the record there, in hex, of
    each file that has this part of a log: of one timeline or of several.
    """
    segment = wal.segment_of(1, start)
    page = start - start % wal.PAGE_BYTES
    offset, at = page - segment.start, wal.record_start(start) - segment.start
    path = "'pg_wal/' || name"
    return f"""
select encode(pg_read_binary_file({path}, {offset}, {_PAGE.size}, true), 'hex'),
    encode(pg_read_binary_file({path}, {at}, {_LENGTH.size}, true), 'hex')
from pg_ls_dir('pg_wal') as name
where length(name) = 24 and substr(name, 9) = {literal(segment.name[8:])}
"""  # noqa: S608 - numbers, and a name made of numbers


def record_end(start: int, page: bytes, length: str) -> int | None:
    """Where the record ends; None where the file holds something else at this place."""
    raw = bytes.fromhex(length)
    if len(page) != _PAGE.size or len(raw) != _LENGTH.size:
        return None
    _, _, _, position = _PAGE.unpack(page)
    (size,) = _LENGTH.unpack(raw)
    if position != start - start % wal.PAGE_BYTES or size < wal.RECORD_HEADER:
        return None
    return wal.record_end(wal.record_start(start), size)
