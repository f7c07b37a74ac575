"""Builds the database adapters of one site from the configuration."""

from controller.adapters import mysql_report as mysql_spec
from controller.adapters import postgres_spec
from controller.adapters.mysql import Mysql
from controller.adapters.mysql_report import Credential, MysqlSpec
from controller.adapters.postgres import Postgres
from controller.adapters.postgres_spec import PostgresSpec
from controller.config import Cluster, DatabaseConf, Service
from controller.core.model import DatabaseKind, DatabaseName, SiteName
from controller.daemon.wiring import agent, split
from controller.ports import Database
from controller.runtime.act import Fence


def build_database(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
    """The server of `conf` at `site`."""
    if conf.kind is DatabaseKind.POSTGRES:
        return _postgres(cluster, site, conf)
    return _mysql(cluster, site, conf)


def build_fences(cluster: Cluster, site: SiteName, service: Service) -> dict[str, Fence]:
    """How each database of the other data sites is closed from `site`."""
    fences: dict[str, Fence] = {}
    for other in cluster.data_sites:
        for conf in service.databases if other != site else ():
            verb = "postgres-close" if conf.kind is DatabaseKind.POSTGRES else "mysql-close"
            fences[f"{conf.name} at {other}"] = Fence(
                agent=agent(cluster, _host(conf, other)), verb=verb, args={"database": conf.name}
            )
    return fences


def _host(conf: DatabaseConf, site: SiteName) -> str:
    voter = conf.voters[site]
    assert voter.address is not None
    return voter.agent or split(voter.address)[0]


def _postgres(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
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
    spec = PostgresSpec(
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
    return Postgres(spec, agent(cluster, _host(conf, site)))


def _mysql(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Database:
    mine = conf.voters[site]
    assert mine.address is not None
    host, port = split(mine.address)
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
    spec = MysqlSpec(
        name=DatabaseName(conf.name),
        kind=conf.kind,
        site=site,
        address=host,
        port=port,
        user=conf.user,
        password=conf.password.reveal(),
        voter=Credential(user=conf.voter_user(site), password=mine.credential.reveal()),
        rejoin=Credential(user=conf.rejoin_user(site), password=mine.rejoin_credential.reveal()),
        voters=links,
        clients=conf.clients,
        exempt=conf.exempt,
    )
    others = {
        name: agent(cluster, _host(conf, name)) for name in cluster.data_sites if name != site
    }
    return Mysql(spec, agent(cluster, _host(conf, site)), others)
