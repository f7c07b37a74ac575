"""Asks every voter's database, with the controllers' own account. Only reads."""

import asyncio
from typing import Final

from controller.config import DatabaseConf, SecretError
from controller.core.model import DatabaseKind, SiteName
from controller.doctor.around import Around, reports, store
from controller.doctor.judging import keeper as judging
from controller.doctor.judging.postgres import refused, silent, unreadable
from controller.doctor.judging.row import Row
from controller.doctor.mysql import look_at_mysql
from controller.doctor.postgres import look_at_postgres
from controller.ports import PortError, Refused

DEADLINE_S: Final = 3.0
LOOKS: Final = {
    DatabaseKind.POSTGRES: look_at_postgres,
    DatabaseKind.MARIADB: look_at_mysql,
    DatabaseKind.MYSQL: look_at_mysql,
}


async def look(around: Around) -> list[Row]:
    """Every voter of every database. A witness looks at its own only: the fence on its host lets
    nothing reach the servers of a site that does not hold the epoch.
    """
    confs = [conf for service in around.cluster.services for conf in service.databases]
    voters = [
        (conf, SiteName(site))
        for conf in confs
        for site in conf.voters
        if around.at_data_site or site == around.site
    ]
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_voter(around, conf, site)) for conf, site in voters]
    return [row for task in asked for row in task.result()]


async def _voter(around: Around, conf: DatabaseConf, site: SiteName) -> list[Row]:
    where = f"{conf.name} at {site}"
    try:
        if conf.voters[site].address is None:
            return await _keeper(around, conf, site)
        return await LOOKS[conf.kind](around.cluster, conf, site, DEADLINE_S)
    except SecretError as error:
        return [unreadable(where, str(error))]
    except Refused as error:
        return [refused(where, str(error))]
    except PortError as error:
        return [silent(where, str(error))]


async def _keeper(around: Around, conf: DatabaseConf, site: SiteName) -> list[Row]:
    """A keeper that is no server is known by its site's report."""
    where = f"{conf.name} at {site}"
    try:
        async with store(around) as opened:
            found = (await reports(opened, around.cluster.etcd.deadline_s)).get(site)
    except PortError:
        found = None
    for voter in (v for s in (found.services if found else ()) for v in s.voters):
        if voter.database == conf.name:
            return judging.reported(
                where, streaming=voter.streaming, whole=voter.whole, problems=voter.problems
            )
    return [judging.unheard(where, site)]
