"""Each guard at its edge: the last value for which it holds, the first for which it does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bgp.policy import Stance
from controller.core import guards
from controller.core.decide import decide
from controller.core.intents import StartDatabase
from controller.core.model import (
    FOREVER_S,
    DatabaseName,
    Durability,
    Epoch,
    Liveness,
    Role,
    Seen,
    SiteName,
)
from controller.core.requests import Kind, State
from controller.core.view import OtherSite, View
from tests.core.turned import (
    at_rest,
    climbing,
    copy,
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
from tests.core.views import DC1, DC2, GONE, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked

DC3 = SiteName("dc3")
JOURNAL = DatabaseName("journal")
Guard = Callable[[View], bool]
UNREAD = replace(dc2_view(), record=None, record_seen_s=FOREVER_S)


def seen(control_s: float = 0.6, front_s: float = 0.6, data_s: float = 0.6) -> Seen:
    return Seen(control_s=control_s, front_s=front_s, data_s=data_s)


def both(view: View, sight: Seen) -> View:
    return other(view, DC1, seen=sight, seen_by={WITNESS: sight})


def resting(view: View, lane: str, *, at_work: str = "traffic") -> View:
    """An intent of `lane` has failed a short while ago, and `at_work` is at work."""
    return replace(view, busy=frozenset({lane, at_work}), resting=frozenset({lane}))


def nobody() -> View:
    """No other site is heard, and the store is gone."""
    view = dc2_view(seen=GONE, told=GONE, witness=GONE, store_ok=False)
    return replace(view, record_seen_s=0.6)


def third(view: View, *, weight: int = 0, mine: int = 0, **changes: object) -> View:
    """dc3 is a data site as well: eligible and heard, or as it is turned."""
    rival = OtherSite(report=standby_report(), report_age_s=0.1, seen=HERE)
    view = spec(view, data_sites=(DC1, DC2, DC3), weights={DC3: weight, DC2: mine})
    view = replace(view, others={**view.others, DC3: rival})
    return other(view, DC3, **changes) if changes else view


def asking(view: View) -> View:
    return report(view, DC1, yielding="why")


def by_lease(view: View) -> View:
    return spec(view, durability=Durability.LEASE)


def settled(view: View) -> View:
    """dc1 is known to have left: it reports `backup` under the record's epoch."""
    return report(view, DC1, stance=Stance.BACKUP)


