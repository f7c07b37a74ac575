"""The block 2xx: what this site does as an operator asks, and what undoes each guard."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bgp.policy import Stance
from controller.core.alone import NO_LONGER_ALONE
from controller.core.asked import asked_behind
from controller.core.decide import Decision, decide
from controller.core.handover import HAND_OVER
from controller.core.intents import (
    AskSwitchover,
    CloseDatabase,
    CommitAlone,
    Direct,
    EndAlone,
    HoldTraffic,
    Intent,
    RaiseEpoch,
    RenewLease,
    SetGate,
    SettleRequest,
    name,
)
from controller.core.ladder import AnyStep
from controller.core.model import Durability, Epoch, Role, Seen, SiteName
from controller.core.reason import Reason
from controller.core.requests import Kind, State
from controller.core.rules_asked import RULES_ASKED, RULES_PUT_RIGHT
from controller.core.sequences import NOTHING, REJOIN, TAKE_OVER
from controller.core.view import View
from controller.core.wants import HOLD, KEEP, Keep
from tests.core.turned import (
    climbing,
    copy,
    follower,
    other,
    outrun,
    own,
    primary_state,
    record,
    report,
    serving,
    silent,
    spec,
    state,
    voter,
    witness_report,
)
from tests.core.views import DC1, DC2, GONE, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked, drained, wish

Turn = Callable[[View], View]


def to_dc1(view: View, **changes: object) -> View:
    """An operator asks dc2 to hand over to dc1; it has begun unless said otherwise."""
    defaults = {"target": "dc1", "holder": "dc2", "state": State.RUNNING, "reason": "patches"}
    return asked(view, Kind.SWITCHOVER, **(defaults | changes))  # type: ignore[arg-type]


def held(view: View, *, quiet: bool = True) -> View:
    """New requests wait at both sites."""
    view = own(view, held=True, held_s=0.1, in_flight=0 if quiet else 3)
    return report(view, DC1, held=True, quiet=quiet)


def handing() -> View:
    """dc2 hands over: traffic waits, the gate is closed, and dc1 has everything."""
    return state(held(to_dc1(serving())), gate_open=False)


def handed(*, ago_s: float = 0.2) -> View:
    """dc2 has handed epoch 3 to dc1, which has not promoted; dc2 is closed and sealed."""
    view = record(
        serving(), epoch=Epoch(3), holder=DC1, kind="handover", previous=DC2, request=4, revision=9
    )
    view = state(view, writable=False, gate_open=False, admitted=frozenset(), followers=())
    view = own(held(to_dc1(view)), promised=Epoch(3), stance=Stance.BACKUP, stance_epoch=Epoch(3))
    view = report(view, DC1, epoch=Epoch(3), role=Role.TAKING_OVER)
    return replace(view, record_unchanged_s=ago_s)


def mine_from_dc1() -> View:
    """dc1 hands over to this dc2, and has begun."""
    return asked(dc2_view(), Kind.SWITCHOVER, target="dc2", holder="dc1", state=State.RUNNING)


def failing_over(view: View | None = None, **changes: object) -> View:
    """An operator asks dc2 to take over from dc1."""
    found = dc2_view() if view is None else view
    found = other(found, WITNESS, report=witness_report(following=DC1), report_age_s=0.5)
    defaults = {"target": "dc2", "holder": "dc1", "reason": "smoke"}
    return asked(found, Kind.FAILOVER, **(defaults | changes))  # type: ignore[arg-type]


def alone(view: View) -> View:
    return replace(view, alone=wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING))


def forsaken() -> View:
    """dc2 serves, and both other sites are gone, the store with them."""
    view = silent(serving())
    view = other(view, WITNESS, seen=GONE, report_age_s=60.0)
    view = state(view, followers=())
    return replace(view, store_ok=False, record_seen_s=60.0)


def assumed() -> View:
    """dc2 was a standby, the others are gone; it serves alone under epoch 22, not recorded."""
    view = other(silent(climbing()), WITNESS, seen=GONE, report_age_s=60.0)
    view = record(
        view, epoch=Epoch(22), holder=DC2, kind="forced", revision=0, excused=(DC1, WITNESS)
    )
    view = alone(own(view, promised=Epoch(22)))
    return replace(view, store_ok=False, record_seen_s=60.0, stored=None)


def settled(decision: Decision) -> tuple[State, str] | None:
    found = [i for i in decision.intents if isinstance(i, SettleRequest)]
    return (found[0].state, found[0].why) if found else None


def names(decision: Decision) -> list[str]:
    return sorted(name(intent) for intent in decision.intents)


def said(
    view: View, rule: int, *intents: Intent, traffic: SiteName | Keep | None, role: Role
) -> Decision:
    decision = decide(view)
    assert (decision.rule, decision.role) == (rule, role)
    assert decision.traffic == traffic
    assert set(decision.intents) == set(intents)
    return decision


RUNNING = SettleRequest(number=4, expected_revision=40, state=State.RUNNING, why="dc2 hands over")


# --- the hand-over, rung by rung ------------------------------------------------------------------


def test_a_hand_over_is_announced_before_anything_waits() -> None:
    view = to_dc1(serving(), state=State.OPEN)
    decision = said(view, 210, RUNNING, traffic=DC2, role=Role.HANDING_OVER)
    assert decision.ladder == "HAND_OVER"
    assert next(rung.step for rung in decision.rungs if not rung.done) == "announced"


def test_then_new_requests_wait_at_both_sites() -> None:
    view = to_dc1(serving())
    said(view, 210, HoldTraffic(), traffic=HOLD, role=Role.HANDING_OVER)
    said(own(view, held=True), 210, traffic=HOLD, role=Role.HANDING_OVER)
    there = asked(dc2_view(), Kind.SWITCHOVER, target="dc3", holder="dc1", state=State.RUNNING)
    said(there, 420, HoldTraffic(), traffic=HOLD, role=Role.STANDBY)
    late = replace(there, request=replace(there.request, unchanged_s=5.1))  # type: ignore[type-var]
    said(late, 420, traffic=DC1, role=Role.STANDBY)


def test_what_was_under_way_may_end() -> None:
    said(held(to_dc1(serving()), quiet=False), 210, traffic=HOLD, role=Role.HANDING_OVER)
    busy_there = report(held(to_dc1(serving())), DC1, quiet=False)
    said(busy_there, 210, traffic=HOLD, role=Role.HANDING_OVER)


CLOSE = SetGate(database=LEDGER, opened=False)


@pytest.mark.parametrize(
    "turn",
    [
        held,
        lambda v: own(held(v, quiet=False), held_s=0.5),  # they have had their time
        lambda v: report(own(v, can_hold=False), DC1, gate=False, held=False),  # no gates at all
    ],
)
def test_then_the_gates_are_closed(turn: Turn) -> None:
    said(turn(to_dc1(serving())), 210, CLOSE, traffic=HOLD, role=Role.HANDING_OVER)


def test_then_the_candidates_log_is_awaited() -> None:
    behind = state(handing(), followers=(follower(DC1, flushed=None), follower(WITNESS)))
    behind = copy(behind, DC1, position=None)
    said(behind, 210, traffic=HOLD, role=Role.HANDING_OVER)
    unknown = state(handing(), position=None)
    said(unknown, 210, traffic=HOLD, role=Role.HANDING_OVER)


def test_what_the_candidate_reports_of_its_log_will_do() -> None:
    """A follower of MariaDB does not say how far it is; its site's report does."""
    view = state(handing(), followers=(follower(DC1, flushed=None), follower(WITNESS)))
    assert names(decide(view)) == ["RaiseEpoch"]


