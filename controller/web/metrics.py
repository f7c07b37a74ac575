"""Prometheus metrics. One registry per daemon, so that tests and two daemons never share one.

Ages and counts come from the daemon as it goes; what the status says anyway is copied from it
when somebody scrapes (`apply`), so that both always tell the same.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bgp.policy import Stance
from controller.core.model import Liveness, Role
from controller.core.position import BadPosition, lsn_to_int
from controller.web.notify_schema import NotificationsView
from controller.web.schema import DatabaseView, ServiceView, SiteView, Status

_STEP_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_TURN_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Every metric of a daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._make_service_metrics()
        self._make_database_metrics()
        self._make_daemon_metrics()
        self._make_notify_metrics()
        self._dropped_seen: dict[str, int] = {}
        self._told_seen: dict[tuple[str, str], int] = {}

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="tricast", registry=self.registry)

    def _make_service_metrics(self) -> None:
        self._epoch = self._gauge("epoch", "Epoch of the service, as recorded.", "service")
        self._holder = self._gauge("holder", "1 for the site that holds it.", "service", "site")
        self._role = self._gauge(
            "role", "1 for the role a site reports.", "service", "site", "role"
        )
        self._rule = self._gauge("rule", "Rule that holds at a site.", "service", "site")
        self._stance = self._gauge(
            "stance", "1 for the stance of a site's routes.", "service", "site", "stance"
        )
        self._healthy = self._gauge("healthy", "1 when a site says it is.", "service", "site")
        self._eligible = self._gauge(
            "eligible", "1 when a site may take the service over.", "service", "site"
        )
        self._apps_up = self._gauge("apps_up", "App servers found up.", "service", "site")
        self._heartbeat_age = self._gauge(
            "heartbeat_age_seconds", "Since the last heartbeat of a site was heard.", "site"
        )
        self._report_age = self._gauge(
            "report_age_seconds", "Age of a site's report.", "service", "site"
        )
        self._warnings = self._gauge("warnings", "Warnings in force.", "service")
        self._paused = self._gauge("paused", "1 while automation is paused.", "service")
        self._open_change = self._gauge(
            "open_change_seconds", "For how long a ladder is being climbed; 0: none.", "service"
        )
        self._drill_age = self._gauge(
            "drill_age_days", "Days since the last drill that passed; absent: none.", "service"
        )
        self._drill_overdue = self._gauge("drill_overdue", "1 when a drill is due.", "service")
        self._shed = self._gauge(
            "shed", "1 while a low-priority backend is switched off here.", "service", "backend"
        )
        self._lands = self._gauge(
            "lands_at", "1 for the site that answers on the service address.", "service", "site"
        )

    def _make_database_metrics(self) -> None:
        labels = ("service", "database", "site")
        self._up = self._gauge("database_up", "1 when the server runs.", *labels)
        self._writable = self._gauge("database_writable", "1 when it takes writes.", *labels)
        self._gate = self._gauge("database_gate_open", "1 when clients may log in.", *labels)
        self._streaming = self._gauge("database_streaming", "1 while it receives.", *labels)
        self._database_epoch = self._gauge(
            "database_epoch", "Epoch of the last record in its log.", *labels
        )
        self._position = self._gauge(
            "voter_position", "End of the log: bytes, or transactions.", *labels
        )
        self._lag = self._gauge("voter_lag_bytes", "Behind the primary.", *labels)
        self._promised = self._gauge(
            "voter_promised_epoch", "Takes nothing from an epoch below this.", *labels
        )
        self._sealed = self._gauge("voter_sealed", "1 while sealed.", *labels)
        self._problems = self._gauge("database_problems", "Alarms in force.", *labels)

    def _make_daemon_metrics(self) -> None:
        self._store_ok = self._gauge("store_ok", "1 when the store's majority answers.")
        self._audit_ok = self._gauge(
            "audit_ok", "1 while the audit log is written, whole and anchored as known.", "site"
        )
        self._audit_waiting = self._gauge(
            "audit_waiting", "Entries of the audit log that are not written yet.", "site"
        )
        self._audit_seq = self._gauge("audit_entries", "Number of the newest entry.", "site")
        self._build = self._gauge("build_info", "Always 1.", "cluster", "site", "version")
        self._step = Histogram(
            "step_duration_seconds",
            "How long a step of a ladder took.",
            ("service", "ladder", "step"),
            namespace="tricast",
            buckets=_STEP_BUCKETS,
            registry=self.registry,
        )
        self._changes = Counter(
            "role_changes",
            "Finished role changes of this site.",
            ("service", "kind", "rule"),
            namespace="tricast",
            registry=self.registry,
        )
        self._dropped = Counter(
            "heartbeats_dropped",
            "Datagrams that were not believed.",
            ("reason",),
            namespace="tricast",
            registry=self.registry,
        )
        self._turns = Counter(
            "turns", "Turns of the loop.", namespace="tricast", registry=self.registry
        )
        self._turn = Histogram(
            "turn_duration_seconds",
            "How long a turn of the loop took.",
            namespace="tricast",
            buckets=_TURN_BUCKETS,
            registry=self.registry,
        )

    def _make_notify_metrics(self) -> None:
        self._notices_waiting = self._gauge(
            "notifications_waiting", "Notices that are not taken yet.", "target"
        )
        self._notices_failing = self._gauge(
            "notifications_failing_seconds", "For how long a target has taken nothing.", "target"
        )
        self._notices = Counter(
            "notifications",
            "Notices by what has come of them: sent, failed, dropped.",
            ("target", "outcome"),
            namespace="tricast",
            registry=self.registry,
        )

    def turned(self, took_s: float) -> None:
        """One more turn of the loop is over."""
        self._turns.inc()
        self._turn.observe(took_s)

    def step_done(self, service: str, ladder: str, step: str, took_s: float) -> None:
        """A step's goal holds, `took_s` after it was first asked for."""
        self._step.labels(service, ladder, step).observe(took_s)

    def role_changed(self, service: str, kind: str, rule: int) -> None:
        """This site finished a role change."""
        self._changes.labels(service, kind, str(rule)).inc()

    def heartbeats_dropped(self, by_reason: Mapping[str, int]) -> None:
        """The totals are at least `by_reason`; given as the heartbeat port counts them."""
        for reason, total in by_reason.items():
            more = total - self._dropped_seen.get(reason, 0)
            if more > 0:
                self._dropped.labels(reason).inc(more)
                self._dropped_seen[reason] = total

    def store_ok(self, *, ok: bool) -> None:
        """Whether the store's majority answered lately."""
        self._store_ok.set(ok)

    def apply(self, status: Status) -> None:
        """Every gauge says what `status` says, and nothing that it no longer says."""
        self._clear()
        self.store_ok(ok=status.store.ok)
        self._build.labels(status.cluster, status.site, status.version).set(1)
        if status.audit is not None:
            self._audit_ok.labels(status.site).set(status.audit.ok)
            self._audit_waiting.labels(status.site).set(status.audit.waiting)
            self._audit_seq.labels(status.site).set(status.audit.seq)
        if status.notifications is not None:
            self._apply_notifications(status.notifications)
        for service in status.services:
            self._apply_service(service)

    def _clear(self) -> None:
        for metric in vars(self).values():
            if isinstance(metric, Gauge) and metric is not self._store_ok:
                metric.clear()

    def _apply_notifications(self, view: NotificationsView) -> None:
        for target in view.targets:
            self._notices_waiting.labels(target.name).set(target.waiting)
            self._notices_failing.labels(target.name).set(target.failing_s)
            totals = {"sent": target.sent, "failed": target.failed, "dropped": target.dropped}
            for outcome, total in totals.items():
                more = total - self._told_seen.get((target.name, outcome), 0)
                self._notices.labels(target.name, outcome).inc(max(0, more))
                self._told_seen[target.name, outcome] = total

    def _apply_service(self, service: ServiceView) -> None:
        name = service.name
        self._epoch.labels(name).set(service.epoch)
        self._warnings.labels(name).set(len(service.warnings))
        self._paused.labels(name).set(bool(service.paused))
        change = service.open_change
        self._open_change.labels(name).set(change.since_s if change else 0)
        if service.drill is not None:
            self._drill_overdue.labels(name).set(bool(service.drill.overdue))
            if service.drill.age_days is not None:
                self._drill_age.labels(name).set(service.drill.age_days)
        for shed in service.shed:
            if shed.off is not None:
                self._shed.labels(name, shed.backend).set(shed.off)
        for site in service.sites:
            self._holder.labels(name, site.site).set(site.site == service.holder)
            self._apply_site(name, site)

    def _apply_site(self, service: str, site: SiteView) -> None:
        for role in Role:
            self._role.labels(service, site.site, role.value).set(site.role == role)
        self._rule.labels(service, site.site).set(site.rule)
        if site.kind == "data":
            for stance in Stance:
                self._stance.labels(service, site.site, stance.value).set(site.stance == stance)
            self._eligible.labels(service, site.site).set(site.eligible)
            self._apps_up.labels(service, site.site).set(site.apps.up)
        if site.healthy is not None:
            self._healthy.labels(service, site.site).set(site.healthy)
        if site.heartbeat_age_s is not None:
            self._heartbeat_age.labels(site.site).set(site.heartbeat_age_s)
        if site.report_age_s is not None:
            self._report_age.labels(service, site.site).set(site.report_age_s)
        if site.lands_at:
            self._lands.labels(service, site.lands_at).set(1)
        for database in site.databases:
            self._apply_database((service, database.name, site.site), database)

    def _apply_database(self, labels: tuple[str, str, str], database: DatabaseView) -> None:
        self._up.labels(*labels).set(database.liveness == Liveness.RUNNING)
        self._writable.labels(*labels).set(database.writable)
        self._gate.labels(*labels).set(database.gate_open)
        self._streaming.labels(*labels).set(database.streaming)
        self._database_epoch.labels(*labels).set(database.epoch)
        self._promised.labels(*labels).set(database.promised)
        self._sealed.labels(*labels).set(database.sealed)
        self._problems.labels(*labels).set(len(database.problems))
        if database.lag_bytes is not None:
            self._lag.labels(*labels).set(database.lag_bytes)
        if (number := position_number(database.position)) is not None:
            self._position.labels(*labels).set(number)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


def position_number(text: str) -> int | None:
    """A position as a number that only rises within an epoch; None when it cannot be one.

    Bytes for an LSN; for GTIDs the number of transactions (the sum of the sequences).
    """
    place = text.partition("@")[0].strip()
    try:
        if "/" in place:
            return lsn_to_int(place)
        if ":" in place:
            return _mysql_count(place)
        if "-" in place:
            return sum(int(part.rsplit("-", 1)[1]) for part in place.split(","))
    except (BadPosition, ValueError, IndexError):
        return None
    return None


def _mysql_count(text: str) -> int:
    count = 0
    for part in text.replace("\n", "").split(","):
        for interval in part.split(":")[1:]:
            low, _, high = interval.partition("-")
            count += int(high or low) - int(low) + 1
    return count
