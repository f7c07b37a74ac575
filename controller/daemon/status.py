"""What the daemon answers when asked: its loops' newest views, from memory."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from controller.config import Service
from controller.core import guards, outlook
from controller.core.decide import Decision
from controller.core.model import (
    DatabaseState,
    EpochRecord,
    ServiceName,
    ServiceReport,
    SiteKind,
    SiteName,
    VoterState,
)
from controller.core.requests import SeenRequest, approved, closed
from controller.core.view import View
from controller.daemon.config_file import RunningFile
from controller.daemon.drills import drill_view
from controller.daemon.fences import fence_views
from controller.daemon.history import recorded
from controller.daemon.rejoins import Rejoins
from controller.daemon.request_view import request_view
from controller.daemon.shedding import shed_views, shed_warnings
from controller.daemon.verdicts import Verdicts
from controller.daemon.weights import weights_view
from controller.ports import Clock
from controller.runtime.loop import ServiceLoop
from controller.runtime.progress import evidence
from controller.runtime.publish import service_report
from controller.runtime.recorder import RecollectionBook
from controller.runtime.records import Records
from controller.runtime.shedding import Shedding
from controller.web.audit_schema import AuditView
from controller.web.notify_schema import NotificationsView
from controller.web.record_schema import RecordView
from controller.web.schema import (
    Apps,
    DatabaseView,
    HistoryEntry,
    OpenChange,
    RejoinView,
    RequestView,
    ServiceView,
    SiteView,
    Status,
    StepView,
    StoreView,
)
from controller.web.source import Pulse

HISTORY_SHOWN = 20
STUCK_S = 5.0


def record_view(record: EpochRecord | None) -> RecordView | None:
    """What people are told of the epoch record."""
    if record is None:
        return None
    return RecordView(
        kind=record.kind,
        reason=record.reason,
        asked_by=record.asked_by,
        at=record.at,
        learners=record.learners,
    )


def database_view(state: DatabaseState, voter: VoterState) -> DatabaseView:
    """A database of a data site."""
    return DatabaseView(
        name=state.name,
        kind=state.kind.value,
        liveness=state.liveness.value,
        writable=state.writable,
        epoch=state.epoch,
        position="" if state.position is None else str(state.position),
        lag_bytes=state.lag_bytes,
        upstream=state.upstream,
        streaming=state.streaming and not state.quarantined,
        gate_open=state.gate_open,
        promised=voter.promised,
        sealed=voter.sealed,
        problems=state.problems,
    )


def keeper_view(voter: VoterState, kind: str) -> DatabaseView:
    """A log keeper of a witness site."""
    return DatabaseView(
        name=voter.database,
        kind=f"{kind} keeper",
        liveness="running",
        epoch=0 if voter.position is None else voter.position.epoch,
        position="" if voter.position is None else str(voter.position),
        upstream=voter.following,
        streaming=voter.streaming,
        promised=voter.promised,
        sealed=voter.sealed,
        problems=voter.problems,
    )


def site_view(
    site: SiteName,
    kind: SiteKind,
    report: ServiceReport | None,
    *,
    kinds: Mapping[str, str],
    report_age_s: float | None,
    heartbeat_age_s: float | None,
) -> SiteView:
    """One site as its own report describes it."""
    if report is None:
        return SiteView(site=site, kind=kind.value, heartbeat_age_s=finite(heartbeat_age_s))
    return SiteView(
        site=site,
        kind=kind.value,
        role=report.role.value,
        rule=report.rule,
        reason=report.reason,
        healthy=report.healthy,
        stance=None if report.stance is None else report.stance.value,
        report_age_s=finite(report_age_s),
        heartbeat_age_s=finite(heartbeat_age_s),
        eligible=report.eligible,
        not_eligible_because=report.not_eligible_because,
        databases=tuple(database_view(found.state, found.voter) for found in report.databases)
        + tuple(keeper_view(v, kinds.get(v.database, "")) for v in report.voters),
        lands_at=report.lands_at,
        more_specifics=report.more_specifics,
    )


def rejoining(site: SiteView, rejoins: Mapping[str, RejoinView]) -> SiteView:
    """`site`, with how far its returning databases are."""
    if not rejoins:
        return site
    told = (d.model_copy(update={"rejoin": rejoins.get(d.name)}) for d in site.databases)
    return site.model_copy(update={"databases": tuple(told)})


def finite(seconds: float | None) -> float | None:
    """JSON has no infinity: what was never seen is null."""
    return None if seconds is None or seconds == float("inf") else round(seconds, 3)


def store_view(records: Records, leader: str) -> StoreView:
    """The store as this daemon sees it."""
    detail = records.error or "; ".join(records.problems)
    return StoreView(ok=records.ok, detail=detail, leader=leader)


def requested(
    records: Records,
    services: Iterable[ServiceName],
    service: str | None,
    tell: Callable[[SeenRequest], RequestView] = request_view,
) -> tuple[RequestView, ...]:
    """What operators have asked, newest first; of every service, and sites, when None."""
    book = records.requests
    found = [
        tell(seen)
        for name in services
        if service in (None, name)
        for seen in (*reversed(book.of(name)), *reversed(records.weights.of(name)))
    ]
    orders = book.orders() if service is None else ()
    return (*found, *(tell(seen) for seen in orders))


def _candidates(view: View, sites: Iterable[SiteView]) -> frozenset[str]:
    """Sites that could take over, as they have said a moment ago."""
    fresh_s = view.spec.timings.report_fresh_s
    holder = "" if view.record is None else view.record.holder
    told = (site for site in sites if site.eligible and (site.report_age_s or 0.0) <= fresh_s)
    return frozenset(site.site for site in told) - {holder}


def drained(records: Records) -> tuple[RequestView, ...]:
    """The orders to drain a site that are in force."""
    orders = records.requests.drains().values()
    in_force = (seen for seen in orders if approved(seen.request) and not closed(seen.request))
    return tuple(request_view(seen) for seen in in_force)


@dataclass(slots=True, kw_only=True)
class DaemonStatus:
    """The daemon of a data site, as far as it can be asked."""

    cluster: str
    site: SiteName
    version: str
    clock: Clock
    records: Records
    loops: tuple[ServiceLoop, ...]
    site_kinds: Mapping[SiteName, SiteKind]
    database_kinds: Mapping[str, str]
    leader: Callable[[], str]
    audit: Callable[[], AuditView]
    notifications: Callable[[], NotificationsView]
    services: Mapping[str, Service] = field(default_factory=dict)
    shedding: Shedding | None = None
    rejoins: Rejoins | None = None
    book: RecollectionBook | None = None
    verdicts: Verdicts | None = None
    running: RunningFile | None = None

    async def status(self) -> Status:
        """Everything this site knows now."""
        return Status(
            cluster=self.cluster,
            site=self.site,
            version=self.version,
            now=self.clock.stamp(),
            store=store_view(self.records, self.leader()),
            services=tuple(self._service(loop) for loop in self.loops),
            drains=drained(self.records),
            fences=fence_views(self.records),
            history=recorded(self.records, self.book, None, HISTORY_SHOWN),
            audit=self.audit(),
            notifications=self.notifications(),
            configuration=None if self.running is None else self.running.view(),
        )

    async def history(self, service: str | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Finished role changes, newest first."""
        if self.book is not None:
            await self.book.read()
        return recorded(self.records, self.book, service, limit)

    async def requests(self, service: str | None) -> tuple[RequestView, ...]:
        """What operators have asked, newest first; of every service, and drains, when None."""
        names = [loop.hands.service for loop in self.loops]
        if self.verdicts is None:
            return requested(self.records, names, service)
        beside = self.verdicts.told(service)
        return (*beside, *requested(self.records, names, service, self.verdicts.telling.of))

    def alive(self) -> Pulse:
        """Whether every loop has turned lately."""
        now = self.clock.monotonic()
        for loop in self.loops:
            if now - loop.turned_at > STUCK_S:
                name = loop.hands.service
                return Pulse(ok=False, detail=f"{name}: no turn for {now - loop.turned_at:.1f} s")
        return Pulse(ok=True, detail="every loop turns")

    def ready(self) -> Pulse:
        """Whether it has seen enough to judge."""
        if not self.records.ok:
            return Pulse(ok=False, detail=f"store: {self.records.error}")
        if any(loop.decision is None or loop.decision.rule < 140 for loop in self.loops):
            return Pulse(ok=False, detail="a service is not settled; see /api/v1/explain")
        return self.alive()

    def _service(self, loop: ServiceLoop) -> ServiceView:
        view, decision = loop.last_view, loop.decision
        spec = loop.observer.spec
        weights = self.records.weights.weights(spec.name)
        if view is None or decision is None:
            return ServiceView(name=spec.name, durability=spec.durability.value)
        record = view.record
        sites = tuple(
            self._with_rejoins(self._site(site, loop, view, decision), spec.name)
            for site in self.site_kinds
        )
        drill = drill_view(self.services.get(spec.name), self.records, view, self.clock.stamp())
        return ServiceView(
            name=spec.name,
            durability=spec.durability.value,
            epoch=0 if record is None else record.epoch,
            holder="" if record is None else record.holder,
            record=record_view(record),
            guarantee=outlook.guarantee(view),
            paused=guards.pause_reason(view),
            warnings=(
                *(() if self.verdicts is None else self.verdicts.loud(spec.name)),
                *outlook.warnings(view),
                *self.audit().alarms,
                *self.notifications().alarms,
                *shed_warnings(self.shedding, spec.name),
                *((drill.overdue,) if drill and drill.overdue else ()),
            ),
            open_change=self._open_change(loop, decision),
            request=None
            if view.request is None or closed(view.request.request)
            else self._told(view.request),
            sites=sites,
            shed=shed_views(self.shedding, spec.name),
            drill=drill,
            weights=weights_view(view, spec, weights, _candidates(view, sites)),
        )

    def _told(self, seen: SeenRequest) -> RequestView:
        return request_view(seen) if self.verdicts is None else self.verdicts.telling.of(seen)

    def _with_rejoins(self, site: SiteView, service: ServiceName) -> SiteView:
        known = self.rejoins
        return site if known is None else rejoining(site, known.of(SiteName(site.site), service))

    def _open_change(self, loop: ServiceLoop, decision: Decision) -> OpenChange | None:
        waiting = [rung for rung in decision.rungs if not rung.done]
        if not waiting:
            return None
        opened = loop.progress.open
        since = 0.0 if opened is None else self.clock.monotonic() - opened.began
        reached = {} if opened is None else opened.reached
        running = loop.lanes.running()
        failures = loop.lanes.failures()
        return OpenChange(
            ladder=decision.ladder,
            step=waiting[0].step,
            since_s=round(since, 3),
            steps=tuple(
                StepView(
                    name=rung.step,
                    database=rung.database or "",
                    done=rung.done,
                    took_s=reached.get((rung.step, rung.database or "")),
                    detail=""
                    if rung.done
                    else running.get(f"database:{rung.database}", "")
                    or failures.get(f"database:{rung.database}", ""),
                )
                for rung in decision.rungs
            ),
        )

    def _site(self, site: SiteName, loop: ServiceLoop, view: View, decision: Decision) -> SiteView:
        kind = self.site_kinds[site]
        if site != self.site:
            other = view.others[site]
            return site_view(
                site,
                kind,
                other.report,
                kinds=self.database_kinds,
                report_age_s=other.report_age_s,
                heartbeat_age_s=other.seen.control_s,
            )
        shown = site_view(
            site,
            kind,
            service_report(view, decision),
            kinds=self.database_kinds,
            report_age_s=0.0,
            heartbeat_age_s=None,
        )
        refused = {f"refused {i + 1}": why for i, why in enumerate(decision.refused_because)}
        failing = {f"failing {key}": why for key, why in loop.lanes.failures().items()}
        return shown.model_copy(
            update={
                "evidence": {**evidence(view, decision), **refused, **failing},
                "apps": Apps(up=view.own.apps_up, total=view.own.apps_total),
                "sessions_up": view.own.sessions_up,
                "sessions_total": view.own.sessions_total,
                "directed_to": tuple(sorted(view.own.directed_to)),
                "held": view.own.held,
            }
        )