def test_then_the_epoch_is_handed_over() -> None:
    decision = decide(handing())
    assert decision.rule == 210
    assert decision.intents == (
        RaiseEpoch(
            epoch=Epoch(3),
            kind="handover",
            reason="patches",
            expected_revision=7,
            previous=DC2,
            holder=DC1,
            request=4,
            asked_by="ann",
        ),
    )
    unsaid = state(held(to_dc1(serving(), reason="")), gate_open=False)
    raised = decide(unsaid).intents[0]
    assert isinstance(raised, RaiseEpoch)
    assert raised.reason == "an operator asked for a switchover"


def test_a_service_without_a_database_is_handed_over_when_it_is_quiet() -> None:
    view = spec(own(serving(), databases=()), databases=(), durability=Durability.LEASE)
    view = own(held(to_dc1(view)), lease_left_s=0.4)
    decision = decide(view)
    # The renewal has the lane of the epoch: the hand-over comes with the next turn.
    assert RenewLease(expected_revision=7, renewal=1) in decision.intents
    fresh = own(view, lease_left_s=2.9)
    assert [type(i) for i in decide(fresh).intents] == [RaiseEpoch]


def leased(view: View, left_s: float) -> View:
    """A service without a database, on a lease."""
    view = spec(own(view, databases=()), databases=(), durability=Durability.LEASE)
    return own(view, lease_left_s=left_s)


def test_a_holder_that_has_given_its_lease_up_still_holds_traffic() -> None:
    assert decide(held(leased(to_dc1(serving()), 0.0))).rule == 210
    assert decide(leased(to_dc1(serving()), 0.0)).rule == 121  # nothing is held: nobody serves
    failed = other(held(leased(to_dc1(serving()), 0.0)), DC1, seen=GONE)
    assert (decide(failed).rule, decide(failed).traffic) == (212, HOLD)
    late = replace(failed, request=replace(failed.request, unchanged_s=1.6))  # type: ignore[type-var]
    assert decide(late).rule == 121


def test_who_is_handed_a_lease_takes_it_before_it_serves() -> None:
    view = record(leased(serving(), -1.0), kind="handover", request=4, previous=DC1)
    view = replace(view, record_unchanged_s=0.1)
    renewal = RenewLease(expected_revision=7, renewal=1)
    said(own(view, held=True), 122, renewal, traffic=HOLD, role=Role.TAKING_OVER)
    assert decide(view).traffic is None
    assert decide(replace(view, record_unchanged_s=5.1)).rule == 121
    assert decide(record(view, renewal=3)).rule == 121
    assert decide(record(view, request=0)).rule == 121
    assert decide(own(view, lease_left_s=2.0)).rule == 401
    assert decide(leased(handed(), -1.0)).rule == 411


# --- what is wrong with it ------------------------------------------------------------------------

UNFIT = [
    (lambda v: other(v, DC1, seen=GONE), "dc1 is not heard"),
    (lambda v: other(v, DC1, report_age_s=5.1), "dc1 has not reported for longer than 5 s"),
    (lambda v: other(v, DC1, report=None), "dc1 has not reported for longer than 5 s"),
    (
        lambda v: report(v, DC1, not_eligible_because=("haproxy here does not answer",)),
        "dc1: haproxy here does not answer",
    ),
    (lambda v: drained(v, DC1), "dc1 is drained; undrain it first"),
    (
        lambda v: state(v, followers=(follower(WITNESS),)),
        "ledger: the copy at dc1 does not follow as a voter",
    ),
    (
        lambda v: state(v, followers=(follower(DC1, quarantined=True), follower(WITNESS))),
        "ledger: the copy at dc1 does not follow as a voter",
    ),
    (
        lambda v: state(v, followers=(follower(DC1),)),
        "ledger: no voter but dc1 follows; after the move commits would wait",
    ),
    (
        lambda v: spec(copy(v, DC1, lag_bytes=2049), max_lag_bytes=2048),
        "ledger: the copy at dc1 lags by 2049 bytes, allowed are 2048",
    ),
    (lambda v: to_dc1(v, target="dc2", state=State.OPEN), "dc2 holds wallet already"),
    (lambda v: to_dc1(v, target="witness", state=State.OPEN), "witness is a witness"),
    (lambda v: to_dc1(v, target="dc9", state=State.OPEN), "there is no site dc9; .* to dc1"),
]


