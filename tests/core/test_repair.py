"""What operators ask of a site's copies: who does it, what stands against it, how it ends."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core import asked, repair
from controller.core.decide import decide
from controller.core.intents import (
    Admit,
    Follow,
    Intent,
    Rejoin,
    SettleRequest,
    StartDatabase,
    lane,
)
from controller.core.model import DatabaseName, Epoch, Liveness
from controller.core.requests import (
    Kind,
    NotAllowed,
    Request,
    State,
    declined,
    described,
    plan_hash,
)
from controller.core.view import View
from tests.core import wishes
from tests.core.turned import (
    copy,
    follower,
    other,
    own,
    record,
    report,
    serving,
    spec,
    state,
    voter,
    witness_report,
)
from tests.core.views import DC1, DC2, GONE, LEDGER, WALLET, WITNESS, dc2_view
from tests.core.wishes import wish

ASKED = 4
JOURNAL = DatabaseName("journal")
ANEW = Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2), fresh=ASKED)
UNSERVED = "no primary of ledger serves at dc1 under epoch 2"
SHORT = (
    "ledger: without the copy at dc2 nobody is left to acknowledge but dc1: 2 voters are needed; "
    "see to the others first: tricast status"
)
PAUSED = "automation is paused: disk work; tricast resume"


def behind_dc1() -> View:
    """dc2 and the witness's keeper follow dc1 as voters."""
    followers = tuple(follower(site) for site in (DC2, WITNESS))
    return other(copy(dc2_view(), DC1, followers=followers), WITNESS, report=witness_report())


def wanted(view: View, kind: Kind = Kind.REINIT, **changes: Any) -> View:
    """An operator asks it of dc2's copy, and dc2 has begun."""
    about = {"target": DC2, "database": LEDGER, "state": State.RUNNING}
    return wishes.asked(view, kind, **{**about, **changes})


def left(view: View) -> View:
    """dc1 lets dc2 in as a voter no more, and its stream is cut."""
    view = copy(view, DC1, admitted=frozenset({WITNESS}), followers=(follower(WITNESS),))
    return state(view, streaming=False)


def alone(view: View) -> View:
    """Nobody but dc2 follows dc1."""
    return copy(view, DC1, followers=(follower(DC2),))


def learning(view: View) -> View:
    """dc2 only learns: it streams, in quarantine, and dc1 does not let it in as a voter."""
    view = copy(record(view, learners=(DC2,)), DC1, admitted=frozenset({WITNESS}))
    return state(view, quarantined=True)


def two(view: View, **changes: Any) -> View:
    """The service has a second database, the journal; `changes` are of dc2's copy of it."""
    mine, reported = view.own.databases[0], view.others[DC1].report
    assert reported is not None
    told_first = reported.databases[0]
    told_journal = replace(
        told_first,
        state=replace(told_first.state, name=JOURNAL),
        voter=replace(told_first.voter, database=JOURNAL),
    )
    view = spec(view, databases=(LEDGER, JOURNAL))
    view = own(view, databases=(mine, replace(mine, name=JOURNAL, **changes)))
    return report(view, DC1, databases=(told_first, told_journal))


def of_database(view: View) -> list[Intent]:
    return [found for found in decide(view).intents if lane(found) == f"database:{LEDGER}"]


def told(view: View) -> tuple[State, str, bool] | None:
    found = asked.settlement(view)
    return None if found is None else (found.state, found.why, found.copied)


def test_a_copy_that_comes_back_unasked_is_not_made_anew() -> None:
    (rejoin,) = of_database(state(behind_dc1(), diverged=True, streaming=False))
    assert rejoin == Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2), fresh=0)


# --- who is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view",
    [
        behind_dc1(),
        wishes.asked(behind_dc1(), Kind.SWITCHOVER, target=DC2),
        wanted(behind_dc1(), target=DC1),
        wanted(behind_dc1(), epoch=Epoch(1)),
        wanted(behind_dc1(), state=State.DONE),
        wanted(behind_dc1(), approvals_needed=1),
        wanted(replace(behind_dc1(), record=None)),
        wanted(serving()),
    ],
)
def test_nothing_is_asked_of_this_site(view: View) -> None:
    assert repair.asked_here(view) is None
    assert repair.tried_again(view) == (0, frozenset())
    assert repair.moved(view) is None
    assert all(repair.as_wanted(view, copy) for copy in view.own.databases)


