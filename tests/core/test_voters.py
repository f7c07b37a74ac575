"""Who votes: what operators change in the commit quorum, in which order, and what it proves."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core import asked, copies, margin, outlook, troubles, voters
from controller.core.alone import assumed_record
from controller.core.decide import decide
from controller.core.intents import Admit, Promote, RaiseEpoch, RenewLease, SetLearners
from controller.core.model import DatabaseName, Epoch, EpochRecord, LogEnd, SiteName
from controller.core.quorum import learners, prove
from controller.core.raising import raised, record_assumed, rewritten
from controller.core.requests import Kind, NotAllowed, Request, State, declined
from controller.core.view import View
from tests.core import wishes
from tests.core.turned import (
    EARLIER,
    LATER,
    climbing,
    follower,
    other,
    own,
    record,
    serving,
    silent,
    spec,
    state,
    voter,
)
from tests.core.views import DC1, DC2, END, GONE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import wish

DC3 = SiteName("dc3")
ENDS = (LogEnd(database=LEDGER, position=END),)
MANY = tuple(SiteName(f"site{number}") for number in range(1, 9))


def demoting(view: View | None = None, **changes: Any) -> View:
    """dc2 serves, and has begun to demote the witness."""
    about = {"target": WITNESS, "state": State.RUNNING, **changes}
    return wishes.asked(view or serving(), Kind.DEMOTE, **about)


def out(view: View) -> View:
    """The witness is let in no more, and its stream has ended."""
    return state(view, admitted=frozenset({DC1}), followers=(follower(DC1),))


def learning(view: View | None = None, *sites: SiteName) -> View:
    """The record says that the witness only learns."""
    return record(view or out(serving()), learners=sites or (WITNESS,))


def promoting(view: View | None = None, **changes: Any) -> View:
    """dc2 serves, and is to let the witness vote again."""
    about = {"target": WITNESS, "state": State.RUNNING, **changes}
    return wishes.asked(view or learning(), Kind.PROMOTE, **about)


def set_learners(view: View) -> list[SetLearners]:
    return [i for i in decide(view).intents if isinstance(i, SetLearners)]


# --- demote: the database first ------------------------------------------------------------------


def test_the_primary_lets_it_in_no_more_before_the_record_says_so() -> None:
    view = demoting()
    assert [i for i in decide(view).intents if isinstance(i, Admit)] == [
        Admit(database=LEDGER, voters=frozenset({DC1}))
    ]
    assert set_learners(view) == []
    assert voters.ends_seen(view) == ()


@pytest.mark.parametrize("request_state", [State.OPEN, State.DONE, State.FAILED])
def test_only_a_request_that_runs_takes_a_vote_away(request_state: State) -> None:
    view = demoting(state=request_state)
    first = view.own.databases[0]
    assert voters.wanted_admitted(view, first) == {DC1, WITNESS}
    assert voters.ends_seen(demoting(out(serving()), state=request_state)) == ()
    assert voters.change(demoting(out(serving()), state=request_state, ends=ENDS)) is None


def test_a_vote_that_commits_need_is_not_taken() -> None:
    view = demoting(other(serving(), DC1, seen=GONE))
    assert voters.wanted_admitted(view, view.own.databases[0]) == {DC1, WITNESS}
    gone = demoting(out(other(serving(), DC1, seen=GONE)))
    assert voters.wanted_admitted(gone, gone.own.databases[0]) == {DC1}


def test_where_the_log_ended_is_noted_once_the_site_is_out() -> None:
    view = demoting(out(serving()))
    assert voters.ends_seen(view) == ENDS
    settled = asked.settlement(view)
    assert settled is not None
    said = "the primary lets it in no more; enough others are to hold all that it confirmed"
    assert (settled.state, settled.ends, settled.why) == (State.RUNNING, ENDS, said)
    assert asked.settlement(demoting(out(serving()), ends=ENDS)) is None


NOT_OUT: list[View] = [
    state(out(serving()), admitted=frozenset({DC1, WITNESS})),
    state(out(serving()), followers=(follower(DC1), follower(WITNESS))),
    state(out(serving()), position=None),
    state(out(serving()), gate_open=False),
    replace(out(serving()), store_ok=False),
]


@pytest.mark.parametrize("view", NOT_OUT)
def test_nothing_is_noted_before_it_is_out_or_by_who_does_not_serve(view: View) -> None:
    assert voters.ends_seen(demoting(view)) == ()


def test_a_stream_in_quarantine_confirms_nothing() -> None:
    strange = follower(WITNESS, quarantined=True)
    view = state(out(serving()), followers=(follower(DC1), strange))
    assert voters.ends_seen(demoting(view)) == ENDS


def test_the_record_says_so_once_enough_others_hold_all_that_was_confirmed() -> None:
    view = demoting(out(serving()), ends=ENDS)
    assert set_learners(view) == [SetLearners(expected_revision=7, learners=(WITNESS,))]
    assert voters.change(demoting(out(serving()))) is None
    short = state(voter(out(serving()), DC1, position=EARLIER), followers=(unconfirmed(),))
    assert voters.change(demoting(short, ends=ENDS)) is None
    far = voter(short, DC1, position=LATER)
    assert voters.change(demoting(far, ends=ENDS)) is not None


def unconfirmed() -> Any:
    return follower(DC1, flushed=EARLIER)


def test_what_a_voter_confirmed_to_this_primary_counts_as_well() -> None:
    view = voter(out(serving()), DC1, position=None)
    assert voters.change(demoting(view, ends=ENDS)) is not None
    silent_one = state(view, followers=(follower(DC1, flushed=None),))
    assert voters.change(demoting(silent_one, ends=ENDS)) is None


@pytest.mark.parametrize("view", NOT_OUT[:2])
def test_a_site_that_came_back_in_is_not_demoted(view: View) -> None:
    assert voters.change(demoting(view, ends=ENDS)) is None


def test_no_record_is_rewritten_by_who_does_not_hold_it() -> None:
    assert voters.change(demoting(record(out(serving()), holder=DC1), ends=ENDS)) is None
    assert voters.change(demoting(replace(out(serving()), store_ok=False), ends=ENDS)) is None
    assert voters.change(promoting(record(learning(), holder=DC1))) is None


def test_nothing_is_changed_where_no_record_is_known() -> None:
    for view in (demoting(out(serving()), ends=ENDS), promoting()):
        assert voters.change(replace(view, record=None)) is None
        assert voters.moved(replace(view, record=None)) is None


def test_every_database_is_asked() -> None:
    """Nobody follows the journal, of which nothing else is known."""
    journal = DatabaseName("journal")

    def with_journal(view: View) -> View:
        mine = view.own.databases[0]
        both = own(view, databases=(mine, replace(mine, name=journal)))
        return spec(both, databases=(LEDGER, journal))

    ends = (*ENDS, LogEnd(database=journal, position=END))
    assert voters.change(demoting(with_journal(out(serving())), ends=ends)) is None
    assert voters.moved(promoting(with_journal(serving()))) is None


def test_what_is_asked_is_done_once_and_its_contrary_never() -> None:
    assert voters.change(demoting(learning(), ends=ENDS)) is None
    assert voters.change(promoting(out(serving()), ends=ENDS)) is None


def test_a_vote_is_given_back_while_commits_wait_for_it_and_never_taken_then() -> None:
    """Both other copies are lost but for the learner's: with its vote the gate can open again."""
    closed = state(learning(), gate_open=False, followers=())
    assert voters.change(promoting(closed)) == SetLearners(expected_revision=7, learners=())
    shut = state(out(serving()), gate_open=False)
    assert voters.change(demoting(shut, ends=ENDS)) is None


