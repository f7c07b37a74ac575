"""Each row of the table: a view it is for, all that it says then, and what undoes each guard."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bgp.policy import Stance
from controller.core import sequences
from controller.core.decide import Decision, decide
from controller.core.intents import (
    Announce,
    AssumeAddresses,
    CloseDatabase,
    Direct,
    HoldTraffic,
    Intent,
    Promise,
    Promote,
    RaiseEpoch,
    Rejoin,
    RenewLease,
    SetGate,
    StartDatabase,
    lane,
)
from controller.core.ladder import AnyStep
from controller.core.model import FOREVER_S, Durability, Epoch, Liveness, Role, Seen, SiteName
from controller.core.reason import Reason
from controller.core.requests import Kind, State
from controller.core.rules import RULES, Rule
from controller.core.rules_asked import RULES_ASKED, RULES_PUT_RIGHT
from controller.core.view import OtherSite, View
from controller.core.wants import HOLD, KEEP, Keep
from tests.core.turned import (
    at_rest,
    climbing,
    copy,
    follower,
    other,
    own,
    record,
    report,
    serving,
    silent,
    spec,
    standby_report,
    state,
)
from tests.core.views import DC1, DC2, GONE, HERE, LEDGER, RECORD, WITNESS, dc2_view
from tests.core.wishes import asked as asked_of

HALF = Seen(control_s=31.0, front_s=0.1, data_s=0.1)  # its controller is gone, its service is not
UNKNOWN_RECORD = replace(dc2_view(store_ok=False), record=None, record_seen_s=FOREVER_S)
LADDERS: dict[str, tuple[AnyStep, ...]] = {
    "": sequences.NOTHING,
    "TAKE_OVER": sequences.TAKE_OVER,
    "STEP_DOWN": sequences.STEP_DOWN,
    "REJOIN": sequences.REJOIN,
    "STAND_READY": sequences.STAND_READY,
}
LOST = "database ledger here is down"
UNSEEN = "database ledger here does not answer"


def raised(
    kind: str, reason: str, *, epoch: int = 3, seen: int = 7, previous: SiteName | None = DC1
) -> RaiseEpoch:
    return RaiseEpoch(
        epoch=Epoch(epoch), kind=kind, reason=reason, expected_revision=seen, previous=previous
    )


def no_epoch(view: View) -> View:
    """Nothing was ever promised, and the store has no record."""
    view = own(spec(view, initial_holder=DC2), promised=Epoch(0))
    return replace(view, record=None, raised_here=False)


def leased(view: View, left_s: float) -> View:
    return own(spec(view, durability=Durability.LEASE), lease_left_s=left_s)


def restarted_without_store(view: View) -> View:
    """A daemon that has started a moment ago and has never read anything."""
    return replace(view, record=None, record_seen_s=FOREVER_S, store_ok=False)


def fallen() -> View:
    """The only database of the serving dc2 is down; dc1 could take over."""
    return own(
        state(serving(), liveness=Liveness.DOWN, writable=False, gate_open=False, followers=()),
        trouble_s={f"database:{LEDGER}": 0.2},
    )


def restarted() -> View:
    """dc2's database came back closed, with records of the epoch dc2 holds."""
    view = state(serving(), writable=False, gate_open=False, followers=(), admitted=frozenset())
    view = other(view, DC1, report_age_s=9.0)
    return own(view, trouble_s={"restarted": 0.4})


def unseen() -> View:
    """dc2 serves, nobody could relieve it, and a look at its database came too late."""
    return state(
        replace(serving(), changed_s=0.0),
        liveness=Liveness.UNKNOWN,
        writable=False,
        gate_open=False,
        position=None,
        epoch=Epoch(0),
        followers=(),
        admitted=frozenset(),
    )


def committing() -> View:
    """dc2 has promoted under epoch 3 and the witness's keeper follows; the gate is closed."""
    view = state(
        climbing(),
        writable=True,
        epoch=Epoch(3),
        admitted=frozenset({WITNESS}),
        followers=(follower(WITNESS),),
    )
    return own(view, commit_age_s={LEDGER: 0.1})


def troubled(view: View) -> View:
    """No app server is up, and has not been for a second."""
    return own(view, apps_up=0, trouble_s={"apps": 1.0})


