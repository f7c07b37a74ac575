"""Operators' requests to the letter: every sentence whole, every limit at its edge."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core import alone, asked, wants
from controller.core.decide import decide
from controller.core.intents import SettleRequest
from controller.core.model import (
    DatabaseName,
    DatabaseReport,
    Durability,
    Epoch,
    EpochRecord,
    Role,
    SiteName,
)
from controller.core.requests import Kind, State
from controller.core.view import OtherSite, View
from controller.core.wants import KEEP
from tests.core.turned import (
    LATER,
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
    voter,
    witness_report,
)
from tests.core.views import DC1, DC2, END, GONE, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked as asked_of
from tests.core.wishes import wish

JOURNAL = DatabaseName("journal")
ORDER = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING, reason="both burnt down")
FAILOVER = wish(Kind.FAILOVER, target="dc2", holder="dc1")


def last_holder() -> View:
    """dc2 serves, and nobody follows it any more."""
    return state(other(silent(serving()), WITNESS, seen=GONE), followers=())


def last_standby() -> View:
    """dc2 stood by; dc1 and the witness are gone."""
    return other(silent(dc2_view()), WITNESS, seen=GONE)


def many_sites(view: View) -> View:
    """Sites enough that no order comes by luck; nothing is known of the further ones."""
    names = tuple(SiteName(f"w{n}") for n in range(9))
    others = {**view.others, **{name: OtherSite(report=None, seen=GONE) for name in names}}
    return replace(spec(view, witnesses=(WITNESS, *names)), others=others)


def beside(view: View) -> View:
    """A second database, as the first one, here and at dc1."""
    first = view.own.databases[0]
    second = replace(first, name=JOURNAL)
    view = own(spec(view, databases=(LEDGER, JOURNAL)), databases=(first, second))
    there = view.others[DC1].report
    assert there is not None
    known = there.databases[0]
    twin = DatabaseReport(
        state=replace(known.state, name=JOURNAL), voter=replace(known.voter, database=JOURNAL)
    )
    return report(view, DC1, databases=(known, twin))


# --- serving alone -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "sentences"),
    [
        (last_holder(), ()),
        (
            replace(last_holder(), record=None),
            ("the epoch record is not known here: it is not clear what this site holds",),
        ),
        (
            replace(last_holder(), alone=ORDER),
            ("dc2 serves alone already, as ann ordered",),
        ),
        (
            other(last_holder(), DC1, seen=replace(GONE, control_s=0.5)),
            ("dc1 is heard: failover or switchover moves the service provably",),
        ),
        (other(last_holder(), DC1, seen=replace(GONE, control_s=0.51)), ()),
        (
            other(state(last_holder(), followers=(follower(WITNESS),)), WITNESS, seen=HERE),
            ("ledger: another voter follows, its commits are acknowledged",),
        ),
    ],
)
def test_what_stands_against_serving_alone_is_said(view: View, sentences: tuple[str, ...]) -> None:
    assert alone.refusals(view) == sentences


def test_one_database_of_two_that_is_not_promoted_needs_an_epoch() -> None:
    view = beside(last_holder())
    assert not alone.needs_epoch(view)
    first, second = view.own.databases
    assert alone.needs_epoch(own(view, databases=(first, replace(second, writable=False))))


def test_the_assumed_record_says_everything() -> None:
    assert alone.assumed_record(last_standby(), ORDER) == EpochRecord(
        epoch=Epoch(22),
        holder=DC2,
        kind="forced",
        reason="both burnt down",
        asked_by="ann",
        at="2026-01-02T03:04:05.678Z",
        previous=DC1,
        excused=(DC1, WITNESS),
    )


def test_the_absent_are_told_in_order() -> None:
    names = tuple(sorted((DC1, WITNESS, *(f"w{n}" for n in range(9)))))
    assert alone.absent(many_sites(last_standby())) == names
    assert f"if {', '.join(names)} go on without it" in alone.statement(many_sites(last_standby()))


def test_the_statement_is_this_sentence() -> None:
    assert alone.statement(last_standby()) == (
        "ledger: without dc1, witness, everything acknowledged beyond 0/3000060@2 is lost "
        "(dc1 was last seen at 0/3000060@2). From now on dc2 acknowledges writes that no other "
        "site has: they are lost if dc2 dies, or if dc1, witness go on without it. You assert "
        "that dc1, witness acknowledge nothing now and will not be started apart from this site."
    )


def test_the_standing_sentence_names_who_does_not_follow_of_any_database() -> None:
    forced = replace(beside(last_holder()), alone=ORDER)
    head = "dc2 SERVES ALONE since 2026-01-02T03:04:05.678Z, as ann ordered: what it acknowledges"
    assert alone.standing(forced) == f"{head} exists once; not following: dc1, witness"
    both = state(forced, followers=(follower(DC1), follower(WITNESS)))
    assert alone.standing(both) == f"{head} exists once; not following: dc1"  # of the journal
    asleep = (follower(DC1, streaming=False), follower(WITNESS))
    single = replace(last_holder(), alone=ORDER)
    assert alone.standing(state(single, followers=asleep)) == (
        f"{head} exists once; not following: dc1"
    )
    assert alone.standing(state(single, followers=(follower(WITNESS),))) == (
        f"{head} exists once; not following: dc1"
    )


# --- who is asked --------------------------------------------------------------------------------


def test_a_request_of_another_epoch_or_without_a_record_asks_nothing() -> None:
    view = asked_of(dc2_view(), Kind.FAILOVER, target="dc2")
    assert asked.asked_now(view, Kind.FAILOVER) is not None
    assert asked.asked_now(view, Kind.SWITCHOVER) is None
    assert asked.asked_now(record(view, epoch=Epoch(3)), Kind.FAILOVER) is None
    assert asked.asked_now(replace(view, record=None), Kind.FAILOVER) is None
    assert decide(replace(view, record=None)).rule == 102


def test_only_the_target_that_is_not_the_holder_fails_over() -> None:
    view = asked_of(dc2_view(), Kind.FAILOVER, target="dc2")
    assert asked.failover(view) is not None
    assert asked.failover_asked(view)
    assert asked.failover(asked_of(dc2_view(), Kind.FAILOVER, target="dc1")) is None
    assert asked.failover(asked_of(serving(), Kind.FAILOVER, target="dc2")) is None
    assert asked.failover(dc2_view()) is None
    assert asked.failover_refusals(dc2_view()) == ()
    assert asked.failover_refusals(asked_of(last_standby(), Kind.FAILOVER, target="dc1")) == ()


UNPROVED = (
    "ledger: it cannot be proved that nothing is lost without dc1, witness; "
    "--allow-data-loss does without, and says what may be lost"
)


@pytest.mark.parametrize(
    ("view", "changes", "sentences"),
    [
        (serving(), {}, ()),
        (
            replace(serving(), store_ok=False),
            {},
            ("the store's majority does not answer: no epoch can be raised",),
        ),
        (last_standby(), {}, (UNPROVED,)),
        (last_standby(), {"excused": (DC1, WITNESS)}, (UNPROVED,)),  # not asked to lose anything
        (last_standby(), {"excused": (DC1, WITNESS), "allow_data_loss": True}, ()),
        (
            replace(spec(serving(), durability=Durability.LEASE), record_unchanged_s=3.5),
            {},
            ("the holder's lease has not been waited out",),
        ),
        (
            replace(spec(serving(), durability=Durability.LEASE), record_unchanged_s=3.5),
            {"allow_data_loss": True},
            (),
        ),
        (replace(spec(serving(), durability=Durability.LEASE), record_unchanged_s=3.6), {}, ()),
        (replace(serving(), record_unchanged_s=0.0), {}, ()),
    ],
)
def test_what_stands_against_a_takeover_is_said(
    view: View, changes: dict[str, object], sentences: tuple[str, ...]
) -> None:
    request = replace(FAILOVER, **changes)  # type: ignore[arg-type]
    assert asked.takeover_refusals(view, request) == sentences


def test_a_refusal_tells_every_reason() -> None:
    view = state(asked_of(last_standby(), Kind.FAILOVER, target="dc2"), diverged=True)
    refused = asked.refuse_failover(view)
    assert refused is not None
    unproved = UNPROVED.replace("dc1, witness", "dc1, dc2, witness")  # its own log has a fork
    assert isinstance(refused, SettleRequest)
    assert refused.why == f"database ledger here has diverged and was not rewound; {unproved}"


def test_those_without_whom_nothing_is_proved_are_told_in_order() -> None:
    (sentence,) = asked.takeover_refusals(many_sites(last_standby()), FAILOVER)
    names = ", ".join(sorted((DC1, WITNESS, *(f"w{n}" for n in range(9)))))
    assert f"without {names};" in sentence
    assert f"without {names}, everything" in asked.loss_statement(many_sites(last_standby()))


def test_a_voter_is_missing_when_it_is_late_or_holds_nothing() -> None:
    edge = other(serving(), DC1, seen=replace(GONE, control_s=0.5))
    assert asked.missing_voters(edge, LEDGER) == frozenset()
    late = other(serving(), DC1, seen=replace(GONE, control_s=0.51))
    assert asked.missing_voters(late, LEDGER) == {DC1}
    assert asked.missing_voters(voter(serving(), WITNESS, whole=False), LEDGER) == {WITNESS}


def unproved() -> View:
    """dc2 has raised epoch 3, dc1 is gone, and the witness's keeper has been emptied."""
    return voter(climbing(), WITNESS, whole=False, position=None)


