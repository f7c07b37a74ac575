"""Requests as records: who may change what, and when they lapse."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.model import Epoch, SiteName
from controller.core.requests import (
    CLOSED,
    Approval,
    Kind,
    NotAllowed,
    Request,
    State,
    approved,
    approvers,
    closed,
    declined,
    described,
    expired,
    in_force,
    moved,
    newest,
    numbered,
    plan_hash,
    waits_for,
    with_approval,
)
from tests.core.wishes import seen, wish

OPEN = wish(Kind.SWITCHOVER, target="dc2", approvals_needed=1)


def approval(by: str, *, plan: str = "plan") -> Approval:
    return Approval(by=by, site="dc2", at="", plan=plan)


def test_the_second_asker_is_told_whose_request_is_open() -> None:
    sentence = r"request 4 .*switchover to dc2 asked by ann at dc1 \(open"
    with pytest.raises(NotAllowed, match=sentence):
        numbered(wish(Kind.FAILOVER), seen(OPEN))


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        (Kind.SWITCHOVER, "dc2", "switchover to dc2"),
        (Kind.SWITCHOVER, "", "switchover"),
        (Kind.DRAIN, "dc2", "drain of dc2"),
        (Kind.DEMOTE, "witness", "demote-voter of witness"),
        (Kind.PROMOTE, "witness", "promote-voter of witness"),
    ],
)
def test_a_request_is_described_by_whom_it_is_about(kind: Kind, target: str, said: str) -> None:
    assert described(wish(kind, target=target)) == (
        f"{said} asked by ann at dc1 (open since 2026-01-02T03:04:05.678Z)"
    )


def test_requests_with_weights_can_be_kept_in_a_set() -> None:
    weights = {SiteName("dc1"): 1, SiteName("dc2"): 2}
    first, same = (wish(Kind.WEIGHTS, weights=dict(weights)) for _ in range(2))
    turned = wish(Kind.WEIGHTS, weights={SiteName("dc1"): 2, SiteName("dc2"): 1})
    assert len({first, same, turned}) == 2


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_request_makes_room_for_the_next_number(state: State) -> None:
    assert numbered(wish(Kind.ACK), seen(replace(OPEN, state=state))).number == 5


def test_the_first_request_has_number_one() -> None:
    assert numbered(OPEN, None).number == 1
    assert newest(()) is None
    assert newest((seen(replace(OPEN, number=9)), seen(OPEN))) == seen(replace(OPEN, number=9))


@given(st.sampled_from(sorted(CLOSED)), st.sampled_from(sorted(State)))
def test_a_closed_request_never_moves_again(before: State, after: State) -> None:
    with pytest.raises(NotAllowed, match="request 4 is closed"):
        moved(replace(OPEN, state=before), after, by="x", why="", at="")
    with pytest.raises(NotAllowed, match="closed"):
        with_approval(replace(OPEN, state=before), approval("bob"))


def test_a_move_says_who_and_why() -> None:
    after = moved(OPEN, State.RUNNING, by="tricast at dc1", why="it begins", at="now")
    assert (after.state, after.state_by, after.state_why, after.state_at) == (
        State.RUNNING,
        "tricast at dc1",
        "it begins",
        "now",
    )


# --- four eyes ------------------------------------------------------------------------------------


def test_another_person_approves() -> None:
    assert not approved(OPEN)
    assert waits_for(seen(OPEN)) == "the approval of another person"
    after = with_approval(OPEN, approval("bob"))
    assert approvers(after) == {"bob"}
    assert approved(after)
    assert in_force(seen(after))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (approval("ann"), "ann has asked for request 4 and cannot approve it"),
        (approval("bob", plan="another"), "has plan plan, the approval is for another"),
        (approval("bob", plan=""), "the approval is for none"),
    ],
)
def test_an_approval_that_would_not_count_is_refused(given: Approval, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        with_approval(OPEN, given)


def test_nobody_counts_twice() -> None:
    two = replace(OPEN, approvals_needed=2)
    assert waits_for(seen(two)) == "the approval of 2 other persons"
    once = with_approval(two, approval("bob"))
    with pytest.raises(NotAllowed, match="bob has approved request 4 already"):
        with_approval(once, approval("bob"))
    assert not approved(once)
    assert approved(with_approval(once, approval("cleo")))


def test_where_nobody_has_to_approve_nobody_can() -> None:
    with pytest.raises(NotAllowed, match="needs no approval"):
        with_approval(replace(OPEN, approvals_needed=0), approval("bob"))


def test_approvals_that_were_written_by_hand_do_not_count() -> None:
    forged = replace(OPEN, approvals=(approval("ann"), approval("bob", plan="older")))
    assert approvers(forged) == frozenset()


def test_the_plan_is_another_one_in_another_world() -> None:
    changes = (
        {"target": "dc3"},
        {"epoch": Epoch(3)},
        {"holder": "dc2"},
        {"kind": Kind.FAILOVER},
        {"allow_data_loss": True},
        {"excused": ("dc1",)},
        {"statement": "much"},
        {"service": None},
    )
    plans = {plan_hash(replace(OPEN, **change)) for change in changes}
    assert len(plans | {plan_hash(OPEN)}) == 9
    assert plan_hash(replace(OPEN, reason="said otherwise", number=7)) == plan_hash(OPEN)


# --- time -----------------------------------------------------------------------------------------


def test_a_request_comes_into_force_at_its_time_and_lapses_without_it() -> None:
    later = wish(Kind.SWITCHOVER, not_before_s=10.0, expires_s=60.0)
    assert waits_for(seen(later, age_s=4.0)) == "its time, in 6 s"
    assert not in_force(seen(later, age_s=9.9))
    assert in_force(seen(later, age_s=10.0))
    assert waits_for(seen(later, age_s=10.0)) == ""
    assert not expired(seen(later, age_s=70.0))
    assert expired(seen(later, age_s=70.1))
    assert not expired(seen(replace(later, state=State.RUNNING), age_s=99.0))


def test_a_pause_is_in_force_until_its_end() -> None:
    pause = wish(Kind.PAUSE, lasts_s=30.0, state=State.RUNNING)
    assert in_force(seen(pause, age_s=30.0))
    assert not in_force(seen(pause, age_s=30.1))
    assert not in_force(None)
    assert not in_force(seen(replace(pause, state=State.WITHDRAWN)))


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "by", "state", "why"),
    [
        (OPEN, "ann", State.WITHDRAWN, "withdrawn by ann"),
        (OPEN, "bob", State.REFUSED, "declined by bob"),
        (wish(Kind.SWITCHOVER), "bob", State.REFUSED, "declined by bob"),
        (wish(Kind.PAUSE, state=State.RUNNING), "bob", State.WITHDRAWN, "ended by bob"),
        (wish(Kind.DRAIN, approvals_needed=1), "bob", State.REFUSED, "declined by bob"),
        (wish(Kind.DRAIN), "bob", State.WITHDRAWN, "ended by bob"),
    ],
)
def test_how_a_person_ends_a_request(request_: Request, by: str, state: State, why: str) -> None:
    after = declined(request_, by=by, why="", at="now")
    assert (after.state, after.state_why, after.state_by) == (state, why, by)
    assert closed(after)
    assert declined(request_, by=by, why="no", at="now").state_why == "no"


def test_nobody_ends_a_hand_over_that_runs() -> None:
    with pytest.raises(NotAllowed, match=r"request 4 is running: .*taken back by itself"):
        declined(replace(OPEN, state=State.RUNNING), by="ann", why="", at="")
