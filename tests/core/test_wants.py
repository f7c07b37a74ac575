"""What rules want of routes and traffic beyond a fixed answer, and what they ask for beside."""

from dataclasses import replace

import pytest

from bgp.policy import Stance
from controller.core import raising, wants
from controller.core.intents import RaiseEpoch, RenewLease
from controller.core.model import DatabaseName, Durability, Epoch, Liveness, Role, SiteName
from controller.core.position import LogFormat, Position
from controller.core.reason import Reason
from controller.core.requests import Kind
from controller.core.view import View
from tests.core.turned import (
    climbing,
    copy,
    follower,
    other,
    own,
    record,
    report,
    serving,
    spec,
    state,
    timings,
    voter,
)
from tests.core.views import DC1, DC2, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked, drained

JOURNAL = DatabaseName("journal")
DC3 = SiteName("dc3")


def leased(view: View, left_s: float = 0.0) -> View:
    return own(spec(view, durability=Durability.LEASE), lease_left_s=left_s)


def promoted() -> View:
    """dc2 has promoted under epoch 3; the witness follows, the gate is still closed."""
    view = state(
        climbing(),
        writable=True,
        epoch=Epoch(3),
        admitted=frozenset({WITNESS}),
        followers=(follower(WITNESS),),
    )
    return own(view, promised=Epoch(3))


def beside(view: View, **changes: object) -> View:
    """A second database, as the first one but for what is turned."""
    first = view.own.databases[0]
    second = replace(first, name=JOURNAL, **changes)  # type: ignore[arg-type]
    return own(view, databases=(first, second))


# --- role ----------------------------------------------------------------------------------------


def test_a_primary_is_one_whose_traffic_is_its_own() -> None:
    assert wants.primary_once_serving(serving()) is Role.PRIMARY
    assert wants.primary_once_serving(own(serving(), directed_to=frozenset())) is Role.TAKING_OVER
    both = own(serving(), directed_to=frozenset({DC1, DC2}))
    assert wants.primary_once_serving(both) is Role.TAKING_OVER


# --- routes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "stance"),
    [
        (climbing(), Stance.OVERRIDE),
        (record(climbing(), kind="bootstrap"), Stance.PREFERRED),
        (serving(), Stance.PREFERRED),
        (own(climbing(), stance=Stance.PREFERRED), Stance.PREFERRED),
        (own(climbing(), stance=Stance.PREFERRED, stance_epoch=Epoch(2)), Stance.OVERRIDE),
        (own(serving(), stance=Stance.OVERRIDE), Stance.PREFERRED),  # dc1 is seen to have left
        (report(own(serving(), stance=Stance.OVERRIDE), DC1, stance=None), Stance.OVERRIDE),
        (replace(own(serving(), stance=Stance.OVERRIDE), record=None), Stance.OVERRIDE),
    ],
)
def test_override_lasts_while_another_site_may_still_attract(view: View, stance: Stance) -> None:
    assert wants.attracting_stance(view) is stance
    assert wants.primary_routes(view) is stance


@pytest.mark.parametrize("trouble", [{"front_ok": False}, {"apps_up": 0}, {"sessions_up": 0}])
def test_an_open_database_alone_pulls_no_routes(trouble: dict[str, object]) -> None:
    pulled = own(serving(), **trouble)
    not_yet = own(pulled, stance=Stance.BACKUP)
    older = own(pulled, stance_epoch=Epoch(1))
    assert wants.primary_routes(pulled) is Stance.PREFERRED  # nothing is given back
    assert wants.primary_routes(not_yet) is Stance.BACKUP
    assert wants.primary_routes(older) is Stance.BACKUP