CANNOT_PROVE = [
    (unproved(), True),
    (replace(unproved(), busy=frozenset({"database:ledger"})), True),
    (climbing(), False),
    (voter(climbing(), WITNESS, sealed=False), False),  # it will be
    (other(climbing(), WITNESS, seen=GONE), False),  # it was
    (record(unproved(), holder=DC1), False),
    (beside(climbing()), True),  # the keeper has the ledger only
]


@pytest.mark.parametrize(("view", "expected"), CANNOT_PROVE)
def test_a_holder_cannot_prove_what_needs_voters_that_are_missing(
    view: View, expected: bool
) -> None:
    assert asked.cannot_prove(view) is expected


def test_a_holder_opens_only_what_it_is_asked_to_lose() -> None:
    words = {"target": "dc2", "holder": "dc2", "epoch": Epoch(3)}
    view = asked_of(unproved(), Kind.FAILOVER, **words, allow_data_loss=True)  # type: ignore[arg-type]
    assert asked.failover_asked(view)
    view = asked_of(unproved(), Kind.FAILOVER, **words)  # type: ignore[arg-type]
    assert not asked.failover_asked(view)


def test_what_nobody_has_approved_is_not_done_though_it_serves() -> None:
    words = {"target": "dc2", "holder": "dc2", "approvals_needed": 1}
    waiting = asked_of(serving(), Kind.FAILOVER, **words)  # type: ignore[arg-type]
    assert asked.settlement(waiting) is None