@pytest.mark.parametrize(("turn", "why"), UNFIT, ids=[why[:40] for _, why in UNFIT])
def test_an_unfit_candidate_is_refused_and_the_reason_said(turn: Turn, why: str) -> None:
    decision = decide(turn(to_dc1(serving(), state=State.OPEN)))
    assert (decision.rule, decision.role, decision.traffic) == (211, Role.PRIMARY, DC2)
    assert decision.ladder == "TAKE_OVER"
    found = settled(decision)
    assert found is not None
    assert found[0] is State.REFUSED
    assert re.search(why, found[1])
    assert found[1] == "; ".join(decision.refused_because)


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (lambda v: other(v, DC1, seen=GONE), "dc1 is not heard"),
        (
            lambda v: replace(v, request=replace(v.request, unchanged_s=1.6)),
            "it was not through after 1.5 s",
        ),
    ],
)
def test_a_hand_over_that_fails_is_taken_back(turn: Turn, why: str) -> None:
    decision = decide(turn(handing()))
    assert (decision.rule, decision.traffic) == (212, HOLD)
    assert decision.refused_because == (why,)
    assert settled(decision) is None
    opening = decide(state(turn(handing()), followers=(follower(WITNESS),)))
    assert SetGate(database=LEDGER, opened=True) in opening.intents
    open_again = decide(state(turn(handing()), gate_open=True))
    assert open_again.traffic == DC2
    assert settled(open_again) == (State.FAILED, why)
    assert Direct(site=DC2) in open_again.intents


def test_what_does_not_open_again_is_told_all_the_same() -> None:
    stuck = asked(
        handing(), Kind.SWITCHOVER, target="dc1", holder="dc2", state=State.RUNNING, unchanged_s=5.0
    )
    assert settled(decide(stuck)) is None
    assert stuck.request is not None
    late = replace(stuck, request=replace(stuck.request, unchanged_s=5.01))
    assert settled(decide(late)) == (State.FAILED, "it was not through after 1.5 s")


def test_without_the_store_it_is_taken_back_and_told_later() -> None:
    decision = decide(state(replace(handing(), store_ok=False), gate_open=True))
    assert decision.rule == 212
    assert settled(decision) is None
    assert "the store's majority does not answer" in decision.refused_because[0]


def test_a_database_that_falls_meanwhile_is_another_matter() -> None:
    fallen = state(handing(), writable=False)
    assert decide(fallen).rule not in (210, 211, 212)


# --- the site that is given the epoch -------------------------------------------------------------


def test_the_old_holder_lets_traffic_wait_until_the_new_one_is_open() -> None:
    view = handed()
    assert decide(view).traffic is HOLD
    assert decide(replace(view, record_unchanged_s=5.1, store_ok=False)).traffic == DC1
    assert decide(own(view, held=False)).traffic == DC1
    opened = copy(view, DC1, writable=True, gate_open=True, epoch=Epoch(3))
    assert decide(opened).traffic == DC1
    unpromised = report(opened, DC1, epoch=Epoch(2))
    assert decide(unpromised).traffic is HOLD
    silent_one = other(view, DC1, report=None)
    assert decide(silent_one).traffic is HOLD


def test_the_new_holder_lets_traffic_wait_until_it_is_open() -> None:
    view = own(climbing(), held=True)
    assert decide(view).traffic is HOLD
    assert decide(replace(view, record_unchanged_s=5.1)).traffic is None
    established = own(
        record(serving(), kind="handover", request=4), held=True, directed_to=frozenset({DC1})
    )
    established = replace(established, record_unchanged_s=0.3)
    assert decide(established).traffic == DC2


def test_packets_are_not_drawn_away_from_requests_that_wait() -> None:
    view = record(serving(), kind="handover", request=4, previous=DC1)
    view = own(replace(view, record_unchanged_s=0.3), stance=Stance.BACKUP)
    waiting = report(view, DC1, held=True)
    assert decide(waiting).stance is Stance.BACKUP
    assert decide(view).stance is Stance.PREFERRED
    assert decide(replace(waiting, record_unchanged_s=5.1)).stance is Stance.PREFERRED
    assert decide(record(waiting, kind="failover")).stance is Stance.PREFERRED
    assert decide(other(waiting, DC1, report=None)).stance is Stance.OVERRIDE
    assert decide(own(waiting, stance=Stance.PREFERRED)).stance is Stance.PREFERRED
    climbs = state(waiting, gate_open=False)
    assert decide(climbs).stance is Stance.BACKUP


def test_a_holder_that_dies_handing_over_is_replaced_at_once() -> None:
    gone = Seen(control_s=0.6, front_s=0.1, data_s=0.1)
    view = other(mine_from_dc1(), DC1, seen=gone, seen_by={WITNESS: gone})
    decision = decide(view)
    assert (decision.rule, decision.role) == (213, Role.STANDBY)
    (raised,) = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert (raised.request, raised.asked_by, raised.holder) == (4, "ann", None)
    assert raised.excused == ()
    assert decide(other(mine_from_dc1(), DC1, seen=gone)).rule == 420  # the witness hears it


def test_the_old_holder_takes_over_again_when_the_new_one_is_late() -> None:
    view = handed(ago_s=1.1)
    view = state(view, upstream=None, receiving=False, streaming=False)
    decision = decide(view)
    assert (decision.rule, decision.role) == (214, Role.STANDBY)
    (raised,) = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert (raised.epoch, raised.kind, raised.request) == (4, "failover", 0)


def closing(view: View) -> bool:
    return any(isinstance(i, CloseDatabase) for i in decide(view).intents)


def shut(view: View) -> set[str]:
    return {i.database for i in decide(view).intents if isinstance(i, SetGate) and not i.opened}


def test_a_deposed_database_is_not_restarted_before_the_other_site_has_had_its_time() -> None:
    young = report(state(handed(), writable=True), DC1, role=Role.PRIMARY)
    assert decide(young).rule == 110
    assert not closing(young)
    assert not closing(replace(young, record_unchanged_s=1.49))
    assert closing(replace(young, record_unchanged_s=1.5))
    assert closing(state(young, gate_open=True))
    assert closing(record(young, request=0))
    assert closing(other(young, DC1, seen=GONE))
    assert not closing(other(young, DC1, seen=replace(HERE, control_s=0.5)))
    assert closing(other(young, DC1, seen=replace(HERE, control_s=0.51)))
    assert closing(record(young, holder=SiteName("dc9")))
    opened = copy(young, DC1, writable=True, gate_open=True, epoch=Epoch(3))
    assert not closing(opened)