@pytest.mark.parametrize(
    ("view", "stance"),
    [
        (climbing(), Stance.OVERRIDE),  # proved, and nobody else is left
        (other(climbing(), DC1, seen=HERE), Stance.BACKUP),
        (voter(climbing(), WITNESS, sealed=False), Stance.BACKUP),
        (own(climbing(), databases=()), Stance.OVERRIDE),
        (beside(climbing(), liveness=Liveness.DOWN), Stance.BACKUP),  # one of two is not proved
        (own(climbing(), front_ok=False), Stance.BACKUP),
        (own(climbing(), apps_up=0), Stance.BACKUP),
        (own(climbing(), sessions_up=0), Stance.BACKUP),
        (other(promoted(), DC1, seen=HERE), Stance.BACKUP),
        (other(state(promoted(), gate_open=True), DC1, seen=HERE), Stance.OVERRIDE),
        (
            other(beside(state(promoted(), gate_open=True), gate_open=False), DC1, seen=HERE),
            Stance.BACKUP,
        ),
        (
            other(beside(state(promoted(), gate_open=True), epoch=Epoch(2)), DC1, seen=HERE),
            Stance.BACKUP,
        ),
        # What was pulled under this epoch is not given back by a late look.
        (
            own(voter(climbing(), WITNESS, sealed=False), stance=Stance.OVERRIDE),
            Stance.OVERRIDE,
        ),
        (
            own(voter(climbing(), WITNESS, sealed=False), stance=Stance.PREFERRED),
            Stance.PREFERRED,
        ),
        (
            own(
                voter(climbing(), WITNESS, sealed=False),
                stance=Stance.OVERRIDE,
                stance_epoch=Epoch(2),
            ),
            Stance.BACKUP,
        ),
        (
            own(
                voter(climbing(), WITNESS, sealed=False),
                stance=Stance.OVERRIDE,
                front_ok=False,
            ),
            Stance.BACKUP,
        ),
    ],
)
def test_routes_are_pulled_once_the_data_is_proved_and_the_site_can_serve(
    view: View, stance: Stance
) -> None:
    assert wants.takeover_routes(view) is stance


def test_routes_are_not_pulled_by_having_no_database_beside_a_living_site() -> None:
    """With none there is nothing to open, and nothing to prove: open at once."""
    view = own(other(climbing(), DC1, seen=HERE), databases=())
    assert wants.takeover_routes(view) is Stance.OVERRIDE


@pytest.mark.parametrize(
    "view",
    [
        own(replace(climbing(), record=None), databases=()),
        own(climbing(), databases=(), promised=Epoch(2)),
        other(state(promoted(), gate_open=True, epoch=Epoch(2)), DC1, seen=HERE),
    ],
)
def test_no_routes_are_pulled_for_an_epoch_that_is_not_acted_under(view: View) -> None:
    assert wants.takeover_routes(view) is Stance.BACKUP


@pytest.mark.parametrize(
    ("view", "stance"),
    [
        (drained(dc2_view(), DC2, age_s=60.1), Stance.WITHDRAWN),
        (drained(dc2_view(), DC2, age_s=60.0), Stance.DRAINED),
        (dc2_view(), Stance.DRAINED),
        (other(drained(dc2_view(), DC2, age_s=60.1), DC1, report=None), Stance.DRAINED),
        (report(drained(dc2_view(), DC2, age_s=60.1), DC1, stance=Stance.BACKUP), Stance.DRAINED),
    ],
)
def test_a_drained_site_is_gone_once_the_holder_is_known_to_attract(
    view: View, stance: Stance
) -> None:
    assert wants.drained(view) is stance


# --- traffic -------------------------------------------------------------------------------------

CLOSING = frozenset({"database:ledger"})


def handed(view: View) -> View:
    """dc2 lets requests wait, and has handed epoch 2 to dc1, which is not open yet."""
    view = record(own(view, held=True), kind="handover", request=4, previous=DC2)
    return copy(replace(view, record_unchanged_s=5.0), DC1, gate_open=False)


