"""THE table: which rule holds for a site and a service. The first row that fits is the answer.

Blocks: 1xx self-preservation, 2xx operators, 3xx epochs and takeover, 4xx convergence,
9xx nothing to do. Numbers are stable: they stand in logs, metrics, history and the runbook.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bgp.policy import Stance
from controller.core import copies, guards, sequences, troubles
from controller.core.intents import Intent, RaiseEpoch, RenewLease
from controller.core.model import Epoch, Role, SiteName
from controller.core.quorum import holder_promoted, holder_report, majority, voters_of
from controller.core.reason import Reason
from controller.core.sequences import AnyStep
from controller.core.view import View

Guard = Callable[[View], bool]


class Keep(Enum):
    """Leave as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


def _no(guard: Guard) -> Guard:
    """The opposite, under a name that the evidence can show."""

    def opposite(view: View) -> bool:
        return not guard(view)

    opposite.__name__ = f"not_{guard.__name__}"
    return opposite


# --- what each rule wants of routes and traffic --------------------------------------------------


def _leave_routes(view: View) -> Stance | None:
    return None


def _hold_routes(view: View) -> Stance | None:
    """The same again, so that the permit does not lapse; a silent speaker is left alone."""
    return view.own.stance


def _hold_routes_while_committing(view: View) -> Stance | None:
    return view.own.stance if guards.commits_flow(view) else None


def _backup(view: View) -> Stance | None:
    return Stance.BACKUP


def _isolated(view: View) -> Stance | None:
    return Stance.ISOLATED


def attracting_stance(view: View) -> Stance:
    """`override` while another site is not known to have left `preferred`, else `preferred`."""
    settled = view.own.stance is Stance.PREFERRED and view.own.stance_epoch == view.own.promised
    first = view.record is not None and view.record.kind == "bootstrap"
    if settled or first or guards.others_retired(view):
        return Stance.PREFERRED
    return Stance.OVERRIDE


def _primary_routes(view: View) -> Stance | None:
    return attracting_stance(view)


def _takeover_routes(view: View) -> Stance | None:
    """Routes are pulled as early as the seals prove the data, if nobody else is left to serve;
    never to a site that could not serve.
    """
    proved = bool(view.own.databases) and all(
        sequences.database_proved(view, state) for state in view.own.databases
    )
    opened = all(
        copies.promoted_here(view, state) and state.gate_open for state in view.own.databases
    )
    alone = guards.previous_holder_silent(view)
    servable = not troubles.service_reasons(view)
    # What was proved under this epoch stays proved: no look that comes late takes routes back.
    pulled = view.own.stance in guards.ATTRACTING and view.own.stance_epoch == view.own.promised
    if servable and (pulled or opened or (proved and alone)):
        return attracting_stance(view)
    return Stance.BACKUP


def _keep_traffic(view: View) -> SiteName | Keep | None:
    return KEEP


def _to_nobody(view: View) -> SiteName | Keep | None:
    return None


def _to_me(view: View) -> SiteName | Keep | None:
    return view.me


def _to_holder(view: View) -> SiteName | Keep | None:
    assert view.record is not None
    return view.record.holder


def _to_me_when_committing(view: View) -> SiteName | Keep | None:
    """As soon as commits are acknowledged here; the gates are opening at the same time. Not taken
    back when a voter is missing for a moment.
    """
    committing = all(
        copies.promoted_here(view, state) and (state.gate_open or copies.voter_follows(view, state))
        for state in view.own.databases
    )
    return view.me if committing else None


# --- what a rule asks for beside its ladder ------------------------------------------------------


def next_epoch(view: View) -> Epoch:
    """Above everything this site has ever heard of. A new cluster's logs are of epoch 1."""
    known = [1, view.own.promised]
    if view.record is not None:
        known.append(view.record.epoch)
    known.extend(state.epoch for state in view.own.databases)
    for database in view.spec.databases:
        known.extend(voter.promised for voter in voters_of(view, database).values())
    return Epoch(max(known) + 1)