EDGES: tuple[tuple[Guard, View, bool], ...] = (
    (guards.record_known, dc2_view(), True),
    (guards.record_known, UNREAD, False),
    (guards.record_known, replace(UNREAD, record_seen_s=1.0), True),
    (guards.record_known, replace(dc2_view(), record_seen_s=FOREVER_S), True),
    (guards.record_unknown, UNREAD, True),
    (guards.record_unknown, dc2_view(), False),
    (guards.no_epoch_exists, replace(dc2_view(), record=None), True),
    (guards.no_epoch_exists, replace(dc2_view(store_ok=False), record=None), False),
    (guards.no_epoch_exists, dc2_view(), False),
    (guards.store_answers, dc2_view(), True),
    (guards.store_answers, dc2_view(store_ok=False), False),
    (guards.own_epoch, serving(), True),
    (guards.own_epoch, dc2_view(), False),
    (guards.own_epoch, UNREAD, False),
    (guards.other_epoch, serving(), False),
    (guards.other_epoch, dc2_view(), True),
    (guards.other_epoch, UNREAD, False),
    (guards.record_below_floor, dc2_view(promised=3), True),
    (guards.record_below_floor, dc2_view(promised=2), False),
    (guards.record_below_floor, replace(dc2_view(promised=3), record=None), False),
    (guards.record_missing_above_floor, replace(dc2_view(promised=1), record=None), True),
    (guards.record_missing_above_floor, replace(dc2_view(promised=0), record=None), False),
    (guards.record_missing_above_floor, dc2_view(promised=1), False),
    (guards.first_holder, spec(dc2_view(), initial_holder=DC2), True),
    (guards.first_holder, dc2_view(), False),
    (guards.paused, dc2_view(paused="why"), True),
    (guards.paused, dc2_view(), False),
    (guards.lease_durability, spec(dc2_view(), durability=Durability.LEASE), True),
    (guards.lease_durability, dc2_view(), False),
    (guards.any_writable, serving(), True),
    (guards.any_writable, dc2_view(), False),
    (guards.acting_as_primary, dc2_view(), False),
    (guards.acting_as_primary, state(dc2_view(), writable=True), True),
    (guards.acting_as_primary, state(dc2_view(), gate_open=True), True),
    (guards.acting_as_primary, dc2_view(stance=Stance.PREFERRED), True),
    (guards.acting_as_primary, dc2_view(stance=Stance.OVERRIDE), True),
    (guards.acting_as_primary, dc2_view(stance=Stance.DRAINED), False),
    (guards.commits_flow, serving(), True),
    (guards.commits_flow, own(serving(), commit_age_s={LEDGER: 1.0}), True),
    (guards.commits_flow, own(serving(), commit_age_s={LEDGER: 1.01}), False),
    (guards.commits_flow, own(serving(), commit_age_s={}), False),
    (guards.commits_flow, own(serving(), databases=()), False),
    (guards.commits_flow, state(serving(), writable=False), False),
    (guards.serving_by_evidence, serving(), True),
    (guards.serving_by_evidence, own(serving(), promised=Epoch(3)), False),
    (guards.serving_by_evidence, own(serving(), commit_age_s={}), False),
    (guards.nobody_hears, nobody(), True),
    (guards.nobody_hears, other(nobody(), DC1, seen=seen(control_s=0.5)), False),
    (guards.nobody_hears, other(nobody(), WITNESS, seen=seen(control_s=0.5)), False),
    (guards.cut_off, nobody(), True),
    (guards.cut_off, replace(nobody(), record_seen_s=0.5), False),
    (guards.cut_off, replace(nobody(), store_ok=True), False),
    (guards.cut_off, other(nobody(), WITNESS, seen=HERE), False),
    (
        guards.cut_off,
        own(nobody(), databases=serving().own.databases, commit_age_s={LEDGER: 0.1}),
        False,
    ),
    (
        guards.lease_lapsed,
        own(spec(serving(), durability=Durability.LEASE), lease_left_s=0.0),
        True,
    ),
    (
        guards.lease_lapsed,
        own(spec(serving(), durability=Durability.LEASE), lease_left_s=0.01),
        False,
    ),
    (guards.lease_lapsed, own(serving(), lease_left_s=-1.0), False),
    (guards.holder_silent, at_rest(seen()), True),
    (guards.holder_silent, at_rest(seen(control_s=0.5)), False),
    (guards.holder_silent, at_rest(seen(front_s=0.5, data_s=0.5)), False),
    (guards.holder_silent, at_rest(seen(front_s=0.5)), True),
    (guards.holder_silent, at_rest(seen(data_s=0.5)), True),
    (guards.holder_silent, dc2_view(seen=GONE, told=HERE), False),
    (guards.holder_silent, dc2_view(seen=HERE, told=GONE), False),
    (guards.holder_silent, other(at_rest(GONE), WITNESS, seen=seen(control_s=0.5)), True),
    (guards.holder_silent, other(at_rest(GONE), WITNESS, seen=seen(control_s=0.51)), False),
    (guards.holder_silent, other(at_rest(GONE), DC1, seen_by={}), False),
    (guards.holder_silent, other(at_rest(GONE), DC1, seen_by={DC3: GONE}), False),
    (guards.holder_silent, silent(serving()), False),  # this site is the holder itself
    (guards.holder_silent, UNREAD, False),
    (guards.holder_controller_gone, at_rest(seen(control_s=30.1, front_s=0, data_s=0)), True),
    (guards.holder_controller_gone, at_rest(seen(control_s=30.0)), False),
    (
        guards.holder_controller_gone,
        dc2_view(seen=seen(control_s=31.0), told=seen(control_s=30.0)),
        False,
    ),
    (
        guards.holder_controller_gone,
        dc2_view(seen=seen(control_s=30.0), told=seen(control_s=31.0)),
        False,
    ),
    (
        guards.holder_controller_gone,
        other(at_rest(seen(control_s=31.0)), DC1, seen_by={}),
        False,
    ),
    (guards.holder_controller_gone, UNREAD, False),
    (guards.holder_yields, asking(dc2_view()), True),
    (guards.holder_yields, dc2_view(), False),
    (guards.holder_yields, other(asking(dc2_view()), DC1, report_age_s=5.0), True),
    (guards.holder_yields, other(asking(dc2_view()), DC1, report_age_s=5.1), False),
    (guards.holder_yields, other(dc2_view(), DC1, report=None), False),
    (guards.holder_yields, UNREAD, False),
    (guards.holder_yields, by_lease(asking(dc2_view())), False),
    (guards.holder_yields, report(by_lease(asking(dc2_view())), DC1, role=Role.ISOLATED), True),
    (guards.lease_waited_out, replace(dc2_view(), record_unchanged_s=3.51), True),
    (guards.lease_waited_out, replace(dc2_view(), record_unchanged_s=3.5), False),
    (guards.outside_flap_window, dc2_view(changed_s=3600.1), True),
    (guards.outside_flap_window, dc2_view(changed_s=3600.0), False),
    (guards.holder_serves, dc2_view(), True),
    (guards.holder_serves, report(dc2_view(), DC1, role=Role.TAKING_OVER), False),
    (guards.holder_serves, other(dc2_view(), DC1, report=None), False),
    (guards.holder_climbing, dc2_view(), False),
    (guards.holder_climbing, copy(dc2_view(), DC1, writable=False), False),
    (guards.holder_climbing, report(dc2_view(), DC1, role=Role.TAKING_OVER), False),
    (
        guards.holder_climbing,
        copy(report(dc2_view(), DC1, role=Role.TAKING_OVER), DC1, writable=False),
        True,
    ),
    (guards.others_retired, settled(dc2_view()), True),
    (guards.others_retired, dc2_view(), False),
    (guards.others_retired, report(dc2_view(), DC1, stance=Stance.ISOLATED), True),
    (guards.others_retired, report(dc2_view(), DC1, stance=Stance.DRAINED), True),
    (guards.others_retired, report(dc2_view(), DC1, stance=Stance.WITHDRAWN), True),
    (guards.others_retired, report(dc2_view(), DC1, stance=Stance.OVERRIDE), False),
    (guards.others_retired, report(dc2_view(), DC1, stance=None), False),
    (guards.others_retired, other(settled(dc2_view()), DC1, report_age_s=5.0), True),
    (guards.others_retired, other(settled(dc2_view()), DC1, report_age_s=5.1), False),
    (guards.others_retired, other(dc2_view(), DC1, report=None), False),
    (guards.others_retired, record(settled(dc2_view()), epoch=Epoch(3)), False),
    (guards.others_retired, record(settled(dc2_view()), epoch=Epoch(1)), True),
    (guards.others_retired, replace(settled(dc2_view()), record=None), False),
    (guards.others_retired, third(dc2_view()), False),
    (guards.others_retired, third(settled(dc2_view())), True),
    (guards.others_retired, third(settled(dc2_view()), report=None), False),
    (guards.my_turn, at_rest(seen(control_s=0.51)), True),
    (guards.my_turn, at_rest(seen(control_s=0.5)), False),
    (guards.my_turn, UNREAD, False),
    (guards.my_turn, third(at_rest(seen(control_s=1.0)), weight=1), False),
    (guards.my_turn, third(at_rest(seen(control_s=1.01)), weight=1), True),
    (guards.my_turn, third(at_rest(seen(control_s=0.6))), False),  # the later name goes first
    (guards.my_turn, third(at_rest(seen(control_s=0.6)), weight=1, mine=2), True),
    (guards.my_turn, third(at_rest(seen(control_s=0.6)), weight=2, mine=1), False),
    (guards.my_turn, third(at_rest(seen(control_s=0.6)), weight=1, report=None), True),
    (guards.my_turn, third(at_rest(seen(control_s=0.6)), weight=1, seen=GONE), True),
    (
        guards.my_turn,
        third(at_rest(seen(control_s=0.6)), weight=1, seen=seen(control_s=0.5)),
        False,
    ),
    (
        guards.my_turn,
        report(third(at_rest(seen(control_s=0.6)), weight=1), DC3, eligible=False),
        True,
    ),
    (
        guards.my_turn,
        spec(third(at_rest(seen(control_s=0.6)), weight=1), data_sites=(DC1, DC2)),
        True,
    ),
    (guards.my_turn, spec(at_rest(seen(control_s=0.6)), weights={DC1: 9}), True),
    (guards.established, serving(), True),
    (guards.established, record(serving(), holder=DC1), False),
    (guards.established, state(serving(), gate_open=False), False),
    (guards.established, state(serving(), writable=False), False),
    (guards.established, own(serving(), databases=()), True),
    (guards.established, own(serving(), databases=(), promised=Epoch(1)), False),
    (guards.out_of_sight, state(serving(), liveness=Liveness.UNKNOWN), True),
    (guards.out_of_sight, serving(), False),
    (
        guards.out_of_sight,
        own(state(serving(), liveness=Liveness.UNKNOWN), stance=Stance.BACKUP),
        False,
    ),
    (
        guards.out_of_sight,
        own(state(serving(), liveness=Liveness.UNKNOWN), stance_epoch=Epoch(1)),
        False,
    ),
    (guards.had_its_chance, replace(dc2_view(), record_unchanged_s=2.0), True),
    (guards.had_its_chance, replace(dc2_view(), record_unchanged_s=1.9), False),
    (guards.raised_here, climbing(), True),
    (guards.raised_here, dc2_view(), False),
    (guards.databases_idle, dc2_view(), True),
    (guards.databases_idle, replace(dc2_view(), busy=frozenset({"routes"})), True),
    (guards.databases_idle, replace(dc2_view(), busy=frozenset({"database:x"})), False),
    (guards.databases_idle, resting(dc2_view(), "database:x"), True),
    (guards.databases_idle, resting(dc2_view(), "database:x", at_work="database:y"), False),
    (guards.previous_holder_silent, at_rest(GONE), True),
    (guards.previous_holder_silent, at_rest(HERE), False),
    (guards.previous_holder_silent, at_rest(seen(front_s=0.5, data_s=0.5)), False),
    (guards.previous_holder_silent, third(at_rest(GONE)), False),
    (guards.previous_holder_silent, third(at_rest(GONE), seen=GONE), True),
    (guards.previous_holder_silent, other(at_rest(GONE), WITNESS, seen=HERE), True),
)