@pytest.mark.parametrize(
    ("view", "site"),
    [
        (handed(dc2_view()), wants.HOLD),
        (replace(handed(dc2_view()), record_unchanged_s=5.01), DC1),
        (copy(handed(dc2_view()), DC1, gate_open=True), DC1),
        (own(handed(dc2_view()), held=False), DC1),
        (record(handed(dc2_view()), kind="failover"), wants.HOLD),  # taken back, or relieved
        (spec(handed(dc2_view()), durability=Durability.LEASE), DC1),
    ],
)
def test_what_is_held_waits_for_the_gates_of_who_was_given(
    view: View, site: SiteName | wants.Keep
) -> None:
    assert wants.to_holder(view) == site


@pytest.mark.parametrize(
    ("view", "site"),
    [
        (serving(), DC2),
        (state(serving(), gate_open=False), wants.HOLD),
        (beside(serving(), gate_open=False), wants.HOLD),
        (replace(serving(), busy=CLOSING), wants.HOLD),  # it is not closed yet
        (replace(serving(), busy=CLOSING, resting=CLOSING), DC2),
        (replace(serving(), busy=frozenset({"database:other", "traffic"})), DC2),
        (leased(serving()), wants.HOLD),
        (leased(serving(), 0.1), DC2),
    ],
)
def test_what_is_taken_back_goes_on_when_every_gate_is_open(
    view: View, site: SiteName | wants.Keep
) -> None:
    assert wants.back_to_me(view) == site


@pytest.mark.parametrize(
    ("view", "since_s", "site"),
    [
        (serving(), 5.0, DC2),
        (state(serving(), gate_open=False), 5.0, wants.HOLD),
        (state(serving(), gate_open=False), 5.01, DC2),
    ],
)
def test_what_is_held_waits_for_the_gates_here_but_not_for_ever(
    view: View, since_s: float, site: SiteName | wants.Keep
) -> None:
    held = replace(own(view, held=True), record_unchanged_s=since_s)
    assert wants.to_me_when_committing(held) == site


@pytest.mark.parametrize(
    ("view", "site"),
    [
        (climbing(), None),
        (promoted(), DC2),
        (state(promoted(), followers=()), None),
        (state(promoted(), followers=(), gate_open=True), DC2),  # a voter missing for a moment
        (state(promoted(), followers=(), alone=True), DC2),
        (state(promoted(), writable=False, gate_open=True), None),
        (beside(promoted()), None),  # nobody follows the second
        (beside(promoted(), gate_open=True), DC2),
    ],
)
def test_traffic_comes_as_soon_as_commits_are_acknowledged(
    view: View, site: SiteName | None
) -> None:
    assert wants.to_me_when_committing(view) == site


# --- epochs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "epoch"),
    [
        (dc2_view(), 3),
        (own(dc2_view(), promised=Epoch(7)), 8),
        (record(dc2_view(), epoch=Epoch(5)), 6),
        (state(dc2_view(), epoch=Epoch(9)), 10),
        (voter(dc2_view(), DC1, promised=Epoch(11)), 12),
        (
            replace(own(spec(dc2_view(), databases=()), databases=()), record=None, others={}),
            3,
        ),
        (
            own(
                replace(own(spec(dc2_view(), databases=()), databases=()), record=None, others={}),
                promised=Epoch(0),
            ),
            2,
        ),
        (spec(voter(dc2_view(), DC1, promised=Epoch(11)), databases=()), 3),
    ],
)
def test_the_next_epoch_is_above_everything_heard_of(view: View, epoch: int) -> None:
    assert raising.next_epoch(view) == epoch


@pytest.mark.parametrize(
    ("view", "asked"),
    [
        (leased(serving(), 2.5), True),
        (leased(serving(), 2.51), False),
        (leased(serving(), -1.0), True),
        (own(serving(), lease_left_s=0.0), False),
        (replace(leased(serving()), store_ok=False), False),
        (timings(leased(serving(), 2.5), lease_renew_s=0.6), False),
    ],
)
def test_a_lease_is_renewed_once_enough_of_it_is_used(view: View, asked: bool) -> None:
    view = record(view, renewal=4)
    wanted = RenewLease(expected_revision=7, renewal=5) if asked else None
    assert raising.renew(view) == wanted