@pytest.mark.parametrize(
    ("database", "lanes"),
    [("", ("database:ledger",)), ("ledger", ("database:ledger",)), ("journal", ())],
)
def test_what_rests_is_tried_again_for_the_copies_that_are_meant(
    database: str, lanes: tuple[str, ...]
) -> None:
    view = wanted(behind_dc1(), Kind.REJOIN, database=database, state=State.OPEN)
    assert repair.tried_again(view) == (ASKED, frozenset(lanes))


# --- the copy that is made anew ------------------------------------------------------------------


def test_nothing_is_touched_before_the_primary_counts_on_it_no_more() -> None:
    view = wanted(behind_dc1())
    assert of_database(view) == []
    assert decide(view).rule == 411
    assert of_database(wanted(left(behind_dc1()))) == [ANEW]


def test_a_server_that_is_down_needs_not_be_started_to_be_replaced() -> None:
    down = state(left(behind_dc1()), liveness=Liveness.DOWN, diverged=True)
    assert of_database(wanted(down)) == [ANEW]
    assert of_database(wanted(down, state=State.OPEN)) != [ANEW], "it has not begun"
    made = replace(wanted(down), copied=ASKED)
    assert of_database(made) == [Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2))]


def test_once_it_is_made_it_comes_back_as_any_copy() -> None:
    follow = Follow(database=LEDGER, upstream=DC1, epoch=Epoch(2), quarantine=True)
    here, known = left(behind_dc1()), wanted(left(behind_dc1()), copied=True)
    assert of_database(replace(wanted(here), copied=ASKED)) == [follow]
    assert of_database(known) == [follow], "also for a daemon that has just started"
    assert of_database(replace(wanted(here), copied=ASKED - 1)) == [ANEW], "that was another"
    down = state(here, liveness=Liveness.DOWN)
    assert of_database(wanted(down, copied=True)) == [StartDatabase(database=LEDGER)]


@pytest.mark.parametrize(
    "view",
    [
        copy(left(behind_dc1()), DC1, followers=()),
        other(left(behind_dc1()), WITNESS, seen=GONE),
        voter(left(behind_dc1()), WITNESS, promised=Epoch(1)),
        copy(left(behind_dc1()), DC1, writable=False),
        other(left(behind_dc1()), DC1, seen=GONE),
    ],
)
def test_it_does_not_begin_where_the_others_could_not_acknowledge(view: View) -> None:
    assert of_database(wanted(view)) == []
    found = told(wanted(view))
    assert found is not None
    assert found[0] is State.FAILED


def test_its_primary_lets_it_in_no_more_as_long_as_the_others_acknowledge() -> None:
    def voters(view: View) -> frozenset[str]:
        return repair.wanted_admitted(view, view.own.databases[0])

    leaving = wanted(serving(), target=DC1)
    assert voters(leaving) == {WITNESS}
    assert of_database(leaving) == [Admit(database=LEDGER, voters=frozenset({WITNESS}))]
    assert voters(wanted(serving(), target=DC1, copied=True)) == {DC1, WITNESS}
    assert voters(wanted(serving(), target=DC1, state=State.OPEN)) == {DC1, WITNESS}
    assert voters(wanted(serving(), target=DC1, database="journal")) == {DC1, WITNESS}
    assert voters(wanted(serving(), Kind.REJOIN, target=DC1)) == {DC1, WITNESS}
    needed = wanted(state(serving(), followers=(follower(DC1),)), target=DC1)
    assert voters(needed) == {DC1, WITNESS}, "without it no commit would be acknowledged"
    gone = state(needed, admitted=frozenset({WITNESS}), followers=(follower(DC1),))
    assert voters(gone) == {WITNESS}, "its files may be gone already"