def _raise(kind: str, reason: Reason) -> Callable[[View], Intent | None]:
    def intent(view: View) -> Intent | None:
        record = view.record
        return RaiseEpoch(
            epoch=next_epoch(view),
            kind=kind,
            reason=reason.value,
            expected_revision=0 if record is None else record.revision,
            previous=None if record is None else record.holder,
        )

    return intent


def _raise_as_asked(view: View) -> Intent | None:
    report = holder_report(view)
    intent = _raise("handover", Reason.HOLDER_YIELDS)(view)
    assert isinstance(intent, RaiseEpoch)
    if report is None or not report.yielding:
        return intent
    return RaiseEpoch(
        epoch=intent.epoch,
        kind=intent.kind,
        reason=f"{intent.reason}: {report.yielding}",
        expected_revision=intent.expected_revision,
        previous=intent.previous,
    )


def _renew(view: View) -> Intent | None:
    """Renewed once `lease_renew_s` of it is used."""
    if view.record is None or not guards.lease_durability(view) or not view.store_ok:
        return None
    if view.own.lease_left_s > view.spec.timings.lease_s - view.spec.timings.lease_renew_s:
        return None
    return RenewLease(expected_revision=view.record.revision, renewal=view.record.renewal + 1)


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


def _refusals(view: View) -> tuple[str, ...]:
    found = list(troubles.ineligible_reasons(view))
    if not view.store_ok:
        found.append("the store's majority does not answer: no epoch can be raised")
    if guards.lease_durability(view) and not guards.lease_waited_out(view):
        found.append("the holder's lease has not been waited out")
    return tuple(found)


def _flap_refusal(view: View) -> tuple[str, ...]:
    return (f"the last role change was {view.changed_s:.0f} s ago",)


def _no_refusals(view: View) -> tuple[str, ...]:
    return ()


def _as(role: Role) -> Callable[[View], Role]:
    def fixed(view: View) -> Role:
        return role

    return fixed


def _primary_once_serving(view: View) -> Role:
    serving = view.own.directed_to == frozenset({view.me})
    return Role.PRIMARY if serving else Role.TAKING_OVER


def rejoin_unfinished(view: View) -> bool:
    """A rung of REJOIN is not reached."""
    return not sequences.climbed(sequences.climb(sequences.REJOIN, view))