EMPTY = Position(epoch=0, format=LogFormat.LSN, text="0/0")


@pytest.mark.parametrize(
    ("view", "known"),
    [
        (dc2_view(), True),  # itself and dc1
        (other(dc2_view(), DC1, report=None), False),
        (voter(dc2_view(), DC1, position=None), False),
        (voter(dc2_view(), DC1, position=EMPTY), True),
        (state(dc2_view(), position=None), False),
        (spec(dc2_view(), databases=(LEDGER, JOURNAL)), False),
        (spec(dc2_view(), databases=()), True),
        (spec(dc2_view(), data_sites=(DC1, DC2, DC3)), False),  # two of four
    ],
)
def test_the_first_epoch_waits_for_a_majority_of_every_database(view: View, known: bool) -> None:
    assert raising.majority_reports(view) is known


@pytest.mark.parametrize(
    ("view", "possible", "refusals"),
    [
        (dc2_view(), True, ()),
        (
            dc2_view(store_ok=False),
            False,
            ("the store's majority does not answer: no epoch can be raised",),
        ),
        (
            state(dc2_view(), diverged=True),
            False,
            ("database ledger here has diverged and was not rewound",),
        ),
        (own(dc2_view(), front_ok=False), True, ()),
        (leased(dc2_view()), True, ()),
        (
            replace(leased(dc2_view()), record_unchanged_s=3.5),
            False,
            ("the holder's lease has not been waited out",),
        ),
        (replace(leased(dc2_view()), record_unchanged_s=3.51), True, ()),
        (replace(dc2_view(), record_unchanged_s=0.0), True, ()),
    ],
)
def test_a_failover_that_is_not_possible_says_why(
    view: View, possible: bool, refusals: tuple[str, ...]
) -> None:
    assert raising.failover_possible(view) is possible
    assert raising.failover_refusals(view) == refusals


# --- raising as an operator asked ----------------------------------------------------------------


def test_an_epoch_that_is_asked_for_says_who_and_why_and_who_is_excused() -> None:
    lost = {"target": "dc2", "excused": (DC1,)}
    intent = raising.raise_for_request(Reason.FAILOVER_ASKED)
    plain = intent(asked(dc2_view(), Kind.FAILOVER, **lost))  # type: ignore[arg-type]
    assert plain == RaiseEpoch(
        epoch=Epoch(3),
        kind="failover",
        reason=Reason.FAILOVER_ASKED.value,
        expected_revision=7,
        previous=DC1,
        request=4,
        asked_by="ann",
        excused=(),
    )
    said = asked(dc2_view(), Kind.FAILOVER, reason="smoke", allow_data_loss=True, **lost)  # type: ignore[arg-type]
    told = intent(said)
    assert isinstance(told, RaiseEpoch)
    assert told.reason == f"{Reason.FAILOVER_ASKED.value}: smoke"
    assert told.excused == (DC1,)


def assumed(view: View) -> View:
    """The record was assumed by force, and stands in no store."""
    return record(view, kind="forced", revision=0, excused=(DC1,), reason="burnt", asked_by="ann")


def test_what_was_assumed_is_recorded_as_it_is_and_once() -> None:
    view = assumed(serving())
    expected = RaiseEpoch(
        epoch=Epoch(2),
        kind="forced",
        reason="burnt",
        expected_revision=0,
        previous=DC1,
        asked_by="ann",
        excused=(DC1,),
    )
    assert raising.record_assumed(view) == expected
    older = replace(view, stored=serving().record)
    assert raising.record_assumed(older) == replace(expected, expected_revision=7)
    assert raising.record_assumed(replace(view, store_ok=False)) is None
    assert raising.record_assumed(record(view, revision=1)) is None
    assert raising.record_assumed(replace(view, record=None)) is None
