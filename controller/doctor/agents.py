"""Asks the host agents, as a takeover would: with our key, against the pinned host keys."""

import asyncio
from typing import Final

from controller.core.model import DatabaseKind, SiteKind, SiteName
from controller.daemon.databases import agent_host
from controller.daemon.wiring import agent
from controller.doctor.around import Around
from controller.doctor.judging import agents as judging
from controller.doctor.judging.row import Row
from controller.ports import HostAgent, PortError, Refused
from controller.version import VERSION

DEADLINE_S: Final = 5.0


async def look(around: Around) -> list[Row]:
    """Every host with an agent, and every database on it. At a witness nobody asks agents."""
    cluster = around.cluster
    if cluster.ssh is None or not around.at_data_site:
        return []
    hosts: dict[str, list[tuple[str, str]]] = {}
    for conf in (conf for service in cluster.services for conf in service.databases):
        for name in conf.voters:
            site = SiteName(name)
            if host := agent_host(conf, site) if _has_agent(around, site) else "":
                family = "postgres" if conf.kind is DatabaseKind.POSTGRES else "mysql"
                hosts.setdefault(host, []).append((f"{family}-status", conf.name))
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(ask_host(agent(cluster, host), host, verbs))
            for host, verbs in hosts.items()
        ]
    return [row for task in asked for row in task.result()]


def _has_agent(around: Around, site: SiteName) -> bool:
    return around.cluster.sites[site].kind is SiteKind.DATA


async def ask_host(port: HostAgent, host: str, verbs: list[tuple[str, str]]) -> list[Row]:
    """What one agent says of itself and of its databases."""
    try:
        row, reached = await _version(port, host)
        return [row, *([await _verb(port, host, *verb) for verb in verbs] if reached else ())]
    finally:
        await port.aclose()


async def _version(port: HostAgent, host: str) -> tuple[Row, bool]:
    try:
        answer = await port.call("agent-version", {}, DEADLINE_S)
    except Refused as error:
        if "no verb" in str(error):  # an agent that is older than this question
            return judging.version(host, VERSION, None, str(error)), True
        return judging.refused(host, str(error)), False
    except PortError as error:
        return judging.silent(host, str(error)), False
    return judging.version(host, VERSION, answer.get("version")), True


async def _verb(port: HostAgent, host: str, verb: str, database: str) -> Row:
    try:
        answer = await port.call(verb, {"database": database}, DEADLINE_S)
    except PortError as error:
        return judging.verb_failed(host, database, str(error))
    told = ", ".join(f"{name} {value}" for name, value in answer.items() if value)
    return judging.verb(host, database, f"{verb}: {told}"[:200])
