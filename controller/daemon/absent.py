"""What is known where no daemon answers: the records in the store, read once.

Each site's last report is there until its lease ends, with what that site said of itself. What
follows from several of them (the guarantee, warnings, who could take over) only a daemon judges.
"""

import asyncio
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from controller.adapters.clock import SystemClock
from controller.config import Cluster
from controller.core.model import ServiceName, SiteName
from controller.core.requests import closed
from controller.daemon.fences import fence_views
from controller.daemon.history import recorded
from controller.daemon.request_view import request_view
from controller.daemon.status import drained, record_view, requested, site_view, store_view
from controller.daemon.wiring import build_store
from controller.ports import Store, Unreachable
from controller.runtime.recorder import RecollectionBook
from controller.runtime.records import Records
from controller.version import VERSION
from controller.web.answer import Answer
from controller.web.schema import (
    History,
    Requests,
    ServiceView,
    SiteView,
    Status,
    explain,
)

SITE: Final = "etcd"  # in place of the site that answers
UNJUDGED: Final = "not judged: no daemon was asked"
HISTORY_SHOWN: Final = 20


def answer(cluster: Cluster, path: str) -> Answer | None:
    """What a daemon would be asked at `path`; None where the store does not tell it.

    Raises PortError when no majority of the store answers.
    """
    return asyncio.run(_answer(cluster, path))


async def _answer(cluster: Cluster, path: str) -> Answer | None:
    asked = urlsplit(path)
    wanted = {name: values[-1] for name, values in parse_qs(asked.query).items()}
    service = wanted.get("service")
    store = build_store(cluster, cluster.etcd_endpoints(next(iter(cluster.sites))))
    try:
        match asked.path:
            case "/api/v1/status":
                return await Stored(cluster, store).status()
            case "/api/v1/explain":
                return explain(await Stored(cluster, store).status())
            case "/api/v1/history":
                limit = int(wanted.get("limit", HISTORY_SHOWN))
                return await Stored(cluster, store).history(service, limit)
            case "/api/v1/requests":
                return await Stored(cluster, store).requests(service)
            case _:
                return None
    finally:
        await store.aclose()


class Stored:
    """One reading of the store."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self._cluster = cluster
        self._clock = SystemClock()
        etcd = cluster.etcd
        self._store, self._deadline_s = store, etcd.deadline_s
        self._records = Records(
            store=store, prefix=etcd.prefix, clock=self._clock, deadline_s=etcd.deadline_s
        )
        self._book = RecollectionBook(store=store, prefix=etcd.prefix, deadline_s=etcd.deadline_s)
        self._kinds: dict[str, str] = {
            database.name: database.kind.value
            for found in cluster.services
            for database in found.databases
        }

    async def status(self) -> Status:
        """Services, sites and what they last said; requests and history."""
        await self._read()
        names = [ServiceName(service.name) for service in self._cluster.services]
        return Status(
            cluster=self._cluster.cluster,
            site=SITE,
            version=VERSION,
            now=self._clock.stamp(),
            store=store_view(self._records, (await self._store.status(self._deadline_s)).leader),
            services=tuple(self._service(name) for name in names),
            drains=drained(self._records),
            fences=fence_views(self._records),
            history=recorded(self._records, self._book, None, HISTORY_SHOWN),
        )

    async def history(self, service: str | None, limit: int) -> History:
        """Finished role changes, newest first."""
        await self._read()
        changes = recorded(self._records, self._book, service, limit)
        return History(cluster=self._cluster.cluster, site=SITE, changes=changes)

    async def requests(self, service: str | None) -> Requests:
        """What operators have asked, newest first."""
        await self._read()
        names = [ServiceName(found.name) for found in self._cluster.services]
        told = requested(self._records, names, service)
        return Requests(cluster=self._cluster.cluster, site=SITE, requests=told)

    async def _read(self) -> None:
        if not await self._records.refresh():
            raise Unreachable(self._records.error)
        await self._book.read()

    def _service(self, name: ServiceName) -> ServiceView:
        records = self._records
        record, seen = records.epochs.get(name), records.requests.newest(name)
        return ServiceView(
            name=name,
            durability=self._cluster.service(name).durability.value,
            epoch=0 if record is None else record.epoch,
            holder="" if record is None else record.holder,
            record=record_view(record),
            guarantee=UNJUDGED,
            paused=records.pauses.get(name, ""),
            request=None if seen is None or closed(seen.request) else request_view(seen),
            sites=tuple(self._site(site, name) for site in self._cluster.sites),
        )

    def _site(self, site: SiteName, service: ServiceName) -> SiteView:
        report = self._records.reports.get(site)
        said = next((s for s in report.services if s.service == service), None) if report else None
        return site_view(
            site,
            self._cluster.sites[site].kind,
            said,
            kinds=self._kinds,
            report_age_s=None if report is None else self._age_s(report.at),
            heartbeat_age_s=None,
        )

    def _age_s(self, stamp: str) -> float:
        """By both hosts' clocks, as far as they agree."""
        now = datetime.fromisoformat(self._clock.stamp())
        return max(0.0, (now - datetime.fromisoformat(stamp)).total_seconds())
