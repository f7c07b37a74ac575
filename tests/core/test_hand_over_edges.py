"""Handing over, to the letter: who may be given the service, and when the next step may come."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import handover, receiver
from controller.core.intents import AskSwitchover, RaiseEpoch, SettleRequest
from controller.core.model import DatabaseName, Durability, Epoch, Seen, SiteName
from controller.core.requests import (
    Approval,
    Kind,
    NotAllowed,
    Request,
    State,
    declined,
    described,
    moved,
    numbered,
    plan_hash,
    waits_for,
    with_approval,
)
from controller.core.view import OtherSite, View
from tests.core.turned import (
    EARLIER,
    LATER,
    copy,
    follower,
    other,
    own,
    record,
    report,
    serving,
    spec,
    standby_report,
    state,
    timings,
)
from tests.core.views import DC1, DC2, GONE, HERE, WITNESS, dc2_view
from tests.core.wishes import asked, drained, seen, wish

DC3 = SiteName("dc3")
JOURNAL = DatabaseName("journal")
Turn = Callable[[View], View]


def to_dc1(view: View, **changes: object) -> View:
    defaults = {"target": "dc1", "holder": "dc2", "state": State.RUNNING, "reason": "patches"}
    return asked(view, Kind.SWITCHOVER, **(defaults | changes))  # type: ignore[arg-type]


def third(view: View, weight: int, mine: int = 0) -> View:
    """dc3 could take over as well."""
    both = (follower(DC1), follower(DC3), follower(WITNESS))
    view = state(view, followers=both, admitted=frozenset({DC1, DC3, WITNESS}))
    view = spec(view, data_sites=(DC1, DC2, DC3), weights={DC3: weight, DC1: mine})
    rival = OtherSite(report=standby_report(), report_age_s=0.1, seen=HERE)
    return replace(view, others={**view.others, DC3: rival})


# --- candidates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "site", "sentences"),
    [
        (lambda v: v, DC1, ()),
        (lambda v: v, DC2, ("dc2 holds wallet already",)),
        (lambda v: v, WITNESS, ("witness is a witness: it has no database and no app server",)),
        (lambda v: v, DC3, ("there is no site dc3; the service can go to dc1",)),
        (
            lambda v: spec(v, data_sites=(DC1, DC2, SiteName("dc4"))),
            DC3,
            ("there is no site dc3; the service can go to dc1, dc4",),
        ),
        (
            lambda v: drained(v, DC1),
            DC1,
            ("dc1 is drained; undrain it first: tricast undrain dc1",),
        ),
        (lambda v: other(v, DC1, seen=replace(GONE, control_s=0.5)), DC1, ()),
        (lambda v: other(v, DC1, seen=replace(GONE, control_s=0.51)), DC1, ("dc1 is not heard",)),
        (lambda v: other(v, DC1, report_age_s=5.0), DC1, ()),
        (
            lambda v: other(v, DC1, report_age_s=5.01),
            DC1,
            ("dc1 has not reported for longer than 5 s",),
        ),
        (lambda v: report(v, DC1, not_eligible_because=("a", "b")), DC1, ("dc1: a", "dc1: b")),
        (
            lambda v: state(v, followers=(follower(DC1, streaming=False), follower(WITNESS))),
            DC1,
            ("ledger: the copy at dc1 does not follow as a voter",),
        ),
        (
            lambda v: state(v, admitted=frozenset({WITNESS})),
            DC1,
            ("ledger: the copy at dc1 does not follow as a voter",),
        ),
        (
            lambda v: state(v, followers=(follower(DC1),)),
            DC1,
            (
                "ledger: no voter but dc1 follows; after the move commits would wait until dc2 has "
                "rejoined (failover --to dc1 does it all the same)",
            ),
        ),
        (lambda v: spec(copy(v, DC1, lag_bytes=9), max_lag_bytes=9), DC1, ()),
        (
            lambda v: spec(copy(v, DC1, lag_bytes=10), max_lag_bytes=9),
            DC1,
            ("ledger: the copy at dc1 lags by 10 bytes, allowed are 9",),
        ),
        (
            lambda v: spec(copy(v, DC1, lag_bytes=10), max_lag_bytes=1),
            DC1,
            ("ledger: the copy at dc1 lags by 10 bytes, allowed are 1",),
        ),
        (lambda v: spec(copy(v, DC1, lag_bytes=10), max_lag_bytes=0), DC1, ()),
        (lambda v: spec(copy(v, DC1, lag_bytes=None), max_lag_bytes=9), DC1, ()),
        (lambda v: spec(copy(v, DC1, name=JOURNAL, lag_bytes=10), max_lag_bytes=9), DC1, ()),
    ],
)
def test_what_stands_against_a_candidate_is_said(
    turn: Turn, site: SiteName, sentences: tuple[str, ...]
) -> None:
    assert handover.candidate_reasons(turn(serving()), site) == sentences


def test_the_heaviest_that_is_fit_is_the_best() -> None:
    assert handover.best_candidate(serving()) == DC1
    assert handover.best_candidate(other(serving(), DC1, seen=GONE)) is None
    assert handover.best_candidate(third(serving(), weight=0)) == DC3  # the later name
    assert handover.best_candidate(third(serving(), weight=1)) == DC3
    assert handover.best_candidate(third(serving(), weight=1, mine=2)) == DC1
    assert handover.best_candidate(spec(serving(), data_sites=(DC2,))) is None


# --- how far it is -------------------------------------------------------------------------------


def test_a_hand_over_begins_at_a_serving_holder_and_is_announced_by_its_record() -> None:
    opened = to_dc1(serving(), state=State.OPEN)
    assert handover.hand_over_begins(opened)
    assert handover.hand_over_on(opened)
    assert not handover.hand_over_announced(opened)
    assert not handover.hand_over_under_way(opened)
    assert not handover.hand_over_begins(state(opened, gate_open=False))
    assert not handover.hand_over_begins(serving())
    running = to_dc1(serving())
    assert handover.hand_over_announced(running)
    assert handover.hand_over_under_way(running)
    assert handover.hand_over_under_way(state(running, gate_open=False))
    assert not handover.hand_over_under_way(state(running, writable=False))
    assert not handover.hand_over_begins(running)
    assert handover.switchover(record(running, holder=DC1)) is None


def test_it_has_its_time_from_the_moment_it_was_announced() -> None:
    assert handover.hand_over_in_time(serving())
    assert handover.hand_over_in_time(to_dc1(serving(), unchanged_s=1.5))
    assert not handover.hand_over_in_time(to_dc1(serving(), unchanged_s=1.51))
    assert handover.hand_over_in_time(to_dc1(serving(), state=State.OPEN, unchanged_s=9.0))


@pytest.mark.parametrize(
    ("turn", "holds"),
    [
        (lambda v: v, True),
        (lambda v: state(v, position=None), False),
        (lambda v: copy(state(v, position=LATER), DC1, position=EARLIER), False),
        (lambda v: copy(state(v, position=LATER), DC1, position=LATER), True),
        (lambda v: copy(state(v, position=EARLIER), DC1, position=LATER), True),
        (
            lambda v: copy(
                state(v, position=LATER, followers=(follower(DC1, flushed=LATER),)),
                DC1,
                position=EARLIER,
            ),
            True,
        ),
        (
            lambda v: copy(
                state(
                    v,
                    position=LATER,
                    followers=(follower(WITNESS, flushed=LATER), follower(DC1, flushed=None)),
                ),
                DC1,
                position=EARLIER,
            ),
            False,
        ),
        (
            lambda v: copy(
                state(
                    v, position=LATER, followers=(follower(DC1, flushed=LATER, streaming=False),)
                ),
                DC1,
                position=None,
            ),
            False,
        ),
        (lambda v: copy(state(v, followers=()), DC1, name=JOURNAL), False),
    ],
)
def test_the_candidate_holds_what_its_own_log_shows(turn: Turn, holds: bool) -> None:
    view = turn(to_dc1(serving()))
    assert handover.candidate_holds(view, view.own.databases[0]) is holds


def gated(view: View) -> View:
    """New requests wait at both sites, and nothing is under way."""
    view = own(view, held=True, held_s=0.1, in_flight=0)
    return report(view, DC1, held=True, gate=True, quiet=True)


@pytest.mark.parametrize(
    ("turn", "held", "quiet"),
    [
        (lambda v: v, True, True),
        (lambda v: own(v, held=False), False, False),
        (lambda v: own(v, held=False, can_hold=False), True, True),
        (lambda v: report(v, DC1, held=False), False, False),
        (lambda v: report(v, DC1, held=False, gate=False), True, True),
        (lambda v: other(v, DC1, report=None), False, False),
        (lambda v: other(other(v, DC1, report=None), DC1, seen=GONE), True, True),
        (lambda v: other(report(v, DC1, held=False), DC1, seen=GONE), True, True),
        (
            lambda v: other(report(v, DC1, held=False), DC1, seen=replace(GONE, control_s=0.5)),
            False,
            False,
        ),
        (lambda v: own(v, in_flight=1), True, False),
        (lambda v: own(v, in_flight=1, held_s=0.5), True, True),
        (lambda v: own(v, in_flight=1, held_s=0.49), True, False),
        (lambda v: own(v, in_flight=1, can_hold=False), True, True),
        (lambda v: report(v, DC1, quiet=False), True, False),
        (lambda v: other(report(v, DC1, quiet=False), DC1, seen=GONE), True, True),
        (
            lambda v: other(report(v, DC1, quiet=False), DC1, seen=replace(GONE, control_s=0.5)),
            True,
            False,
        ),
    ],
)
def test_requests_wait_where_sites_are_heard_and_then_end(
    turn: Turn, held: bool, quiet: bool
) -> None:
    view = turn(gated(to_dc1(own(serving(), can_hold=True))))
    assert handover.traffic_held(view) is held
    assert handover.traffic_quiet(view) is quiet


def test_every_reason_is_told() -> None:
    view = to_dc1(other(serving(), DC1, seen=GONE), unchanged_s=1.6)
    view = replace(view, store_ok=False)
    assert handover.hand_over_refusals(view) == (
        "dc1 is not heard",
        "the store's majority does not answer: the epoch cannot be handed over",
        "it was not through after 1.5 s",
    )
    late = to_dc1(other(serving(), DC1, seen=GONE), unchanged_s=1.6)
    both = "dc1 is not heard; it was not through after 1.5 s"
    for ended, found in (
        (State.FAILED, handover.take_back(late)),
        (State.REFUSED, handover.refuse(late)),
    ):
        assert found == SettleRequest(number=4, expected_revision=40, state=ended, why=both)
    assert handover.take_back(view) is None


# --- drains --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"state": State.OPEN}, False),
        ({"state": State.RUNNING}, False),
        ({"state": State.DONE}, True),
        ({"state": State.FAILED}, False),
        ({"state": State.REFUSED}, False),
        ({"state": State.FAILED, "unchanged_s": 30.0}, True),
        ({"state": State.REFUSED, "unchanged_s": 29.9}, False),
    ],
)
def test_a_drain_moves_when_nothing_is_open_and_nothing_failed_lately(
    changes: dict[str, object], moves: bool
) -> None:
    assert handover.drain_moves(to_dc1(serving(), **changes)) is moves
    assert handover.drain_moves(serving())
    assert not handover.drain_moves(other(serving(), DC1, seen=GONE))


def test_a_drained_holder_asks_in_the_name_of_who_drains() -> None:
    assert handover.ask_for_drain(drained(serving(), DC2)) == AskSwitchover(
        target=DC1, asked_by="ann", reason="dc2 is drained: new kernel"
    )


# --- who is given, who gave ----------------------------------------------------------------------


def handed(view: View) -> View:
    return record(view, kind="handover", previous=DC2, request=4, holder=DC1)


@pytest.mark.parametrize(
    ("view", "by_me"),
    [
        (handed(dc2_view()), True),
        (record(handed(dc2_view()), previous=DC1), False),
        (record(handed(dc2_view()), kind="failover"), False),
        (record(handed(dc2_view()), request=0), False),
        (record(handed(dc2_view()), request=1), True),
        (replace(handed(dc2_view()), record=None), False),
    ],
)
def test_who_gave_knows_it(view: View, by_me: bool) -> None:
    assert receiver.handed_by_me(view) is by_me


def test_who_is_given_is_late_after_two_thirds_of_the_time() -> None:
    view = timings(handed(asked(dc2_view(), Kind.SWITCHOVER, state=State.RUNNING)), hand_over_s=1.5)
    assert not receiver.receiver_late(replace(view, record_unchanged_s=1.0))
    assert receiver.receiver_late(replace(view, record_unchanged_s=1.01))


def test_who_is_given_is_late_at_once_when_it_is_not_heard_or_gives_up() -> None:
    view = timings(handed(asked(dc2_view(), Kind.SWITCHOVER, state=State.RUNNING)), hand_over_s=1.5)
    view = replace(view, record_unchanged_s=0.3)
    assert not receiver.receiver_late(view)
    gives_up = report(view, DC1, yielding="database ledger here is down")
    assert receiver.receiver_late(gives_up)
    dead = Seen(control_s=0.51, front_s=0.1, data_s=0.1)
    assert receiver.receiver_late(other(view, DC1, seen=dead, seen_by={WITNESS: dead}))
    assert not receiver.receiver_late(other(view, DC1, seen=dead)), "the witness hears it"
    assert not receiver.receiver_late(asked(gives_up, Kind.SWITCHOVER, state=State.DONE))
    assert not receiver.receiver_late(record(gives_up, request=5))


def test_who_is_given_and_has_taken_its_lease_is_not_late() -> None:
    view = handed(asked(dc2_view(), Kind.SWITCHOVER, state=State.RUNNING))
    view = replace(spec(view, durability=Durability.LEASE), record_unchanged_s=100.0)
    assert receiver.receiver_late(view)
    assert not receiver.receiver_late(record(view, renewal=1))
    assert receiver.receiver_late(spec(record(view, renewal=1), durability=Durability.QUORUM))


@pytest.mark.parametrize(
    "view",
    [
        handed(dc2_view()),
        handed(asked(dc2_view(), Kind.SWITCHOVER, state=State.DONE)),
        handed(asked(dc2_view(), Kind.SWITCHOVER, state=State.OPEN, number=5)),
        replace(asked(dc2_view(), Kind.SWITCHOVER, state=State.RUNNING), record=None),
    ],
)
def test_who_has_served_since_it_was_given_is_not_late(view: View) -> None:
    assert not receiver.receiver_late(replace(view, record_unchanged_s=100.0))


@pytest.mark.parametrize(
    ("changes", "to_me"),
    [
        ({}, True),
        ({"state": State.OPEN}, False),
        ({"target": "dc1"}, False),
        ({"epoch": Epoch(1)}, False),
    ],
)
def test_who_is_given_knows_it(changes: dict[str, object], to_me: bool) -> None:
    defaults = {"target": "dc2", "holder": "dc1", "state": State.RUNNING}
    wanted = defaults | changes
    view = asked(dc2_view(), Kind.SWITCHOVER, **wanted)  # type: ignore[arg-type]
    assert handover.hand_over_to_me(view) is to_me
    mine = asked(serving(), Kind.SWITCHOVER, **wanted)  # type: ignore[arg-type]
    assert not handover.hand_over_to_me(mine)
    assert not handover.hand_over_to_me(dc2_view())


def test_the_epoch_is_handed_whatever_the_guarantee() -> None:
    view = spec(to_dc1(own(serving(), databases=())), databases=(), durability=Durability.LEASE)
    step = next(step for step in handover.HAND_OVER if step.name == "handed")
    raised = step.apply(view)  # type: ignore[call-arg,misc]
    assert isinstance(raised, RaiseEpoch)
    assert (raised.holder, raised.previous, raised.epoch, raised.kind) == (DC1, DC2, 3, "handover")


def test_who_learns_goes_on_learning_but_the_one_that_is_given_the_epoch() -> None:
    view = record(to_dc1(serving()), learners=(DC1, WITNESS))
    step = next(step for step in handover.HAND_OVER if step.name == "handed")
    raised = step.apply(view)  # type: ignore[call-arg,misc]
    assert isinstance(raised, RaiseEpoch)
    assert (raised.holder, raised.learners) == (DC1, (WITNESS,))


# --- requests to the letter ----------------------------------------------------------------------

OPEN = wish(Kind.SWITCHOVER, target="dc2", approvals_needed=1)
SAID = "switchover to dc2 asked by ann at dc1 (open since 2026-01-02T03:04:05.678Z)"


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (OPEN, SAID),
        (replace(OPEN, reason="patches"), SAID.replace("Z)", "Z, because: patches)")),
        (replace(OPEN, target=""), SAID.replace(" to dc2", "")),
        (replace(OPEN, state_at="noon"), SAID.replace("2026-01-02T03:04:05.678Z", "noon")),
        (
            wish(Kind.DRAIN, target="dc2"),
            SAID.replace("switchover to dc2", "drain of dc2"),
        ),
    ],
)
def test_a_request_is_described_in_one_sentence(request_: Request, sentence: str) -> None:
    assert described(request_) == sentence


def refused(deed: Callable[[], object]) -> str:
    with pytest.raises(NotAllowed) as caught:
        deed()
    return str(caught.value)


def approval(by: str, plan: str = "plan") -> Approval:
    return Approval(by=by, site="dc2", at="", plan=plan)


def test_every_refusal_is_this_sentence() -> None:
    done = replace(OPEN, state=State.DONE)
    assert refused(lambda: numbered(OPEN, seen(OPEN))) == (
        f"request 4 is open: {SAID}; wait for it, or withdraw it: "
        "tricast decline 4 --service wallet"
    )
    closed = f"request 4 is closed: {SAID.replace('(open', '(done')}"
    assert refused(lambda: moved(done, State.OPEN, by="", why="", at="")) == closed
    assert refused(lambda: with_approval(done, approval("bob"))) == closed
    assert refused(lambda: with_approval(OPEN, approval("ann"))) == (
        "ann has asked for request 4 and cannot approve it; somebody else has to"
    )
    assert refused(lambda: with_approval(OPEN, approval("bob", "x"))) == (
        "request 4 has plan plan, the approval is for x: look again with tricast proposals"
    )
    assert refused(lambda: with_approval(OPEN, approval("bob", ""))) == (
        "request 4 has plan plan, the approval is for none: look again with tricast proposals"
    )
    once = replace(OPEN, approvals=(approval("bob"),))
    assert refused(lambda: with_approval(once, approval("bob"))) == (
        "bob has approved request 4 already"
    )
    free = replace(OPEN, approvals_needed=0)
    assert refused(lambda: with_approval(free, approval("bob"))) == "request 4 needs no approval"
    running = replace(OPEN, state=State.RUNNING)
    assert refused(lambda: declined(running, by="ann", why="", at="")) == (
        f"request 4 is running: {SAID.replace('(open', '(running')}; it completes, or is taken "
        "back by itself"
    )


def test_an_approval_is_added_to_those_before() -> None:
    two = with_approval(replace(OPEN, approvals_needed=2), approval("bob"))
    three = with_approval(two, approval("cleo"))
    assert [found.by for found in three.approvals] == ["bob", "cleo"]


def test_what_is_waited_for_is_said() -> None:
    assert waits_for(seen(OPEN)) == "the approval of another person"
    assert waits_for(seen(replace(OPEN, approvals_needed=3))) == "the approval of 3 other persons"
    half = replace(OPEN, approvals_needed=3, approvals=(approval("bob"),))
    assert waits_for(seen(half)) == "the approval of 2 other persons"
    later = wish(Kind.PAUSE, not_before_s=10.0)
    assert waits_for(seen(later, age_s=4.4)) == "its time, in 6 s"


def test_the_hash_of_a_plan_is_pinned() -> None:
    """Two versions that show the same plan must agree on its hash."""
    assert plan_hash(OPEN) == plan_hash(replace(OPEN, number=9, reason="x", plan=""))
    assert len(plan_hash(OPEN)) == 16
    plan = wish(Kind.FAILOVER, target="dc2", allow_data_loss=True, excused=(DC1, WITNESS))
    assert plan_hash(plan) == "97be6e55702dbac0"
    assert plan_hash(wish(Kind.DRAIN, target="dc2")) == "a2d6eed263e893da"


def test_a_weight_that_is_not_given_is_none() -> None:
    dc0 = SiteName("dc0")
    both = (follower(DC1), follower(dc0), follower(WITNESS))
    view = state(serving(), followers=both, admitted=frozenset({DC1, dc0, WITNESS}))
    view = spec(view, data_sites=(DC1, DC2, dc0), weights={dc0: 1})
    rival = OtherSite(report=standby_report(), report_age_s=0.1, seen=HERE)
    view = replace(view, others={**view.others, dc0: rival})
    assert handover.best_candidate(view) == dc0


def test_nobody_is_ready_when_nothing_is_asked() -> None:
    assert not handover.candidate_ready(serving())
    assert handover.candidate_ready(to_dc1(serving()))


def test_the_ladder_of_a_hand_over_is_this() -> None:
    assert [(step.name, step.needs) for step in handover.HAND_OVER] == [
        ("announced", ()),
        ("held", ("announced",)),
        ("quiet", ("held",)),
        ("gate_closed", ("quiet",)),
        ("log_equal", ("gate_closed",)),
        ("handed", ("quiet", "gate_closed", "log_equal")),
    ]
    last = handover.HAND_OVER[-1].goal
    assert last(dc2_view()) is True  # type: ignore[call-arg]
    assert last(serving()) is False  # type: ignore[call-arg]
