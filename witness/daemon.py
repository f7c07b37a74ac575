"""`tricast witness`: the composition root of a witness site."""

import asyncio
import secrets
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from controller.adapters.nftables import Nftables
from controller.adapters.probe import build_probe
from controller.adapters.probe_look import ProbeSpec
from controller.config import Cluster, ConfigError, ProbeKind, Service
from controller.core.model import (
    DatabaseName,
    ServiceName,
    SiteKind,
    SiteName,
)
from controller.core.terms import own_terms
from controller.daemon.audit import AuditAnswers, build_auditor
from controller.daemon.config_file import RunningFile, with_configuration
from controller.daemon.deeds import Deeds
from controller.daemon.logs import set_up_log
from controller.daemon.main import AlreadyRunning, load_of_kind, only_one
from controller.daemon.rejoins import Rejoins
from controller.daemon.run import Stop, until_signal
from controller.daemon.tls import answer_over_tls
from controller.daemon.wiring import Node, SharedFirewall, build_node, service_spec, split
from controller.ports import Flow, PortError
from controller.runtime import beat
from controller.runtime.promises import Promises
from controller.runtime.publish import Publisher
from controller.runtime.records import Records
from controller.runtime.telling import tell_forever
from controller.version import VERSION
from controller.web.app import build_app
from controller.web.metrics import Metrics
from controller.web.serve import serve
from witness.keepers import build_keeper
from witness.loop import KeeperLoop, Teller
from witness.status import WitnessStatus
from witness.vantage import Vantage

log = structlog.get_logger()

LEADER_S = 5.0
NOTE_S = 1.0


@dataclass(slots=True, kw_only=True)
class Witness:
    """Everything of one witness site."""

    node: Node
    records: Records
    promises: Promises
    publisher: Publisher
    keepers: tuple[KeeperLoop, ...]
    vantages: Mapping[ServiceName, Vantage]
    teller: Teller
    deeds: Deeds
    rejoins: Rejoins
    runs: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()
    leader: str = ""
    running: RunningFile | None = None


def main(config: Path, site: str) -> int:
    """Runs until a signal; the exit code."""
    try:
        cluster, name = load_of_kind(config, site, SiteKind.WITNESS)
        lock = only_one(Path(cluster.state_dir), site)
    except ConfigError as error:
        sys.stderr.write(error.render() + "\n")
        return 78
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        return 75
    set_up_log(cluster.log, site)
    code = 0
    with lock:
        log.info("started", site=site, cluster=cluster.cluster)
        try:
            asyncio.run(_run(RunningFile(path=config, cluster=cluster, site=name)))
        except* Stop:
            log.info("ended by a signal")
        except* Exception as group:
            log.exception("ended by a fault", exc_info=group)
            code = 1
    return code


async def _run(running: RunningFile) -> None:
    cluster, name = running.cluster, running.site
    witness = build_witness(cluster, name)
    witness.running = running
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(until_signal())
            tasks.create_task(running.keep())
            tasks.create_task(witness.node.heartbeats.run())
            for other in cluster.others(name):
                tasks.create_task(witness.node.hearing.probe_forever(other))
            tasks.create_task(_watch_store(witness))
            tasks.create_task(_poll_store(witness))
            tasks.create_task(
                tell_forever(witness.node.hearing, witness.node.heartbeats, lambda: None)
            )
            tasks.create_task(witness.publisher.run())
            tasks.create_task(witness.teller.run())
            tasks.create_task(_lead(witness))
            tasks.create_task(_answer(witness))
            tasks.create_task(_note_forever(witness))
            tasks.create_task(witness.deeds.auditor.run())
            tasks.create_task(witness.rejoins.run())
            for keeper in witness.keepers:
                tasks.create_task(keeper.run())
            for run in witness.runs:
                tasks.create_task(run())
            for vantage in witness.vantages.values():
                tasks.create_task(vantage.run())
    finally:
        # The keepers' receivers go on without us: a restart of this daemon costs no voter.
        await witness.deeds.auditor.aclose()
        await witness.node.store.aclose()


