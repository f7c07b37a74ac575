"""MariaDB and MySQL: grants, and how grave what the adapter calls a problem is."""

import re
from collections.abc import Sequence
from typing import Final

from controller.doctor.judging.postgres import CHECK
from controller.doctor.judging.row import Row, bad, warn

# What mends itself: the host agent is at it, or a takeover takes account of it.
PASSING: Final = ("the host agent has not finished", "crash recovery cut the log")
NEEDED: Final = {
    "mariadb": (
        *("SUPER", "PROCESS", "RELOAD", "CREATE USER", "READ_ONLY ADMIN", "BINLOG ADMIN"),
        *("BINLOG MONITOR", "CONNECTION ADMIN", "REPLICATION MASTER ADMIN"),
        *("REPLICATION SLAVE ADMIN", "SLAVE MONITOR"),
    ),
    "mysql": (
        *("PROCESS", "RELOAD", "CREATE USER", "REPLICATION CLIENT", "SYSTEM_VARIABLES_ADMIN"),
        *("SESSION_VARIABLES_ADMIN", "CONNECTION_ADMIN", "REPLICATION_SLAVE_ADMIN"),
        *("BINLOG_ADMIN", "BACKUP_ADMIN", "CLONE_ADMIN", "SYSTEM_USER"),
    ),
}
TABLES: Final = {
    "mariadb": {
        "tricast.*": ("SELECT", "INSERT", "UPDATE", "DELETE"),
        "mysql.global_priv": ("SELECT",),
    },
    "mysql": {"tricast.*": ("SELECT", "INSERT", "UPDATE", "DELETE"), "mysql.user": ("SELECT",)},
}
_GRANT: Final = re.compile(r"GRANT (?P<what>.+?) ON (?P<on>\S+) TO .*", re.IGNORECASE | re.DOTALL)
_ALIASES: Final = {
    "REPLICA MONITOR": "SLAVE MONITOR",
    "REPLICATION REPLICA ADMIN": "REPLICATION SLAVE ADMIN",
}


def held(lines: Sequence[str]) -> dict[str, frozenset[str]]:
    """What SHOW GRANTS says: privileges by what they are on, as "*.*" or "tricast.*"."""
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        if match := _GRANT.fullmatch(line.strip()):
            names = (name.strip().upper() for name in match["what"].split(","))
            on = match["on"].replace("`", "").lower()
            found[on] = found.get(on, frozenset()) | {_ALIASES.get(name, name) for name in names}
    return found


def grants(where: str, kind: str, user: str, lines: Sequence[str]) -> list[Row]:
    """The controller's account may do what a role change needs."""
    found = held(lines)
    everywhere = found.get("*.*", frozenset())
    wanted = {"*.*": NEEDED[kind], **TABLES[kind]}
    rows = []
    for on, names in wanted.items():
        has = (
            everywhere
            | found.get(on, frozenset())
            | found.get(f"{on.partition('.')[0]}.*", frozenset())
        )
        missing = [name for name in names if name not in has and "ALL PRIVILEGES" not in has]
        if missing:
            listed = ", ".join(missing)
            mend = f"GRANT {listed} ON {on} TO {user}, on the server itself, not replicated"
            rows.append(bad(CHECK, where, f"{user} lacks {listed} on {on}", mend))
    return rows


def problems(where: str, said: Sequence[str]) -> list[Row]:
    """What the adapter itself calls a problem."""
    mend = "docs/runbook.md, warnings and alarms"
    return [
        (warn if problem.startswith(PASSING) else bad)(CHECK, where, problem, mend)
        for problem in said
    ]
