"""Each rung: when its goal holds, and what it asks for when it does not."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bgp.policy import Stance
from controller.core import sequences
from controller.core.decide import decide
from controller.core.intents import (
    EPOCH_LANE,
    Admit,
    AssumeAddresses,
    CatchUp,
    CloseDatabase,
    CommitAlone,
    EndAlone,
    FenceOthers,
    Follow,
    Intent,
    Promise,
    Promote,
    Rejoin,
    SealDatabase,
    SetGate,
    StartDatabase,
)
from controller.core.ladder import AnyStep, DatabaseStep, Rung, Step, climb, climbed, unfinished
from controller.core.model import DatabaseName, Epoch, Liveness
from controller.core.raising import next_epoch
from controller.core.requests import Kind, State
from controller.core.sequences import (
    REJOIN,
    STAND_READY,
    STEP_DOWN,
    TAKE_OVER,
    rejoin_unfinished,
)
from controller.core.view import View
from tests.core.turned import (
    EARLIER,
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
    state,
    voter,
    witness_report,
)
from tests.core.views import DC1, DC2, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked, wish

LADDERS = {"TAKE_OVER": TAKE_OVER, "STEP_DOWN": STEP_DOWN, "REJOIN": REJOIN}
JOURNAL = DatabaseName("journal")
NONE, TWO, THREE = Epoch(0), Epoch(2), Epoch(3)


def step_of(ladder: str, name: str) -> AnyStep:
    return next(step for step in LADDERS[ladder] if step.name == name)


def rung(ladder: str, name: str, view: View) -> tuple[bool, Intent | None]:
    """Whether the goal holds, and what is asked for if it is that rung's turn."""
    match step_of(ladder, name):
        case Step() as step:
            return step.goal(view), step.apply(view)
        case DatabaseStep() as step:
            first = view.own.databases[0]
            return step.goal(view, first), step.apply(view, first)


def anew(view: View) -> View:
    """The copy here is to be made anew; the witness's keeper follows dc1."""
    followers = tuple(follower(site) for site in (DC2, WITNESS))
    view = other(copy(view, DC1, followers=followers), WITNESS, report=witness_report())
    return asked(view, Kind.REINIT, target=DC2, database=LEDGER, state=State.RUNNING)


def seal(view: View) -> View:
    return state(view, receiving=False)


def unsealed() -> View:
    """dc2 owns epoch 3 and still has a receiver."""
    return state(climbing(), receiving=True, upstream=DC1)


def behind() -> View:
    """The sealed keeper holds more than dc2."""
    return voter(climbing(), WITNESS, position=LATER)


def new_holder(view: View) -> View:
    """dc1 owns epoch 3 and says so, but has not promoted."""
    return record(report(view, DC1, epoch=THREE), epoch=THREE)


def new_primary(view: View) -> View:
    """dc1 owns epoch 3 and has promoted."""
    return copy(new_holder(view), DC1, epoch=THREE)


def by_hand(view: View) -> View:
    """Somebody has promoted dc2's server, which numbered its timeline by itself."""
    promoted = state(view, epoch=THREE, upstream=None, receiving=False, streaming=False)
    return own(promoted, promised=Epoch(2))


def admitted(view: View) -> View:
    return copy(view, DC1, admitted=frozenset({DC2, WITNESS}))


def banned(view: View) -> View:
    return copy(view, DC1, admitted=frozenset({WITNESS}))


WAITING = None
ORDER = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING, reason="both burnt down")
NOT_ASKED = None