def test_a_loss_is_told_by_database_with_what_was_last_seen() -> None:
    view = beside(last_standby())
    first = "ledger: without dc1, witness, everything acknowledged beyond 0/3000060@2 is lost"
    second = first.replace("ledger", "journal")
    seen = "(dc1 was last seen at 0/3000060@2)"
    assert asked.loss_statement(view) == f"{first} {seen}. {second} {seen}"
    unknown = voter(view, DC1, position=None)
    assert asked.loss_statement(unknown) == (
        f"{first} (how far that is, is not known). {second} {seen}"
    )


def test_of_two_databases_only_the_one_without_voters_is_lost() -> None:
    view = beside(last_holder())
    view = other(view, WITNESS, seen=HERE)  # its keeper has the ledger only
    assert asked.loss_statement(view) == (
        "ledger: nothing is lost. journal: without dc1, witness, everything acknowledged beyond "
        "0/3000060@2 is lost (dc1 was last seen at 0/3000060@2)"
    )


def test_everybody_that_was_seen_further_is_told() -> None:
    view = spec(last_standby(), data_sites=(DC1, DC2, SiteName("dc3")))
    dc3 = OtherSite(report=standby_report(position=LATER), report_age_s=9.0, seen=GONE)
    view = replace(view, others={SiteName("dc3"): dc3, **view.others})
    assert "(dc1 was last seen at 0/3000060@2; dc3 was last seen at 0/4000000@2)" in (
        asked.loss_statement(view)
    )
    assert END != LATER


# --- served elsewhere, alone, redundant -----------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "elsewhere"),
    [
        (dc2_view(), True),
        (serving(), False),
        (report(dc2_view(), DC1, role=Role.TAKING_OVER), False),
        (other(dc2_view(), DC1, seen=replace(HERE, control_s=0.5)), True),
        (other(dc2_view(), DC1, seen=replace(HERE, control_s=0.51)), False),
        (record(dc2_view(), holder=SiteName("dc9")), False),
    ],
)
def test_it_is_served_elsewhere_while_the_holder_is_heard_to_serve(
    view: View, elsewhere: bool
) -> None:
    assert asked.served_elsewhere(view) is elsewhere


def test_only_a_holder_can_be_ordered_to_serve_alone() -> None:
    assert asked.alone_ordered(replace(serving(), alone=ORDER))
    assert not asked.alone_ordered(serving())
    assert not asked.alone_ordered(replace(dc2_view(), alone=ORDER))


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, False),
        ({"store_ok": False}, True),  # no epoch can be raised: whatever comes, it serves alone
        ({"busy": frozenset({"database:ledger"})}, True),
        ({"own": {"trouble_s": {"restarted": 0.3}}}, True),  # perhaps a late look
        ({"own": {"databases": serving().own.databases}}, True),
    ],
)
def test_alone_too_an_epoch_that_was_used_up_is_followed_by_another(
    change: dict[str, Any], goes_on: bool
) -> None:
    fell = replace(serving(), alone=ORDER)
    fell = state(fell, writable=False, gate_open=False, followers=())
    fell = own(fell, **{"trouble_s": {"restarted": 0.4}, **change.get("own", {})})
    view = replace(fell, **{name: value for name, value in change.items() if name != "own"})
    assert asked.alone_ordered(view) is goes_on
    assert (decide(view).rule in (305, 306)) is not goes_on  # relieved, or regained