# --- what stands against it ----------------------------------------------------------------------


def against(view: View, site: str = DC2, kind: Kind = Kind.REINIT) -> str:
    return "; ".join(repair.refusals(view, kind, type(DC1)(site), (LEDGER,)))


def test_nothing_stands_against_it() -> None:
    assert against(behind_dc1()) == ""
    assert against(serving(), DC1) == ""
    assert against(alone(behind_dc1()), kind=Kind.REJOIN) == ""


@pytest.mark.parametrize(
    ("view", "site", "said"),
    [
        (
            behind_dc1(),
            DC1,
            "dc1 holds wallet: the other copies are made from its databases; to have them made "
            "anew, move it first: tricast switchover --service wallet",
        ),
        (replace(behind_dc1(), paused="disk work"), DC2, PAUSED),
        (
            other(serving(), DC1, seen=GONE),
            DC1,
            "dc1 is not heard, and its own daemon has to do it",
        ),
        (
            state(serving(), gate_open=False),
            DC1,
            "no primary of ledger serves at dc2 under epoch 2",
        ),
        (
            state(serving(), writable=False),
            DC1,
            "no primary of ledger serves at dc2 under epoch 2",
        ),
        (other(behind_dc1(), DC1, seen=GONE), DC2, UNSERVED),
        (copy(behind_dc1(), DC1, writable=False), DC2, UNSERVED),
        (alone(behind_dc1()), DC2, SHORT),
        (
            state(serving(), followers=(follower(DC1),)),
            DC1,
            "ledger: without the copy at dc1 nobody is left to acknowledge but dc2: 2 voters are "
            "needed; see to the others first: tricast status",
        ),
    ],
)
def test_what_stands_against_it(view: View, site: str, said: str) -> None:
    assert against(view, site) == said


def test_where_no_primary_serves_trying_again_is_of_no_use() -> None:
    unheard = other(behind_dc1(), DC1, seen=GONE)
    assert against(unheard, kind=Kind.REJOIN) == UNSERVED
    assert told(wanted(unheard, Kind.REJOIN, state=State.OPEN)) == (State.REFUSED, UNSERVED, False)


# --- how it goes on ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (
            wanted(behind_dc1(), state=State.OPEN),
            (State.RUNNING, "dc2 leaves the quorum, then copies", False),
        ),
        (
            wanted(behind_dc1(), Kind.REJOIN, state=State.OPEN),
            (State.RUNNING, "dc2 tries again", False),
        ),
        (wanted(alone(behind_dc1()), state=State.OPEN), (State.REFUSED, SHORT, False)),
        (wanted(behind_dc1()), None),
        (wanted(left(behind_dc1())), None),
        (wanted(alone(behind_dc1())), (State.FAILED, SHORT, False)),
        (replace(wanted(alone(behind_dc1())), rejoining=frozenset({LEDGER})), None),
        (
            replace(wanted(behind_dc1()), copied=ASKED),
            (State.RUNNING, "the copy at dc2 is made; it catches up", True),
        ),
        (wanted(behind_dc1(), copied=True), (State.DONE, "ledger votes at dc2", True)),
        (
            wanted(behind_dc1(), Kind.REJOIN, database=""),
            (State.DONE, "ledger votes at dc2", False),
        ),
        (wanted(left(behind_dc1()), copied=True), None),
        (wanted(state(behind_dc1(), quarantined=True), Kind.REJOIN), None),
        (
            replace(wanted(left(behind_dc1())), failed={"database:ledger": "no space"}),
            (State.FAILED, "ledger: no space", False),
        ),
        (
            replace(wanted(left(behind_dc1()), copied=True), failed={"database:ledger": "late"}),
            (State.FAILED, "ledger: late", True),
        ),
        (replace(wanted(left(behind_dc1())), failed={"routes": "x"}), None),
        (replace(wanted(behind_dc1(), copied=True), store_ok=False), None),
    ],
)
def test_how_it_goes_on(view: View, found: tuple[State, str, bool] | None) -> None:
    assert told(view) == found