@pytest.mark.parametrize(
    ("turn", "until_s"),
    [(lambda v: v, 1.0), (lambda v: record(v, kind="failover", request=0), 1.99)],
)
def test_while_the_new_holder_climbs_a_deposed_database_is_only_shut(
    turn: Turn, until_s: float
) -> None:
    """Nobody may read what is old; its restart would only slow the other site down."""
    young = turn(state(handed(), writable=True))
    assert decide(young).rule == 110
    assert not closing(young)
    assert not shut(young)
    opened = state(young, gate_open=True)
    assert shut(opened) == {"ledger"}
    assert not closing(opened)
    assert not closing(replace(opened, record_unchanged_s=until_s))
    assert closing(replace(opened, record_unchanged_s=until_s + 0.01))
    for late in (
        replace(opened, record_unchanged_s=2.0),
        report(opened, DC1, role=Role.PRIMARY),
        other(opened, WITNESS, seen=GONE),  # what is here may be needed instead
        other(opened, DC1, seen=GONE),
        spec(opened, durability=Durability.LEASE),  # nothing but this keeps it from writing
    ):
        assert decide(late).rule == 110
        assert closing(late)
        assert not shut(late)


def test_a_database_is_restarted_at_once_when_its_epoch_is_taken_back() -> None:
    young = state(handed(ago_s=0.3), writable=True)
    gives_up = report(young, DC1, yielding="database ledger here is down")
    assert not closing(young)
    assert closing(gives_up)
    assert decide(gives_up).rule == 110
    assert closing(replace(young, record_unchanged_s=1.01))
    assert not closing(record(gives_up, kind="failover"))
    assert not closing(report(gives_up, DC1, role=Role.PRIMARY))


NOT_LATE: list[Turn] = [
    lambda v: replace(v, record_unchanged_s=1.0),
    lambda v: record(v, kind="failover"),
    lambda v: record(v, request=0),
    lambda v: record(v, previous=DC1),
    lambda v: report(v, DC1, role=Role.PRIMARY),
    lambda v: state(v, diverged=True),
    lambda v: replace(v, busy=frozenset({"database:ledger"})),
    lambda v: replace(v, store_ok=False),
]


@pytest.mark.parametrize("turn", NOT_LATE)
def test_but_only_then(turn: Turn) -> None:
    assert decide(turn(handed(ago_s=1.1))).rule != 214


NOT_MINE: list[Turn] = [
    lambda v: asked(v, Kind.SWITCHOVER, target="dc3", state=State.RUNNING),
    lambda v: asked(v, Kind.SWITCHOVER, target="dc2", state=State.OPEN),
    lambda v: asked(v, Kind.SWITCHOVER, target="dc2", state=State.RUNNING, epoch=Epoch(1)),
    lambda v: asked(v, Kind.ACK, target="dc2", state=State.RUNNING),
    lambda v: replace(v, request=None),
    lambda v: replace(v, store_ok=False),
    lambda v: replace(v, busy=frozenset({"database:ledger"})),
]


@pytest.mark.parametrize("turn", NOT_MINE)
def test_only_the_announced_candidate_of_this_epoch_replaces_it(turn: Turn) -> None:
    gone = Seen(control_s=0.6, front_s=0.1, data_s=0.1)
    view = other(mine_from_dc1(), DC1, seen=gone, seen_by={WITNESS: gone})
    assert decide(turn(view)).rule != 213


# --- failover on request --------------------------------------------------------------------------


def test_a_living_holder_is_relieved_when_an_operator_says_so() -> None:
    decision = decide(failing_over())
    assert (decision.rule, decision.role, decision.stance) == (220, Role.STANDBY, Stance.BACKUP)
    (raised,) = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert (raised.kind, raised.request, raised.asked_by, raised.excused) == (
        "failover",
        4,
        "ann",
        (),
    )
    assert raised.reason == "an operator asks this site to take over: smoke"
    assert decide(replace(failing_over(), busy=frozenset({"database:ledger"}))).rule == 420


REFUSED_FAILOVERS = [
    (lambda v: state(v, diverged=True), "has diverged"),
    (
        lambda v: silent(other(v, WITNESS, seen=GONE)),
        "ledger: it cannot be proved that nothing is lost without dc1, witness",
    ),
    (
        lambda v: silent(voter(v, WITNESS, whole=False)),
        "nothing is lost without dc1, witness",
    ),
    (lambda v: spec(v, durability=Durability.LEASE), "lease has not been waited out"),
]


@pytest.mark.parametrize(("turn", "why"), REFUSED_FAILOVERS, ids=[w for _, w in REFUSED_FAILOVERS])
def test_a_failover_that_would_not_be_safe_is_refused(turn: Turn, why: str) -> None:
    view = replace(turn(failing_over()), record_unchanged_s=0.2)
    decision = decide(view)
    assert (decision.rule, decision.ladder) == (221, "REJOIN")
    found = settled(decision)
    assert found is not None
    assert found[0] is State.REFUSED
    assert why in found[1]
    assert "; ".join(decision.refused_because) == found[1]


def set_back(view: View | None = None, **changes: object) -> View:
    """etcd names the epoch before the one that dc2 serves under, and dc2 is asked to take over."""
    found = own(record(view or serving(), epoch=Epoch(1), revision=40), promised=Epoch(2))
    return failing_over(found, **({"epoch": Epoch(1), "holder": "dc2"} | changes))


def test_a_store_that_was_set_back_is_put_right_by_a_failover() -> None:
    decision = decide(set_back())
    assert (decision.rule, decision.role, decision.stance) == (98, Role.STARTING, Stance.PREFERRED)
    (raised,) = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert (raised.epoch, raised.expected_revision, raised.request) == (3, 40, 4)
    beyond = voter(set_back(), WITNESS, promised=Epoch(7))
    (raised,) = [i for i in decide(beyond).intents if isinstance(i, RaiseEpoch)]
    assert raised.epoch == 8, "above what any site has promised"


