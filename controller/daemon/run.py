"""The daemon of a data site: everything that runs, in one task group."""

import asyncio
import signal
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

import structlog

from controller.core.decide import Decision
from controller.core.health import Verdict, heard
from controller.core.model import DatabaseName, ServiceName
from controller.core.view import View
from controller.daemon.asking import desk_of
from controller.daemon.audit import AuditAnswers, audit_view, build_auditor
from controller.daemon.config_file import RunningFile, with_configuration
from controller.daemon.crash_aid import crash_aid
from controller.daemon.databases import build_workers
from controller.daemon.deeds import AuditedDesk, Deeds
from controller.daemon.desk import DaemonDesk
from controller.daemon.drills import DrillNotes
from controller.daemon.notify import NotifyAnswers, Watched, build_notifier, notifications_view
from controller.daemon.rejoins import Rejoins
from controller.daemon.shedding import build_shedding
from controller.daemon.site import Site, build_site
from controller.daemon.status import DaemonStatus
from controller.daemon.tls import answer_over_tls
from controller.ports import PortError, Prober, Strays
from controller.runtime import beat
from controller.runtime.auditor import Auditor
from controller.runtime.loop import ServiceLoop
from controller.runtime.notifier import Notifier
from controller.runtime.publish import Publisher, news, service_report
from controller.runtime.recorder import RecollectionBook, Recorder
from controller.runtime.telling import tell_forever
from controller.version import VERSION
from controller.web.app import build_app
from controller.web.metrics import Metrics
from controller.web.serve import serve

log = structlog.get_logger()

APP_PROBE_S = 1.0
STRAYS_AGAIN_S = 5.0


class Stop(Exception):
    """A signal asked the daemon to end."""


async def run(running: RunningFile, boot: str) -> None:
    """Runs until a signal. Ending changes nothing: databases, haproxy and routes stay."""
    cluster, name = running.cluster, running.site
    loops: list[ServiceLoop] = []

    async with asyncio.TaskGroup() as tasks:
        site = build_site(cluster, name, lambda: _wake(loops), tasks)
        site.running = running
        publisher = _publisher(site, boot)
        deeds = Deeds(auditor=build_auditor(site.node))
        notifier = build_notifier(cluster, name, site.node.clock)
        recorder = _recorder(site)
        for service in site.services:
            loops.append(service.loop(tasks, _reporter(publisher, deeds, recorder)))
        try:
            async with asyncio.timeout(None), asyncio.TaskGroup() as inner:
                inner.create_task(publisher.run())
                inner.create_task(running.keep())
                _start(inner, site, loops, deeds, notifier, recorder)
        finally:
            await deeds.auditor.aclose()
            await notifier.aclose()
            await site.aclose()


def _reporter(
    publisher: Publisher, deeds: Deeds, recorder: Recorder
) -> Callable[[View, Decision], None]:
    after_turn = crash_aid()

    def report(view: View, decision: Decision) -> None:
        publisher.update(service_report(view, decision))
        deeds.turned(view, decision)
        recorder.turned(view, decision)
        after_turn(view, decision)

    return report


def _publisher(site: Site, boot: str) -> Publisher:
    timings = site.node.cluster.timings
    return Publisher(
        site=site.node.site,
        boot=boot,
        version=VERSION,
        store=site.node.store,
        prefix=site.node.cluster.etcd.prefix,
        clock=site.node.clock,
        every_s=timings.report_s,
        lease_s=timings.report_lease_s,
        deadline_s=site.node.cluster.etcd.deadline_s,
    )


def _recorder(site: Site) -> Recorder:
    store, etcd = site.node.store, site.node.cluster.etcd
    return Recorder(
        store=store,
        prefix=etcd.prefix,
        deadline_s=etcd.deadline_s,
        clock=site.node.clock,
        book=RecollectionBook(store=store, prefix=etcd.prefix, deadline_s=etcd.deadline_s),
    )


def _start(
    tasks: asyncio.TaskGroup,
    site: Site,
    loops: list[ServiceLoop],
    deeds: Deeds,
    notifier: Notifier,
    recorder: Recorder,
) -> None:
    metrics = Metrics()
    tasks.create_task(until_signal())
    tasks.create_task(site.node.heartbeats.run())
    for other in site.node.cluster.others(site.node.site):
        tasks.create_task(site.node.hearing.probe_forever(other))
    tasks.create_task(_watch_store(site, loops))
    tasks.create_task(
        tell_forever(
            site.node.hearing,
            site.node.heartbeats,
            lambda: _wake(loops),
        )
    )
    tasks.create_task(_keep_house(site, loops, recorder, metrics, deeds))
    desk = desk_of(site, loops, lambda: _wake(loops))
    tasks.create_task(desk.verdicts.keep_forever())
    source = _source(site, loops, deeds.auditor, notifier, recorder.book)
    source.verdicts = desk.verdicts
    if source.shedding is not None:
        tasks.create_task(source.shedding.run())
    if source.rejoins is not None:
        tasks.create_task(source.rejoins.run())
    tasks.create_task(_answer(site, desk, metrics, deeds.auditor, source, notifier))
    if notifier.outboxes:
        tasks.create_task(notifier.run(_watched(site, source).situation))
    tasks.create_task(deeds.auditor.run())
    if site.strays is not None:
        tasks.create_task(_know_strays(site.strays))
    for service in site.services:
        for key, (prober, every_s) in service.probes.items():
            tasks.create_task(_probe(prober, every_s, service.verdicts, key))
    for loop in loops:
        tasks.create_task(loop.run())