def test_learners_are_named_in_order() -> None:
    view = spec(out(serving()), witnesses=(WITNESS, SiteName("a"), SiteName("b")))
    other_one = learning(view, SiteName("zz"))
    changed = voters.change(demoting(other_one, ends=ENDS))
    assert changed is None  # five voters: two others have to hold it
    known = voters.change(promoting(learning(None, WITNESS, SiteName("a"))))
    assert known == SetLearners(expected_revision=7, learners=(SiteName("a"),))
    rest = voters.change(promoting(learning(None, *MANY, WITNESS)))
    assert rest == SetLearners(expected_revision=7, learners=MANY)


# --- promote: the record first -------------------------------------------------------------------


def test_the_record_counts_it_before_the_primary_lets_it_in() -> None:
    view = promoting()
    first = view.own.databases[0]
    assert voters.wanted_admitted(view, first) == {DC1}
    assert set_learners(view) == [SetLearners(expected_revision=7, learners=())]
    counted = promoting(record(learning(), learners=()))
    assert voters.wanted_admitted(counted, first) == {DC1, WITNESS}
    assert voters.change(counted) is None


def test_a_learner_is_let_in_by_no_primary_and_lets_itself_be_let_in() -> None:
    first = learning().own.databases[0]
    assert copies.wanted_admitted(learning(), first) == {DC1}
    view = record(dc2_view(), learners=(DC2,))
    follows = state(view, quarantined=True)
    assert copies.follows_as_wanted(follows, follows.own.databases[0])
    assert not copies.follows_as_wanted(dc2_view(), follows.own.databases[0])
    lost = state(follows, streaming=False)
    assert not copies.follows_as_wanted(lost, lost.own.databases[0])