@pytest.mark.parametrize(
    ("view", "rule"),
    [
        (set_back(target="dc1"), 101),
        (set_back(epoch=Epoch(2)), 101),
        (replace(set_back(), busy=frozenset({"database:ledger"})), 101),
        (replace(set_back(), store_ok=False), 101),
        (replace(set_back(), paused="disk work"), 101),
        (replace(set_back(state(serving(), diverged=True)), paused="disk work"), 101),
        (set_back(state(serving(), diverged=True)), 99),
        (spec(set_back(), durability=Durability.LEASE), 100),
        (own(spec(set_back(), durability=Durability.LEASE), directed_to=frozenset()), 98),
    ],
)
def test_nothing_else_puts_the_store_right(view: View, rule: int) -> None:
    view = replace(view, record_unchanged_s=60.0)
    decision = decide(view)
    assert decision.rule == rule
    found = settled(decision)
    if rule == 99:
        assert found is not None
        assert found[0] is State.REFUSED
        assert "has diverged" in found[1]
        assert "; ".join(decision.refused_because) == found[1]
    else:
        assert found is None
        assert any(isinstance(i, RaiseEpoch) for i in decision.intents) is (rule == 98)


@pytest.mark.parametrize(
    ("view", "rule", "reason"),
    [
        (set_back(), 98, Reason.FAILOVER_ASKED),
        (set_back(state(serving(), diverged=True)), 99, Reason.FAILOVER_ASKED_REFUSED),
    ],
)
def test_who_puts_the_store_right_keeps_its_routes_as_long_as_it_commits(
    view: View, rule: int, reason: Reason
) -> None:
    decision = decide(view)
    assert (decision.rule, decision.reason) == (rule, reason)
    assert decision.stance is view.own.stance is Stance.PREFERRED
    stalled = own(view, commit_age_s={})
    assert (decide(stalled).rule, decide(stalled).stance) == (rule, None)


def test_only_this_site_knows_that_the_store_is_behind_its_promise() -> None:
    assert asked_behind(set_back(), DC2)
    assert not asked_behind(set_back(), DC1)
    assert not asked_behind(serving(), DC2)


def stuck() -> View:
    """dc2 has raised epoch 3, and neither dc1's log nor the witness's can be had."""
    view = other(climbing(), WITNESS, seen=GONE, report_age_s=60.0)
    return voter(view, WITNESS, whole=False, position=None)


def insisting(view: View, **changes: object) -> View:
    """An operator asks dc2, which holds the epoch, to open what it has."""
    defaults = {
        "target": "dc2",
        "holder": "dc2",
        "allow_data_loss": True,
        "excused": (DC1, WITNESS),
        "epoch": None if view.record is None else view.record.epoch,
    }
    return asked(view, Kind.FAILOVER, **(defaults | changes))  # type: ignore[arg-type]


def test_a_holder_that_cannot_prove_what_it_has_is_told_to_open_it() -> None:
    decision = decide(insisting(stuck()))
    assert (decision.rule, decision.stance) == (220, Stance.BACKUP)
    (raised,) = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert (raised.epoch, raised.kind, raised.request) == (4, "failover", 4)
    assert raised.excused == (DC1, WITNESS)


@pytest.mark.parametrize(
    "view",
    [
        stuck(),
        insisting(stuck(), allow_data_loss=False, excused=()),
        insisting(climbing()),  # dc1 alone is missing: it will be proved
        insisting(state(stuck(), diverged=True)),  # what it has is not to be opened
        replace(insisting(stuck()), busy=frozenset({"database:ledger"})),
    ],
)
def test_a_holder_opens_what_it_cannot_prove_for_nothing_less(view: View) -> None:
    decision = decide(view)
    assert decision.rule not in (220, 221)
    assert settled(decision) is None


def test_what_was_proved_meanwhile_is_done_without_a_loss() -> None:
    found = settled(decide(insisting(serving(), excused=())))
    assert found == (State.DONE, "dc2 serves under epoch 2")


def test_without_the_store_a_failover_waits() -> None:
    decision = decide(replace(failing_over(), store_ok=False))
    assert decision.rule == 420


def test_an_operator_may_do_without_voters_by_name() -> None:
    lost = silent(other(failing_over(), WITNESS, seen=GONE))
    loss = {"target": "dc2", "holder": "dc1", "allow_data_loss": True}
    allowed = asked(lost, Kind.FAILOVER, **loss, excused=(DC1, WITNESS))  # type: ignore[arg-type]
    (raised,) = [i for i in decide(allowed).intents if isinstance(i, RaiseEpoch)]
    assert raised.excused == (DC1, WITNESS)
    other_one = asked(lost, Kind.FAILOVER, **loss, excused=())  # type: ignore[arg-type]
    decision = decide(other_one)
    assert decision.rule == 221
    assert "without dc1, witness" in decision.refused_because[0]
    leased = spec(allowed, durability=Durability.LEASE)
    assert decide(replace(leased, record_unchanged_s=0.1)).rule == 220


# --- drain ----------------------------------------------------------------------------------------


def test_a_drained_holder_asks_to_hand_over() -> None:
    view = drained(serving(), DC2)
    decision = decide(view)
    assert (decision.rule, decision.role, decision.traffic) == (230, Role.PRIMARY, DC2)
    assert decision.intents == (
        AskSwitchover(target=DC1, asked_by="ann", reason="dc2 is drained: new kernel"),
    )
    assert decision.not_eligible_because == ("dc2 is drained by ann",)


DRAIN_WAITS: list[Turn] = [
    lambda v: asked(v, Kind.PAUSE, approvals_needed=1),  # something is open
    lambda v: asked(v, Kind.SWITCHOVER, state=State.FAILED, unchanged_s=29.0),
    lambda v: asked(v, Kind.SWITCHOVER, state=State.REFUSED, unchanged_s=29.0),
    lambda v: other(v, DC1, seen=GONE),  # nobody could take over
    lambda v: replace(v, store_ok=False),
]