@pytest.mark.parametrize(
    ("before", "after"), [(State.OPEN, State.REFUSED), (State.RUNNING, State.FAILED)]
)
def test_everything_that_stands_against_it_is_said(before: State, after: State) -> None:
    view = wanted(replace(alone(behind_dc1()), paused="disk work"), state=before)
    assert told(view) == (after, f"{PAUSED}; {SHORT}", False)


def test_a_copy_that_is_being_made_has_not_failed() -> None:
    failed = replace(wanted(left(behind_dc1())), failed={"database:ledger": "no space"})
    assert told(replace(failed, rejoining=frozenset({LEDGER}))) is None


def test_a_copy_is_back_once_its_primary_counts_on_it() -> None:
    unlisted = copy(behind_dc1(), DC1, admitted=frozenset({WITNESS}))
    assert told(wanted(unlisted, Kind.REJOIN)) is None


def test_a_copy_that_only_learns_is_back_once_it_streams() -> None:
    learns = wanted(learning(behind_dc1()), Kind.REJOIN)
    assert told(learns) == (State.DONE, "ledger learns at dc2", False)
    assert told(state(learns, streaming=False)) is None


def test_a_site_is_back_once_all_its_copies_are() -> None:
    def rejoining(**changes: Any) -> View:
        return wanted(two(behind_dc1(), **changes), Kind.REJOIN, database="")

    assert told(rejoining()) == (State.DONE, "ledger, journal vote at dc2", False)
    assert told(rejoining(quarantined=True)) is None
    failed = {"database:ledger": "no space", "database:journal": "late"}
    assert told(replace(rejoining(quarantined=True), failed=failed)) == (
        State.FAILED,
        "ledger: no space; journal: late",
        False,
    )


def test_a_daemon_that_has_just_begun_has_made_no_copy() -> None:
    for number in range(1, 4):
        view = wanted(behind_dc1(), number=number)
        assert not repair.as_wanted(view, view.own.databases[0])


def test_that_the_copy_is_made_is_not_forgotten() -> None:
    made = replace(wanted(behind_dc1()), copied=ASKED)
    assert asked.settlement(made) == SettleRequest(
        number=ASKED,
        expected_revision=40,
        state=State.RUNNING,
        why="the copy at dc2 is made; it catches up",
        copied=True,
    )
    ends = asked.settlement(wanted(behind_dc1(), copied=True))
    assert ends is not None
    assert ends.copied


def test_another_epoch_ends_it_and_the_new_holder_says_so() -> None:
    view = record(serving(), reason="the holder is silent")
    late = wanted(view, target=DC1, epoch=Epoch(1))
    assert told(late) == (State.FAILED, "dc2 raised epoch 2 meanwhile: the holder is silent", False)
    unbegun = wanted(view, target=DC1, epoch=Epoch(1), state=State.OPEN)
    assert told(unbegun) == (
        State.LAPSED,
        "dc2 raised epoch 2 meanwhile: the holder is silent",
        False,
    )
    assert told(wanted(view, target=DC1)) is None


# --- the request ---------------------------------------------------------------------------------


def test_it_is_told_whose_copy_is_meant() -> None:
    one: Request = wish(Kind.REINIT, target=DC2, database=LEDGER)
    assert described(one).startswith("reinit of ledger at dc2 asked by ann")
    every = wish(Kind.REJOIN, target=DC2)
    assert described(every).startswith("rejoin of every database at dc2 asked by ann")
    another = replace(one, database=JOURNAL)
    assert plan_hash(one) != plan_hash(another)
    assert one.service == WALLET


def test_it_may_be_given_up_while_it_runs_unlike_a_move() -> None:
    running = wish(Kind.REINIT, target=DC2, database=LEDGER, state=State.RUNNING)
    assert declined(running, by="ann", why="", at="now").state is State.WITHDRAWN
    assert declined(running, by="grace", why="", at="now").state is State.REFUSED
    with pytest.raises(NotAllowed, match="is running"):
        declined(replace(running, kind=Kind.SWITCHOVER), by="ann", why="", at="now")