@pytest.mark.parametrize(
    ("guard", "view", "holds"), EDGES, ids=[f"{edge[0].__name__}-{edge[2]}" for edge in EDGES]
)
def test_a_guard_holds_up_to_its_edge(guard: Guard, view: View, holds: bool) -> None:
    assert guard(view) is holds


def test_a_second_database_out_of_sight_hides_no_trouble_of_the_first() -> None:
    view = serving()
    first = view.own.databases[0]
    late = replace(first, name=JOURNAL, liveness=Liveness.UNKNOWN)
    assert guards.out_of_sight(own(view, databases=(first, late)))
    closed = replace(first, gate_open=False)
    assert not guards.out_of_sight(own(view, databases=(closed, late)))
    behind = replace(first, epoch=Epoch(1))
    assert not guards.out_of_sight(own(view, databases=(behind, late)))


def test_copies_of_two_epochs_are_no_evidence() -> None:
    view = serving()
    first = view.own.databases[0]
    two = (first, replace(first, name=JOURNAL, epoch=Epoch(1)))
    view = own(view, databases=two, commit_age_s={LEDGER: 0.1, JOURNAL: 0.1})
    assert guards.commits_flow(view)
    assert not guards.serving_by_evidence(view)


def test_the_holder_admits_this_site_by_database() -> None:
    view = copy(dc2_view(), DC1, admitted=frozenset({DC2}))
    assert guards.admitted_by_holder(view, LEDGER)
    assert not guards.admitted_by_holder(copy(view, DC1, admitted=frozenset({WITNESS})), LEDGER)
    assert not guards.admitted_by_holder(copy(view, DC1, name=JOURNAL), LEDGER)
    assert not guards.admitted_by_holder(other(view, DC1, report=None), LEDGER)


