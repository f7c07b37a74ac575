"""Looks at one MariaDB or MySQL server: what its adapter reads, and the account's grants."""

from controller.adapters.mysql_dialect import DIALECTS
from controller.adapters.mysql_look import look
from controller.adapters.mysql_report import report, start_and_log_problems
from controller.adapters.mysql_session import Session, by_deadline
from controller.config import Cluster, DatabaseConf
from controller.core.model import SiteName
from controller.daemon.databases import mysql_at
from controller.doctor.judging import mysql as judging
from controller.doctor.judging.postgres import refused, whole
from controller.doctor.judging.row import Row
from controller.ports import Refused


async def look_at_mysql(
    cluster: Cluster, conf: DatabaseConf, site: SiteName, deadline_s: float
) -> list[Row]:
    """Everything about the server of `site`. Raises PortError when it cannot be asked."""
    spec, where = mysql_at(site, conf), f"{conf.name} at {site}"
    kind, rows = conf.kind.value, list[Row]()
    session = Session(spec.login())
    try:
        async with by_deadline(where, deadline_s):
            grants = await session.rows("SHOW GRANTS")
            lines = [str(value) for row in grants for value in row.values()]
            rows += judging.grants(where, kind, conf.user, lines)
            seen = await look(session, DIALECTS[conf.kind])
    except Refused as error:
        if not rows:
            raise
        return [*rows, refused(where, str(error))]
    finally:
        session.drop()
    keeper = site in cluster.witnesses
    said = tuple(start_and_log_problems(seen)) if keeper else report(spec, seen).problems
    return whole(where, kind, [*rows, *judging.problems(where, said)])