async def _know_strays(strays: Strays) -> None:
    """The host tells strays from its own connections, also after somebody flushed its rules."""
    said = ""
    while True:
        if not strays.ready:
            try:
                await strays.prepare()
                said = ""
            except PortError as error:
                if said != str(error):
                    said = str(error)
                    log.warning("strays_unknown", error=said)
        await asyncio.sleep(STRAYS_AGAIN_S)


async def until_signal() -> None:
    """Raises Stop when the daemon is asked to end."""
    ended = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, ended.set)
    await ended.wait()
    raise Stop


async def _watch_store(site: Site, loops: list[ServiceLoop]) -> None:
    """The store's hints: read again, then turn if something that is decided on has changed."""
    known: Hashable = None
    async for hint in site.node.store.watch(site.node.cluster.etcd.prefix):
        await site.records.heed(hint)
        found = news(site.records)
        if found == known:
            continue
        known = found
        _wake(loops)


def _wake(loops: list[ServiceLoop]) -> None:
    for loop in loops:
        loop.wake.set()


async def _keep_house(
    site: Site, loops: list[ServiceLoop], recorder: Recorder, metrics: Metrics, deeds: Deeds
) -> None:
    """Permits, history, metrics: nothing that a role change waits for."""
    leader_every, turn = 5, 0
    while True:
        await site.routes.renew()
        changes = [loop.progress.finished for loop in loops if loop.progress.finished]
        services = [loop.hands.service for loop in loops]
        deeds.looked(site.records, services)
        deeds.alone(site.services[0].hands.orders, services)
        for change in changes:
            deeds.moved(change)
            metrics.role_changed(change.service, change.kind, change.rule)
            for step in change.steps:
                metrics.step_done(change.service, "TAKE_OVER", step.name, step.took_s)
        for loop in loops:
            await loop.hands.remember_change()
        recorder.collect(loop.progress for loop in loops)
        await recorder.flush()
        metrics.heartbeats_dropped(site.node.heartbeats.dropped())
        metrics.store_ok(ok=site.records.ok)
        for loop in loops:
            metrics.turned(loop.turn_s)
        if turn % leader_every == 0:
            try:
                found = await site.node.store.status(site.node.cluster.etcd.deadline_s)
                site.leader = found.leader
            except PortError:
                site.leader = ""
        turn += 1
        await beat.rest(1.0)


async def _probe(prober: Prober, every_s: float, verdicts: dict[str, Verdict], key: str) -> None:
    while True:
        sample = await prober.sample()
        verdicts[key] = heard(verdicts[key], ok=sample.ok, detail=sample.detail)
        await beat.rest(every_s)


def _source(
    site: Site,
    loops: list[ServiceLoop],
    auditor: Auditor,
    notifier: Notifier,
    book: RecollectionBook,
) -> DaemonStatus:
    cluster = site.node.cluster
    return DaemonStatus(
        cluster=cluster.cluster,
        site=site.node.site,
        version=VERSION,
        clock=site.node.clock,
        records=site.records,
        loops=tuple(loops),
        site_kinds={name: found.kind for name, found in cluster.sites.items()},
        database_kinds={
            database.name: database.kind.value
            for service in cluster.services
            for database in service.databases
        },
        leader=lambda: site.leader,
        audit=lambda: audit_view(auditor),
        notifications=lambda: notifications_view(notifier),
        services={service.name: service for service in cluster.services},
        shedding=build_shedding(cluster, loops, site.node.clock),
        rejoins=_rejoins(site, loops),
        book=book,
        running=site.running,
    )


def _rejoins(site: Site, loops: list[ServiceLoop]) -> Rejoins:
    """Where is told how far returning databases are."""
    cluster = site.node.cluster
    return Rejoins(
        site=site.node.site,
        store=site.node.store,
        prefix=cluster.etcd.prefix,
        deadline_s=cluster.etcd.deadline_s,
        clock=site.node.clock,
        records=site.records,
        loops=tuple(loops),
        workers={
            (ServiceName(service.name), DatabaseName(database.name)): build_workers(
                cluster, site.node.site, database
            )
            for service in cluster.services
            for database in service.databases
        },
    )


def _watched(site: Site, source: DaemonStatus) -> Watched:
    timings = site.node.cluster.timings
    return Watched(
        source=source,
        data_sites=site.node.cluster.data_sites,
        fresh_s=timings.report_fresh_s,
        silent_s=timings.suspect_after_s,
        now=site.node.clock.monotonic,
    )


async def _answer(
    site: Site,
    desk: DaemonDesk,
    metrics: Metrics,
    auditor: Auditor,
    source: DaemonStatus,
    notifier: Notifier,
) -> None:
    """The API answers for as long as the daemon runs."""
    cluster = site.node.cluster
    answers = partial(
        build_app,
        source,
        metrics,
        AuditedDesk(desk=desk, auditor=auditor),
        AuditAnswers(auditor=auditor, cluster=cluster),
        NotifyAnswers(notifier=notifier),
        _drills(site, auditor),
    )
    build = with_configuration(answers, site.running)
    socket = Path(cluster.api.socket)
    socket.parent.mkdir(parents=True, exist_ok=True)
    host = cluster.api_address(site.node.site)
    async with serve(build(), socket, host, cluster.api.port):
        await answer_over_tls(cluster, site.node.site, site.node.clock, auditor, build)


def _drills(site: Site, auditor: Auditor) -> DrillNotes:
    """Where the end of a drill is told."""
    cluster = site.node.cluster
    return DrillNotes(
        site=site.node.site,
        store=site.node.store,
        prefix=cluster.etcd.prefix,
        deadline_s=cluster.etcd.deadline_s,
        clock=site.node.clock,
        records=site.records,
        services={service.name: service for service in cluster.services},
        auditor=auditor,
    )