# --- what it proves ------------------------------------------------------------------------------


def test_a_takeover_asks_for_no_seal_of_a_learner() -> None:
    lonely = other(climbing(), WITNESS, report=None)
    first = lonely.own.databases[0]
    assert not prove(lonely, first).complete
    found = prove(record(lonely, learners=(WITNESS,)), first)
    assert (found.complete, found.needed, found.sealed) == (True, 1, (DC2,))


def test_what_could_only_wait_for_the_one_that_may_have_to_be_copied_waits_for_nobody() -> None:
    """With the witness a learner nobody but dc1 is left to acknowledge, and dc1 may have to be made
    a copy of this very log first.
    """
    first = climbing().own.databases[0]
    [waits] = [i for i in decide(climbing()).intents if isinstance(i, Promote)]
    [alone] = [i for i in decide(learning(climbing())).intents if isinstance(i, Promote)]
    assert (waits.waits, alone.waits) == (True, False)
    assert not margin.only_waits(climbing(), first)
    assert margin.only_waits(learning(climbing()), first)
    serves = learning()
    assert not margin.only_waits(serves, serves.own.databases[0]), "dc1 follows"
    halted = state(serves, followers=())
    assert margin.only_waits(halted, halted.own.databases[0])
    assert not margin.only_waits(record(halted, learners=()), halted.own.databases[0])
    ordered = replace(halted, alone=wish(Kind.FORCE_SINGLE, target=DC2))
    assert not margin.only_waits(ordered, halted.own.databases[0])


def test_the_seal_of_a_learner_counts_for_nothing() -> None:
    first = climbing().own.databases[0]
    assert prove(climbing(), first).sealed == (DC2, WITNESS)
    found = prove(record(climbing(), learners=(WITNESS,), excused=(WITNESS,)), first)
    assert (found.sealed, found.needed, found.excused) == ((DC2,), 1, ())


def test_who_raises_an_epoch_votes_in_it() -> None:
    """One that only learned asks for as many seals as if it had never been demoted."""
    view = record(climbing(), learners=(DC2,))
    assert learners(view) == frozenset()
    assert prove(view, view.own.databases[0]).needed == 2
    assert learners(record(serving(), learners=(WITNESS, DC1, DC2))) == {WITNESS, DC1}
    asking = record(other(silent(dc2_view()), WITNESS, seen=GONE), learners=(DC2,))
    assert asked.missing_voters(asking, LEDGER) == {DC1, WITNESS}
    assert asked.missing_voters(state(asking, diverged=True), LEDGER) == {DC1, DC2, WITNESS}
    assert learners(replace(serving(), record=None)) == frozenset()