GOALS: tuple[tuple[str, str, View, bool, Intent | None], ...] = (
    ("TAKE_OVER", "promised", climbing(), True, Promise(epoch=THREE)),
    ("TAKE_OVER", "promised", own(climbing(), promised=Epoch(2)), False, Promise(epoch=THREE)),
    ("TAKE_OVER", "promised", own(climbing(), promised=Epoch(4)), True, Promise(epoch=THREE)),
    ("TAKE_OVER", "promised", by_hand(climbing()), False, NOT_ASKED),
    ("TAKE_OVER", "fenced", climbing(), True, FenceOthers(epoch=THREE)),
    ("TAKE_OVER", "fenced", own(climbing(), fenced=Epoch(2)), False, FenceOthers(epoch=THREE)),
    (
        "TAKE_OVER",
        "fenced",
        record(own(climbing(), fenced=Epoch(2)), kind="handover"),
        True,
        FenceOthers(epoch=THREE),
    ),
    (
        "TAKE_OVER",
        "fenced",
        other(own(climbing(), fenced=Epoch(2)), DC1, seen=HERE),
        True,
        FenceOthers(epoch=THREE),
    ),
    ("TAKE_OVER", "fenced", own(silent(serving()), fenced=NONE), True, FenceOthers(epoch=TWO)),
    ("TAKE_OVER", "addressed", climbing(), True, AssumeAddresses()),
    ("TAKE_OVER", "addressed", own(climbing(), addresses_missing=True), False, AssumeAddresses()),
    ("TAKE_OVER", "started", climbing(), True, StartDatabase(database=LEDGER)),
    (
        "TAKE_OVER",
        "started",
        state(climbing(), liveness=Liveness.UNKNOWN),
        True,
        StartDatabase(database=LEDGER),
    ),
    (
        "TAKE_OVER",
        "started",
        state(climbing(), liveness=Liveness.DOWN),
        False,
        StartDatabase(database=LEDGER),
    ),
    ("TAKE_OVER", "closed", climbing(), True, CloseDatabase(database=LEDGER)),
    (
        "TAKE_OVER",
        "closed",
        state(climbing(), writable=True, epoch=THREE),
        True,
        CloseDatabase(database=LEDGER),
    ),
    (
        "TAKE_OVER",
        "closed",
        state(climbing(), writable=True, epoch=Epoch(2)),
        False,
        CloseDatabase(database=LEDGER),
    ),
    ("TAKE_OVER", "logs_sealed", climbing(), True, WAITING),
    (
        "TAKE_OVER",
        "logs_sealed",
        state(voter(climbing(), WITNESS, sealed=False), writable=True, epoch=THREE),
        True,
        SealDatabase(database=LEDGER, epoch=THREE),
    ),
    ("TAKE_OVER", "logs_sealed", voter(climbing(), WITNESS, sealed=False), False, WAITING),
    (
        "TAKE_OVER",
        "logs_sealed",
        unsealed(),
        False,
        SealDatabase(database=LEDGER, epoch=THREE),
    ),
    ("TAKE_OVER", "caught_up", climbing(), True, NOT_ASKED),
    ("TAKE_OVER", "caught_up", state(climbing(), position=LATER), True, NOT_ASKED),
    (
        "TAKE_OVER",
        "caught_up",
        behind(),
        False,
        CatchUp(database=LEDGER, source=WITNESS, target=LATER),
    ),
    ("TAKE_OVER", "caught_up", unsealed(), False, NOT_ASKED),
    ("TAKE_OVER", "caught_up", state(unsealed(), writable=True, epoch=THREE), True, NOT_ASKED),
    (
        "TAKE_OVER",
        "promoted",
        climbing(),
        False,
        Promote(database=LEDGER, epoch=THREE, voters=frozenset({WITNESS})),
    ),
    (
        "TAKE_OVER",
        "promoted",
        state(climbing(), writable=True, epoch=THREE),
        True,
        NOT_ASKED,
    ),
    ("TAKE_OVER", "promoted", state(climbing(), epoch=THREE), False, NOT_ASKED),
    ("TAKE_OVER", "promoted", state(climbing(), epoch=Epoch(4)), False, NOT_ASKED),
    (
        "TAKE_OVER",
        "promoted",
        state(climbing(), admitted=frozenset({DC1, WITNESS})),  # of the epoch before
        False,
        Promote(database=LEDGER, epoch=THREE, voters=frozenset({WITNESS})),
    ),
    (
        "TAKE_OVER",
        "admitted",
        serving(),
        True,
        Admit(database=LEDGER, voters=frozenset({DC1, WITNESS})),
    ),
    (
        "TAKE_OVER",
        "admitted",
        state(serving(), admitted=frozenset({WITNESS})),
        False,
        Admit(database=LEDGER, voters=frozenset({DC1, WITNESS})),
    ),
    (
        "TAKE_OVER",
        "admitted",
        state(serving(), writable=False),
        False,
        Admit(database=LEDGER, voters=frozenset({DC1, WITNESS})),
    ),
    ("TAKE_OVER", "committing", serving(), True, WAITING),
    ("TAKE_OVER", "committing", state(serving(), followers=()), False, WAITING),
    ("TAKE_OVER", "committing", own(serving(), commit_age_s={}), False, WAITING),
    ("TAKE_OVER", "opened", serving(), True, SetGate(database=LEDGER, opened=True)),
    (
        "TAKE_OVER",
        "opened",
        state(serving(), gate_open=False),
        False,
        SetGate(database=LEDGER, opened=True),
    ),
    ("TAKE_OVER", "apps_running", serving(), True, WAITING),
    ("TAKE_OVER", "apps_running", own(serving(), apps_up=1), True, WAITING),
    ("TAKE_OVER", "apps_running", own(serving(), apps_up=0), False, WAITING),
    ("TAKE_OVER", "apps_running", own(serving(), apps_up=0, apps_total=0), True, WAITING),
    ("TAKE_OVER", "serving", serving(), True, WAITING),
    ("TAKE_OVER", "serving", own(serving(), front_ok=False), False, WAITING),
    ("TAKE_OVER", "serving", own(serving(), directed_to=frozenset()), False, WAITING),
    ("TAKE_OVER", "serving", own(serving(), directed_to=frozenset({DC1, DC2})), False, WAITING),
    ("TAKE_OVER", "attracting", serving(), True, WAITING),
    ("TAKE_OVER", "attracting", own(serving(), stance=Stance.OVERRIDE), True, WAITING),
    ("TAKE_OVER", "attracting", own(serving(), stance=Stance.BACKUP), False, WAITING),
    ("TAKE_OVER", "attracting", own(serving(), stance_epoch=Epoch(1)), False, WAITING),
    ("TAKE_OVER", "verified", serving(), True, WAITING),
    ("TAKE_OVER", "verified", own(serving(), canary_age_s=5.0), False, WAITING),
    ("TAKE_OVER", "verified", own(serving(), canary_age_s=4.9), True, WAITING),
    ("TAKE_OVER", "verified", own(serving(), commit_age_s={LEDGER: 5.0}), False, WAITING),
    ("TAKE_OVER", "verified", own(serving(), commit_age_s={LEDGER: 4.9}), True, WAITING),
    ("TAKE_OVER", "verified", own(serving(), commit_age_s={}), False, WAITING),
    ("STEP_DOWN", "yielded", dc2_view(), True, WAITING),
    ("STEP_DOWN", "yielded", own(dc2_view(), stance=None), True, WAITING),
    ("STEP_DOWN", "yielded", own(dc2_view(), stance=Stance.PREFERRED), False, WAITING),
    ("STEP_DOWN", "yielded", own(dc2_view(), stance=Stance.OVERRIDE), False, WAITING),
    ("STEP_DOWN", "closed", dc2_view(), True, CloseDatabase(database=LEDGER)),
    (
        "STEP_DOWN",
        "closed",
        state(dc2_view(), writable=True),
        False,
        CloseDatabase(database=LEDGER),
    ),
    (
        "STEP_DOWN",
        "closed",
        state(dc2_view(), gate_open=True),
        False,
        CloseDatabase(database=LEDGER),
    ),
    ("REJOIN", "honest", dc2_view(), True, Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2))),
    ("REJOIN", "honest", by_hand(new_holder(dc2_view())), False, WAITING),
    (
        "REJOIN",
        "honest",
        by_hand(new_primary(dc2_view())),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=THREE),
    ),
    (
        "REJOIN",
        "as_wanted",
        anew(banned(dc2_view())),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2), fresh=4),
    ),
    ("REJOIN", "as_wanted", anew(dc2_view()), False, WAITING),
    ("REJOIN", "started", dc2_view(), True, StartDatabase(database=LEDGER)),
    (
        "REJOIN",
        "started",
        state(dc2_view(), liveness=Liveness.DOWN),
        False,
        StartDatabase(database=LEDGER),
    ),
    (
        "REJOIN",
        "started",
        state(new_holder(dc2_view()), liveness=Liveness.DOWN, diverged=True),
        False,
        WAITING,
    ),
    (
        "REJOIN",
        "started",
        state(new_primary(dc2_view()), liveness=Liveness.DOWN, diverged=True),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=THREE),
    ),
    ("REJOIN", "sealed", dc2_view(), True, SealDatabase(database=LEDGER, epoch=Epoch(2))),
    (
        "REJOIN",
        "sealed",
        own(new_holder(dc2_view()), promised=THREE),
        False,
        SealDatabase(database=LEDGER, epoch=THREE),
    ),
    (
        "REJOIN",
        "sealed",
        own(new_primary(dc2_view()), promised=THREE),
        True,
        SealDatabase(database=LEDGER, epoch=THREE),
    ),
    (
        "REJOIN",
        "sealed",
        own(seal(new_holder(dc2_view())), promised=THREE),
        True,
        SealDatabase(database=LEDGER, epoch=THREE),
    ),
    ("REJOIN", "sealed", state(dc2_view(), liveness=Liveness.UNKNOWN), True, WAITING),
    (
        "REJOIN",
        "following",
        dc2_view(),
        True,
        Follow(database=LEDGER, upstream=DC1, epoch=Epoch(2), quarantine=False),
    ),
    (
        "REJOIN",
        "following",
        banned(state(dc2_view(), streaming=False)),
        False,
        Follow(database=LEDGER, upstream=DC1, epoch=Epoch(2), quarantine=True),
    ),
    (
        "REJOIN",
        "following",
        state(dc2_view(), streaming=False, diverged=True),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(2)),
    ),
    (
        "REJOIN",
        "following",
        new_primary(dc2_view()),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=THREE),
    ),
    (
        "REJOIN",
        "following",
        replace(new_primary(dc2_view()), busy=frozenset({EPOCH_LANE})),  # it raises the epoch
        False,
        WAITING,
    ),
    (
        "REJOIN",
        "following",
        replace(  # it did, in vain
            new_primary(dc2_view()), busy=frozenset({EPOCH_LANE}), resting=frozenset({EPOCH_LANE})
        ),
        False,
        Rejoin(database=LEDGER, upstream=DC1, epoch=THREE),
    ),
    ("REJOIN", "following", new_holder(dc2_view()), False, WAITING),
    (
        "REJOIN",
        "voting",
        admitted(state(dc2_view(), quarantined=True)),
        False,
        Follow(database=LEDGER, upstream=DC1, epoch=Epoch(2), quarantine=False),
    ),
    ("REJOIN", "voting", banned(state(dc2_view(), quarantined=True)), False, WAITING),
    ("REJOIN", "order_ended", dc2_view(), True, EndAlone()),
    ("REJOIN", "order_ended", replace(dc2_view(), alone=ORDER), False, EndAlone()),
    ("REJOIN", "forwarding", dc2_view(), True, WAITING),
    ("REJOIN", "forwarding", dc2_view(directed="dc2"), False, WAITING),
    ("REJOIN", "forwarding", replace(dc2_view(), record=None), False, WAITING),
)


