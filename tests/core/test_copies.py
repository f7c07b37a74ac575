"""One copy of a database: whether it is promoted, follows, and may follow."""

from dataclasses import replace

import pytest

from controller.core import copies
from controller.core.model import DatabaseName, Epoch, SiteName
from controller.core.position import LogFormat, Position
from controller.core.view import View
from tests.core.turned import (
    climbing,
    copy,
    follower,
    other,
    record,
    report,
    serving,
    state,
    voter,
)
from tests.core.views import DC1, GONE, WITNESS, dc2_view

JOURNAL = DatabaseName("journal")
BOTH = frozenset({DC1, WITNESS})


def wanted(view: View) -> frozenset[SiteName]:
    return copies.wanted_admitted(view, view.own.databases[0])


def follows(view: View) -> bool:
    return copies.voter_follows(view, view.own.databases[0])


def barred(view: View) -> View:
    """dc1 is not admitted yet."""
    return state(view, admitted=frozenset({WITNESS}))


@pytest.mark.parametrize(
    ("view", "promoted"),
    [
        (serving(), True),
        (state(serving(), writable=False), False),
        (record(serving(), epoch=Epoch(3)), False),
    ],
)
def test_promoted_is_writable_under_the_records_epoch(view: View, promoted: bool) -> None:
    assert copies.promoted_here(view, view.own.databases[0]) is promoted


@pytest.mark.parametrize(
    ("view", "sealed"),
    [
        (dc2_view(), True),  # already with the holder
        (state(dc2_view(), receiving=False), True),
        (record(dc2_view(), epoch=Epoch(3)), False),
        (state(climbing(), receiving=True, upstream=DC1), False),
        (climbing(), True),
    ],
)
def test_sealed_takes_nothing_of_an_older_epoch(view: View, sealed: bool) -> None:
    assert copies.sealed_here(view, view.own.databases[0]) is sealed


@pytest.mark.parametrize(
    ("follower_of_dc1", "holds"),
    [
        (follower(DC1), True),
        (follower(DC1, streaming=False), False),
        (follower(DC1, quarantined=True), False),
        (replace(follower(DC1), site=None), False),
        (follower(SiteName("dc9")), False),
    ],
)
def test_a_voter_follows_that_is_connected_under_its_own_name(
    follower_of_dc1: object, holds: bool
) -> None:
    assert follows(state(serving(), followers=(follower_of_dc1,))) is holds


def test_a_voter_follows_only_when_admitted_known_and_of_this_promise() -> None:
    alone = state(serving(), followers=(follower(DC1),))
    assert follows(alone)
    assert not follows(barred(alone))
    assert not follows(other(alone, DC1, report=None))
    assert not follows(voter(alone, DC1, promised=Epoch(1)))
    assert not follows(voter(alone, DC1, promised=Epoch(3)))
    assert not follows(voter(alone, DC1, database=JOURNAL))


def test_a_site_that_is_not_heard_of_any_more_stays_admitted_but_is_not_let_in() -> None:
    view = other(other(serving(), DC1, report=None), WITNESS, report=None)
    assert wanted(view) == BOTH
    assert wanted(barred(view)) == {WITNESS}


@pytest.mark.parametrize(
    ("changes", "admitted"),
    [
        ({}, True),
        ({"promised": Epoch(1)}, False),
        ({"promised": Epoch(3)}, False),
        ({"whole": False}, False),
        ({"whole": False, "position": None}, True),  # empty: it may begin to receive
        ({"whole": False, "position": Position(epoch=0, format=LogFormat.LSN, text="0/0")}, True),
        ({"whole": False, "position": Position(epoch=1, format=LogFormat.LSN, text="0/0")}, False),
    ],
)
def test_a_keeper_is_admitted_by_its_promise_and_its_whole_log(
    changes: dict[str, object], admitted: bool
) -> None:
    assert wanted(voter(serving(), WITNESS, **changes)) == (BOTH if admitted else {DC1})


@pytest.mark.parametrize(
    ("view", "admitted"),
    [
        (barred(serving()), True),
        (barred(state(serving(), followers=(follower(DC1, quarantined=True),))), True),
        (barred(state(serving(), followers=())), False),
        (barred(state(serving(), followers=(follower(DC1, streaming=False),))), False),
        (barred(state(serving(), followers=(follower(WITNESS),))), False),
        (barred(other(serving(), DC1, report_age_s=5.0)), True),
        (barred(other(serving(), DC1, report_age_s=5.1)), False),
        (barred(copy(serving(), DC1, streaming=False)), False),
        (barred(copy(serving(), DC1, epoch=Epoch(1))), False),
        (barred(copy(serving(), DC1, writable=True)), False),
        (barred(copy(serving(), DC1, diverged=True)), False),
        (barred(copy(serving(), DC1, upstream=WITNESS)), False),
        (barred(copy(serving(), DC1, name=JOURNAL)), False),
    ],
)
def test_a_data_site_is_let_in_once_it_has_shown_that_it_streams_this_epoch(
    view: View, admitted: bool
) -> None:
    assert (DC1 in wanted(view)) is admitted


@pytest.mark.parametrize(
    ("changes", "admitted"),
    [
        ({"streaming": False}, True),
        ({"streaming": False, "writable": True}, False),
        ({"streaming": False, "diverged": True}, False),
        ({"streaming": False, "epoch": Epoch(1)}, False),
        ({"streaming": False, "epoch": Epoch(3)}, False),
        ({"streaming": False, "epoch": Epoch(0)}, True),  # nothing is known of it
        ({"streaming": False, "name": JOURNAL}, True),
    ],
)
def test_an_admitted_data_site_stays_until_it_is_known_to_be_something_else(
    changes: dict[str, object], admitted: bool
) -> None:
    assert (DC1 in wanted(copy(serving(), DC1, **changes))) is admitted


def test_a_copy_is_looked_up_by_name() -> None:
    reported = serving().others[DC1].report
    assert reported is not None
    known = reported.databases[0]
    strange = replace(known, state=replace(known.state, name=JOURNAL, diverged=True))
    view = report(serving(), DC1, databases=(strange, known))
    assert wanted(view) == BOTH


@pytest.mark.parametrize(
    ("changes", "any_way", "as_voter"),
    [
        ({}, True, True),
        ({"quarantined": True}, True, False),
        ({"streaming": False}, False, False),
        ({"upstream": WITNESS}, False, False),
        ({"epoch": Epoch(1)}, False, False),
    ],
)
def test_following_is_streaming_the_records_epoch_from_its_holder(
    changes: dict[str, object], any_way: bool, as_voter: bool
) -> None:
    view = state(dc2_view(), **changes)
    found = view.own.databases[0]
    assert copies.follows_in_any_way(view, found) is any_way
    assert copies.follows_as_voter(view, found) is as_voter


def test_the_first_voters_of_an_epoch_are_those_of_the_proof() -> None:
    assert wanted(climbing()) == {WITNESS}


def test_a_voter_lives_while_its_site_is_heard() -> None:
    alone = state(serving(), followers=(follower(DC1),))
    first = alone.own.databases[0]
    edge = other(alone, DC1, seen=replace(GONE, control_s=0.5))
    assert copies.living_voter_follows(edge, first)
    late = other(alone, DC1, seen=replace(GONE, control_s=0.51))
    assert not copies.living_voter_follows(late, first)
    assert copies.voter_follows(late, first)
