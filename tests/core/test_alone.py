"""Serving alone: when it may be ordered, what is said of it, and which epoch it takes."""

from dataclasses import replace

import pytest

from controller.core import alone, asked, outlook
from controller.core.model import Durability, SiteName
from controller.core.requests import Kind, State
from controller.core.view import View
from tests.core.turned import follower, other, own, serving, silent, spec, state, voter
from tests.core.views import DC1, DC2, GONE, WITNESS, dc2_view
from tests.core.wishes import wish

ORDER = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING, reason="both burnt down")


def last_holder() -> View:
    """dc2 serves, and nobody follows it any more."""
    return state(other(silent(serving()), WITNESS, seen=GONE), followers=())


def last_standby() -> View:
    """dc2 stood by; dc1 and the witness are gone."""
    return other(silent(dc2_view()), WITNESS, seen=GONE)


def test_only_who_is_left_may_be_ordered_to_serve_alone() -> None:
    assert alone.refusals(last_holder()) == ()
    assert alone.refusals(last_standby()) == ()
    assert "dc1 is heard" in alone.refusals(serving())[0]
    assert "another voter follows" in alone.refusals(silent(serving()))[0]
    lingering = other(silent(serving()), WITNESS, seen=GONE)  # connections that look alive
    assert alone.refusals(lingering) == ()
    assert "is down" in alone.refusals(state(last_standby(), liveness="down"))[0]
    assert "already" in alone.refusals(replace(last_holder(), alone=ORDER))[0]
    assert "not known" in alone.refusals(replace(last_holder(), record=None))[0]


def test_the_holder_keeps_its_epoch() -> None:
    assert not alone.needs_epoch(last_holder())
    assert alone.assumed_record(last_holder(), ORDER) is None
    said = alone.statement(last_holder())
    assert said.startswith("Nothing is lost now. From now on dc2 acknowledges writes")
    assert "if dc1, witness go on without it" in said


@pytest.mark.parametrize(
    "view", [last_standby(), state(last_holder(), writable=False)], ids=["standby", "fallen"]
)
def test_whoever_has_to_promote_assumes_an_epoch_nobody_else_uses(view: View) -> None:
    record = alone.assumed_record(view, ORDER)
    assert record is not None
    assert (record.epoch, record.holder, record.kind) == (22, DC2, "forced")  # 2 + 20
    assert (record.asked_by, record.reason) == ("ann", "both burnt down")
    assert record.excused == (DC1, WITNESS)
    assert record.revision == 0
    at_dc1 = replace(view, me=DC1, others={DC2: view.others[DC1], WITNESS: view.others[WITNESS]})
    theirs = alone.assumed_record(at_dc1, ORDER)
    assert theirs is not None
    assert theirs.epoch == 12
    unknown = alone.assumed_record(replace(last_standby(), record=None), ORDER)
    assert unknown is not None
    assert unknown.previous is None


def test_the_statement_says_what_may_be_lost() -> None:
    said = alone.statement(last_standby())
    assert (
        "ledger: without dc1, witness, everything acknowledged beyond 0/3000060@2 is lost" in said
    )
    assert "dc1 was last seen at 0/3000060@2" in said
    assert "You assert that dc1, witness acknowledge nothing now" in said
    unknown = other(last_standby(), DC1, report=None)
    assert "how far that is, is not known" in alone.statement(unknown)
    assert asked.loss_statement(dc2_view()) != asked.loss_statement(last_standby())
    assert asked.loss_statement(serving()) == "ledger: nothing is lost"
    bare = own(spec(last_standby(), databases=()), databases=())
    assert asked.loss_statement(bare) == "the service has no database: no record is lost"
    assert "the other sites acknowledge nothing" in alone.statement(bare)


def test_while_it_is_in_force_it_is_said_loudly() -> None:
    assert alone.standing(last_holder()) == ""
    forced = replace(last_holder(), alone=ORDER)
    said = alone.standing(forced)
    assert said.startswith("dc2 SERVES ALONE since 2026-01-02T03:04:05.678Z, as ann ordered")
    assert said.endswith("not following: dc1, witness")
    assert outlook.warnings(forced)[0] == said
    assert outlook.guarantee(forced).startswith("NONE: one copy")
    back = state(forced, followers=(follower(DC1), follower(WITNESS)))
    assert alone.standing(back).endswith("exists once")


def test_a_voter_that_is_empty_or_has_a_gap_is_missing() -> None:
    ledger = serving().spec.databases[0]
    assert asked.missing_voters(serving(), ledger) == frozenset()
    gap = voter(serving(), WITNESS, whole=False)
    assert asked.missing_voters(gap, ledger) == {WITNESS}
    assert asked.missing_voters(silent(gap), ledger) == {SiteName("dc1"), WITNESS}
    assert asked.provable(gap, 1)
    assert not asked.provable(gap, 2)


def test_a_service_on_a_lease_keeps_its_own_guarantee() -> None:
    leased = spec(last_holder(), durability=Durability.LEASE)
    assert outlook.guarantee(replace(leased, alone=ORDER)).startswith("lease")