@pytest.mark.parametrize(
    ("ladder", "name", "view", "reached", "intent"),
    GOALS,
    ids=[f"{goal[0]}-{goal[1]}-{goal[3]}" for goal in GOALS],
)
def test_a_rung_is_reached_or_asks(
    ladder: str, name: str, view: View, reached: bool, intent: Intent | None
) -> None:
    assert rung(ladder, name, view) == (reached, intent)


def test_every_rung_is_tried() -> None:
    tried = {step_of(goal[0], goal[1]).goal for goal in GOALS}
    assert tried == {step.goal for steps in LADDERS.values() for step in steps}


def test_the_ladders_are_these() -> None:
    assert [(step.name, step.needs) for step in TAKE_OVER] == [
        ("promised", ()),
        ("fenced", ("promised",)),
        ("addressed", ()),
        ("started", ("promised",)),
        ("closed", ("promised",)),
        ("logs_sealed", ("promised", "started", "closed")),
        ("caught_up", ("logs_sealed",)),
        ("promoted", ("logs_sealed", "caught_up")),
        ("admitted", ("promoted",)),
        ("committing", ("promoted", "admitted")),
        ("opened", ("promoted", "committing")),
        ("apps_running", ()),
        ("serving", ("opened",)),
        ("attracting", ()),
        ("verified", ("serving", "attracting")),
    ]
    assert [(step.name, step.needs) for step in REJOIN] == [
        ("honest", ()),
        ("promised", ()),
        ("order_ended", ("promised",)),
        ("addressed", ()),
        ("as_wanted", ("promised",)),
        ("started", ("promised", "as_wanted")),
        ("sealed", ("promised", "as_wanted", "started")),
        ("following", ("as_wanted", "sealed")),
        ("voting", ("as_wanted", "following")),
        ("forwarding", ()),
        ("yielded", ()),
    ]
    assert [(step.name, step.needs) for step in STEP_DOWN] == [
        ("promised", ()),
        ("yielded", ()),
        ("closed", ()),
    ]
    assert [(step.name, step.needs) for step in STAND_READY] == [("addressed", ()), ("started", ())]
    assert sequences.NOTHING == ()