def build_witness(cluster: Cluster, name: SiteName) -> Witness:
    """The witness site called `name`, ready to turn."""
    node = build_node(cluster, name, lambda: None)
    timings, deadline_s = cluster.timings, cluster.etcd.deadline_s
    records = Records(
        store=node.store, prefix=cluster.etcd.prefix, clock=node.clock, deadline_s=deadline_s
    )
    promises = Promises(Path(cluster.state_dir))
    changed = asyncio.Event()
    firewall = SharedFirewall(Nftables())
    publisher = Publisher(
        site=name,
        boot=secrets.token_hex(8),
        version=VERSION,
        store=node.store,
        prefix=cluster.etcd.prefix,
        clock=node.clock,
        every_s=timings.report_s,
        lease_s=timings.report_lease_s,
        deadline_s=deadline_s,
    )
    built = {
        database.name: build_keeper(cluster, name, database)
        for service in cluster.services
        for database in service.databases
    }
    keepers = tuple(
        KeeperLoop(
            me=name,
            service=ServiceName(service.name),
            database=DatabaseName(database.name),
            port=built[database.name].keeper,
            fence={
                other: _flows(cluster, name, service, database.name, other)
                for other in cluster.data_sites
            },
            firewall=firewall.part(f"{service.name}/{database.name}"),
            records=records,
            promises=promises,
            clock=node.clock,
            rest_s=0.25,
            observe_s=timings.observe_deadline_s,
            seal_s=timings.seal_deadline_s,
            changed=changed,
            data_sites=cluster.data_sites,
            prune=built[database.name].prune,
            all_hold=built[database.name].all_hold,
        )
        for service in cluster.services
        for database in service.databases
    )
    vantages = {
        ServiceName(service.name): Vantage(
            prober=build_probe(
                ProbeSpec(
                    kind=ProbeKind.HTTP,
                    target=str(service.canary_url),
                    timeout_s=0.5,
                    options={"fresh": "yes"},
                )
            ),
            clock=node.clock,
            every_s=0.5,
            fresh_s=3.0,
            changed=changed,
        )
        for service in cluster.services
        if service.canary_url is not None
    }
    services = {
        ServiceName(service.name): own_terms(service_spec(cluster, service))
        for service in cluster.services
    }
    teller = Teller(
        services=services,
        data_sites=cluster.data_sites,
        keepers=keepers,
        vantages=vantages,
        hearing=node.hearing,
        promises=promises,
        records=records,
        publisher=publisher,
        changed=changed,
        clock=node.clock,
        every_s=timings.report_s,
    )
    return Witness(
        node=node,
        records=records,
        promises=promises,
        publisher=publisher,
        keepers=keepers,
        vantages=vantages,
        teller=teller,
        deeds=Deeds(auditor=build_auditor(node)),
        rejoins=Rejoins(
            site=name,
            store=node.store,
            prefix=cluster.etcd.prefix,
            deadline_s=deadline_s,
            clock=node.clock,
            records=records,
        ),
        runs=tuple(found.run for found in built.values() if found.run is not None),
    )


def _flows(
    cluster: Cluster, me: SiteName, service: Service, database: str, other: SiteName
) -> frozenset[Flow]:
    voter = service.database(database).voters[other]
    if voter.address is None:
        return frozenset()
    host, port = split(voter.address)
    return frozenset({Flow(source=cluster.sites[me].address, destination=host, port=port)})


async def _watch_store(witness: Witness) -> None:
    async for hint in witness.node.store.watch(witness.node.cluster.etcd.prefix):
        await witness.records.heed(hint)
        for keeper in witness.keepers:
            keeper.news()


async def _poll_store(witness: Witness) -> None:
    """A watch may be silent: what it missed is found within a second, and at once when a site is
    late, for then its member of the store may be the one that was watched.
    """
    while True:
        late = witness.node.hearing.late()
        if late or witness.records.silent_s() > 1.0:
            await witness.records.refresh()
            for keeper in witness.keepers:
                keeper.news()
        await asyncio.sleep(0.02 if late else 0.1)


async def _lead(witness: Witness) -> None:
    """The store's leader stays here while it can: no data site's death costs an election."""
    store, me = witness.node.store, witness.node.site
    deadline_s = witness.node.cluster.etcd.deadline_s
    while True:
        try:
            found = await store.status(deadline_s)
            witness.leader = found.leader
            if found.leader and found.leader != me and not witness.node.hearing.late():
                await store.move_leader(me, deadline_s)
                log.info("store leader moved", to=me, was=found.leader)
        except PortError as error:
            witness.leader = ""
            log.debug("store leader", error=str(error))
        await asyncio.sleep(LEADER_S)


async def _note_forever(witness: Witness) -> None:
    """What changes in the store goes into this node's audit log too."""
    while True:
        for service, record in witness.records.epochs.items():
            witness.deeds.saw(service, record)
        witness.deeds.looked(witness.records, witness.teller.services)
        await beat.rest(NOTE_S)


async def _answer(witness: Witness) -> None:
    cluster = witness.node.cluster
    source = WitnessStatus(witness)
    audit = AuditAnswers(auditor=witness.deeds.auditor, cluster=cluster)
    build = with_configuration(partial(build_app, source, Metrics(), audit=audit), witness.running)
    socket = Path(cluster.api.socket)
    socket.parent.mkdir(parents=True, exist_ok=True)
    host = cluster.api_address(witness.node.site)
    async with serve(build(), socket, host, cluster.api.port):
        auditor = witness.deeds.auditor
        await answer_over_tls(cluster, witness.node.site, witness.node.clock, auditor, build)
