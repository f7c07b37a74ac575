"""GTID texts: whether one log's end includes another's, and what one history lacks of another.

In MariaDB the sequence number alone orders records of one history but does not tell two histories
apart: 0-1-101 and 0-2-101 are different records. What tells them apart is the pair of writer and
number: a server writes a number once in a history, and takes over only with everything that was
acknowledged. So a log is part of another history exactly if, for every writer, that history's
binlog state reaches at least as far. MySQL's sets say it themselves.
"""

from collections.abc import Container

from controller.core.position import (
    LogFormat,
    Order,
    Position,
    compare,
    holds,
    mariadb_gtids,
    parse_mariadb_gtids,
    parse_mysql_gtids,
)


def includes(format_: LogFormat, log: str, wanted: str) -> bool:
    """Whether a log that ends at `log` holds `wanted`, both of one history."""
    return holds(_at(format_, log), _at(format_, wanted))


def joined(format_: LogFormat, first: str, second: str) -> str:
    """The end of a log that holds both; in MariaDB the further, `first` if neither is."""
    order = compare(_at(format_, first), _at(format_, second))
    if order is Order.DIVERGED and format_ is LogFormat.MYSQL_GTID:
        return mysql_set(f"{first},{second}")
    return second if order is Order.BEHIND else first


def mysql_set(text: str) -> str:
    """A MySQL GTID set as the server would print it, on one line."""
    parts = []
    for source, intervals in sorted(parse_mysql_gtids(text).items()):
        runs = (f"{low}-{high}" if high > low else str(low) for low, high in intervals)
        parts.append(":".join((source, *runs)))
    return ",".join(parts)


def owned_by(text: str, sessions: Container[int]) -> str:
    """Of MySQL's gtid_owned (`uuid:5#12:6#13`, ...), the GTIDs that these sessions own."""
    found: list[str] = []
    for part in text.replace("\n", "").split(","):
        source, *pieces = part.strip().split(":")
        for piece in pieces:
            number, owned, owners = piece.partition("#")
            if not owned:
                source = f"{source}:{number}"  # a tag
            elif any(owner.isdigit() and int(owner) in sessions for owner in owners.split("#")):
                found.append(f"{source}:{number}")
    return mysql_set(",".join(found))


def same_end(format_: LogFormat, state: str, end: str) -> bool:
    """Whether a log of binlog state `state` ends at `end`, no record more or less."""
    if format_ is LogFormat.MYSQL_GTID:
        return mysql_set(state) == mysql_set(end)
    last: dict[int, int] = {}
    gtids = mariadb_gtids(state)
    for domain, _, number in gtids:
        last[domain] = max(last.get(domain, 0), number)
    return {gtid for gtid in gtids if gtid[2] == last[gtid[0]]} == set(mariadb_gtids(end))


def missing_at(format_: LogFormat, mine: str, theirs: str) -> str:
    """The records of binlog state `mine` that the history with state `theirs` lacks, or ""."""
    if format_ is LogFormat.MARIADB_GTID:
        return _missing_mariadb(mine, theirs)
    return _missing_mysql(mine, theirs)


def by_writer(state: str) -> dict[tuple[int, int], int]:
    """MariaDB binlog state: the last number of every writer in every domain."""
    found: dict[tuple[int, int], int] = {}
    for domain, server, number in mariadb_gtids(state):
        found[(domain, server)] = max(found.get((domain, server), 0), number)
    return found


def _missing_mariadb(mine: str, theirs: str) -> str:
    known = by_writer(theirs)
    errant = [
        f"{domain}-{server}-{number} (there: {known.get((domain, server), 'none')})"
        for (domain, server), number in sorted(by_writer(mine).items())
        if number > known.get((domain, server), 0)
    ]
    return ", ".join(errant)


def _missing_mysql(mine: str, theirs: str) -> str:
    known = parse_mysql_gtids(theirs)
    errant: list[str] = []
    for source, intervals in parse_mysql_gtids(mine).items():
        for low, high in intervals:
            at = low
            for first, last in known.get(source, ()):
                if last < at or first > high:
                    continue
                if first > at:
                    errant.append(f"{source}:{at}-{first - 1}")
                at = last + 1
            if at <= high:
                errant.append(f"{source}:{at}-{high}")
    return mysql_set(",".join(errant))


def _at(format_: LogFormat, text: str) -> Position:
    if format_ is LogFormat.MARIADB_GTID:
        parse_mariadb_gtids(text)
    return Position(epoch=0, format=format_, text=text)