def test_who_learns_is_handed_on_with_each_epoch() -> None:
    view = record(silent(dc2_view()), learners=(WITNESS,))
    [intent] = [i for i in decide(view).intents if isinstance(i, RaiseEpoch)]
    assert intent.learners == (WITNESS,)
    assert raised(intent, DC2, "now").learners == (WITNESS,)
    order = wish(Kind.FORCE_SINGLE, target=DC2)
    forced = assumed_record(record(view, learners=(WITNESS, DC2)), order)
    assert forced is not None
    assert forced.learners == (WITNESS,)
    written = record_assumed(record(view, revision=0, learners=(WITNESS,)))
    assert isinstance(written, RaiseEpoch)
    assert written.learners == (WITNESS,)


def test_a_record_is_rewritten_under_its_epoch() -> None:
    before = serving().record
    assert before is not None
    after = rewritten(before, SetLearners(expected_revision=5, learners=(WITNESS,)))
    assert after == replace(before, learners=(WITNESS,))
    again = rewritten(after, RenewLease(expected_revision=5, renewal=7))
    assert again == replace(after, renewal=7)


def test_a_record_says_all_that_was_asked_of_it() -> None:
    intent = RaiseEpoch(
        epoch=Epoch(9),
        kind="failover",
        reason="burnt",
        expected_revision=4,
        previous=DC1,
        request=3,
        asked_by="ann",
        excused=(DC1,),
        learners=(WITNESS,),
    )
    expected = EpochRecord(
        epoch=Epoch(9),
        holder=DC2,
        kind="failover",
        reason="burnt",
        asked_by="ann",
        at="now",
        previous=DC1,
        request=3,
        excused=(DC1,),
        learners=(WITNESS,),
    )
    assert raised(intent, DC2, "now") == expected
    given = replace(intent, holder=DC1, asked_by="")
    assert raised(given, DC2, "now") == replace(expected, holder=DC1, asked_by="tricast at dc2")


def test_a_learner_is_not_missed() -> None:
    view = record(other(silent(dc2_view()), WITNESS, seen=GONE), learners=(WITNESS,))
    assert asked.missing_voters(view, LEDGER) == {DC1}
    assert asked.loss_statement(view) == "ledger: nothing is lost"


# --- what stands against it ----------------------------------------------------------------------


def against(view: View, kind: Kind = Kind.DEMOTE, site: SiteName = WITNESS) -> str:
    return "; ".join(voters.refusals(view, kind, site))


def test_nothing_stands_against_it() -> None:
    assert against(serving()) == ""
    assert against(serving(), site=DC1) == ""
    assert against(learning(), Kind.PROMOTE) == ""