def test_a_rung_that_is_done_asks_for_nothing_and_one_whose_needs_are_open_waits() -> None:
    rungs = {found.step: found for found in climb(TAKE_OVER, climbing())}
    assert rungs["promised"] == Rung(step="promised", database=None, done=True, intent=None)
    assert rungs["started"] == Rung(step="started", database=LEDGER, done=True, intent=None)
    assert isinstance(rungs["promoted"].intent, Promote)
    assert rungs["admitted"] == Rung(step="admitted", database=LEDGER, done=False, intent=None)
    assert not climbed(climb(TAKE_OVER, climbing()))
    assert climbed(climb(TAKE_OVER, serving()))


def two_databases(view: View) -> View:
    """A second database beside the first; it is as the first was."""
    first = view.own.databases[0]
    return own(view, databases=(first, replace(first, name=JOURNAL)))


def test_nothing_is_promised_while_the_log_of_one_database_is_nobodys() -> None:
    view = by_hand(climbing())
    first = view.own.databases[0]
    honest = replace(first, name=JOURNAL, epoch=Epoch(2))
    assert rung("TAKE_OVER", "promised", own(view, databases=(first, honest))) == (False, None)
    assert rung("TAKE_OVER", "promised", own(view, databases=(honest,)))[1] == Promise(epoch=THREE)


