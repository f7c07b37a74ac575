"""Builds what tells people, from the configuration and from what the daemon answers anyway."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.notice_command import NoticeCommand
from controller.adapters.webhook import Webhook
from controller.config import Body, Cluster, Secret, TargetConf, read_secret
from controller.config.notifications import read_headers
from controller.core.model import SiteName
from controller.notify.situation import Asked, Copy, Moved, Serving, Situation
from controller.notify.template import PLAIN, read_template
from controller.ports import Clock, Courier
from controller.runtime.notifier import Notifier
from controller.runtime.outbox import Outbox, Target
from controller.web.notify_schema import NotificationsView, TargetView, TriedView
from controller.web.schema import HistoryEntry, RequestView, ServiceView, SiteView, Status
from controller.web.source import NotAsked, StatusSource

FILE = "notifications.json"
ISOLATED = "isolated"
SEALING = "logs_sealed"
REFUSED = "refused "


def build_notifier(cluster: Cluster, site: SiteName, clock: Clock) -> Notifier:
    """What tells people from this site, not running yet. Raises SecretError or ValueError."""
    conf, changed = cluster.notifications, asyncio.Event()
    return Notifier(
        cluster=cluster.cluster,
        site=site,
        clock=clock,
        path=Path(cluster.state_dir) / FILE,
        changed=changed,
        lag_bytes=conf.lag_bytes,
        outboxes=tuple(
            Outbox(
                target=build_target(each), clock=clock, changed=changed, give_up_s=conf.give_up_s
            )
            for each in conf.targets
        ),
    )


def build_target(conf: TargetConf) -> Target:
    """A target with its words, its secrets and the way to it."""
    words = PLAIN
    if conf.template is not None:
        words = read_template(Path(conf.template).read_text(encoding="utf-8"))
    return Target(
        name=conf.name,
        courier=_courier(conf),
        events=frozenset(conf.events),
        services=frozenset(conf.services),
        min_severity=conf.min_severity,
        words=words,
        as_text=conf.body is Body.TEXT,
        deadline_s=conf.deadline_s,
    )


def _courier(conf: TargetConf) -> Courier:
    if conf.command:
        return NoticeCommand(conf.command)
    url = Secret(conf.url) if conf.url else read_secret(conf.url_file, None)
    found = {} if conf.headers_file is None else read_headers(conf.headers_file)
    return Webhook(url, {name: Secret(value) for name, value in found.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Looks at what the daemon answers: its own memory, which no decision waits for."""

    source: StatusSource
    data_sites: tuple[str, ...]
    fresh_s: float
    silent_s: float
    now: Callable[[], float]

    async def situation(self) -> Situation:
        """As it is now."""
        status, asked = await self.source.status(), await self.source.requests(None)
        return Situation(
            cluster=status.cluster,
            me=status.site,
            at=status.now,
            now_s=self.now(),
            data_sites=self.data_sites,
            store_ok=status.store.ok,
            store_detail=status.store.detail,
            heard=heard(status, self.silent_s),
            fenced=fenced(status),
            services=tuple(serving(each, status.site, self.fresh_s) for each in status.services),
            requests=tuple(asked_of(each) for each in asked),
            moves=tuple(moved(each) for each in status.history),
            audit_alarms=None if status.audit is None else status.audit.alarms,
        )


def heard(status: Status, silent_s: float) -> dict[str, bool]:
    """Which other sites are heard now; one that was never heard is left out."""
    ages: Mapping[str, float | None] = {
        site.site: site.heartbeat_age_s
        for service in status.services
        for site in service.sites
        if site.site != status.site
    }
    return {site: age <= silent_s for site, age in ages.items() if age is not None}


def fenced(status: Status) -> dict[str, str] | None:
    """Who keeps which site out, and why; not known while the store has not answered."""
    if not status.store.ok:
        return None
    return {each.site: f"by {each.by}: {each.reason}" for each in status.fences if each.in_force}


def serving(service: ServiceView, me: str, fresh_s: float) -> Serving:
    """A service, as the site that answers knows it."""
    own = next((site for site in service.sites if site.site == me), None)
    change, record = service.open_change, service.record
    return Serving(
        name=service.name,
        epoch=service.epoch if own else 0,
        holder=service.holder,
        kind=record.kind if record else "",
        reason=record.reason if record else "",
        asked_by=record.asked_by if record else "",
        at=record.at if record else "",
        paused=service.paused,
        isolated=own is not None and own.stance == ISOLATED,
        refused=_refused(own),
        unsealed_s=change.since_s if change and change.step == SEALING else 0.0,
        copies=tuple(_copies(service, me, fresh_s)),
        overdue=service.drill.overdue if service.drill and service.drill.known else None,
    )


def _refused(own: SiteView | None) -> tuple[str, ...]:
    evidence = {} if own is None else own.evidence
    return tuple(why for name, why in evidence.items() if name.startswith(REFUSED))


def _copies(service: ServiceView, me: str, fresh_s: float) -> list[Copy]:
    """A copy of which nothing fresh is known does not vote."""
    found = []
    learners = () if service.record is None else service.record.learners
    for site in service.sites:
        fresh = site.site == me or (site.report_age_s or 0.0) <= fresh_s
        for database in site.databases:
            lag = database.lag_bytes if fresh else None
            votes = None if site.site in learners else fresh and database.streaming
            found.append(Copy(site=site.site, database=database.name, votes=votes, lag_bytes=lag))
    return found


def asked_of(request: RequestView) -> Asked:
    """A request, as far as people are told of it."""
    return Asked(
        number=request.number,
        kind=request.kind,
        state=request.state,
        asked_by=request.asked_by,
        service=request.service,
        target=request.target,
        reason=request.reason,
        why=request.state_why,
        missing=max(0, request.approvals_needed - len(request.approved_by)),
        at=request.at,
        broke_glass=request.broke_glass,
    )


def moved(entry: HistoryEntry) -> Moved:
    """A finished role change, as far as people are told of it."""
    return Moved(
        service=entry.service,
        epoch=entry.epoch,
        previous=entry.previous_holder,
        holder=entry.holder,
        kind=entry.kind,
        reason=entry.reason,
        asked_by=entry.asked_by,
        began_at=entry.began_at,
        took_s=entry.took_s,
        outcome=entry.outcome,
    )


def notifications_view(notifier: Notifier) -> NotificationsView:
    """How telling people goes."""
    return NotificationsView(
        alarms=notifier.alarms(),
        targets=tuple(
            TargetView(
                name=box.target.name,
                where=box.target.courier.where,
                events=tuple(sorted(box.target.events)),
                services=tuple(sorted(box.target.services)),
                min_severity=box.target.min_severity.value,
                sent=box.sent,
                failed=box.failed,
                waiting=len(box.waiting),
                dropped=box.dropped,
                failing_s=round(box.failing_s(), 3),
                problem=box.problem,
            )
            for box in notifier.outboxes
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyAnswers:
    """Implements `web.source.NotifySource`."""

    notifier: Notifier

    def view(self) -> NotificationsView:
        """How telling people goes."""
        return notifications_view(self.notifier)

    async def test(self, target: str) -> tuple[TriedView, ...]:
        """What came back of a test. Raises NotAsked."""
        try:
            tried = await self.notifier.test(target)
        except KeyError:
            known = ", ".join(box.target.name for box in self.notifier.outboxes) or "none"
            raise NotAsked(404, f"there is no target {target!r}; there are: {known}") from None
        return tuple(
            TriedView(target=each.target, where=each.where, ok=each.ok, detail=each.detail)
            for each in tried
        )