def holder_climbing(view: View) -> bool:
    """The holder has not promoted every database yet, and does not say that it serves."""
    if guards.holder_serves(view):
        return False
    return not all(holder_promoted(view, database) for database in view.spec.databases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row."""

    number: int
    when: tuple[Guard, ...]
    role: Callable[[View], Role]
    reason: Reason
    ladder: tuple[AnyStep, ...] = sequences.NOTHING
    ladder_name: str = ""
    stance: Callable[[View], Stance | None] = _hold_routes
    traffic: Callable[[View], SiteName | Keep | None] = _keep_traffic
    intent: Callable[[View], Intent | None] | None = None
    may_yield: bool = False
    refusals: Callable[[View], tuple[str, ...]] = _no_refusals


RULES: tuple[Rule, ...] = (
    Rule(
        number=101,
        when=(guards.record_below_floor,),
        role=_as(Role.STARTING),
        reason=Reason.EPOCH_BELOW_FLOOR,
        stance=_hold_routes_while_committing,
    ),
    Rule(
        number=102,
        when=(guards.record_missing_above_floor,),
        role=_as(Role.STARTING),
        reason=Reason.EPOCH_BELOW_FLOOR,
        stance=_hold_routes_while_committing,
    ),
    Rule(
        number=110,
        when=(guards.other_epoch, _no(guards.paused), guards.acting_as_primary),
        role=_as(Role.STEPPING_DOWN),
        reason=Reason.EPOCH_LOST,
        ladder=sequences.STEP_DOWN,
        ladder_name="STEP_DOWN",
        stance=_backup,
        traffic=_to_holder,
    ),
    Rule(
        number=120,
        when=(guards.cut_off,),
        role=_as(Role.ISOLATED),
        reason=Reason.ISOLATED,
        stance=_isolated,
        traffic=_to_nobody,
    ),
    Rule(
        number=121,
        when=(guards.own_epoch, guards.lease_lapsed),
        role=_as(Role.ISOLATED),
        reason=Reason.LEASE_LAPSED,
        stance=_isolated,
        traffic=_to_nobody,
        intent=_renew,
    ),
    Rule(
        number=130,
        when=(guards.record_unknown, guards.serving_by_evidence),
        role=_as(Role.PRIMARY),
        reason=Reason.PRIMARY_BY_EVIDENCE,
        stance=_hold_routes,
    ),
    Rule(
        number=131,
        when=(guards.record_unknown,),
        role=_as(Role.STARTING),
        reason=Reason.RECORD_UNKNOWN,
        stance=_leave_routes,
    ),
    Rule(
        number=201,
        when=(guards.paused, guards.own_epoch),
        role=_primary_once_serving,
        reason=Reason.PAUSED,
        intent=_renew,
    ),
    Rule(
        number=202,
        when=(guards.paused,),
        role=_as(Role.STANDBY),
        reason=Reason.PAUSED,
    ),
    Rule(
        number=300,
        when=(
            guards.no_epoch_exists,
            guards.first_holder,
            troubles.fully_eligible,
            majority_reports,
        ),
        role=_as(Role.STARTING),
        reason=Reason.BOOTSTRAP,
        stance=_backup,
        intent=_raise("bootstrap", Reason.BOOTSTRAP),
    ),
    Rule(
        number=301,
        when=(guards.no_epoch_exists,),
        role=_as(Role.STARTING),
        reason=Reason.NO_EPOCH_YET,
        ladder=sequences.STAND_READY,
        ladder_name="STAND_READY",
        stance=_backup,
        traffic=_to_nobody,
    ),
    Rule(
        number=305,
        when=(guards.own_epoch, _no(guards.established), troubles.relief_due),
        role=_as(Role.PRIMARY),
        reason=Reason.HOLDER_YIELDS,
        stance=_hold_routes,
        may_yield=True,
    ),
    Rule(
        number=306,
        when=(
            guards.own_epoch,
            troubles.epoch_used_up,
            troubles.used_up_for_sure,
            guards.databases_idle,
            guards.store_answers,
        ),
        role=_as(Role.TAKING_OVER),
        reason=Reason.EPOCH_USED_UP,
        stance=_hold_routes,
        traffic=_to_nobody,
        intent=_raise("regained", Reason.EPOCH_USED_UP),
    ),
    Rule(
        number=307,
        when=(guards.own_epoch, _no(guards.established), guards.out_of_sight),
        role=_primary_once_serving,
        reason=Reason.OUT_OF_SIGHT,
        stance=_hold_routes,
        intent=_renew,
        may_yield=True,
    ),
    Rule(
        number=310,
        when=(guards.own_epoch, _no(guards.established), guards.raised_here),
        role=_as(Role.TAKING_OVER),
        reason=Reason.TAKING_OVER,
        ladder=sequences.TAKE_OVER,
        ladder_name="TAKE_OVER",
        stance=_takeover_routes,
        traffic=_to_me_when_committing,
        intent=_renew,
        may_yield=True,
    ),
    Rule(
        number=311,
        when=(guards.own_epoch, _no(guards.established)),
        role=_as(Role.TAKING_OVER),
        reason=Reason.TAKEOVER_RESUMED,
        ladder=sequences.TAKE_OVER,
        ladder_name="TAKE_OVER",
        stance=_takeover_routes,
        traffic=_to_me_when_committing,
        intent=_renew,
        may_yield=True,
    ),
    Rule(
        number=320,
        when=(
            guards.other_epoch,
            guards.holder_silent,
            guards.my_turn,
            holder_climbing,
            failover_possible,
        ),
        role=_as(Role.STANDBY),
        reason=Reason.HOLDER_DIED_CLIMBING,
        stance=_backup,
        intent=_raise("failover", Reason.HOLDER_DIED_CLIMBING),
    ),
    Rule(
        number=321,
        when=(guards.other_epoch, guards.holder_silent, guards.my_turn, failover_possible),
        role=_as(Role.STANDBY),
        reason=Reason.HOLDER_SILENT,
        stance=_backup,
        intent=_raise("failover", Reason.HOLDER_SILENT),
    ),
    Rule(
        number=322,
        when=(
            guards.other_epoch,
            guards.holder_yields,
            holder_climbing,
            guards.had_its_chance,
            troubles.fully_eligible,
            guards.databases_idle,
            guards.store_answers,
        ),
        role=_as(Role.STANDBY),
        reason=Reason.HOLDER_STUCK,
        stance=_backup,
        intent=_raise("failover", Reason.HOLDER_STUCK),
    ),
    Rule(
        number=323,
        when=(
            guards.other_epoch,
            guards.holder_yields,
            _no(holder_climbing),
            troubles.fully_eligible,
            guards.databases_idle,
            guards.outside_flap_window,
            guards.store_answers,
        ),
        role=_as(Role.STANDBY),
        reason=Reason.HOLDER_YIELDS,
        stance=_backup,
        intent=_raise_as_asked,
    ),
    Rule(
        number=324,
        when=(
            guards.other_epoch,
            guards.holder_controller_gone,
            troubles.fully_eligible,
            guards.databases_idle,
            guards.outside_flap_window,
            failover_possible,
        ),
        role=_as(Role.STANDBY),
        reason=Reason.HOLDER_CONTROLLER_GONE,
        stance=_backup,
        intent=_raise("failover", Reason.HOLDER_CONTROLLER_GONE),
    ),
    Rule(
        number=390,
        when=(guards.other_epoch, guards.holder_silent, _no(failover_possible)),
        role=_as(Role.STANDBY),
        reason=Reason.FAILOVER_REFUSED,
        ladder=sequences.REJOIN,
        ladder_name="REJOIN",
        stance=_backup,
        traffic=_to_holder,
        refusals=_refusals,
    ),
    Rule(
        number=391,
        when=(guards.other_epoch, guards.holder_yields, _no(guards.outside_flap_window)),
        role=_as(Role.STANDBY),
        reason=Reason.FLAP_WINDOW,
        ladder=sequences.REJOIN,
        ladder_name="REJOIN",
        stance=_backup,
        traffic=_to_holder,
        refusals=_flap_refusal,
    ),
    Rule(
        number=401,
        when=(guards.established,),
        role=_primary_once_serving,
        reason=Reason.PRIMARY,
        ladder=sequences.TAKE_OVER,
        ladder_name="TAKE_OVER",
        stance=_primary_routes,
        traffic=_to_me,
        intent=_renew,
        may_yield=True,
    ),
    Rule(
        number=410,
        when=(guards.other_epoch, rejoin_unfinished, holder_climbing),
        role=_as(Role.STANDBY),
        reason=Reason.AWAITING_HOLDER,
        ladder=sequences.REJOIN,
        ladder_name="REJOIN",
        stance=_backup,
        traffic=_to_holder,
    ),
    Rule(
        number=411,
        when=(guards.other_epoch, rejoin_unfinished),
        role=_as(Role.REJOINING),
        reason=Reason.REJOINING,
        ladder=sequences.REJOIN,
        ladder_name="REJOIN",
        stance=_backup,
        traffic=_to_holder,
    ),
    Rule(
        number=420,
        when=(guards.other_epoch,),
        role=_as(Role.STANDBY),
        reason=Reason.STANDBY,
        ladder=sequences.REJOIN,
        ladder_name="REJOIN",
        stance=_backup,
        traffic=_to_holder,
    ),
    Rule(
        number=901,
        when=(),
        role=_as(Role.STARTING),
        reason=Reason.NOTHING_TO_DO,
        stance=_leave_routes,
    ),
)