@pytest.mark.parametrize("turn", DRAIN_WAITS)
def test_a_drain_waits_for_its_moment(turn: Turn) -> None:
    assert decide(turn(drained(serving(), DC2))).rule == 401


def test_a_drain_asks_again_after_a_while() -> None:
    view = asked(drained(serving(), DC2), Kind.SWITCHOVER, state=State.FAILED, unchanged_s=30.0)
    assert decide(view).rule == 230
    view = asked(drained(serving(), DC2), Kind.SWITCHOVER, state=State.LAPSED, unchanged_s=0.1)
    assert decide(view).rule == 230


def test_a_drained_standby_says_so_and_is_no_candidate() -> None:
    view = drained(dc2_view(), DC2)
    decision = decide(view)
    assert (decision.rule, decision.role, decision.stance) == (231, Role.STANDBY, Stance.DRAINED)
    assert decision.traffic == DC1
    assert not decision.eligible
    assert decide(drained(dc2_view(), DC2, age_s=60.1)).stance is Stance.WITHDRAWN
    unattractive = report(drained(dc2_view(), DC2, age_s=60.1), DC1, stance=Stance.BACKUP)
    assert decide(unattractive).stance is Stance.DRAINED


def test_a_drained_site_does_not_take_over_by_itself_but_as_it_is_asked() -> None:
    dead = silent(drained(dc2_view(), DC2))
    decision = decide(dead)
    assert decision.rule == 390
    assert decision.refused_because == ("dc2 is drained by ann",)
    told = failing_over(dead)
    assert decide(told).rule == 220


# --- serving alone --------------------------------------------------------------------------------


def test_the_last_survivor_commits_alone_when_ordered() -> None:
    view = alone(forsaken())
    decision = decide(view)
    assert (decision.rule, decision.role, decision.traffic) == (241, Role.PRIMARY, DC2)
    assert decision.intents == (CommitAlone(database=LEDGER, alone=True),)
    done = decide(state(view, alone=True))
    assert done.intents == ()
    assert all(rung.done for rung in done.rungs)


def test_connections_that_look_alive_do_not_keep_it_from_committing_alone() -> None:
    lingering = alone(state(forsaken(), followers=(follower(DC1), follower(WITNESS))))
    decision = decide(lingering)
    assert decision.rule == 241
    assert decision.intents == (CommitAlone(database=LEDGER, alone=True),)


def test_without_the_order_it_is_isolated_and_stays_so() -> None:
    view = own(forsaken(), commit_age_s={})
    assert decide(view).rule == 120
    assert decide(alone(view)).rule == 241


def test_a_lease_that_lapses_does_not_end_serving_alone() -> None:
    view = own(spec(forsaken(), databases=(), durability=Durability.LEASE), databases=())
    assert decide(view).rule in (120, 121)
    assert decide(alone(view)).rule == 241


def test_nor_does_a_store_that_has_lost_the_epoch() -> None:
    view = own(spec(serving(), durability=Durability.LEASE), promised=Epoch(9))
    assert decide(view).rule == 100
    assert decide(alone(view)).rule == 101


def test_a_standby_promotes_under_the_assumed_epoch_with_its_own_seal() -> None:
    decision = decide(assumed())
    assert decision.rule == 241
    assert names(decision) == ["Announce", "Direct", "Promote"]
    unordered = replace(assumed(), alone=None)
    assert "Promote" not in names(decide(record(unordered, excused=())))


def test_the_order_gives_way_to_a_majority_that_holds_more() -> None:
    late = alone(own(outrun(), trouble_s={"behind:ledger": 1.0}))
    decision = decide(late)
    assert (decision.rule, decision.yielding) == (310, "dc1 holds more of ledger than dc2")
    assert decide(own(late, trouble_s={"behind:ledger": 0.9})).rule == 241
    assert decide(own(late, trouble_s={"diverged:ledger": 9.0})).rule == 241


def test_one_that_is_excused_but_heard_is_given_its_time() -> None:
    heard = other(assumed(), WITNESS, seen=HERE)
    heard = voter(heard, WITNESS, promised=Epoch(3))
    assert "Promote" in names(decide(replace(heard, record_unchanged_s=2.0)))
    one = record(heard, excused=(WITNESS,))
    assert "Promote" not in names(decide(replace(one, record_unchanged_s=1.9)))


def test_the_assumed_epoch_is_recorded_when_the_store_answers() -> None:
    back = replace(assumed(), store_ok=True, record_seen_s=0.1)
    (raised,) = [i for i in decide(back).intents if isinstance(i, RaiseEpoch)]
    assert (raised.epoch, raised.expected_revision, raised.kind) == (22, 0, "forced")
    assert raised.excused == (DC1, WITNESS)
    stored = replace(back, stored=dc2_view().record)
    (raised,) = [i for i in decide(stored).intents if isinstance(i, RaiseEpoch)]
    assert raised.expected_revision == 7


def test_when_a_voter_follows_again_commits_wait_for_it_and_the_order_ends() -> None:
    back = state(alone(serving()), alone=True)
    decision = decide(back)
    assert (decision.rule, decision.ladder) == (240, "NO_LONGER_ALONE")
    assert decision.intents == (CommitAlone(database=LEDGER, alone=False),)
    guarded = decide(alone(serving()))
    assert guarded.intents == (EndAlone(),)
    assert decide(serving()).rule == 401


def test_a_connection_to_a_dead_voter_does_not_end_serving_alone() -> None:
    dead = other(silent(state(alone(serving()), alone=True)), WITNESS, seen=GONE)
    assert decide(dead).rule == 241
    assert decide(other(dead, WITNESS, seen=HERE)).rule == 240


def test_not_before_the_epoch_is_recorded() -> None:
    view = record(state(alone(serving()), alone=True), revision=0)
    assert decide(view).rule == 241
    assert decide(replace(state(alone(serving()), alone=True), store_ok=False)).rule == 241


