"""What one log keeper does now: seal for a new epoch, follow its holder, or nothing. Pure.

Invariant: a keeper takes nothing from an epoch below its promise, so it follows only the holder of
the very epoch it has promised, and only once that holder says it is writable under it.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.core.model import (
    DatabaseName,
    Epoch,
    EpochRecord,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, lsn_to_int


class Doing(StrEnum):
    """Why, in the operator's words."""

    NO_RECORD = "the epoch record is not known"
    BELOW_FLOOR = "the store offers an epoch below the promise: refused"
    PROMISE = "a new epoch: promise it before anything else"
    SEAL = "sealing for the promised epoch"
    AWAIT_HOLDER = "sealed; the holder has not promoted yet"
    FOLLOW = "the holder is promoted: following it"
    FOLLOWING = "following the holder"
    LEARNS = "a learner, by an operator's word: resting until it is promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseEpoch:
    """Raise the promise."""

    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class SealKeeper:
    """Receive from nobody."""

    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowHolder:
    """Receive from the primary of `epoch`."""

    upstream: SiteName
    epoch: Epoch


KeeperIntent = PromiseEpoch | SealKeeper | FollowHolder


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperDecision:
    """What to do with one keeper, and why."""

    doing: Doing
    intent: KeeperIntent | None = None


def decide_keeper(
    record: EpochRecord | None,
    promised: Epoch,
    keeper: VoterState,
    holder_report: ServiceReport | None,
    *,
    learns: bool = False,
) -> KeeperDecision:
    """The decision for one keeper; total. One that `learns` is let in by no primary: it rests."""
    if record is None:
        return KeeperDecision(doing=Doing.NO_RECORD)
    if record.epoch < promised:
        return KeeperDecision(doing=Doing.BELOW_FLOOR)
    if record.epoch > promised:
        return KeeperDecision(doing=Doing.PROMISE, intent=PromiseEpoch(epoch=record.epoch))
    if learns and keeper.sealed:
        return KeeperDecision(doing=Doing.LEARNS)
    return _of_promised(record, keeper, holder_report, learns=learns)


def rests_on(
    record: EpochRecord | None, holder_report: ServiceReport | None, database: DatabaseName
) -> Hashable:
    """What the store tells that a decision rests on: while it stays the same, so does that."""
    if record is None:
        return None
    promoted = _promoted(holder_report, database, record.epoch)
    return (record.epoch, record.holder, record.learners, promoted)


def prune_below(
    record: EpochRecord | None,
    database: DatabaseName,
    reports: Mapping[SiteName, ServiceReport],
    data_sites: tuple[SiteName, ...],
    keep_bytes: int,
) -> int:
    """The position below which no site can need the keeper's PostgreSQL log; 0: keep everything.

    Every data site must say that its copy is of the record's epoch; `keep_bytes` stay beyond what
    the last of them has applied.
    """
    if record is None:
        return 0
    ends: list[int] = []
    for site in data_sites:
        report = reports.get(site)
        copies = () if report is None else report.databases
        for found in copies:
            position = found.state.applied or found.state.position
            if found.state.name != database or position is None:
                continue
            if found.state.epoch == record.epoch and position.format is LogFormat.LSN:
                ends.append(lsn_to_int(position.text))
    if len(ends) < len(data_sites):
        return 0
    return max(0, min(ends) - keep_bytes)


def _of_promised(
    record: EpochRecord, keeper: VoterState, holder_report: ServiceReport | None, *, learns: bool
) -> KeeperDecision:
    follows_this = keeper.following == record.holder and keeper.following_epoch == record.epoch
    if follows_this and not learns:
        return KeeperDecision(doing=Doing.FOLLOWING)
    if not keeper.sealed:
        return KeeperDecision(doing=Doing.SEAL, intent=SealKeeper(epoch=record.epoch))
    if not _promoted(holder_report, keeper.database, record.epoch):
        return KeeperDecision(doing=Doing.AWAIT_HOLDER)
    return KeeperDecision(
        doing=Doing.FOLLOW, intent=FollowHolder(upstream=record.holder, epoch=record.epoch)
    )


def _promoted(report: ServiceReport | None, database: DatabaseName, epoch: Epoch) -> bool:
    return report is not None and any(
        found.state.name == database and found.state.writable and found.state.epoch == epoch
        for found in report.databases
    )