@pytest.mark.parametrize(
    ("liveness", "lanes", "rejoining", "asked"),
    [
        (Liveness.DOWN, {"database:ledger"}, (), False),
        (Liveness.STARTING, {"database:ledger"}, (), False),
        (Liveness.DOWN, {"database:ledger"}, (LEDGER,), True),
        (Liveness.DOWN, {"database:journal", "traffic"}, (), True),
        (Liveness.DOWN, (), (), True),
        (Liveness.RUNNING, {"database:ledger"}, (), True),
    ],
)
def test_nothing_is_promised_while_a_log_is_hidden_by_what_is_done_to_it(
    liveness: Liveness, lanes: Iterable[str], rejoining: Iterable[DatabaseName], asked: bool
) -> None:
    view = state(own(climbing(), promised=Epoch(2)), liveness=liveness)
    view = replace(view, busy=frozenset(lanes), rejoining=frozenset(rejoining))
    for ladder in ("TAKE_OVER", "STEP_DOWN", "REJOIN"):
        assert (rung(ladder, "promised", view)[1] is not None) is asked


def test_nothing_is_promised_before_there_is_an_epoch() -> None:
    for step in (step_of("STEP_DOWN", "promised"), step_of("REJOIN", "promised")):
        assert isinstance(step, Step)
        assert step.goal(replace(dc2_view(), record=None)) is False


def test_a_promotion_lets_in_who_has_promised_whoever_was_let_in_before() -> None:
    view = state(other(climbing(), DC1, report=None), admitted=frozenset({DC1, WITNESS}))
    (promote,) = [intent for intent in decide(view).intents if isinstance(intent, Promote)]
    assert promote.voters == {WITNESS}


def test_what_commits_alone_already_is_not_told_to() -> None:
    order = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING)
    view = replace(serving(), alone=order)
    told = CommitAlone(database=LEDGER, alone=True)
    assert rung("TAKE_OVER", "committing", view) == (False, told)
    assert rung("TAKE_OVER", "committing", state(view, alone=True)) == (True, None)


def test_where_nothing_is_asked_through_the_service_address_commits_verify() -> None:
    blind = own(spec(serving(), has_canary=False), canary_age_s=3600.0)
    assert rung("TAKE_OVER", "verified", blind)[0] is True
    assert rung("TAKE_OVER", "verified", own(blind, commit_age_s={}))[0] is False


def test_every_database_is_verified() -> None:
    both = two_databases(serving())
    assert rung("TAKE_OVER", "verified", both)[0] is False
    proven = own(both, commit_age_s={LEDGER: 0.1, JOURNAL: 0.1})
    assert rung("TAKE_OVER", "verified", proven)[0] is True


