"""Where a standby's log ends in the middle of a record: known by the record, with a real server."""

import pytest

from controller.adapters.postgres_link import Link
from controller.adapters.postgres_sql import RELOAD
from controller.adapters.postgres_tail import page_and_length, record_end
from controller.core.model import Epoch
from controller.hostagent import wal
from tests.contract.postgres_world import until, world

PAGE, SEGMENT = wal.PAGE_BYTES, wal.SEGMENT_BYTES


def page_at(position: int) -> bytes:
    header = bytes.fromhex("10d10000") + (1).to_bytes(4, "little") + position.to_bytes(8, "little")
    assert len(header) == 16
    return header


def length(size: int) -> str:
    return size.to_bytes(4, "little").hex()


def test_the_length_of_a_record_says_where_it_ends() -> None:
    start = 3 * PAGE + 4000
    assert record_end(start, page_at(3 * PAGE), length(53)) == start + 56
    assert record_end(start, page_at(3 * PAGE), length(PAGE)) == start + PAGE + wal.SHORT_HEADER
    # at the beginning of a page the record follows its header, which is longer in a new file
    assert record_end(PAGE, page_at(PAGE), length(24)) == PAGE + wal.SHORT_HEADER + 24
    assert record_end(SEGMENT, page_at(SEGMENT), length(24)) == SEGMENT + wal.LONG_HEADER + 24


@pytest.mark.parametrize(
    ("page", "size"),
    [
        (page_at(PAGE), length(53)),  # of another use of the file
        (page_at(0)[:15], length(53)),  # the file ends before
        (page_at(0), ""),
        (page_at(0), length(0)),  # nothing was written there
        (page_at(0), length(wal.RECORD_HEADER - 1)),
    ],
)
def test_what_is_not_a_record_says_nothing(page: bytes, size: str) -> None:
    assert record_end(4000, page, size) is None


def test_the_file_is_that_of_the_place_and_the_page_that_of_the_record() -> None:
    asked = page_and_length(5 * SEGMENT + 2 * PAGE + 100)
    assert f"{2 * PAGE}, 16, true" in asked
    assert f"{2 * PAGE + 100}, 4, true" in asked
    assert "'0000000000000005'" in asked


async def test_a_torn_record_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        await w.begin(epoch=2)
        acked = await w.dc1.write_many("before", 20)

        async def ends_in_a_record() -> bool:
            # Nothing commits: whole pages are written and sent, and the last record is in two.
            await w.dc1.sql("select pg_logical_emit_message(false, 'torn', repeat('x', 3000))")
            found = await w.dc2.sql("select pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()")
            received, replayed = (wal.to_bytes(lsn or "0/0") for lsn in found[0])
            return received > replayed

        await until("dc2 holds a part of a record", ends_in_a_record)
        await w.keeper.seal(Epoch(3), 5)
        await w.dc2.database.seal(Epoch(3), 5)
        received, replayed = (
            await w.dc2.sql("select pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()")
        )[0]
        assert wal.to_bytes(received or "") > wal.to_bytes(replayed or "")

        said: list[str] = []
        query = Link.query

        async def noted(self: Link, sql: str, *params: str | None, deadline: float) -> object:
            said.append(sql)
            return await query(self, sql, *params, deadline=deadline)

        monkeypatch.setattr(Link, "query", noted)
        await w.dc2.database.promote(Epoch(3), 10)
        monkeypatch.undo()
        before = said.index("select pg_promote(false)")
        assert RELOAD not in said[:before], "the startup process was asked to try again"
        assert acked <= await w.dc2.keys()
        assert (await w.dc2.state()).epoch == 3
