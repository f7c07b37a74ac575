"""The doctor against real servers: each says ok where all is well, and names what was broken."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.etcd import Etcd
from controller.config import Cluster, DatabaseConf, VoterConf
from controller.config.services import ShedConf
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    Epoch,
    EpochRecord,
    Report,
    ServiceName,
    SiteName,
)
from controller.core.shed import When
from controller.core.wire import encode_epoch, encode_report, epoch_key, report_key
from controller.doctor import clock, leases, members, sites, traffic
from controller.doctor.around import Around
from controller.doctor.judging.row import Row
from controller.doctor.mysql import look_at_mysql
from controller.doctor.postgres import look_at_postgres
from controller.ports import Refused, Unreachable
from tests.contract import mysql_cluster, postgres_world
from tests.contract.etcd_cluster import EtcdCluster, running_cluster
from tests.contract.haproxy_process import HaproxyProcess
from tests.contract.mysql_flavour import FLAVOUR
from tests.doctor.ground import DC1, DC2, WITNESS, around, cluster

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


def said(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.grade, row.seen) for row in rows]


# --- PostgreSQL -----------------------------------------------------------------------------------


async def test_postgres_settings_overrides_and_standby_names(tmp_path: Path) -> None:
    ground = cluster(tmp_path)
    async with postgres_world.world() as w:
        voters = {site.name: VoterConf(address=f"127.0.0.1:{site.port}") for site in (w.dc1, w.dc2)}
        conf = DatabaseConf(
            name=DatabaseName("ledger"),
            kind=DatabaseKind.POSTGRES,
            database="wallet",
            password_file=str(w.directory / "secrets/database"),
            voters={**voters, WITNESS: VoterConf(directory=str(tmp_path))},
        )

        async def look(site: postgres_world.Site) -> list[tuple[str, str]]:
            return said(await look_at_postgres(ground, conf, site.name, 5.0))

        with pytest.raises(Unreachable):  # down
            await look(w.dc1)
        await w.begin(epoch=2)
        good = [("ok", "postgres: settings and grants are as the guarantee needs")]
        assert await look(w.dc1) == good
        assert await look(w.dc2) == good

        await w.dc1.sql("alter role wallet set synchronous_commit = off")
        await w.dc1.sql("alter database wallet set synchronous_commit = local")
        await w.dc1.sql("alter system set wal_retrieve_retry_interval = '5s'")
        await w.dc1.sql("alter system set synchronous_standby_names = 'FIRST 1 (dc2)'")
        await w.dc1.sql("select pg_reload_conf()")

        async def in_force() -> bool:
            rows = await w.dc1.sql("show synchronous_standby_names")
            return rows == [("FIRST 1 (dc2)",)]

        await postgres_world.until("the settings are in force", in_force)
        found = await look(w.dc1)
        assert {grade for grade, seen in found if "wal_retrieve" in seen} == {"warn"}
        assert {grade for grade, seen in found if "wal_retrieve" not in seen} == {"bad"}
        text = "\n".join(seen for _, seen in found)
        assert "wal_retrieve_retry_interval is 5000, must be 100 ms" in text
        assert "synchronous_standby_names is 'FIRST 1 (dc2)'" in text
        assert "synchronous_commit=off is set for wallet in every database" in text
        assert "synchronous_commit=local is set for every role in wallet" in text
        assert "synchronous_commit is local, must be on" in text  # in our own session, by then
        assert len(found) == 5

        secret = str(w.directory / "secrets/wallet")
        less = conf.model_copy(update={"user": "wallet", "password_file": secret})
        found = said(await look_at_postgres(ground, less, DC1, 5.0))
        text = "\n".join(seen for _, seen in found)
        assert "wallet is no superuser" in text
        assert "tricast.canary is read-only for wallet" in text
        assert "permission denied" in text  # what it may not look at, it says

        wrong = conf.model_copy(update={"password_file": secret})
        with pytest.raises(Refused, match="password authentication failed"):
            await look_at_postgres(ground, wrong, DC1, 5.0)


# --- MariaDB --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> Iterator[Path]:
    with mysql_cluster.template() as made:
        yield made


BREAK = (
    "SET GLOBAL sync_binlog=0; SET GLOBAL innodb_flush_log_at_trx_commit=2;"
    " SET GLOBAL sync_relay_log=0"
)
RIGHTS = ("BINLOG_ADMIN", "PROCESS") if FLAVOUR.mysql else ("SUPER", "BINLOG ADMIN")


async def test_mysql_settings_and_grants(source: Path, tmp_path: Path) -> None:
    ground = cluster(tmp_path)
    secret = tmp_path / "database"
    secret.write_text("database-secret")
    async with mysql_cluster.cluster(source) as three:
        conf = DatabaseConf(
            name=DatabaseName("journal"),
            kind=FLAVOUR.kind,
            database="wallet",
            password_file=str(secret),
            clients=("wallet",),
            voters={
                site: VoterConf(address=f"127.0.0.1:{server.port}")
                for site, server in three.servers.items()
            },
        )

        async def look(site: SiteName) -> list[tuple[str, str]]:
            return said(await look_at_mysql(ground, conf, site, 10.0))

        good = [("ok", f"{FLAVOUR.kind}: settings and grants are as the guarantee needs")]
        for site in (DC1, DC2, WITNESS):
            assert await look(site) == good, site
        server = three.servers[DC1]
        server.sql(BREAK)
        for (host,) in server.sql("SELECT host FROM mysql.user WHERE user='tricast'"):
            for right in RIGHTS:
                server.sql(f"SET sql_log_bin=0; REVOKE {right} ON *.* FROM tricast@'{host}'")
        found = await look(DC1)
        assert {grade for grade, _ in found} == {"bad"}
        text = "\n".join(seen for _, seen in found)
        for name in ("sync_binlog is 0", "sync_relay_log is 0", "at_trx_commit is 2"):
            assert name in text
        lacks = sorted(found[0][1].removeprefix("tricast lacks ").split(" on ")[0].split(", "))
        assert lacks == sorted(RIGHTS)
        assert len(found) == 4


# --- etcd -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with running_cluster(tmp_path_factory.mktemp("etcd")) as made:
        yield made


def ground_of(etcd: EtcdCluster, folder: Path) -> Around:
    ground = around(folder)
    found = {
        name: site.model_copy(update={"etcd": etcd.endpoint(name)})
        for name, site in ground.cluster.sites.items()
    }
    timings = ground.cluster.timings.model_copy(update={"report_s": 0.5, "lease_s": 0.6})
    store = ground.cluster.etcd.model_copy(update={"deadline_s": 5.0})
    update = {"sites": found, "timings": timings, "etcd": store}
    moved: Cluster = ground.cluster.model_copy(update=update)
    return replace(ground, cluster=moved)


def report(site: SiteName, at: str) -> bytes:
    return encode_report(Report(site=site, boot="b", version="0.0.1", at=at))


async def test_clocks_and_versions_by_reports_that_arrive(
    etcd: EtcdCluster, tmp_path: Path
) -> None:
    ground = ground_of(etcd, tmp_path)
    own = Etcd(etcd.endpoints, prefix=ground.cluster.etcd.prefix)
    stamp = SystemClock().stamp
    ended = asyncio.Event()

    async def reporting() -> None:
        while not ended.is_set():
            behind = datetime.fromisoformat(stamp()) - timedelta(seconds=60)
            await own.put(report_key(DC2), report(DC2, behind.isoformat()), 5)
            await asyncio.sleep(0.3)

    try:
        await own.put(report_key(WITNESS), report(WITNESS, stamp()), 5)  # and never again
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reporting())
            found = {row.subject: row for row in await clock.look(ground)}
            ended.set()
        rows = {row.subject: row.grade for row in await sites.look(ground)}
    finally:
        await own.aclose()
    assert found[DC2].grade == "bad"
    assert "+60." in found[DC2].seen or "+59." in found[DC2].seen
    assert found[WITNESS].grade == "unknown"
    assert "this node" in found
    assert rows == {
        "dc2: terms": "warn", "dc2: version": "warn",
        "witness: terms": "warn", "witness: version": "warn",
    }  # fmt: skip


async def test_a_lease_that_is_renewed_and_one_that_is_not(
    etcd: EtcdCluster, tmp_path: Path
) -> None:
    ground = ground_of(etcd, tmp_path)
    own = Etcd(etcd.endpoints, prefix=ground.cluster.etcd.prefix)
    record = EpochRecord(
        epoch=Epoch(3), holder=DC2, kind="failover", reason="x", asked_by="x", at="x"
    )
    key, ended = epoch_key(ServiceName("lobby")), asyncio.Event()

    async def renewing() -> None:
        renewal = 0
        while not ended.is_set():
            renewal += 1
            await own.put(key, encode_epoch(replace(record, renewal=renewal)), 5)
            await asyncio.sleep(0.1)

    try:
        assert [row.grade for row in await leases.look(ground)] == ["unknown"]
        await own.put(key, encode_epoch(record), 5)
        assert [row.grade for row in await leases.look(ground)] == ["bad"]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(renewing())
            assert [row.grade for row in await leases.look(ground)] == ["ok"]
            ended.set()
    finally:
        await own.aclose()


async def test_each_member_is_asked_by_itself(etcd: EtcdCluster, tmp_path: Path) -> None:
    ground = ground_of(etcd, tmp_path)
    rows = {row.subject: row for row in await members.look(ground)}
    for site in ground.cluster.sites:
        assert rows[f"member at {site}"].grade in {"ok", "warn"}  # warn: a slow disk
        assert "put " in rows[f"member at {site}"].seen
        assert rows[f"version at {site}"].seen.startswith("3.")
    assert rows["leader"].seen.split(":")[0].split(",")[0] in ground.cluster.sites
    own = Etcd(etcd.endpoints)
    try:
        await own.move_leader(DC1, 5)  # else the loss costs an election, and nobody answers for it
    finally:
        await own.aclose()
    with etcd.frozen(DC2):
        rows = {row.subject: row for row in await members.look(ground)}
    assert rows["member at dc2"].grade == "bad"
    assert rows["member at dc1"].grade != "bad"
    assert rows["member at witness"].grade != "bad"
    assert rows["leader"].grade == "warn"
    assert "dc1: the loss of that site also costs an election" in rows["leader"].seen
    etcd.wait()


# --- haproxy --------------------------------------------------------------------------------------


async def test_haproxy_version_backends_and_gates(tmp_path: Path) -> None:
    folder = tmp_path
    process = HaproxyProcess(folder)
    process.state_dir.mkdir()
    ground = around(folder, moves={str(folder / "haproxy.sock"): str(process.socket)})
    assert [row.grade for row in await traffic.haproxy(ground)] == ["bad"]
    try:
        await process.start()
        rows = {row.subject: row for row in await traffic.haproxy(ground)}
        lobby = ground.cluster.service("lobby")
        more = lobby.model_copy(update={"backend": "be_missing"})
        fewer = lobby.model_copy(update={"apps": {}})
        for service, grade in ((more, "bad"), (fewer, "warn")):
            asked = ground.cluster.model_copy(update={"services": (service,)})
            found = await traffic.haproxy(replace(ground, cluster=asked))
            assert [row.grade for row in found[1:]] == [grade]
        spare = ShedConf(backends=("be_none",), when=(When.MOVING,))
        shedding = lobby.model_copy(update={"shed": (spare,)})
        asked = ground.cluster.model_copy(update={"services": (shedding,)})
        found = await traffic.haproxy(replace(ground, cluster=asked))
        subjects = [(row.subject, row.grade) for row in found[2:]]
        assert subjects == [("backend be_none", "warn"), ("backend be_none", "warn")]
    finally:
        process.kill()
    assert {subject: row.grade for subject, row in rows.items()} == {
        "version": "ok", "backend be_wallet": "ok", "backend be_lobby": "ok",
        "backend be_reports": "ok",
    }  # fmt: skip
    assert rows["version"].seen[0].isdigit()
