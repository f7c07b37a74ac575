"""Drills, as the daemon notes and tells them."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.audit.entry import Event
from controller.config import Service
from controller.core import guards
from controller.core.model import ServiceName, SiteName
from controller.core.view import View
from controller.drill.record import (
    DrillRecord,
    days_between,
    drill_key,
    encode_drill,
    following,
    overdue,
)
from controller.ports import Clock, PortError, Store, TimedOut
from controller.runtime.auditor import Auditor
from controller.runtime.records import Records
from controller.web.drill_schema import DrillNote, DrillView, LastDrill
from controller.web.source import Asker, NotAsked

REFUSED, UNKNOWN, BUSY, UNHEARD_OF = 409, 504, 503, 400


def last_drill(record: DrillRecord) -> LastDrill:
    """A record as the API tells it."""
    return LastDrill(
        at=record.at,
        verdict=record.verdict,
        by=record.by,
        site=record.site,
        home=record.home,
        target=record.target,
        reason=record.reason,
        epochs=record.epochs,
        gap_s=record.gap_s,
        lost=record.lost,
        passed_at=record.passed_at,
    )


def drill_view(conf: Service | None, records: Records, view: View, now: str) -> DrillView | None:
    """What is promised of a service, and when it was last rehearsed."""
    if conf is None:
        return None
    known = records.answered is not None
    found = records.drills.get(view.spec.name)
    record = None if found is None else found[0]
    every, goals = conf.objectives.drill_every_days, conf.objectives
    age = None if record is None else days_between(record.passed_at, now)
    return DrillView(
        rto_s=goals.rto_s,
        rpo_transactions=goals.rpo_transactions,
        every_days=every,
        canary_url=conf.canary_url or "",
        settled=guards.outside_flap_window(view),
        known=known,
        last=None if record is None else last_drill(record),
        age_days=None if age is None else round(age, 3),
        overdue=overdue(view.spec.name, record, every, now) if known else "",
    )


@dataclass(slots=True, kw_only=True)
class DrillNotes:
    """Implements `web.source.DrillDesk`: who ends a drill tells, and the store keeps it."""

    site: SiteName
    store: Store
    prefix: str
    deadline_s: float
    clock: Clock
    records: Records
    services: Mapping[str, Service]
    auditor: Auditor

    async def note(self, note: DrillNote, who: Asker) -> LastDrill:
        """It stands in the store, and in the audit log. Raises NotAsked."""
        try:
            record = await self._note(note, who)
        except NotAsked as error:
            event = Event.ASKED if error.status == UNKNOWN else Event.REFUSED
            self._audit(event, note, who, str(error))
            raise
        self._audit(Event.ASKED, note, who, f"the drill {note.verdict}")
        return last_drill(record)

    async def _note(self, note: DrillNote, who: Asker) -> DrillRecord:
        service = self._judged(note)
        before, revision = self.records.drills.get(service, (None, 0))
        record = following(
            before,
            DrillRecord(
                at=self.clock.stamp(),
                verdict=note.verdict,
                by=who.name,
                site=who.at(self.site),
                home=note.home,
                target=note.target,
                reason=note.reason,
                epochs=note.epochs,
                gap_s=note.gap_s,
                lost=note.lost,
            ),
        )
        key = f"{self.prefix}{drill_key(service)}"
        try:
            wrote = await self.store.swap(key, encode_drill(record), revision, self.deadline_s)
        except TimedOut as error:
            raise NotAsked(UNKNOWN, f"{error}: whether the drill is noted is not known") from None
        except PortError as error:
            raise NotAsked(BUSY, f"{error}: the drill is not noted") from None
        if wrote is None:
            raise NotAsked(BUSY, f"another drill of {service} was noted meanwhile: try again")
        self.records.drills[service] = record, wrote
        return record

    def _judged(self, note: DrillNote) -> ServiceName:
        """The service, if the history knows the moves that are claimed."""
        if note.service not in self.services:
            known = ", ".join(self.services)
            raise NotAsked(UNHEARD_OF, f"there is no service {note.service!r}; there are {known}")
        service = ServiceName(note.service)
        known_epochs = {change.epoch for change in self.records.changes.get(service, ())}
        unknown = [str(epoch) for epoch in note.epochs if epoch not in known_epochs]
        if unknown:
            raise NotAsked(
                REFUSED,
                f"the history of {service} has no role change under epoch {', '.join(unknown)}: "
                "a drill that nobody saw is not noted",
            )
        return service

    def _audit(self, event: Event, note: DrillNote, who: Asker, outcome: str) -> None:
        self.auditor.note(
            event,
            who=str(who),
            verb="drill",
            service=note.service,
            epoch=note.epochs[-1],
            reason=note.reason,
            outcome=outcome,
            facts={
                "home": note.home,
                "target": note.target,
                "epochs": ", ".join(str(epoch) for epoch in note.epochs),
                "gap_s": "" if note.gap_s is None else f"{note.gap_s:.3f}",
                "lost": "" if note.lost is None else str(note.lost),
                **who.facts,
            },
        )
