"""Whether a MariaDB relay log still holds a transaction that was not applied.

A receiver that is cut off in the middle of a transaction leaves a beginning that is never applied
and was never acknowledged. Nothing else that is left in a relay log may be thrown away.
"""

from typing import Final

from controller.adapters.mysql_session import Row, Session, quoted
from controller.ports import Refused

_AT_ONCE: Final = 500
_NO_SUCH_FILE: Final = "(1220)"
_ENDS: Final = ("COMMIT", "ROLLBACK")


async def holds_whole_transaction(session: Session, start: tuple[str, int]) -> bool:
    """From `start` (file and offset) to the end of the relay logs there is a whole transaction."""
    file, offset = start
    opened = standalone = False
    while rows := await _events(session, file, offset):
        for row in rows:
            kind, info = str(row["Event_type"]), str(row["Info"] or "")
            if kind == "Gtid":
                opened, standalone = True, not info.startswith("BEGIN")
            elif opened and _ends(kind, info, standalone=standalone):
                return True
        file, offset = _after(rows[-1], file)
    return False


def _ends(kind: str, info: str, *, standalone: bool) -> bool:
    if kind in ("Xid", "XA_prepare"):
        return True
    return kind == "Query" and (standalone or info.upper().startswith(_ENDS))


def _after(last: Row, file: str) -> tuple[str, int]:
    """Where to read on: behind `last`, which in a relay log gives offsets of the source's log."""
    stem, _, number = file.rpartition(".")
    if str(last["Event_type"]) == "Rotate" or last["last_of_file"]:
        return f"{stem}.{int(number) + 1:0{len(number)}d}", 4
    return file, int(last["next"])


async def _events(session: Session, file: str, offset: int) -> list[Row]:
    statement = f"SHOW RELAYLOG EVENTS IN {quoted(file)} FROM {offset:d} LIMIT {_AT_ONCE:d}"
    try:
        return await session.rows(statement)
    except Refused as error:
        if _NO_SUCH_FILE in str(error):
            return []
        raise