def test_the_holder_is_another_site_or_nobody() -> None:
    view = dc2_view()
    assert guards.holder(view) is view.others[DC1]
    assert guards.holder(serving()) is None
    assert guards.holder(UNREAD) is None


def test_the_holder_is_open_when_all_its_databases_are_under_its_epoch() -> None:
    view = dc2_view()
    assert guards.holder_opened(view)
    for changes in ({"gate_open": False}, {"writable": False}, {"epoch": Epoch(1)}):
        assert not guards.holder_opened(copy(view, DC1, **changes))
    assert not guards.holder_opened(spec(view, databases=(LEDGER, JOURNAL)))
    assert not guards.holder_opened(other(view, DC1, report=None))


def test_every_database_needs_a_fresh_commit() -> None:
    view = serving()
    first = view.own.databases[0]
    view = own(view, databases=(first, replace(first, name=JOURNAL)))
    assert not guards.commits_flow(view)
    assert guards.commits_flow(own(view, commit_age_s={LEDGER: 0.1, JOURNAL: 0.1}))


def test_one_database_that_is_not_admitted_does_not_hide_the_other() -> None:
    found = dc2_view().others[DC1].report
    assert found is not None
    first = found.databases[0]
    barred = replace(first, state=replace(first.state, name=JOURNAL, admitted=frozenset()))
    view = report(dc2_view(), DC1, databases=(barred, first))
    assert guards.admitted_by_holder(view, LEDGER)
    assert not guards.admitted_by_holder(view, JOURNAL)


