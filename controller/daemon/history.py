"""Finished role changes as the API tells them: each record, with what the sites have said of it."""

from collections.abc import Iterable

from controller.core.model import Epoch
from controller.core.wire import Change
from controller.history.losses import Loss, losses
from controller.history.recollection import Recollection, Stage
from controller.runtime.recorder import RecollectionBook
from controller.runtime.records import Records
from controller.web.history_schema import (
    HistoryBeyond,
    HistoryDiscarded,
    HistoryLoss,
    HistoryOrder,
    HistoryOutside,
    HistorySite,
    HistoryStage,
    HistoryStep,
)
from controller.web.schema import HistoryEntry, StepView


def recorded(
    records: Records, book: RecollectionBook | None, service: str | None, limit: int
) -> tuple[HistoryEntry, ...]:
    """Finished role changes, newest first."""
    found = [
        change
        for name, changes in records.changes.items()
        if service is None or name == service
        for change in changes
    ]
    found.sort(key=lambda change: (change.began_at, change.epoch), reverse=True)
    return tuple(
        history_entry(
            change,
            () if book is None else book.of(change.service),
            (known.epoch for known in records.changes[change.service]),
        )
        for change in found[:limit]
    )


def history_entry(
    change: Change, said: tuple[Recollection, ...] = (), epochs: Iterable[Epoch] = ()
) -> HistoryEntry:
    """One of them; `said` is all that is kept of its service, `epochs` those of all its changes."""
    mine = sorted((s for s in said if s.epoch == change.epoch), key=lambda s: s.site)
    holder = next((each for each in mine if each.site == change.holder), None)
    order = None if holder is None else holder.asked
    return HistoryEntry(
        service=change.service,
        epoch=change.epoch,
        previous_holder=change.previous_holder,
        holder=change.holder,
        kind=change.kind,
        reason=change.reason,
        rule=change.rule,
        asked_by=change.asked_by,
        began_at=change.began_at,
        took_s=change.took_s,
        outcome=change.outcome,
        evidence=dict(change.evidence),
        steps=_steps(change),
        outage_s=None if holder is None else holder.outage_s,
        outage_from="" if holder is None else holder.outage_from,
        order=None
        if order is None
        else HistoryOrder(
            request=order.request,
            kind=order.kind,
            asked_at=order.asked_at,
            approved_by=order.approved_by,
            statement=order.statement,
        ),
        losses=tuple(_loss(each) for each in losses(change.epoch, change.holder, said, epochs)),
        sites=tuple(_site(each) for each in mine),
        outside=_outside(mine, change.holder),
    )


def _steps(change: Change) -> tuple[StepView, ...]:
    return tuple(
        StepView(
            name=step.name,
            database=step.database,
            done=True,
            took_s=step.took_s,
            detail=f"began at {step.began_s:.3f} s" if step.began_s else step.detail,
            began_s=step.began_s,
        )
        for step in change.steps
    )


def _site(said: Recollection) -> HistorySite:
    return HistorySite(
        site=said.site,
        seen_at=said.seen_at,
        routes=_stages(said.routes),
        held_s=said.held_s,
        steps=tuple(
            HistoryStep(ladder=s.ladder, name=s.name, database=s.database, at_s=s.at_s)
            for s in said.steps
        ),
        discarded=tuple(HistoryDiscarded(database=d.database, what=d.what) for d in said.discarded),
    )


def _outside(said: list[Recollection], holder: str) -> tuple[HistoryOutside, ...]:
    """By the word of the new holder; without it, of another."""
    telling = [each for each in said if each.outside]
    telling.sort(key=lambda each: (each.site != holder, each.site))
    return tuple(
        HistoryOutside(vantage=o.vantage, told_by=each.site, entered=_stages(o.entered))
        for each in telling[:1]
        for o in each.outside
    )


def _stages(stages: Iterable[Stage]) -> tuple[HistoryStage, ...]:
    return tuple(HistoryStage(what=stage.what, at_s=stage.at_s) for stage in stages)


def _loss(found: Loss) -> HistoryLoss:
    return HistoryLoss(
        database=found.database,
        acknowledged=found.acknowledged.value,
        begins=found.begins,
        source=found.source,
        sealed=found.sealed,
        needed=found.needed,
        excused=found.excused,
        beyond=tuple(
            HistoryBeyond(
                site=each.site, after=each.after, up_to=each.up_to, size=each.size, unit=each.unit
            )
            for each in found.beyond
        ),
    )
