"""Where in the files of an upstream a voter goes on, if that can be told without a connection
of its receiver.

A server that is promoted begins a new file. A voter whose log ends with just what stands before it
asks for what comes next by file and offset: its first request says what it has, and no file is
read from its start to find a record in it.
"""

from typing import Final, TypeAlias

from controller.adapters.mysql_dialect import Dialect
from controller.adapters.mysql_gtid import same_end
from controller.adapters.mysql_session import Row, Session, quoted
from controller.core.model import DatabaseKind

Place: TypeAlias = tuple[str, int]  # file and offset

_FIRST: Final = 4  # the offset of the first event of every file, behind its magic number
# The only question about MariaDB's newest file that anybody may ask, and that is answered also
# while commits wait for voters. Which records stand before a file is told by its head.
_MARIADB: Final = (
    "SELECT variable_value AS file, BINLOG_GTID_POS(variable_value, 4) AS before_it"
    " FROM information_schema.global_status WHERE variable_name = 'BINLOG_SNAPSHOT_FILE'"
)
_MYSQL_HEAD: Final = "SHOW BINLOG EVENTS IN {file} LIMIT 2"


async def place_of(there: Session, dialect: Dialect, log_end: str) -> Place | None:
    """The start of the upstream's newest file, if a log that ends at `log_end` holds what stands
    before it, no record more or less; None otherwise.

    Refused when the login is not let in, or may not ask.
    """
    ask = _mariadb if dialect.kind is DatabaseKind.MARIADB else _mysql
    file, before = await ask(there, dialect)
    same = file and before is not None and same_end(dialect.format, before, log_end)
    return (file, _FIRST) if same else None


async def _mariadb(there: Session, _dialect: Dialect) -> tuple[str, str | None]:
    """The newest file, and which records stand before it; None for not known."""
    rows = await there.rows(_MARIADB)
    row: Row = rows[0] if rows else {"file": "", "before_it": None}
    return str(row["file"]), row["before_it"]


async def _mysql(there: Session, dialect: Dialect) -> tuple[str, str | None]:
    """The same of MySQL."""
    file = str((await there.row(dialect.log_place))["File"])
    for event in await there.rows(_MYSQL_HEAD.format(file=quoted(file))):
        if event["Event_type"] == "Previous_gtids":
            return file, str(event["Info"]).replace("\n", "")
    return file, None
