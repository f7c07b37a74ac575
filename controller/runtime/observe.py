"""Builds the View: every port's newest look, and one `now`."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core import troubles
from controller.core.health import FailingLink, Verdict
from controller.core.intents import ADDRESS_LANE, ROUTES_LANE, TRAFFIC_LANE
from controller.core.model import (
    FOREVER_S,
    Closing,
    DatabaseName,
    DatabaseState,
    Epoch,
    EpochRecord,
    Instant,
    Report,
    ServiceReport,
    SiteName,
)
from controller.core.requests import Request
from controller.core.view import OtherSite, OwnSide, ServiceSpec, View
from controller.ports import AnnouncerState, BackendState, Clock, Strays
from controller.runtime.hearing import Hearing
from controller.runtime.orders import Order, Orders
from controller.runtime.promises import Promises
from controller.runtime.records import Records
from controller.runtime.sampled import Sampled
from controller.runtime.standstill import lasted

POLL_S = 0.04  # what an intent or a write of ours has changed is looked at again at once
ENDING_S = 0.015  # who waits behind a gate waits for the last request to end
HASTY_S = 0.1
SELDOM_S = 1.0
CALM_S = 1.5  # our own writes tell of a database's fall sooner than another look would
RARELY_S = 10.0


@dataclass(slots=True)
class Proofs:
    """Successes of our own writes, each under the epoch it was made in."""

    commits: dict[DatabaseName, tuple[Epoch, Instant]] = field(default_factory=dict)
    canary: tuple[Epoch, Instant] | None = None
    gates_closed: dict[DatabaseName, Instant] = field(default_factory=dict)

    def committed(self, database: DatabaseName, epoch: Epoch, began: Instant) -> None:
        """A write begun at `began` was acknowledged; it proves nothing of what came after it."""
        closed = self.gates_closed.get(database)
        if closed is None or began > closed:
            self.commits[database] = (epoch, began)

    def gate_closed(self, database: DatabaseName, now: Instant) -> None:
        """Sessions were cut while they waited: what they wrote may be visible, and only here."""
        self.commits.pop(database, None)
        self.gates_closed[database] = now


@dataclass(slots=True, kw_only=True)
class Looks:
    """The sampled ports of one service at this site."""

    databases: Mapping[DatabaseName, Sampled[DatabaseState]]
    balancer: Sampled[Mapping[str, BackendState] | None]
    announcer: Sampled[AnnouncerState | None]
    store: Sampled[bool]
    missing_addresses: Sampled[frozenset[str]]
    verdicts: Mapping[str, Verdict]  # "app NAME", "site LINK", "shared LINK"


@dataclass(slots=True, kw_only=True)
class Observer:
    """One service's eyes."""

    me: SiteName
    spec: ServiceSpec
    backend: str
    addresses: frozenset[str]
    clock: Clock
    looks: Looks
    hearing: Hearing
    records: Records
    promises: Promises
    orders: Orders
    strays: Strays | None = None
    proofs: Proofs = field(default_factory=Proofs)
    dirty: dict[str, Instant] = field(default_factory=dict)  # by lane: older looks are no good
    troubles_since: dict[str, Instant] = field(default_factory=dict)
    lease_until: Instant = Instant(float("-inf"))
    raised: Epoch = Epoch(0)
    fenced: Epoch = Epoch(0)
    closings: tuple[Closing, ...] = ()
    copied: int = 0
    held_since: Instant | None = None

    async def read_store(self, patience_s: float, *, max_age_s: float) -> None:
        """The records are at most this old, or the store is late and counts as not answering."""
        if self.records.silent_s() > max_age_s:
            await self.looks.store.refresh(patience_s)

    async def look(self, patience_s: float, *, calm: bool, busy: frozenset[str]) -> None:
        """Every port has been looked at, or is late and shows its last look.

        While nothing happens (`calm`) what seldom changes by itself is looked at less often. What
        an intent has just changed is looked at again whatever its age; what one is at work on is
        looked at when it has ended.
        """
        seldom_s, rarely_s = (SELDOM_S, RARELY_S) if calm else (HASTY_S, SELDOM_S)
        database_s = CALM_S if calm else POLL_S
        ending = self.held_since is not None and self._in_flight() > 0
        traffic_s = ENDING_S if ending else seldom_s
        ages = {TRAFFIC_LANE: traffic_s, ROUTES_LANE: seldom_s, ADDRESS_LANE: rarely_s}
        stale = [
            sampled.refresh(patience_s, after=after)
            for lane, sampled in self._by_lane().items()
            if not sampled.fresh(
                ages.get(lane, SELDOM_S if lane in busy else database_s),
                after := self.dirty.get(lane),
            )
        ]
        if len(stale) == 1:
            await stale[0]
        elif stale:
            async with asyncio.TaskGroup() as tasks:
                for refresh in stale:
                    tasks.create_task(refresh)

    def _by_lane(self) -> dict[str, Sampled[Any]]:
        """What shows the effect of each lane's intents."""
        return {
            **{f"database:{name}": look for name, look in self.looks.databases.items()},
            TRAFFIC_LANE: self.looks.balancer,
            ROUTES_LANE: self.looks.announcer,
            ADDRESS_LANE: self.looks.missing_addresses,
        }

    def _unseen(self) -> frozenset[str]:
        """Lanes whose last intent has ended, but whose effect has not been looked at yet."""
        return frozenset(
            lane
            for lane, look in self._by_lane().items()
            if lane in self.dirty and not look.shows(self.dirty[lane])
        )

    def view(
        self,
        busy: frozenset[str],
        resting: frozenset[str],
        rejoining: frozenset[DatabaseName],
        failed: Mapping[str, str],
    ) -> View:
        """What is known now."""
        unseen = self._unseen()
        service = self.spec.name
        stored = self.records.epochs.get(service)
        order = self.orders.of(service)
        record = _assumed(stored, order)
        requests = self.records.requests
        view = View(
            now=self.clock.monotonic(),
            me=self.me,
            spec=weighed(self.spec, self.records.weights.weights(service)),
            own=self._own_side(),
            record=record,
            record_seen_s=self.records.silent_s(),
            record_unchanged_s=self.records.unchanged_s(service),
            store_ok=self.records.ok and not self.looks.store.late,
            others={site: self._other(site) for site in self._other_sites()},
            paused=self.records.pauses.get(service, ""),
            request=requests.newest(service),
            acknowledged=requests.acknowledged(service),
            drains=requests.drains(),
            fences=requests.fences(),
            alone=None if order is None else order.request,
            stored=stored,
            changed_s=0.0 if service in self.records.recent else FOREVER_S,
            raised_here=record is not None and record.epoch == self.raised,
            busy=busy | unseen,
            resting=resting - unseen,
            rejoining=rejoining,
            failed=failed,
            copied=self.copied,
        )
        return replace(view, own=replace(view.own, trouble_s=self._troubles(view)))

    def _other_sites(self) -> tuple[SiteName, ...]:
        return tuple(
            site for site in (*self.spec.data_sites, *self.spec.witnesses) if site != self.me
        )

    def _in_flight(self) -> int:
        balancer = self.looks.balancer.value
        backend = None if balancer is None else balancer.get(self.backend)
        return 0 if backend is None else backend.in_flight

    def _own_side(self) -> OwnSide:
        now = self.clock.monotonic()
        promised = self.promises.of(self.spec.name)
        balancer = self.looks.balancer.value
        backend = None if balancer is None else balancer.get(self.backend)
        announcer = self.looks.announcer.value
        announced = None if announcer is None else announcer.services.get(self.spec.name)
        canary = self.proofs.canary
        held = backend is not None and backend.held
        self.held_since = (self.held_since or now) if held else None
        return OwnSide(
            databases=tuple(self.looks.databases[name].value for name in self.spec.databases),
            promised=promised,
            fenced=self.fenced,
            closings=self.closings,
            commit_age_s={
                name: now - at
                for name, (epoch, at) in self.proofs.commits.items()
                if epoch == promised
            },
            front_ok=balancer is not None,
            held=held,
            held_s=0.0 if self.held_since is None else now - self.held_since,
            can_hold=backend is not None and backend.can_hold,
            in_flight=self._in_flight(),
            apps_up=sum(1 for verdict in self._verdicts("app ").values() if verdict.up),
            apps_total=len(self._verdicts("app ")),
            directed_to=frozenset(
                site for site, count in (backend.enabled if backend else {}).items() if count
            ),
            stance=None if announced is None else announced.stance,
            stance_epoch=Epoch(0) if announced is None else announced.epoch,
            more_specifics=() if announced is None else announced.more_specifics,
            sessions_up=0 if announcer is None else sum(announcer.sessions.values()),
            sessions_total=0 if announcer is None else len(announcer.sessions),
            addresses_missing=bool(self.looks.missing_addresses.value & self.addresses),
            can_forward=self.strays is not None and self.strays.ready,
            strays_to=None if self.strays is None else self.strays.sends_to(self.addresses),
            canary_age_s=now - canary[1] if canary and canary[0] == promised else FOREVER_S,
            lease_left_s=self.lease_until - now,
            failing=(*self._failing("site"), *self._failing("shared")),
        )

    def _verdicts(self, prefix: str) -> dict[str, Verdict]:
        found = self.looks.verdicts.items()
        return {key.removeprefix(prefix): v for key, v in found if key.startswith(prefix)}

    def _failing(self, scope: str) -> Iterator[FailingLink]:
        for name, verdict in self._verdicts(f"{scope} ").items():
            if not verdict.up:
                yield FailingLink(
                    link=name,
                    detail=verdict.detail,
                    settles_s=verdict.settles_s,
                    shared=scope == "shared",
                )

    def _other(self, site: SiteName) -> OtherSite:
        report = self.records.reports.get(site)
        observers = [w for w in self.spec.witnesses if w not in (site, self.me)]
        return OtherSite(
            report=None if report is None else _of_service(report, self.spec),
            report_age_s=self.records.report_age_s(site),
            seen=self.hearing.seen(site, self.spec.name),
            seen_by={
                observer: self.hearing.told(observer, site, self.spec.name)
                for observer in observers
            },
        )

    def _troubles(self, view: View) -> dict[str, float]:
        """How long each kind of trouble has lasted, by this node's clock, while it was awake: what
        was not seen by one that stood still is no evidence.
        """
        kinds = {trouble.kind for trouble in troubles.troubles(view)}
        return lasted(self.troubles_since, kinds, view.now, self.hearing.stood_still)


def weighed(spec: ServiceSpec, order: Request | None) -> ServiceSpec:
    """With the weights that an operator has set, of the sites that there are."""
    if order is None or not order.weights:
        return spec
    set_here = {site: order.weights[site] for site in spec.data_sites if site in order.weights}
    return replace(spec, weights={**spec.weights, **set_here})


def _assumed(stored: EpochRecord | None, order: Order | None) -> EpochRecord | None:
    """What the store says, unless an operator had this site assume a later epoch."""
    if order is None or order.assumed is None:
        return stored
    if stored is not None and stored.epoch >= order.assumed.epoch:
        return stored
    return order.assumed


def _of_service(report: Report, spec: ServiceSpec) -> ServiceReport | None:
    return next((found for found in report.services if found.service == spec.name), None)