def test_databases_climb_side_by_side_and_the_service_waits_for_all() -> None:
    def goal(view: View, database: object) -> bool:
        return database is view.own.databases[0]

    ladder: tuple[AnyStep, ...] = (
        DatabaseStep(name="below", goal=goal, apply=lambda _, s: StartDatabase(database=s.name)),
        DatabaseStep(
            name="above",
            goal=lambda *_: False,
            apply=lambda _, s: CloseDatabase(database=s.name),
            needs=("below",),
        ),
        Step(name="all", goal=lambda _: False, apply=lambda _: AssumeAddresses(), needs=("below",)),
        Step(name="free", goal=lambda _: True, apply=lambda _: AssumeAddresses()),
        DatabaseStep(
            name="last",
            goal=lambda *_: False,
            apply=lambda _, s: SetGate(database=s.name, opened=True),
            needs=("free",),
        ),
    )
    view = two_databases(dc2_view())
    assert [(r.step, r.database, r.done, r.intent) for r in climb(ladder, view)] == [
        ("below", LEDGER, True, None),
        ("below", JOURNAL, False, StartDatabase(database=JOURNAL)),
        ("above", LEDGER, False, CloseDatabase(database=LEDGER)),
        ("above", JOURNAL, False, None),
        ("all", None, False, None),
        ("free", None, True, None),
        ("last", LEDGER, False, SetGate(database=LEDGER, opened=True)),
        ("last", JOURNAL, False, SetGate(database=JOURNAL, opened=True)),
    ]


def test_what_is_reached_is_not_asked_what_it_would_take() -> None:
    """Many an intent cannot even be named once its goal holds."""

    def never(*_: object) -> Intent:
        raise AssertionError("asked for what is there")

    ladder: tuple[AnyStep, ...] = (
        Step(name="service", goal=lambda _: True, apply=never),
        DatabaseStep(name="database", goal=lambda *_: True, apply=never),
    )
    assert climbed(climb(ladder, two_databases(dc2_view())))


def test_a_ladder_is_unfinished_while_one_database_is_below() -> None:
    def first_only(view: View, database: object) -> bool:
        return database is view.own.databases[0]

    def nothing(*_: object) -> None:
        return None

    ladder: tuple[AnyStep, ...] = (
        Step(name="service", goal=lambda _: True, apply=nothing),
        DatabaseStep(name="database", goal=first_only, apply=nothing),
    )
    assert not unfinished(ladder, dc2_view())
    assert unfinished(ladder, two_databases(dc2_view()))


def test_a_rejoin_is_finished_when_nothing_is_left() -> None:
    assert not rejoin_unfinished(dc2_view())
    assert rejoin_unfinished(dc2_view(directed="dc2"))


def test_a_follower_that_is_known_better_is_admitted_while_serving() -> None:
    view = state(serving(), admitted=frozenset({WITNESS}), followers=(follower(DC1),))
    assert Admit(database=LEDGER, voters=frozenset({DC1, WITNESS})) in decide(view).intents


def test_nothing_is_promoted_before_its_log_is_caught_up() -> None:
    intents = decide(behind()).intents
    assert CatchUp(database=LEDGER, source=WITNESS, target=LATER) in intents
    assert not [intent for intent in intents if isinstance(intent, Promote)]


def test_nothing_is_promoted_while_the_regained_server_is_open() -> None:
    view = state(climbing(), writable=True, epoch=Epoch(2), gate_open=True)
    assert CloseDatabase(database=LEDGER) in decide(view).intents
    assert not [intent for intent in decide(view).intents if isinstance(intent, Promote)]


def test_a_voter_behind_the_own_log_is_no_reason_to_wait() -> None:
    view = silent(voter(climbing(), WITNESS, position=EARLIER))
    assert [i for i in decide(view).intents if isinstance(i, Promote)]


def test_no_apps_are_waited_for_where_none_are_declared() -> None:
    view = spec(own(serving(), apps_total=0, apps_up=0), min_healthy=3)
    assert climbed(climb(TAKE_OVER, view))


def test_a_copy_promoted_by_hand_comes_back_before_its_site_promises_again() -> None:
    """With the higher promise its own count of timelines would rank above what was acknowledged."""
    found = decide(by_hand(new_primary(dc2_view())))
    assert not any(isinstance(intent, Promise) for intent in found.intents)
    assert Rejoin(database=LEDGER, upstream=DC1, epoch=THREE) in found.intents
    rejoined = state(new_primary(dc2_view()), epoch=THREE, quarantined=True)
    assert Promise(epoch=THREE) in decide(own(rejoined, promised=Epoch(2))).intents


def test_the_next_epoch_is_above_one_that_was_made_by_hand_elsewhere() -> None:
    assert next_epoch(copy(climbing(), DC1, epoch=Epoch(7))) == 8