def test_why_it_is_paused_is_said() -> None:
    assert guards.pause_reason(dc2_view()) == ""
    assert guards.pause_reason(dc2_view(paused="disk work")) == "disk work"
    told = asked(dc2_view(), Kind.PAUSE, reason="new kernel")
    assert guards.pause_reason(told) == "new kernel (ann)"
    assert guards.pause_reason(asked(dc2_view(), Kind.PAUSE)) == "no reason given (ann)"
    assert guards.pause_reason(asked(dc2_view(paused="x"), Kind.PAUSE, reason="y")) == "x"
    assert guards.pause_reason(asked(dc2_view(), Kind.ACK, reason="y")) == ""
    assert guards.pause_reason(asked(dc2_view(), Kind.PAUSE, state=State.WITHDRAWN)) == ""


def test_an_acknowledged_role_change_closes_the_flap_window() -> None:
    moved = replace(dc2_view(), changed_s=0.0)
    assert not guards.outside_flap_window(moved)
    assert not guards.outside_flap_window(replace(moved, acknowledged=Epoch(1)))
    assert guards.outside_flap_window(replace(moved, acknowledged=Epoch(2)))
    assert guards.outside_flap_window(replace(moved, acknowledged=Epoch(3)))
    assert not guards.outside_flap_window(replace(moved, acknowledged=Epoch(3), record=None))


def rivalled(name: str, weights: dict[SiteName, int]) -> View:
    """A rival of that name, and dc1 silent for a little longer than the suspicion time."""
    rival = OtherSite(report=standby_report(), report_age_s=0.1, seen=HERE)
    view = at_rest(seen(control_s=0.6))
    view = spec(view, data_sites=(DC1, DC2, SiteName(name)), weights=weights)
    return replace(view, others={**view.others, SiteName(name): rival})


@pytest.mark.parametrize(
    ("name", "weights", "mine"),
    [
        ("dc0", {}, True),
        ("dc9", {}, False),
        ("dc0", {SiteName("dc0"): 1}, False),
        ("dc0", {SiteName("dc0"): 1, DC2: 1}, True),
        ("dc9", {DC2: 1}, True),
        ("dc9", {DC2: 1, SiteName("dc9"): 1}, False),
    ],
)
def test_a_weight_that_is_not_given_is_none(
    name: str, weights: dict[SiteName, int], mine: bool
) -> None:
    assert guards.my_turn(rivalled(name, weights)) is mine


def leased_and_handed() -> View:
    """dc2 was handed the epoch of a lease a moment ago, and has not renewed it."""
    view = spec(serving(), durability=Durability.LEASE)
    view = record(view, kind="handover", request=4, previous=DC1)
    return replace(view, record_unchanged_s=5.0)


