"""Looks at one PostgreSQL server: what its adapter reads, and a few settings and rights more."""

import asyncio
from typing import Final

from controller.adapters import postgres_look as reading
from controller.adapters.postgres_link import Link
from controller.config import Cluster, DatabaseConf
from controller.core.model import SiteName
from controller.daemon.databases import postgres_at
from controller.doctor.judging import postgres as judging
from controller.doctor.judging.row import Row
from controller.ports import Refused

SETTINGS: Final = "select name, setting from pg_settings where name = any($1::text[])"
LOGIN: Final = """
select rolsuper, (
    select has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'tricast' and c.relname = 'canary')
from pg_roles where rolname = current_user
"""


async def look_at_postgres(
    cluster: Cluster, conf: DatabaseConf, site: SiteName, deadline_s: float
) -> list[Row]:
    """Everything about the server of `site`. Raises PortError when it cannot be asked."""
    del cluster
    spec, where = postgres_at(site, conf), f"{conf.name} at {site}"
    deadline = asyncio.get_running_loop().time() + deadline_s
    link = Link(where, spec.target)
    rows: list[Row] = []
    try:
        (superuser, canary), *_ = await link.query(LOGIN, deadline=deadline)
        login = judging.Login(
            superuser=superuser == "t", writes_canary=None if canary is None else canary == "t"
        )
        rows += judging.login(where, spec.user, login)
        wanted = "{" + ",".join(judging.NAMES) + "}"
        settings = await link.query(SETTINGS, wanted, deadline=deadline)
        rows += judging.settings(where, {name: value or "" for name, value in settings if name})
        seen = reading.read_look((await link.query(reading.FAST, deadline=deadline))[0])
        slow = await link.query(reading.SLOW, deadline=deadline)
    except Refused as error:
        if not rows:
            raise
        return [*rows, judging.refused(where, str(error))]
    finally:
        link.drop()
    said = reading.settings_problems(conf.name, slow)
    strange = (spec.intruder(sender) for sender in seen.walsenders)
    said += [f"{conf.name}: replication connection of {why}" for why in strange if why]
    rows += judging.standby_names(where, seen.standby_names, spec.standby_names)
    return judging.whole(where, "postgres", [*rows, *judging.problems(where, said)])