def test_what_nobody_ordered_is_undone() -> None:
    decision = decide(state(serving(), alone=True))
    assert decision.rule == 240
    assert CommitAlone(database=LEDGER, alone=False) in decision.intents
    assert decide(state(dc2_view(), alone=True)).rule == 420


# --- how requests end -----------------------------------------------------------------------------

ENDS = [
    (serving(), Kind.ACK, {}, (State.DONE, "the role change of epoch 2 is acknowledged")),
    (serving(), Kind.ACK, {"approvals_needed": 1}, None),
    (serving(), Kind.ACK, {"epoch": Epoch(1)}, (State.LAPSED, "epoch 2 was raised meanwhile: ")),
    (serving(), Kind.PAUSE, {}, (State.RUNNING, "automation is paused")),
    (serving(), Kind.PAUSE, {"state": State.RUNNING}, None),
    (serving(), Kind.PAUSE, {"lasts_s": 0.2}, (State.LAPSED, "its 0 s are over")),
    (serving(), Kind.PAUSE, {"not_before_s": 9.0}, None),
    (serving(), Kind.PAUSE, {"approvals_needed": 1, "epoch": Epoch(1)}, None),  # good in any epoch
    (serving(), Kind.FORCE_SINGLE, {}, None),
    (serving(), Kind.FORCE_SINGLE, {"epoch": Epoch(1)}, None),
    (
        serving(),
        Kind.SWITCHOVER,
        {"approvals_needed": 1, "expires_s": 0.1},
        (State.LAPSED, "it waited 0 s for the approval of another person"),
    ),
    (
        own(serving(), databases=(replace(primary_state(), gate_open=False),)),
        Kind.SWITCHOVER,
        {"expires_s": 0.1},
        (State.LAPSED, "it waited 0 s for the service to settle"),
    ),
    (
        serving(),
        Kind.SWITCHOVER,
        {"epoch": Epoch(1), "target": "dc1"},
        (State.LAPSED, "dc2 raised epoch 2 meanwhile: "),
    ),
    (
        serving(),  # it is as was asked, but nobody had approved
        Kind.SWITCHOVER,
        {"epoch": Epoch(1), "target": "dc2", "approvals_needed": 1},
        (State.LAPSED, "dc2 raised epoch 2 meanwhile: "),
    ),
    (
        serving(),
        Kind.SWITCHOVER,
        {"epoch": Epoch(1), "target": "dc1", "state": State.RUNNING},
        (State.FAILED, "dc2 raised epoch 2 meanwhile: "),
    ),
    (
        record(serving(), request=4),
        Kind.FAILOVER,
        {"epoch": Epoch(1), "target": "dc2"},
        (State.DONE, "dc2 serves under epoch 2"),
    ),
    (
        serving(),  # it moved all the same
        Kind.SWITCHOVER,
        {"epoch": Epoch(1), "target": "dc2", "state": State.RUNNING},
        (State.DONE, "dc2 serves under epoch 2"),
    ),
    (climbing(), Kind.FAILOVER, {"epoch": Epoch(1), "target": "dc2"}, None),
    (dc2_view(), Kind.ACK, {}, None),  # the holder tells
    (replace(serving(), store_ok=False), Kind.ACK, {}, None),
    (serving(), Kind.ACK, {"state": State.WITHDRAWN}, None),
]


@pytest.mark.parametrize(("view", "kind", "changes", "end"), ENDS)
def test_how_a_request_ends(
    view: View, kind: Kind, changes: dict[str, object], end: tuple[State, str] | None
) -> None:
    decision = decide(asked(view, kind, **changes))  # type: ignore[arg-type]
    assert settled(decision) == end


def test_a_pause_by_request_freezes_the_automation() -> None:
    paused = asked(dc2_view(seen=GONE, told=GONE), Kind.PAUSE, reason="disk work")
    assert decide(paused).rule == 202
    assert decide(asked(serving(), Kind.PAUSE)).rule == 201
    over = asked(dc2_view(), Kind.PAUSE, lasts_s=0.1)
    assert decide(over).rule == 420
    assert decide(asked(dc2_view(), Kind.PAUSE, approvals_needed=1)).rule == 420


def test_an_acknowledged_role_change_allows_the_next() -> None:
    yielding = replace(report(dc2_view(), DC1, yielding="disk full"), changed_s=0.0)
    assert decide(yielding).rule == 391
    assert decide(replace(yielding, acknowledged=Epoch(1))).rule == 391
    assert decide(replace(yielding, acknowledged=Epoch(2))).rule == 323


# --- each row, whatever it is asked for by --------------------------------------------------------