def test_redundancy_is_back_with_the_store_and_a_voter_of_every_database() -> None:
    assert asked.redundancy_back(serving())
    assert not asked.redundancy_back(replace(serving(), store_ok=False))
    assert not asked.redundancy_back(state(serving(), followers=()))
    both = beside(serving())
    assert asked.redundancy_back(both)
    assert not asked.redundancy_back(state(both, followers=()))


def test_serving_alone_is_over_only_for_the_holder() -> None:
    over = replace(serving(), alone=ORDER)
    assert asked.alone_is_over(over)
    assert not asked.alone_is_over(record(over, holder=DC1))
    assert not asked.alone_is_over(record(over, revision=0))
    assert asked.alone_is_over(record(over, revision=1))
    assert asked.alone_is_over(state(over, gate_open=False))  # not established, yet holder
    assert asked.alone_is_over(state(serving(), alone=True))
    assert not asked.alone_is_over(serving())
    assert not asked.assumed_recorded(replace(serving(), record=None))


def test_a_copy_elsewhere_is_no_reason() -> None:
    assert asked.missing_voters(copy(serving(), DC1, writable=True), LEDGER) == frozenset()


def test_the_standing_sentence_names_them_in_order() -> None:
    names = [SiteName(f"w{n}") for n in range(9)]
    reports = {
        name: OtherSite(report=witness_report(), seen=GONE, report_age_s=9.0)
        for name in reversed(names)
    }
    view = replace(last_holder(), others={**reports, **last_holder().others}, alone=ORDER)
    assert alone.standing(view).endswith(", ".join(sorted((DC1, WITNESS, *names))))


def test_the_ladder_back_is_this() -> None:
    names = [(step.name, step.needs) for step in alone.NO_LONGER_ALONE]
    assert names == [("guarded", ()), ("order_ended", ("guarded",))]
    rungs = {rung.step: rung.done for rung in decide(state(serving(), alone=True)).rungs}
    assert rungs == {"guarded": False, "order_ended": True}
    rungs = {rung.step: rung.done for rung in decide(replace(serving(), alone=ORDER)).rungs}
    assert rungs == {"guarded": True, "order_ended": False}


def test_a_pause_lasts_until_it_is_older_than_its_time() -> None:
    edge = asked_of(serving(), Kind.PAUSE, lasts_s=30.0, age_s=30.0, state=State.RUNNING)
    assert asked.settlement(edge) is None
    over = asked_of(serving(), Kind.PAUSE, lasts_s=30.0, age_s=30.1, state=State.RUNNING)
    found = asked.settlement(over)
    assert found is not None
    assert (found.state, found.why) == (State.LAPSED, "its 30 s are over")


def test_a_request_for_the_best_site_is_done_by_its_own_epoch() -> None:
    moved = record(asked_of(serving(), Kind.SWITCHOVER, target="", epoch=Epoch(1)), request=4)
    found = asked.settlement(moved)
    assert found is not None
    assert (found.state, found.why) == (State.DONE, "dc2 serves under epoch 2")
    strange = record(moved, request=3, reason="x")
    found = asked.settlement(strange)
    assert found is not None
    assert (found.state, found.why) == (State.LAPSED, "dc2 raised epoch 2 meanwhile: x")


@pytest.mark.parametrize("durability", Durability)
def test_while_paused_what_another_site_holds_is_not_sent_to_ones_own_servers(
    durability: Durability,
) -> None:
    deposed = replace(spec(dc2_view(), durability=durability), paused="disk work")
    here = own(deposed, directed_to=frozenset({DC2}))
    assert (decide(here).rule, decide(here).traffic) == (202, DC1)
    for elsewhere in (frozenset({DC1}), frozenset[SiteName]()):
        kept = decide(own(deposed, directed_to=elsewhere))
        assert (kept.rule, kept.traffic, kept.intents) == (202, KEEP, ())
    assert wants.kept_but_not_here(replace(here, record=None)) is KEEP
    assert wants.kept_but_not_here(own(serving(), directed_to=frozenset({DC2}))) is KEEP
