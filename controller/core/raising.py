"""What a rule asks for beside its ladder: the next epoch, or its lease; and why it does not."""

from collections.abc import Callable
from dataclasses import replace

from controller.core import guards, troubles
from controller.core.intents import Intent, RaiseEpoch, RenewLease, SetLearners
from controller.core.model import Epoch, EpochRecord, SiteName
from controller.core.quorum import holder_report, learners_under, majority, voters_of
from controller.core.reason import Reason
from controller.core.view import View


def next_epoch(view: View) -> Epoch:
    """Above everything this site has ever heard of. A new cluster's logs are of epoch 1."""
    known = [1, view.own.promised]
    if view.record is not None:
        known.append(view.record.epoch)
    known.extend(state.epoch for state in view.own.databases)
    for other in view.others.values():
        if other.report is not None:
            known.extend(found.state.epoch for found in other.report.databases)
    for database in view.spec.databases:
        known.extend(voter.promised for voter in voters_of(view, database).values())
    return Epoch(max(known) + 1)


def raise_(kind: str, reason: Reason) -> Callable[[View], Intent | None]:
    def intent(view: View) -> Intent | None:
        record = view.record
        return RaiseEpoch(
            epoch=next_epoch(view),
            kind=kind,
            reason=reason.value,
            expected_revision=0 if record is None else record.revision,
            previous=None if record is None else record.holder,
            learners=learners_under(view, view.me),
        )

    return intent


def raise_as_asked(view: View) -> Intent | None:
    report = holder_report(view)
    intent = raise_("handover", Reason.HOLDER_YIELDS)(view)
    assert isinstance(intent, RaiseEpoch)
    assert report is not None
    return replace(intent, reason=f"{intent.reason}: {report.yielding}")


def raise_for_request(reason: Reason) -> Callable[[View], Intent | None]:
    """The next epoch for this site, as the open request asks."""

    def intent(view: View) -> Intent | None:
        asked = raise_("failover", reason)(view)
        assert isinstance(asked, RaiseEpoch)
        assert view.request is not None
        request = view.request.request
        said = f": {request.reason}" if request.reason else ""
        return replace(
            asked,
            reason=f"{reason.value}{said}",
            request=request.number,
            asked_by=request.asked_by,
            excused=request.excused if request.allow_data_loss else (),
        )

    return intent


def record_assumed(view: View) -> Intent | None:
    """What was assumed by force is written as soon as the store answers."""
    record = view.record
    if record is None or record.revision > 0 or not view.store_ok:
        return None
    return RaiseEpoch(
        epoch=record.epoch,
        kind=record.kind,
        reason=record.reason,
        expected_revision=0 if view.stored is None else view.stored.revision,
        previous=record.previous,
        asked_by=record.asked_by,
        excused=record.excused,
        learners=record.learners,
    )


def renew(view: View) -> Intent | None:
    """Renewed once `lease_renew_s` of it is used."""
    assert view.record is not None
    if not guards.lease_durability(view) or not view.store_ok:
        return None
    if view.own.lease_left_s > view.spec.timings.lease_s - view.spec.timings.lease_renew_s:
        return None
    return RenewLease(expected_revision=view.record.revision, renewal=view.record.renewal + 1)


def raised(intent: RaiseEpoch, me: SiteName, at: str) -> EpochRecord:
    """The record that `intent` of site `me` asks for; `at` is for humans."""
    return EpochRecord(
        epoch=intent.epoch,
        holder=intent.holder or me,
        kind=intent.kind,
        reason=intent.reason,
        asked_by=intent.asked_by or f"tricast at {me}",
        at=at,
        previous=intent.previous,
        request=intent.request,
        excused=intent.excused,
        learners=intent.learners,
    )


def rewritten(record: EpochRecord, intent: RenewLease | SetLearners) -> EpochRecord:
    """The record that `intent` asks for: of the same epoch and holder."""
    if isinstance(intent, RenewLease):
        return replace(record, renewal=intent.renewal)
    return replace(record, learners=intent.learners)


def majority_reports(view: View) -> bool:
    """Of every database, a majority of voters is known and none is ahead of an epoch."""
    needed = majority(len(view.spec.data_sites) + len(view.spec.witnesses))
    return all(
        len(voters_of(view, database)) >= needed
        and all(voter.position is not None for voter in voters_of(view, database).values())
        for database in view.spec.databases
    )


def failover_possible(view: View) -> bool:
    """What a failover needs beside a silent holder: the store, own data, the lease waited out."""
    if not view.store_ok or not troubles.data_eligible(view):
        return False
    if guards.lease_durability(view):
        return guards.lease_waited_out(view)
    return True


def failover_refusals(view: View) -> tuple[str, ...]:
    found = list(troubles.ineligible_reasons(view))
    if not view.store_ok:
        found.append("the store's majority does not answer: no epoch can be raised")
    if guards.lease_durability(view) and not guards.lease_waited_out(view):
        found.append("the holder's lease has not been waited out")
    return tuple(found)


def flap_refusal(view: View) -> tuple[str, ...]:
    return (f"the last role change was {view.changed_s:.0f} s ago",)


def no_refusals(view: View) -> tuple[str, ...]:
    return ()