FEWER = "a commit of wallet needs 2 voters, and only 1 would be left"
NOBODY_LEFT = (
    "ledger: without the copy at witness nobody is left to acknowledge but dc2: 2 voters are "
    "needed; see to the others first: tricast status"
)
HOLDS = (
    "dc2 holds wallet: its primary always votes; move it first: tricast switchover --service wallet"
)
UNHEARD = "witness is not heard: a voter that is not there only makes takeovers harder"
FENCED = "dc1 is fenced by ann: flooded; unfence it first: tricast unfence dc1"
PAUSED = "automation is paused: works; tricast resume"
REFUSED: list[tuple[View, Kind, SiteName, str]] = [
    (
        spec(serving(), databases=()),
        Kind.DEMOTE,
        WITNESS,
        "wallet has no database: nobody votes on its commits",
    ),
    (serving(), Kind.DEMOTE, DC2, HOLDS),
    (learning(), Kind.DEMOTE, WITNESS, "witness is a learner of wallet already"),
    (learning(), Kind.DEMOTE, DC1, f"{FEWER}; promote witness first"),
    (spec(serving(), witnesses=()), Kind.DEMOTE, DC1, FEWER),
    (other(serving(), DC1, seen=GONE), Kind.DEMOTE, WITNESS, NOBODY_LEFT),
    (
        state(serving(), writable=False),
        Kind.DEMOTE,
        WITNESS,
        "no primary of ledger serves at dc2 under epoch 2",
    ),
    (replace(serving(), paused="works"), Kind.DEMOTE, WITNESS, PAUSED),
    (
        replace(learning(), paused="works"),
        Kind.DEMOTE,
        WITNESS,
        f"witness is a learner of wallet already; {PAUSED}",
    ),
    (serving(), Kind.PROMOTE, WITNESS, "witness is a voter of wallet already"),
    (learning(None, DC3), Kind.PROMOTE, DC3, "dc3 is not in the configuration any more"),
    (other(learning(), WITNESS, seen=GONE), Kind.PROMOTE, WITNESS, UNHEARD),
    (wishes.fenced(learning(None, DC1), DC1), Kind.PROMOTE, DC1, FENCED),
    (replace(learning(), paused="works"), Kind.PROMOTE, WITNESS, PAUSED),
]


@pytest.mark.parametrize(("view", "kind", "site", "said"), REFUSED)
def test_what_stands_against_it(view: View, kind: Kind, site: SiteName, said: str) -> None:
    assert against(view, kind, site) == said


def test_a_site_may_be_asked_about_itself() -> None:
    assert against(learning(dc2_view(), DC2), Kind.PROMOTE, DC2) == ""


def test_what_is_over_is_not_judged_again() -> None:
    paused = replace(serving(), paused="works")
    assert voters.moved(demoting(paused, state=State.DONE)) is None
    assert voters.moved(demoting(paused)) == (State.FAILED, PAUSED)


def test_who_is_heard_at_the_last_moment_is_heard() -> None:
    limit = serving().spec.timings.suspect_after_s
    view = other(learning(), WITNESS, seen=replace(GONE, control_s=limit))
    assert against(view, Kind.PROMOTE) == ""


def test_those_who_would_be_left_are_named_in_order() -> None:
    wide = spec(serving(), data_sites=(DC1, DC2, DC3), witnesses=(WITNESS, SiteName("west")))
    named = f"ledger: without the copy at {WITNESS} nobody is left to acknowledge but dc1 and dc2"
    assert against(wide).startswith(f"{named}: 3 voters are needed")
    learn = record(wide, learners=(WITNESS, DC3))
    few = "a commit of wallet needs 3 voters, and only 2 would be left"
    assert against(learn, site=DC1) == f"{few}; promote dc3 or witness first"
    view = spec(serving(), witnesses=(WITNESS, *MANY))
    said = against(record(view, learners=MANY), site=DC1)
    assert said.endswith(f"promote {' or '.join(MANY)} first")


# --- how it goes on ------------------------------------------------------------------------------

OUT_FIRST = "the primary lets witness in no more; then the record says so"
COUNTED_FIRST = "the record counts witness again; then the primary lets it in"
GOES_ON: list[tuple[View, tuple[State, str] | None]] = [
    (serving(), None),
    (demoting(state=State.OPEN), (State.RUNNING, OUT_FIRST)),
    (promoting(state=State.OPEN), (State.RUNNING, COUNTED_FIRST)),
    (
        demoting(replace(learning(), paused="works"), state=State.OPEN),
        (State.REFUSED, f"witness is a learner of wallet already; {PAUSED}"),
    ),
    (demoting(), None),
    (demoting(replace(serving(), paused="works")), (State.FAILED, PAUSED)),
    (
        demoting(replace(other(serving(), DC1, seen=GONE), paused="works")),
        (State.FAILED, f"{NOBODY_LEFT}; {PAUSED}"),
    ),
    (demoting(learning()), (State.DONE, "witness is a learner of wallet")),
    (promoting(), None),
    (promoting(record(learning(), learners=())), None),
    (promoting(serving()), (State.DONE, "witness votes for wallet")),
]


