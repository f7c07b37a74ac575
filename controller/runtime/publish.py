"""This site's report: built from what the loops saw and decided, put into the store under a lease.

It is put when something that others decide on has changed, and now and then so that they see it is
alive. Positions that move all the time do not count as a change.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields
from operator import attrgetter

import structlog

from controller.core import fenced, guards, outlook, terms, troubles
from controller.core.decide import Decision
from controller.core.model import (
    DatabaseReport,
    DatabaseState,
    Instant,
    Report,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.quorum import own_voter
from controller.core.view import View
from controller.core.wire import encode_report, report_key
from controller.ports import Clock, PortError, Store
from controller.runtime.records import Records


def service_report(view: View, decision: Decision, *, warned: bool = True) -> ServiceReport:
    """What this site says of itself and one service; the warnings are for people."""
    return ServiceReport(
        service=view.spec.name,
        role=decision.role,
        epoch=view.own.promised,
        stance=view.own.stance,
        rule=decision.rule,
        reason=decision.reason.value,
        healthy=not view.own.trouble_s and not troubles.failing_links(view),
        eligible=decision.eligible,
        not_eligible_because=decision.not_eligible_because,
        yielding=decision.yielding,
        failing=troubles.failing_links(view),
        terms=terms.own_terms(view.spec),
        moving=guards.holder_hands_over(view, view.spec.timings.hold_s),
        gate=view.own.can_hold,
        held=view.own.held,
        quiet=not view.own.can_hold or (view.own.held and view.own.in_flight == 0),
        databases=tuple(
            DatabaseReport(state=state, voter=own_voter(view, state))
            for state in view.own.databases
        ),
        seen={site: other.seen for site, other in view.others.items()},
        sessions_down=view.own.sessions_total - view.own.sessions_up,
        more_specifics=view.own.more_specifics,
        warnings=outlook.warnings(view)[:20] if warned else (),
        fenced=fenced.fenced_sites(view),
        closings=view.own.closings,
    )


def digest(report: ServiceReport) -> Hashable:
    """What others decide on; equal digests need no hurry."""
    return (
        report.role,
        report.epoch,
        report.stance,
        report.rule,
        report.eligible,
        report.yielding,
        report.failing,
        report.terms,
        report.held,
        report.quiet,
        report.lands_at,
        report.sessions_down,
        report.fenced,
        report.closings,
        tuple(found.state.position for found in report.databases) if report.moving else (),
        tuple(_state_digest(found.state) for found in report.databases),
        tuple(_voter_digest(found.voter) for found in report.databases),
        tuple(_voter_digest(voter) for voter in report.voters),
    )


def news(records: Records) -> Hashable:
    """Everything in the store that is decided on; it stays the same while sites only say again
    that they are alive.
    """
    return (
        tuple((name, record.revision) for name, record in sorted(records.epochs.items())),
        tuple(sorted(records.pauses.items())),
        records.requests.revisions(),
        records.weights.revisions(),
        tuple(
            (site, report.boot, tuple(digest(found) for found in report.services))
            for site, report in sorted(records.reports.items())
        ),
    )


def _state_digest(state: DatabaseState) -> Hashable:
    followers = frozenset((f.site, f.streaming, f.quarantined) for f in state.followers)
    return (_steady(state), followers)


def _voter_digest(voter: VoterState) -> Hashable:
    return (voter.position if voter.sealed else None, _voting(voter))


def _all_but(kind: type[DatabaseState | VoterState], *moving: str) -> Callable[[object], Hashable]:
    """The values of every field but these, which move all the time."""
    return attrgetter(*(found.name for found in fields(kind) if found.name not in moving))


_steady = _all_but(
    DatabaseState, "position", "applied", "lag_bytes", "waiting_commits", "followers"
)
_voting = _all_but(VoterState, "position")


log = structlog.get_logger()

SLOW_S = 0.05


@dataclass(slots=True, kw_only=True)
class Publisher:
    """Puts this site's report; one for all its services."""

    site: SiteName
    boot: str
    version: str
    store: Store
    prefix: str
    clock: Clock
    every_s: float
    lease_s: float
    deadline_s: float
    services: dict[ServiceName, ServiceReport] = field(default_factory=dict)
    error: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _digests: dict[ServiceName, Hashable] = field(default_factory=dict)
    put_at: Instant = Instant(float("-inf"))

    def update(self, report: ServiceReport) -> None:
        """The newest report of one service."""
        self.services[report.service] = report
        found = digest(report)
        if self._digests.get(report.service) != found:
            self._digests[report.service] = found
            self._changed.set()

    async def run(self) -> None:
        """Puts the report for ever."""
        while True:
            try:
                async with asyncio.timeout(self.every_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self.services:
                await self._put()

    async def _put(self) -> None:
        report = Report(
            site=self.site,
            boot=self.boot,
            version=self.version,
            at=self.clock.stamp(),
            services=tuple(self.services.values()),
        )
        key = f"{self.prefix}{report_key(self.site)}"
        began = self.clock.monotonic()
        try:
            await self.store.put_leased(key, encode_report(report), self.lease_s, self.deadline_s)
        except PortError as error:
            self.error = str(error)
            self._changed.set()  # what was to be told has not been told
            await asyncio.sleep(0.05)
        else:
            self.error = ""
            self.put_at = self.clock.monotonic()
            if self.put_at - began > SLOW_S:
                log.info("slow report", took_s=round(self.put_at - began, 3))
