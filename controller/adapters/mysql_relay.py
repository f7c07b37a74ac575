"""Whether a MariaDB relay log still holds a transaction that was not applied.

A receiver that is cut off in the middle of a transaction leaves a beginning that is never applied
and was never acknowledged. Nothing else that is left in a relay log may be thrown away.
"""

from collections.abc import AsyncIterator
from typing import Final

from controller.adapters.mysql_session import Row, Session, quoted
from controller.ports import Refused

_AT_ONCE: Final = 500
_NO_SUCH_FILE: Final = "(1220)"
_FILE_START: Final = 4
_ENDS: Final = ("COMMIT", "ROLLBACK")


async def holds_whole_transaction(session: Session, start: tuple[str, int]) -> bool:
    """From `start` (file and offset) to the end of the relay logs there is a whole transaction."""
    opened = standalone = False
    async for row in _events(session, *start):
        kind, info = str(row["Event_type"]), str(row["Info"] or "")
        if kind == "Gtid":
            opened, standalone = True, not info.startswith("BEGIN")
        elif opened and _ends(kind, info, standalone=standalone):
            return True
    return False


def _ends(kind: str, info: str, *, standalone: bool) -> bool:
    if kind in ("Xid", "XA_prepare"):
        return True
    return kind == "Query" and (standalone or info.upper().startswith(_ENDS))


async def _events(session: Session, file: str, offset: int) -> AsyncIterator[Row]:
    """Every event from there on, through the files that follow in number."""
    rows = await _page(session, file, offset, 0)
    while rows is not None:
        seen = 0
        while rows:
            for row in rows:
                yield row
            seen += len(rows)
            full = len(rows) == _AT_ONCE
            rows = await _page(session, file, offset, seen) if full else None
        stem, _, number = file.rpartition(".")
        file, offset = f"{stem}.{int(number) + 1:0{len(number)}d}", _FILE_START
        rows = await _page(session, file, offset, 0)


async def _page(session: Session, file: str, offset: int, skip: int) -> list[Row] | None:
    """Some events of one file; None when there is no such file."""
    if not file:
        return None
    start = f"SHOW RELAYLOG EVENTS IN {quoted(file)} FROM {offset:d}"
    try:
        return await session.rows(f"{start} LIMIT {skip:d}, {_AT_ONCE:d}")
    except Refused as error:
        if _NO_SUCH_FILE in str(error):
            return None
        raise