@pytest.mark.parametrize(("view", "found"), GOES_ON)
def test_how_it_goes_on(view: View, found: tuple[State, str] | None) -> None:
    told = asked.settlement(view)
    assert (None if told is None else (told.state, told.why)) == found


def test_another_epoch_ends_it() -> None:
    view = demoting(serving(), epoch=Epoch(1))
    told = asked.settlement(view)
    assert told is not None
    assert (told.state, "raised epoch 2 meanwhile" in told.why) == (State.FAILED, True)
    assert voters.asked_now(view) is None
    assert voters.asked_now(replace(demoting(), record=None)) is None


def test_where_the_log_ended_stays_noted_once_it_is_over() -> None:
    told = asked.settlement(demoting(learning(), ends=ENDS))
    assert told is not None
    assert (told.state, told.ends) == (State.DONE, ENDS)


def test_it_may_be_given_up_while_it_runs() -> None:
    running: Request = wish(Kind.DEMOTE, target=WITNESS, state=State.RUNNING)
    assert declined(running, by="ann", why="", at="now").state is State.WITHDRAWN
    with pytest.raises(NotAllowed):
        declined(replace(running, kind=Kind.SWITCHOVER), by="ann", why="", at="now")


# --- what an operator sees -----------------------------------------------------------------------


def test_who_learns_is_said_in_every_status() -> None:
    assert outlook.guarantee(learning()) == (
        "quorum: 2 of 2 voters (witness only learns); the NEXT failure cannot be survived "
        "automatically"
    )
    told = [said for said in outlook.warnings(learning()) if "witness" in said]
    assert told == [
        "witness only learns: no commit and no takeover of wallet counts it, until "
        "tricast voters promote witness --service wallet"
    ]


def test_learners_are_told_in_order() -> None:
    view = learning(spec(serving(), witnesses=(WITNESS, *MANY)), *MANY)
    assert f"({' and '.join(MANY)} only learn)" in outlook.guarantee(view)
    told = [said.split()[0] for said in outlook.warnings(view) if "only learns" in said]
    assert told == [*MANY]


def test_the_copy_of_a_learner_that_is_made_anew_is_back_when_it_learns_again() -> None:
    view = record(state(dc2_view(), quarantined=True), learners=(DC2,))
    about: dict[str, Any] = {"target": DC2, "database": LEDGER, "copied": True}
    about["state"] = State.RUNNING
    told = asked.settlement(wishes.asked(view, Kind.REINIT, **about))
    assert told is not None
    assert (told.state, told.why) == (State.DONE, "ledger learns at dc2")
    voter_yet = wishes.asked(record(view, learners=()), Kind.REINIT, **about)
    assert asked.settlement(voter_yet) is None


def test_a_learner_says_why_it_takes_nothing_over() -> None:
    view = record(state(dc2_view(), quarantined=True), learners=(DC2,))
    said = "dc2 only learns: tricast voters promote dc2"
    in_quarantine = "database ledger here is still in quarantine"
    assert troubles.ineligible_reasons(view) == (said, in_quarantine)
    not_yet = record(dc2_view(), learners=(DC2,))
    assert troubles.ineligible_reasons(not_yet) == (said,)
    assert troubles.copy_reasons(not_yet) == ()  # an operator who asks has what the proof says


def test_a_learner_is_not_called_a_voter_that_is_missing() -> None:
    view = state(serving(), admitted=frozenset({WITNESS}), followers=(follower(WITNESS),))
    assert "the copy at dc1 does not vote" in " ".join(outlook.warnings(view))
    told = " ".join(outlook.warnings(learning(view, DC1)))
    assert "dc1 only learns" in told
    assert "does not vote" not in told
