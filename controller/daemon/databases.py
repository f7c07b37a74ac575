"""Builds the database adapters of one site from the configuration."""

from controller.adapters import mysql_report as mysql_spec
from controller.adapters import postgres_spec
from controller.adapters.agent_work import AgentWork
from controller.adapters.mysql import Mysql
from controller.adapters.mysql_clone import CloneWork
from controller.adapters.mysql_report import Credential, MysqlSpec
from controller.adapters.postgres import Postgres
from controller.adapters.postgres_spec import PostgresSpec
from controller.config import Cluster, DatabaseConf, Service
from controller.core.model import DatabaseKind, DatabaseName, SiteName
from controller.daemon.rejoins import Worker
from controller.daemon.wiring import agent, split
from controller.ports import Database
from controller.runtime.act import Fence


def build_database(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
    """The server of `conf` at `site`."""
    if conf.kind is DatabaseKind.POSTGRES:
        return _postgres(cluster, site, conf)
    return _mysql(cluster, site, conf)


def build_workers(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> tuple[Worker, ...]:
    """What may be at work on the server of `conf` at `site` while it rejoins."""
    host = agent(cluster, _host(conf, site))
    if conf.kind is DatabaseKind.POSTGRES:
        return (AgentWork(host, "postgres-progress", conf.name),)
    told = AgentWork(host, "mysql-progress", conf.name)
    if conf.kind is DatabaseKind.MYSQL:
        return told, CloneWork(mysql_at(site, conf).login())
    return (told,)


def build_fences(cluster: Cluster, site: SiteName, service: Service) -> dict[str, Fence]:
    """How each database of the other data sites is closed from `site`."""
    fences: dict[str, Fence] = {}
    for other in cluster.data_sites:
        for conf in service.databases if other != site else ():
            verb = "postgres-close" if conf.kind is DatabaseKind.POSTGRES else "mysql-close"
            fences[f"{conf.name} at {other}"] = Fence(
                agent=agent(cluster, _host(conf, other)),
                verb=verb,
                args={"database": conf.name},
                site=other,
            )
    return fences


def _host(conf: DatabaseConf, site: SiteName) -> str:
    assert conf.voters[site].address is not None
    return agent_host(conf, site)


def agent_host(conf: DatabaseConf, site: SiteName) -> str:
    """Where the host agent of the voter of `site` answers; "" where none is named."""
    voter = conf.voters[site]
    return voter.agent or (split(voter.address)[0] if voter.address else "")


def postgres_at(site: SiteName, conf: DatabaseConf) -> PostgresSpec:
    """What an adapter has to know of the server of `site`."""
    address = conf.voters[site].address
    assert address is not None
    host, port = split(address)
    links: dict[SiteName, postgres_spec.VoterLink] = {}
    for name, voter in conf.voters.items():
        their_host, their_port = split(voter.address) if voter.address else ("", 5432)
        links[name] = postgres_spec.VoterLink(
            address=their_host,
            port=their_port,
            user=conf.voter_user(name),
            rejoin_user=conf.rejoin_user(name),
        )
    return PostgresSpec(
        name=DatabaseName(conf.name),
        site=site,
        address=host,
        port=port,
        database=conf.database,
        user=conf.user,
        password=conf.password.reveal(),
        voters=links,
        clients=conf.clients,
    )


def _postgres(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
    return Postgres(postgres_at(site, conf), agent(cluster, _host(conf, site)))


def mysql_at(
    site: SiteName, conf: DatabaseConf, *, credential: str = "", rejoin: str = ""
) -> MysqlSpec:
    """What an adapter has to know of the server of `site`; to look, it needs no credentials."""
    address = conf.voters[site].address
    assert address is not None
    host, port = split(address)
    links: dict[SiteName, mysql_spec.VoterLink] = {}
    for name, voter in conf.voters.items():
        assert voter.address is not None
        their_host, their_port = split(voter.address)
        links[name] = mysql_spec.VoterLink(
            address=their_host,
            port=their_port,
            user=conf.voter_user(name),
            rejoin_user=conf.rejoin_user(name),
        )
    return MysqlSpec(
        name=DatabaseName(conf.name),
        kind=conf.kind,
        site=site,
        address=host,
        port=port,
        user=conf.user,
        password=conf.password.reveal(),
        voter=Credential(user=conf.voter_user(site), password=credential),
        rejoin=Credential(user=conf.rejoin_user(site), password=rejoin),
        voters=links,
        clients=conf.clients,
        exempt=conf.exempt,
    )


def _mysql(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
    mine = conf.voters[site]
    spec = mysql_at(
        site,
        conf,
        credential=mine.credential.reveal(),
        rejoin=mine.rejoin_credential.reveal(),
    )
    others = {
        name: agent(cluster, _host(conf, name)) for name in cluster.data_sites if name != site
    }
    return Mysql(spec, agent(cluster, _host(conf, site)), others)
