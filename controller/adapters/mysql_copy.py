"""A MySQL server that holds what no other history has becomes a copy of its primary.

MySQL's recovery commits the end of the log of a primary that fell, whoever was told; what the next
history lacks of it cannot be taken back. So the data are thrown away, but only for those of a
server that is writable under the wanted epoch, its epoch record acknowledged: it then holds
everything that was ever acknowledged.
"""

from controller.adapters.mysql_session import Deadline, Login, Session, quoted
from controller.core.model import DatabaseName, Epoch
from controller.ports import HostAgent, Refused

_PROVEN = "SELECT COALESCE(MAX(epoch), 0) AS epoch, @@global.read_only AS closed FROM tricast.epoch"


async def copy_afresh(
    own: Session, agent: HostAgent, name: DatabaseName, upstream: Login, deadline: Deadline
) -> None:
    """The server of `own` runs, closed, with the data of `upstream`."""
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
