"""A server that holds what no other history has becomes a copy of its primary.

MySQL's recovery commits the end of the log of a primary that fell, whoever was told; MariaDB's
leaves what had committed, and what it acknowledged alone. What the next history lacks of it cannot
be taken back. So the data are thrown away, but only for those of a server that is writable under
the wanted epoch, its epoch record acknowledged: it then holds everything that was ever
acknowledged. MySQL clones itself; for MariaDB the host agents carry a backup from one to the other.
"""

from dataclasses import dataclass
from typing import Final

from controller.adapters.mysql_dialect import Dialect
from controller.adapters.mysql_gtid import missing_at
from controller.adapters.mysql_replica import log_state_at
from controller.adapters.mysql_session import Deadline, Login, Session, quoted
from controller.core.model import DatabaseName, Epoch, SiteName
from controller.ports import HostAgent, Refused

_PROVEN = "SELECT COALESCE(MAX(epoch), 0) AS epoch, @@global.read_only AS closed FROM tricast.epoch"
_FOR_THE_REST: Final = 0.1  # of the time, to put a fetched copy in place


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """Whom a copy is made of."""

    site: SiteName
    login: Login
    epoch: Epoch


async def copy_afresh(
    own: Session, agent: HostAgent, name: DatabaseName, primary: Primary, deadline: Deadline
) -> None:
    """The MySQL server of `own` runs, closed, with the data of `primary`."""
    upstream = primary.login
    await refuse_unproven(upstream, primary.epoch)
    database = {"database": name}
    room = await agent.call("mysql-room", database, deadline.left_s)
    donor = f"{upstream.address}:{upstream.port}"
    await own.rows(f"SET GLOBAL clone_valid_donor_list={quoted(donor)}")
    await own.rows(
        f"CLONE INSTANCE FROM {quoted(upstream.user)}@{quoted(upstream.address)}:{upstream.port:d}"
        f" IDENTIFIED BY {quoted(upstream.password)} DATA DIRECTORY = {quoted(room['directory'])}"
    )
    own.drop()
    await agent.call("mysql-adopt", database, deadline.left_s)


async def fetch_afresh(
    dialect: Dialect, agent: HostAgent, name: DatabaseName, primary: Primary, deadline: Deadline
) -> str:
    """The MariaDB server runs, closed, with the data of `primary`; which records were thrown away.

    The other host's agent proves the primary before it sends anything.
    """
    whom = {"database": name, "source": str(primary.site), "epoch": str(primary.epoch)}
    within_s = max(1, int(deadline.left_s * (1 - _FOR_THE_REST)))
    copied = await agent.call("mysql-fetch", {**whom, "within_s": str(within_s)}, deadline.left_s)
    theirs = await log_state_at(primary.login, dialect)
    strange = missing_at(dialect.format, copied["state"], theirs)
    if strange:
        raise Refused(f"the copy that was fetched holds what {primary.login} does not: {strange}")
    answer = await agent.call("mysql-adopt", whom, deadline.left_s)
    return f"{answer['dropped'] or 'nothing'} thrown away, logs saved in {answer['aside']}"


async def refuse_unproven(upstream: Login, epoch: Epoch) -> None:
    """`upstream` is primary of `epoch`, and a voter has acknowledged that it is."""
    session = Session(upstream)
    try:
        row = await session.row(_PROVEN)
    finally:
        session.drop()
    if row["closed"] or int(row["epoch"]) != epoch:
        raise Refused(
            f"{upstream} is not proven to be primary of epoch {epoch} (its record: {row['epoch']}):"
            " nothing here is thrown away for a copy of it"
        )