@pytest.mark.parametrize(
    ("turn", "awaited"),
    [
        (lambda v: v, True),
        (lambda v: replace(v, record_unchanged_s=5.01), False),
        (lambda v: record(v, renewal=1), False),
        (lambda v: record(v, kind="failover"), False),
        (lambda v: record(v, request=0), False),
        (lambda v: own(v, lease_left_s=0.1), False),
        (lambda v: spec(v, durability=Durability.QUORUM), False),
        (lambda v: replace(v, record=None), False),
    ],
)
def test_a_lease_is_awaited_for_a_while_by_who_was_handed_it(
    turn: Callable[[View], View], awaited: bool
) -> None:
    assert guards.lease_awaited(turn(leased_and_handed())) is awaited


def still_held(view: View) -> View:
    view = record(view, kind="handover", request=4, previous=DC1)
    return replace(report(view, DC1, held=True), record_unchanged_s=5.0)


@pytest.mark.parametrize(
    ("turn", "held"),
    [
        (lambda v: v, True),
        (lambda v: replace(v, record_unchanged_s=5.01), False),
        (lambda v: report(v, DC1, held=False), False),
        (lambda v: other(v, DC1, report=None), False),
        (lambda v: record(v, previous=DC3), False),
        (lambda v: record(v, previous=None), False),
        (lambda v: record(v, kind="failover"), False),
        (lambda v: replace(v, record=None), False),
    ],
)
def test_who_handed_over_is_seen_to_hold(turn: Callable[[View], View], held: bool) -> None:
    assert guards.still_held_elsewhere(turn(still_held(serving()))) is held


@pytest.mark.parametrize(
    ("changes", "hands"),
    [
        ({}, True),
        ({"unchanged_s": 1.51}, False),
        ({"state": State.OPEN}, False),
        ({"epoch": Epoch(1)}, False),
    ],
)
def test_a_hand_over_is_seen_while_it_is_fresh(changes: dict[str, Any], hands: bool) -> None:
    defaults: dict[str, Any] = {"state": State.RUNNING, "unchanged_s": 1.5}
    view = asked(dc2_view(), Kind.SWITCHOVER, **(defaults | changes))
    assert guards.holder_hands_over(view, 1.5) is hands
    assert not guards.holder_hands_over(asked(dc2_view(), Kind.PAUSE, **defaults), 1.5)
    assert not guards.holder_hands_over(replace(view, record=None), 1.5)
    assert not guards.holder_hands_over(dc2_view(), 1.5)


def test_an_epoch_was_handed_over_as_an_operator_asked_or_not_at_all() -> None:
    view = record(dc2_view(), kind="handover", request=1)
    assert guards.handed_over(view)
    assert not guards.handed_over(record(view, request=0))
    assert not guards.handed_over(record(view, kind="failover"))
    assert not guards.handed_over(replace(view, record=None))


def fallen(**changes: Any) -> View:
    """dc1 raised epoch 3 a moment ago and climbs; the copy here is down."""
    view = state(dc2_view(), liveness=Liveness.DOWN)
    view = record(view, epoch=Epoch(3), holder=DC1, revision=9)
    view = own(report(view, DC1, epoch=Epoch(3), role=Role.TAKING_OVER), promised=Epoch(3))
    return replace(view, **{"record_unchanged_s": 1.9, **changes})


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (fallen(), True),
        (fallen(record_unchanged_s=2.0), False),
        (report(fallen(), DC1, role=Role.PRIMARY), False),
        (other(fallen(), WITNESS, seen=GONE), False),  # its seal may be needed instead
        (other(fallen(), DC1, seen=GONE), False),
        (other(fallen(), WITNESS, seen=replace(GONE, control_s=0.5)), True),
        (other(fallen(), WITNESS, seen=replace(GONE, control_s=0.51)), False),
        (record(fallen(), holder=SiteName("dc9")), False),
    ],
)
def test_a_new_holder_is_left_in_peace_while_it_needs_nothing_from_here(
    view: View, expected: bool
) -> None:
    assert guards.left_in_peace(view) is expected
    assert bool([i for i in decide(view).intents if isinstance(i, StartDatabase)]) is not expected
