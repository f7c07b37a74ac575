"""Builds the log keepers of a witness site from the configuration."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from controller.adapters import mysql_report, postgres_spec
from controller.config import Cluster, DatabaseConf
from controller.core.model import DatabaseKind, DatabaseName, SiteName
from controller.core.position import Position
from controller.daemon.wiring import split
from controller.ports import Keeper
from witness.mysql_keeper import MysqlKeeper, MysqlKeeperSpec
from witness.postgres_keeper import KeeperSpec, PostgresKeeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A keeper, and what has to run beside it, if anything."""

    keeper: Keeper
    run: Callable[[], Coroutine[None, None, None]] | None = None
    prune: Callable[[Position], list[str]] | None = None  # blocks: run it in a thread
    all_hold: Callable[[int], None] | None = None  # is told what every data site holds


def build_keeper(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Built:
    """The keeper of `conf` at `site`."""
    if conf.kind is DatabaseKind.POSTGRES:
        return _postgres(cluster, site, conf)
    keeper = _mysql(cluster, site, conf)
    return Built(keeper=keeper, run=keeper.run)


def _postgres(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> Built:
    mine = conf.voters[site]
    assert mine.directory is not None
    assert mine.credential_file is not None
    links: dict[SiteName, postgres_spec.VoterLink] = {}
    for name in cluster.data_sites:
        address = conf.voters[name].address
        assert address is not None
        host, port = split(address)
        links[name] = postgres_spec.VoterLink(
            address=host,
            port=port,
            user=conf.voter_user(name),
            rejoin_user=conf.rejoin_user(name),
        )
    keeper = PostgresKeeper(
        KeeperSpec(
            database=DatabaseName(conf.name),
            site=site,
            directory=Path(mine.directory),
            voters=links,
            user=conf.voter_user(site),
            password=mine.credential.reveal(),
        )
    )
    return Built(keeper=keeper, run=keeper.run, prune=keeper.prune, all_hold=keeper.all_hold)


def _mysql(cluster: Cluster, site: SiteName, conf: DatabaseConf) -> MysqlKeeper:
    mine = conf.voters[site]
    assert mine.address is not None
    host, port = split(mine.address)
    upstreams: dict[SiteName, mysql_report.VoterLink] = {}
    for name in cluster.data_sites:
        address = conf.voters[name].address
        assert address is not None
        their_host, their_port = split(address)
        upstreams[name] = mysql_report.VoterLink(
            address=their_host,
            port=their_port,
            user=conf.voter_user(name),
            rejoin_user=conf.rejoin_user(name),
        )
    return MysqlKeeper(
        MysqlKeeperSpec(
            name=DatabaseName(conf.name),
            kind=conf.kind,
            site=site,
            address=host,
            port=port,
            user=conf.user,
            password=conf.password.reveal(),
            voter=mysql_report.Credential(
                user=conf.voter_user(site), password=mine.credential.reveal()
            ),
            upstreams=upstreams,
        )
    )
