"""What the witness answers when asked: the sites' reports, and its own keepers."""

from typing import TYPE_CHECKING

from controller.core.model import ServiceName, SiteName
from controller.daemon.audit import audit_view
from controller.daemon.fences import fence_views
from controller.daemon.history import recorded
from controller.daemon.status import (
    drained,
    record_view,
    rejoining,
    requested,
    site_view,
    store_view,
)
from controller.runtime.recorder import RecollectionBook
from controller.version import VERSION
from controller.web.schema import (
    HistoryEntry,
    RequestView,
    ServiceView,
    SiteView,
    Status,
)
from controller.web.source import Pulse

if TYPE_CHECKING:
    from witness.daemon import Witness

HISTORY_SHOWN = 20
STUCK_S = 5.0


class WitnessStatus:
    """A witness daemon, as far as it can be asked."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        cluster = witness.node.cluster
        self._book = RecollectionBook(
            store=witness.node.store,
            prefix=cluster.etcd.prefix,
            deadline_s=cluster.etcd.deadline_s,
        )
        self._kinds: dict[str, str] = {
            database.name: database.kind.value
            for service in cluster.services
            for database in service.databases
        }

    async def status(self) -> Status:
        """Everything this site knows now."""
        node, records = self._witness.node, self._witness.records
        return Status(
            cluster=node.cluster.cluster,
            site=node.site,
            version=VERSION,
            now=node.clock.stamp(),
            store=store_view(records, self._witness.leader),
            services=tuple(self._service(service) for service in self._witness.teller.services),
            drains=drained(records),
            fences=fence_views(records),
            history=recorded(records, self._book, None, HISTORY_SHOWN),
            audit=audit_view(self._witness.deeds.auditor),
            configuration=None if self._witness.running is None else self._witness.running.view(),
        )

    async def history(self, service: str | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Finished role changes, newest first."""
        await self._book.read()
        return recorded(self._witness.records, self._book, service, limit)

    async def requests(self, service: str | None) -> tuple[RequestView, ...]:
        """What operators have asked, newest first; of every service, and drains, when None."""
        return requested(self._witness.records, self._witness.teller.services, service)

    def alive(self) -> Pulse:
        """Whether the loop has turned lately."""
        ago = self._witness.node.clock.monotonic() - self._witness.teller.told_at
        if ago > STUCK_S:
            return Pulse(ok=False, detail=f"no turn for {ago:.1f} s")
        return Pulse(ok=True, detail="the loop turns")

    def ready(self) -> Pulse:
        """Whether the store answers and every keeper could be looked at."""
        records = self._witness.records
        if not records.ok:
            return Pulse(ok=False, detail=f"store: {records.error}")
        blind = [keeper.database for keeper in self._witness.keepers if keeper.state is None]
        if blind:
            return Pulse(ok=False, detail=f"keepers not seen yet: {', '.join(blind)}")
        return self.alive()

    def _service(self, name: ServiceName) -> ServiceView:
        node, records = self._witness.node, self._witness.records
        record = records.epochs.get(name)
        conf = node.cluster.service(name)
        own = self._witness.teller.report(name)
        return ServiceView(
            name=name,
            durability=conf.durability.value,
            epoch=0 if record is None else record.epoch,
            holder="" if record is None else record.holder,
            record=record_view(record),
            guarantee="ask a data site",
            paused=records.pauses.get(name, ""),
            warnings=(*own.warnings, *self._witness.deeds.auditor.alarms()),
            sites=tuple(self._site(site, name) for site in node.cluster.sites),
        )

    def _site(self, site: SiteName, service: ServiceName) -> SiteView:
        node, records = self._witness.node, self._witness.records
        kind = node.cluster.sites[site].kind
        if site == node.site:
            own = self._witness.teller.report(service)
            return site_view(
                site, kind, own, kinds=self._kinds, report_age_s=0.0, heartbeat_age_s=None
            )
        report = records.reports.get(site)
        found = (
            None
            if report is None
            else next((r for r in report.services if r.service == service), None)
        )
        shown = site_view(
            site,
            kind,
            found,
            kinds=self._kinds,
            report_age_s=records.report_age_s(site),
            heartbeat_age_s=node.hearing.control_s(site),
        )
        return rejoining(shown, self._witness.rejoins.of(site, service))