SHORT_OF_BREATH = Seen(control_s=0.6, front_s=0.1, data_s=0.1)
UNHEARD = other(mine_from_dc1(), DC1, seen=SHORT_OF_BREATH, seen_by={WITNESS: SHORT_OF_BREATH})
IDLE = own(replace(set_back(), record_unchanged_s=60.0), directed_to=frozenset())
LATE = state(handed(ago_s=1.1), upstream=None, receiving=False, streaming=False)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a row of the block is, shown at a site that was isolated: does it want any routes?"""

    rule: int
    view: View
    role: Role
    reason: Reason
    evidence: str
    ladder: tuple[AnyStep, ...] = NOTHING
    ladder_name: str = ""
    stance: Stance = Stance.ISOLATED  # kept
    traffic: SiteName | Keep | None = KEEP


CLIMBS: dict[str, Any] = {"ladder": TAKE_OVER, "ladder_name": "TAKE_OVER"}
COMES_BACK: dict[str, Any] = {"ladder": REJOIN, "ladder_name": "REJOIN"}
ROWS = (
    Row(
        rule=98,
        view=IDLE,
        role=Role.STARTING,
        reason=Reason.FAILOVER_ASKED,
        evidence="put_right_asked not_paused failover_allowed databases_idle",
        stance=Stance.ISOLATED,
    ),
    Row(
        rule=99,
        view=state(IDLE, diverged=True),
        role=Role.STARTING,
        reason=Reason.FAILOVER_ASKED_REFUSED,
        evidence="put_right_asked not_paused not_failover_allowed store_answers",
        stance=Stance.ISOLATED,
    ),
    Row(
        rule=201,
        view=asked(serving(), Kind.PAUSE),
        role=Role.PRIMARY,
        reason=Reason.PAUSED,
        evidence="paused own_epoch",
    ),
    Row(
        rule=202,
        view=asked(dc2_view(seen=GONE, told=GONE), Kind.PAUSE),
        role=Role.STANDBY,
        reason=Reason.PAUSED,
        evidence="paused",
    ),
    Row(
        rule=210,
        view=to_dc1(serving()),
        role=Role.HANDING_OVER,
        reason=Reason.HANDING_OVER,
        evidence="hand_over_on candidate_ready hand_over_in_time store_answers",
        ladder=HAND_OVER,
        ladder_name="HAND_OVER",
        traffic=HOLD,
    ),
    Row(
        rule=211,
        view=to_dc1(other(serving(), DC1, seen=GONE), state=State.OPEN),
        role=Role.PRIMARY,
        reason=Reason.HAND_OVER_REFUSED,
        evidence="hand_over_begins not_candidate_ready store_answers",
        stance=Stance.PREFERRED,
        traffic=DC2,
        **CLIMBS,
    ),
    Row(
        rule=212,
        view=other(handing(), DC1, seen=GONE),
        role=Role.PRIMARY,
        reason=Reason.TAKING_BACK,
        evidence="hand_over_under_way",
        traffic=HOLD,
        **CLIMBS,
    ),
    Row(
        rule=213,
        view=UNHEARD,
        role=Role.STANDBY,
        reason=Reason.HOLDER_DIED_HANDING_OVER,
        evidence="hand_over_to_me holder_controller_silent failover_possible databases_idle",
        stance=Stance.BACKUP,
    ),
    Row(
        rule=214,
        view=LATE,
        role=Role.STANDBY,
        reason=Reason.RECEIVER_LATE,
        evidence="other_epoch handed_by_me receiver_late holder_climbing data_eligible "
        "databases_idle store_answers",
        stance=Stance.BACKUP,
    ),
    Row(
        rule=220,
        view=failing_over(),
        role=Role.STANDBY,
        reason=Reason.FAILOVER_ASKED,
        evidence="failover_asked failover_allowed databases_idle",
        stance=Stance.BACKUP,
    ),
    Row(
        rule=221,
        view=state(failing_over(), diverged=True),
        role=Role.STANDBY,
        reason=Reason.FAILOVER_ASKED_REFUSED,
        evidence="other_epoch failover_asked not_failover_allowed store_answers",
        stance=Stance.BACKUP,
        traffic=DC1,
        **COMES_BACK,
    ),
    Row(
        rule=230,
        view=drained(serving(), DC2),
        role=Role.PRIMARY,
        reason=Reason.DRAINING,
        evidence="established drained_here drain_moves store_answers",
        stance=Stance.PREFERRED,
        traffic=DC2,
        **CLIMBS,
    ),
    Row(
        rule=231,
        view=drained(dc2_view(), DC2),
        role=Role.STANDBY,
        reason=Reason.DRAINED,
        evidence="drained_here served_elsewhere",
        stance=Stance.DRAINED,
        traffic=DC1,
        **COMES_BACK,
    ),
    Row(
        rule=240,
        view=state(alone(serving()), alone=True),
        role=Role.PRIMARY,
        reason=Reason.REDUNDANCY_BACK,
        evidence="alone_is_over",
        ladder=NO_LONGER_ALONE,
        ladder_name="NO_LONGER_ALONE",
        stance=Stance.PREFERRED,
        traffic=DC2,
    ),
    Row(
        rule=241,
        view=alone(forsaken()),
        role=Role.PRIMARY,
        reason=Reason.ALONE,
        evidence="alone_ordered",
        stance=Stance.PREFERRED,
        traffic=DC2,
        **CLIMBS,
    ),
)
EACH = pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.rule))


@EACH
def test_a_row_says_what_the_site_is_and_why_and_what_it_wants(row: Row) -> None:
    decision = decide(own(row.view, stance=Stance.ISOLATED))
    assert (decision.rule, decision.role, decision.reason) == (row.rule, row.role, row.reason)
    assert " ".join(decision.evidence) == row.evidence
    assert decision.ladder == row.ladder_name
    assert {rung.step for rung in decision.rungs} == {step.name for step in row.ladder}
    assert (decision.stance, decision.traffic) == (row.stance, row.traffic)
    for intent in decision.intents:
        assert not isinstance(intent, RaiseEpoch) or intent.reason.startswith(row.reason)


@EACH
def test_only_a_holder_that_serves_as_it_did_yields_meanwhile(row: Row) -> None:
    troubled = decide(own(row.view, apps_up=0, trouble_s={"apps": 1.0}))
    assert troubled.rule == row.rule
    assert bool(troubled.yielding) is (row.rule in (211, 230))
    if row.rule in (211, 230):
        assert troubled.stance is Stance.PREFERRED  # nothing is given back
    if row.rule in (240, 241):
        assert troubled.stance is Stance.BACKUP


@EACH
def test_a_lease_is_renewed_by_who_serves_on_and_moves_nothing(row: Row) -> None:
    decision = decide(own(spec(row.view, durability=Durability.LEASE), lease_left_s=0.3))
    assert decision.rule == row.rule
    assert ("RenewLease" in names(decision)) is (row.rule in (201, 210))


def test_nobody_is_refused_before_it_can_be_written_down() -> None:
    refused = to_dc1(other(serving(), DC1, seen=GONE), state=State.OPEN)
    assert decide(replace(refused, store_ok=False)).rule == 401


def test_a_drained_holder_opens_before_it_asks_to_hand_over() -> None:
    assert decide(drained(state(serving(), gate_open=False), DC2)).rule in (310, 311)


def test_every_rule_of_the_block_is_met_above() -> None:
    assert [rule.number for rule in (*RULES_PUT_RIGHT, *RULES_ASKED)] == [
        98, 99, 201, 202, 210, 211, 212, 213, 214, 220, 221, 230, 231, 240, 241,
    ]  # fmt: skip