def asked(view: View, *, why: str = "", climbs: bool = False) -> View:
    """The holder asks to be relieved; perhaps before it has promoted."""
    role = Role.TAKING_OVER if climbs else Role.PRIMARY
    return copy(report(view, DC1, yielding=why or LOST, role=role), DC1, writable=not climbs)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row, and what it is expected to say."""

    rule: int
    view: View
    role: Role
    reason: Reason
    ladder: str = ""
    stance: Stance | None = None
    traffic: SiteName | Keep | None = KEEP
    intents: tuple[Intent, ...] = ()
    yielding: str = ""
    refused: tuple[str, ...] = ()
    not_eligible: tuple[str, ...] = ()


CASES = (
    Case(
        rule=100,
        view=own(leased(serving(), 2.0), promised=Epoch(9)),
        role=Role.ISOLATED,
        reason=Reason.LEASE_FORGOTTEN,
        stance=Stance.ISOLATED,
        traffic=None,
        intents=(Direct(site=None), Announce(stance=Stance.ISOLATED, epoch=Epoch(9))),
    ),
    Case(
        rule=100,
        view=replace(leased(serving(), 2.0), record=None),
        role=Role.ISOLATED,
        reason=Reason.LEASE_FORGOTTEN,
        stance=Stance.ISOLATED,
        traffic=None,
        intents=(Direct(site=None), Announce(stance=Stance.ISOLATED, epoch=Epoch(2))),
    ),
    Case(
        rule=101,
        view=dc2_view(promised=9),
        role=Role.STARTING,
        reason=Reason.EPOCH_BELOW_FLOOR,
    ),
    Case(
        rule=101,
        view=own(serving(), promised=Epoch(9)),
        role=Role.STARTING,
        reason=Reason.EPOCH_BELOW_FLOOR,
        stance=Stance.PREFERRED,
        intents=(Announce(stance=Stance.PREFERRED, epoch=Epoch(9)),),
    ),
    Case(
        rule=102,
        view=replace(dc2_view(), record=None),
        role=Role.STARTING,
        reason=Reason.EPOCH_MISSING,
    ),
    Case(
        rule=102,
        view=replace(serving(), record=None),
        role=Role.STARTING,
        reason=Reason.EPOCH_MISSING,
        stance=Stance.PREFERRED,
    ),
    Case(
        rule=110,
        view=record(serving(), epoch=Epoch(3), holder=DC1, revision=9),
        role=Role.STEPPING_DOWN,
        reason=Reason.EPOCH_LOST,
        ladder="STEP_DOWN",
        stance=Stance.BACKUP,
        traffic=DC1,
        intents=(
            Promise(epoch=Epoch(3)),
            CloseDatabase(database=LEDGER),
            Direct(site=DC1),
            Announce(stance=Stance.BACKUP, epoch=Epoch(2)),
        ),
    ),
    Case(
        rule=120,
        view=dc2_view(seen=GONE, told=GONE, witness=GONE, store_ok=False),
        role=Role.ISOLATED,
        reason=Reason.ISOLATED,
        stance=Stance.ISOLATED,
        traffic=None,
        intents=(Direct(site=None), Announce(stance=Stance.ISOLATED, epoch=Epoch(2))),
    ),
    Case(
        rule=121,
        view=leased(serving(), 0.0),
        role=Role.ISOLATED,
        reason=Reason.LEASE_LAPSED,
        stance=Stance.ISOLATED,
        traffic=None,
        intents=(
            RenewLease(expected_revision=7, renewal=1),
            Direct(site=None),
            Announce(stance=Stance.ISOLATED, epoch=Epoch(2)),
        ),
    ),
    Case(
        rule=122,
        view=replace(
            record(leased(serving(), -1.0), kind="handover", request=4, previous=DC1),
            record_unchanged_s=0.1,
        ),
        role=Role.TAKING_OVER,
        reason=Reason.LEASE_AWAITED,
        stance=Stance.PREFERRED,
        traffic=None,
        intents=(RenewLease(expected_revision=7, renewal=1), Direct(site=None)),
    ),
    Case(
        rule=123,
        view=restarted_without_store(leased(serving(), 0.0)),
        role=Role.ISOLATED,
        reason=Reason.LEASE_UNKNOWN,
        stance=Stance.ISOLATED,
        traffic=None,
        intents=(Direct(site=None), Announce(stance=Stance.ISOLATED, epoch=Epoch(2))),
    ),
    Case(
        rule=124,
        view=troubled(leased(serving(), 0.5)),
        role=Role.PRIMARY,
        reason=Reason.LEASE_LET_GO,
        stance=Stance.PREFERRED,
        traffic=None,
        yielding="0 of 2 app servers here are up, 1 needed",
        not_eligible=("0 of 2 app servers here are up",),
        intents=(RenewLease(expected_revision=7, renewal=1), Direct(site=None)),
    ),
    Case(
        rule=124,
        view=own(troubled(leased(serving(), 0.5)), directed_to=frozenset()),
        role=Role.ISOLATED,
        reason=Reason.LEASE_LET_GO,
        stance=Stance.PREFERRED,
        traffic=None,
        yielding="0 of 2 app servers here are up, 1 needed",
        not_eligible=("0 of 2 app servers here are up",),
        intents=(RenewLease(expected_revision=7, renewal=1),),
    ),
    Case(
        rule=130,
        view=replace(serving(), record=None, record_seen_s=FOREVER_S, store_ok=False),
        role=Role.PRIMARY,
        reason=Reason.PRIMARY_BY_EVIDENCE,
        stance=Stance.PREFERRED,
    ),
    Case(
        rule=131,
        view=UNKNOWN_RECORD,
        role=Role.STARTING,
        reason=Reason.RECORD_UNKNOWN,
    ),
    Case(
        rule=201,
        view=replace(leased(serving(), 1.0), paused="disk work"),
        role=Role.PRIMARY,
        reason=Reason.PAUSED,
        stance=Stance.PREFERRED,
        intents=(RenewLease(expected_revision=7, renewal=1),),
    ),
    Case(
        rule=202,
        view=replace(record(serving(), holder=DC1), paused="disk work"),
        role=Role.STANDBY,
        reason=Reason.PAUSED,
        stance=Stance.PREFERRED,
        traffic=DC1,
        intents=(Direct(site=DC1),),
    ),
    Case(
        rule=300,
        view=no_epoch(climbing()),
        role=Role.STARTING,
        reason=Reason.BOOTSTRAP,
        stance=Stance.BACKUP,
        intents=(
            raised("bootstrap", Reason.BOOTSTRAP, epoch=4, seen=0, previous=None),
            Announce(stance=Stance.BACKUP, epoch=Epoch(0)),
        ),
    ),
    Case(
        rule=300,
        view=own(no_epoch(climbing()), stance=Stance.PREFERRED),
        role=Role.STARTING,
        reason=Reason.BOOTSTRAP,
        stance=Stance.BACKUP,
        intents=(
            raised("bootstrap", Reason.BOOTSTRAP, epoch=4, seen=0, previous=None),
            Announce(stance=Stance.BACKUP, epoch=Epoch(0)),
        ),
    ),
    Case(
        rule=301,
        view=state(
            own(no_epoch(dc2_view()), addresses_missing=True),
            liveness=Liveness.DOWN,
        ),
        role=Role.STARTING,
        reason=Reason.NO_EPOCH_YET,
        ladder="STAND_READY",
        stance=Stance.BACKUP,
        traffic=None,
        intents=(
            AssumeAddresses(),
            StartDatabase(database=LEDGER),
            Direct(site=None),
            Announce(stance=Stance.BACKUP, epoch=Epoch(0)),
        ),
        not_eligible=(LOST,),
    ),
    Case(
        rule=301,
        view=own(spec(no_epoch(dc2_view()), initial_holder=DC1), stance=Stance.PREFERRED),
        role=Role.STARTING,
        reason=Reason.NO_EPOCH_YET,
        ladder="STAND_READY",
        stance=Stance.BACKUP,
        traffic=None,
        intents=(Direct(site=None), Announce(stance=Stance.BACKUP, epoch=Epoch(0))),
    ),
    Case(
        rule=305,
        view=fallen(),
        role=Role.PRIMARY,
        reason=Reason.HOLDER_YIELDS,
        stance=Stance.PREFERRED,
        yielding=LOST,
        not_eligible=(LOST,),
    ),
    Case(
        rule=306,
        view=restarted(),
        role=Role.TAKING_OVER,
        reason=Reason.EPOCH_USED_UP,
        stance=Stance.PREFERRED,
        traffic=None,
        intents=(
            raised("regained", Reason.EPOCH_USED_UP, previous=DC2),
            Direct(site=None),
        ),
    ),
    Case(
        rule=307,
        view=own(
            leased(unseen(), 1.0),
            trouble_s={f"database:{LEDGER}": 0.5},
            commit_age_s={LEDGER: 1.1},
        ),
        role=Role.PRIMARY,
        reason=Reason.OUT_OF_SIGHT,
        stance=Stance.PREFERRED,
        intents=(RenewLease(expected_revision=7, renewal=1),),
        yielding=UNSEEN,
        not_eligible=("database ledger here is unknown",),
    ),
    Case(
        rule=310,
        view=climbing(),
        role=Role.TAKING_OVER,
        reason=Reason.TAKING_OVER,
        ladder="TAKE_OVER",
        stance=Stance.OVERRIDE,
        traffic=None,
        intents=(
            Promote(database=LEDGER, epoch=Epoch(3), voters=frozenset({WITNESS})),
            Direct(site=None),
            Announce(stance=Stance.OVERRIDE, epoch=Epoch(3)),
        ),
    ),
    Case(
        rule=310,
        view=leased(troubled(committing()), 1.0),
        role=Role.TAKING_OVER,
        reason=Reason.TAKING_OVER,
        ladder="TAKE_OVER",
        stance=Stance.BACKUP,
        traffic=DC2,
        intents=(
            RenewLease(expected_revision=9, renewal=1),
            SetGate(database=LEDGER, opened=True),
            Direct(site=DC2),
        ),
        yielding="0 of 2 app servers here are up, 1 needed",
        not_eligible=("0 of 2 app servers here are up",),
    ),
    Case(
        rule=311,
        view=own(replace(leased(climbing(), 2.0), raised_here=False), promised=Epoch(2)),
        role=Role.TAKING_OVER,
        reason=Reason.TAKEOVER_RESUMED,
        ladder="TAKE_OVER",
        stance=Stance.BACKUP,
        traffic=None,
        intents=(
            RenewLease(expected_revision=9, renewal=1),
            Promise(epoch=Epoch(3)),
            Direct(site=None),
            Announce(stance=Stance.BACKUP, epoch=Epoch(2)),
        ),
    ),
    Case(
        rule=311,
        view=replace(troubled(committing()), raised_here=False),
        role=Role.TAKING_OVER,
        reason=Reason.TAKEOVER_RESUMED,
        ladder="TAKE_OVER",
        stance=Stance.BACKUP,
        traffic=DC2,
        intents=(SetGate(database=LEDGER, opened=True), Direct(site=DC2)),
        yielding="0 of 2 app servers here are up, 1 needed",
        not_eligible=("0 of 2 app servers here are up",),
    ),
    Case(
        rule=320,
        view=asked(silent(dc2_view()), climbs=True),
        role=Role.STANDBY,
        reason=Reason.HOLDER_DIED_CLIMBING,
        stance=Stance.BACKUP,
        intents=(raised("failover", Reason.HOLDER_DIED_CLIMBING),),
    ),
    Case(
        rule=321,
        view=at_rest(GONE),
        role=Role.STANDBY,
        reason=Reason.HOLDER_SILENT,
        stance=Stance.BACKUP,
        intents=(raised("failover", Reason.HOLDER_SILENT),),
    ),
    Case(
        rule=322,
        view=asked(dc2_view(), climbs=True),
        role=Role.STANDBY,
        reason=Reason.HOLDER_STUCK,
        stance=Stance.BACKUP,
        intents=(raised("failover", Reason.HOLDER_STUCK),),
    ),
    Case(
        rule=323,
        view=asked(dc2_view()),
        role=Role.STANDBY,
        reason=Reason.HOLDER_YIELDS,
        stance=Stance.BACKUP,
        intents=(raised("handover", f"{Reason.HOLDER_YIELDS}: {LOST}"),),
    ),
    Case(
        rule=324,
        view=at_rest(HALF),
        role=Role.STANDBY,
        reason=Reason.HOLDER_CONTROLLER_GONE,
        stance=Stance.BACKUP,
        intents=(raised("failover", Reason.HOLDER_CONTROLLER_GONE),),
    ),
    Case(
        rule=390,
        view=state(
            own(
                replace(
                    spec(at_rest(GONE), durability=Durability.LEASE),
                    store_ok=False,
                    record_unchanged_s=3.5,
                ),
                directed_to=frozenset(),
            ),
            diverged=True,
        ),
        role=Role.STANDBY,
        reason=Reason.FAILOVER_REFUSED,
        ladder="REJOIN",
        stance=Stance.BACKUP,
        traffic=DC1,
        intents=(Direct(site=DC1),),
        refused=(
            "database ledger here has diverged and was not rewound",
            "the store's majority does not answer: no epoch can be raised",
            "the holder's lease has not been waited out",
        ),
        not_eligible=("database ledger here has diverged and was not rewound",),
    ),
    Case(
        rule=391,
        view=own(replace(asked(dc2_view()), changed_s=3600.0), directed_to=frozenset()),
        role=Role.STANDBY,
        reason=Reason.FLAP_WINDOW,
        ladder="REJOIN",
        stance=Stance.BACKUP,
        traffic=DC1,
        intents=(Direct(site=DC1),),
        refused=("the last role change was 3600 s ago",),
    ),
    Case(
        rule=401,
        view=own(
            leased(serving(), 2.5),
            directed_to=frozenset({DC1, DC2}),
            apps_up=0,
            trouble_s={"apps": 2.1},
        ),
        role=Role.TAKING_OVER,
        reason=Reason.PRIMARY,
        ladder="TAKE_OVER",
        stance=Stance.PREFERRED,
        traffic=DC2,
        intents=(RenewLease(expected_revision=7, renewal=1), Direct(site=DC2)),
        yielding="0 of 2 app servers here are up, 1 needed",
        not_eligible=("0 of 2 app servers here are up",),
    ),
    Case(
        rule=401,
        view=serving(),
        role=Role.PRIMARY,
        reason=Reason.PRIMARY,
        ladder="TAKE_OVER",
        stance=Stance.PREFERRED,
        traffic=DC2,
    ),
    Case(
        rule=410,
        view=record(
            copy(report(dc2_view(), DC1, role=Role.TAKING_OVER, epoch=Epoch(3)), DC1),
            epoch=Epoch(3),
        ),
        role=Role.STANDBY,
        reason=Reason.AWAITING_HOLDER,
        ladder="REJOIN",
        stance=Stance.BACKUP,
        traffic=DC1,
        intents=(Promise(epoch=Epoch(3)),),
    ),
    Case(
        rule=411,
        view=own(
            state(dc2_view(), upstream=None, receiving=False, streaming=False, diverged=True),
            directed_to=frozenset(),
        ),
        role=Role.REJOINING,
        reason=Reason.REJOINING,
        ladder="REJOIN",
        stance=Stance.BACKUP,
        traffic=DC1,
        intents=(Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2)), Direct(site=DC1)),
        not_eligible=("database ledger here has diverged and was not rewound",),
    ),
    Case(
        rule=420,
        view=dc2_view(),
        role=Role.STANDBY,
        reason=Reason.STANDBY,
        ladder="REJOIN",
        stance=Stance.BACKUP,
        traffic=DC1,
    ),
    Case(
        rule=901,
        view=replace(dc2_view(store_ok=False), record=None),
        role=Role.STARTING,
        reason=Reason.NOTHING_TO_DO,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.rule))
def test_a_row_says_all_that_it_is_for(case: Case) -> None:
    decision = decide(case.view)
    assert decision == Decision(
        rule=case.rule,
        role=case.role,
        reason=case.reason,
        evidence=dict.fromkeys((guard.__name__ for guard in rule_of(case.rule).when), True),
        ladder=case.ladder,
        rungs=decision.rungs,
        intents=case.intents,
        stance=case.stance,
        traffic=case.traffic,
        yielding=case.yielding,
        eligible=not case.not_eligible,
        not_eligible_because=case.not_eligible,
        refused_because=case.refused,
    )
    assert {rung.step for rung in decision.rungs} == {step.name for step in LADDERS[case.ladder]}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.stance is Stance.BACKUP], ids=lambda c: str(c.rule)
)
def test_a_site_that_was_isolated_comes_back_as_backup(case: Case) -> None:
    decision = decide(own(case.view, stance=Stance.ISOLATED))
    assert (decision.rule, decision.stance) == (case.rule, Stance.BACKUP)


def rule_of(number: int) -> Rule:
    return next(rule for rule in RULES if rule.number == number)


def view_of(number: int) -> View:
    return next(case.view for case in CASES if case.rule == number)


def mine(view: View) -> View:
    """The record says that this site is the holder."""
    return record(view, holder=DC2)


def theirs(view: View) -> View:
    """The record says that dc1 is the holder."""
    return record(view, holder=DC1)


def busy(view: View) -> View:
    return replace(view, busy=frozenset({f"database:{LEDGER}"}))


def storeless(view: View) -> View:
    return replace(view, store_ok=False)


def just_moved(view: View) -> View:
    return replace(view, changed_s=0.0)


def quiet_again(view: View) -> View:
    return other(view, DC1, seen=HERE, seen_by={WITNESS: HERE})


def contented(view: View) -> View:
    return report(view, DC1, yielding="")


def promoted_there(view: View) -> View:
    return copy(report(view, DC1, role=Role.PRIMARY), DC1, writable=True, epoch=Epoch(2))


def climbing_there(view: View) -> View:
    return copy(report(view, DC1, role=Role.TAKING_OVER), DC1, writable=False)


def no_front(view: View) -> View:
    return own(view, front_ok=False)


def outweighed(view: View) -> View:
    """A third data site, heard and eligible, weighs more."""
    dc3 = SiteName("dc3")
    view = spec(view, data_sites=(DC1, DC2, dc3), weights={dc3: 1})
    rival = OtherSite(report=standby_report(), report_age_s=0.1, seen=HERE)
    return replace(view, others={**view.others, dc3: rival})


Turn = Callable[[View], View]
NEAR: tuple[tuple[int, str, Turn, int], ...] = (
    (100, "lease_forgotten", lambda v: own(v, promised=Epoch(2)), 401),
    (100, "traffic_here", lambda v: own(v, directed_to=frozenset()), 101),
    (101, "record_below_floor", lambda v: own(v, promised=Epoch(2)), 420),
    (102, "record_missing_above_floor", lambda v: own(v, promised=Epoch(0)), 301),
    (110, "other_epoch", mine, 311),
    (110, "not_paused", lambda v: replace(v, paused="why"), 202),
    (
        110,
        "acting_as_primary",
        lambda v: own(state(v, writable=False, gate_open=False), stance=Stance.BACKUP),
        410,
    ),
    (120, "cut_off", lambda v: other(v, WITNESS, seen=HERE), 390),
    (121, "own_epoch", lambda v: own(theirs(v), databases=(), stance=Stance.BACKUP), 410),
    (121, "lease_lapsed", lambda v: leased(v, 0.1), 401),
    (122, "own_epoch", lambda v: own(theirs(v), databases=(), stance=Stance.BACKUP), 410),
    (122, "lease_awaited", lambda v: record(v, renewal=3), 121),
    (123, "record_unknown", lambda v: replace(v, record_seen_s=1.0), 901),
    (123, "without_lease", lambda v: leased(v, 0.1), 130),
    (123, "traffic_here", lambda v: own(v, directed_to=frozenset({DC1})), 130),
    (124, "own_epoch", lambda v: own(theirs(v), databases=(), stance=Stance.BACKUP), 410),
    (124, "not_paused", lambda v: replace(v, paused="why"), 201),
    (124, "lets_lease_go", lambda v: own(v, trouble_s={"apps": 0.9}), 401),
    (130, "record_unknown", lambda v: replace(v, record_seen_s=1.0), 901),
    (130, "serving_by_evidence", lambda v: own(v, commit_age_s={LEDGER: 1.1}), 131),
    (131, "record_unknown", lambda v: replace(v, record_seen_s=1.0), 901),
    (201, "paused", lambda v: replace(v, paused=""), 401),
    (201, "own_epoch", theirs, 202),
    (202, "paused", lambda v: replace(v, paused=""), 110),
    (300, "no_epoch_exists", lambda v: replace(v, record=RECORD), 321),
    (300, "first_holder", lambda v: spec(v, initial_holder=DC1), 301),
    (300, "fully_eligible", no_front, 301),
    (
        300,
        "majority_reports",
        lambda v: other(other(v, DC1, report=None), WITNESS, report=None),
        301,
    ),
    (301, "no_epoch_exists", storeless, 901),
    (305, "own_epoch", theirs, 110),
    (
        305,
        "not_established",
        lambda v: own(
            state(v, liveness=Liveness.RUNNING, writable=True, gate_open=True), front_ok=False
        ),
        401,
    ),
    (305, "relief_due", just_moved, 311),
    (306, "own_epoch", lambda v: own(theirs(v), stance=Stance.BACKUP), 410),
    (306, "epoch_used_up", lambda v: state(v, epoch=Epoch(1)), 311),
    (306, "used_up_for_sure", lambda v: own(v, trouble_s={"restarted": 0.3}), 311),
    (306, "databases_idle", busy, 311),
    (306, "store_answers", storeless, 311),
    (307, "own_epoch", lambda v: own(theirs(v), stance=Stance.BACKUP), 410),
    (307, "not_established", lambda v: own(v, databases=serving().own.databases), 401),
    (307, "out_of_sight", lambda v: state(v, liveness=Liveness.STARTING), 311),
    (310, "own_epoch", theirs, 320),
    (310, "not_established", lambda v: own(v, databases=(), promised=Epoch(3)), 401),
    (310, "raised_here", lambda v: replace(v, raised_here=False), 311),
    (311, "own_epoch", theirs, 390),
    (311, "not_established", lambda v: own(v, databases=(), promised=Epoch(3)), 401),
    (320, "other_epoch", mine, 311),
    (320, "holder_silent", quiet_again, 322),
    (320, "my_turn", lambda v: outweighed(contented(v)), 420),
    (320, "holder_climbing", promoted_there, 321),
    (320, "failover_possible", storeless, 390),
    (321, "other_epoch", mine, 311),
    (321, "holder_silent", quiet_again, 420),
    (321, "my_turn", outweighed, 420),
    (321, "failover_possible", storeless, 390),
    (322, "other_epoch", mine, 311),
    (322, "holder_yields", contented, 420),
    (322, "holder_climbing", promoted_there, 323),
    (322, "had_its_chance", lambda v: replace(v, record_unchanged_s=1.9), 420),
    (322, "fully_eligible", no_front, 420),
    (322, "databases_idle", busy, 420),
    (322, "store_answers", storeless, 420),
    (323, "other_epoch", mine, 311),
    (323, "holder_yields", contented, 420),
    (323, "not_holder_climbing", climbing_there, 322),
    (323, "fully_eligible", no_front, 420),
    (323, "databases_idle", busy, 420),
    (323, "outside_flap_window", just_moved, 391),
    (323, "store_answers", storeless, 420),
    (324, "other_epoch", mine, 311),
    (324, "holder_controller_gone", quiet_again, 420),
    (324, "fully_eligible", no_front, 420),
    (324, "databases_idle", busy, 420),
    (324, "outside_flap_window", just_moved, 420),
    (324, "failover_possible", storeless, 420),
    (390, "other_epoch", mine, 121),
    (390, "holder_silent", quiet_again, 411),
    (390, "not_failover_possible", lambda v: at_rest(GONE), 321),
    (391, "other_epoch", mine, 311),
    (391, "holder_yields", contented, 411),
    (391, "not_outside_flap_window", lambda v: replace(v, changed_s=3600.1), 323),
    (401, "established", lambda v: own(state(v, gate_open=False), apps_up=2), 311),
    (410, "other_epoch", mine, 311),
    (410, "rejoin_unfinished", lambda v: state(own(v, promised=Epoch(3)), epoch=Epoch(3)), 420),
    (410, "holder_climbing", lambda v: report(v, DC1, role=Role.PRIMARY), 411),
    (411, "other_epoch", mine, 311),
    (411, "rejoin_unfinished", lambda v: dc2_view(), 420),
    (420, "other_epoch", mine, 311),
)


@pytest.mark.parametrize(
    ("number", "guard", "turn", "instead"), NEAR, ids=[f"{near[0]}-{near[1]}" for near in NEAR]
)
def test_a_row_needs_each_of_its_guards(number: int, guard: str, turn: Turn, instead: int) -> None:
    turned = turn(view_of(number))
    assert guard in {found.__name__ for found in rule_of(number).when if not found(turned)}
    assert decide(turned).rule == instead


def test_no_row_and_no_guard_is_left_out() -> None:
    asked = (*RULES_PUT_RIGHT, *RULES_ASKED)
    elsewhere = {rule.number for rule in asked if rule.number not in (201, 202)}
    rules = [rule for rule in RULES if rule.number not in elsewhere]  # test_asked_rules.py
    assert {case.rule for case in CASES} == {rule.number for rule in rules}
    pairs = {(rule.number, guard.__name__) for rule in rules for guard in rule.when}
    assert {(number, guard) for number, guard, _, _ in NEAR} == pairs


def test_a_busy_lane_is_left_alone_and_no_lane_is_asked_twice() -> None:
    view = view_of(110)
    busy = frozenset({"traffic", "promise", f"database:{LEDGER}"})
    assert decide(replace(view, busy=busy)).intents == (
        Announce(stance=Stance.BACKUP, epoch=Epoch(2)),
    )
    view = own(leased(climbing(), 0.1), promised=Epoch(9))
    view = record(view, epoch=Epoch(9))
    asked = decide(view).intents
    assert len({lane(intent) for intent in asked}) == len(asked)


def test_of_one_lane_the_lowest_rung_is_asked() -> None:
    """A database that is open under an older epoch and has a receiver is closed before it seals."""
    view = state(climbing(), writable=True, receiving=True, epoch=Epoch(2), gate_open=True)
    found = [intent for intent in decide(view).intents if lane(intent) == f"database:{LEDGER}"]
    assert found == [CloseDatabase(database=LEDGER)]


def test_traffic_that_cannot_be_directed_is_not_asked_for() -> None:
    view = own(dc2_view(directed="dc2"), front_ok=False)
    assert not [intent for intent in decide(view).intents if isinstance(intent, Direct)]


def test_a_stance_is_said_again_under_a_new_promise() -> None:
    view = own(dc2_view(), stance_epoch=Epoch(1))
    assert Announce(stance=Stance.BACKUP, epoch=Epoch(2)) in decide(view).intents


def test_traffic_that_goes_to_nobody_is_not_asked_to_again() -> None:
    decision = decide(own(spec(no_epoch(dc2_view()), initial_holder=DC1), directed_to=frozenset()))
    assert (decision.rule, decision.traffic) == (301, None)
    assert not [intent for intent in decision.intents if isinstance(intent, Direct)]


def test_every_trouble_that_outlasted_its_patience_is_told() -> None:
    troubled = own(serving(), front_ok=False, apps_up=0, trouble_s={"front": 1.5, "apps": 1.0})
    assert decide(troubled).yielding == (
        "haproxy here does not answer; 0 of 2 app servers here are up, 1 needed"
    )
    assert decide(replace(troubled, paused="disk work")).yielding == ""


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"can_hold": False}, False),
        ({"front_ok": False}, False),
        ({"held": True}, False),
    ],
)
def test_traffic_is_held_where_something_listens_that_can_and_does_not_yet(
    changes: dict[str, object], wanted: bool
) -> None:
    view = asked_of(dc2_view(), Kind.SWITCHOVER, target="dc3", holder="dc1", state=State.RUNNING)
    decision = decide(own(view, **({"can_hold": True} | changes)))
    assert decision.traffic is HOLD
    assert any(isinstance(intent, HoldTraffic) for intent in decision.intents) is wanted


def test_of_two_rungs_of_one_lane_only_the_lower_is_asked() -> None:
    """A look that contradicts itself: down, and still taken for open under an older epoch."""
    view = state(climbing(), liveness=Liveness.DOWN, writable=True, epoch=Epoch(2))
    found = [intent for intent in decide(view).intents if lane(intent) == f"database:{LEDGER}"]
    assert found == [StartDatabase(database=LEDGER)]
