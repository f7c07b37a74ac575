"""What keeps a holder from serving, how long it is borne, and what stands against a takeover."""

from dataclasses import replace

import pytest

from bgp.policy import Stance
from controller.core import troubles
from controller.core.decide import decide
from controller.core.health import FailingLink
from controller.core.model import (
    FOREVER_S,
    DatabaseName,
    DatabaseState,
    Epoch,
    Liveness,
    SiteName,
)
from controller.core.troubles import Trouble
from controller.core.view import View
from tests.core.turned import (
    LATER,
    climbing,
    copy,
    other,
    outrun,
    own,
    record,
    report,
    serving,
    spec,
    state,
    timings,
    voter,
)
from tests.core.views import DC1, DC2, GONE, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import drained

JOURNAL = DatabaseName("journal")
DC3 = SiteName("dc3")
FRONT = Trouble(kind="front", text="haproxy here does not answer", patience_s=1.5)
APPS = Trouble(kind="apps", text="0 of 2 app servers here are up, 1 needed", patience_s=1.0)
BGP = Trouble(kind="bgp", text="no BGP session here is up", patience_s=8.0)
DOWN = Trouble(kind="database:ledger", text="database ledger here is down", patience_s=0.05)
UNSEEN = Trouble(
    kind="database:ledger", text="database ledger here does not answer", patience_s=0.5
)
UNPROVEN = replace(UNSEEN, patience_s=2.0)
RESTARTED = Trouble(
    kind="restarted", text="a database here was restarted and is closed", patience_s=0.2
)
BEHIND = Trouble(kind="behind:ledger", text="dc1 holds more of ledger than dc2", patience_s=1.0)
PARTED = Trouble(
    kind="diverged:ledger",
    text="database ledger here has diverged and was not rewound",
    patience_s=0.0,
)


PAYMENTS = FailingLink(link="payments", detail="refused", settles_s=3.6)
NAMES = FailingLink(link="names", detail="timed out", settles_s=2.0)
UNPAID = Trouble(kind="link:payments", text="payments: refused", patience_s=4.6)
NAMELESS = Trouble(kind="link:names", text="names: timed out", patience_s=3.0)


def elsewhere(*failing: str) -> View:
    """Payments fail here, at the holder; these fail at dc1."""
    return report(own(serving(), failing=(PAYMENTS,)), DC1, failing=failing)


def restarted() -> View:
    return state(serving(), writable=False, gate_open=False)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (serving(), ()),
        (dc2_view(), ()),
        (state(serving(), liveness=Liveness.DOWN), (DOWN,)),
        (state(serving(), liveness=Liveness.UNKNOWN), ()),  # committed a moment ago
        (own(state(serving(), liveness=Liveness.UNKNOWN), commit_age_s={LEDGER: 1.0}), ()),
        (own(state(serving(), liveness=Liveness.UNKNOWN), commit_age_s={LEDGER: 1.1}), (UNSEEN,)),
        (own(state(serving(), liveness=Liveness.UNKNOWN), commit_age_s={}), (UNPROVEN,)),
        (state(serving(), liveness=Liveness.STARTING), ()),
        (restarted(), (RESTARTED,)),
        (record(restarted(), holder=DC1), ()),
        (replace(restarted(), busy=frozenset({"database:ledger"})), ()),
        (
            replace(
                restarted(),
                busy=frozenset({"database:events"}),
                resting=frozenset({"database:events"}),
            ),
            (RESTARTED,),
        ),
        (own(serving(), front_ok=False), (FRONT,)),
        (own(serving(), apps_up=0), (APPS,)),
        (own(serving(), apps_up=1), ()),
        (own(serving(), apps_up=0, apps_total=0), ()),
        (own(serving(), sessions_up=0), (BGP,)),
        (own(serving(), sessions_up=1), ()),
        (own(serving(), sessions_up=0, sessions_total=0), ()),
        (own(serving(), failing=(PAYMENTS,)), (UNPAID,)),
        (own(serving(), failing=(replace(PAYMENTS, shared=True),)), ()),
        (own(serving(), failing=(PAYMENTS, NAMES)), (UNPAID, NAMELESS)),
        (elsewhere("payments"), ()),  # it fails there too: moving does not help
        (elsewhere("names"), ()),  # nor does another trouble in its place
        (elsewhere("names", "payments"), ()),
        (own(elsewhere("names"), failing=(PAYMENTS, NAMES)), (UNPAID, NAMELESS)),
        (other(elsewhere(), DC1, report_age_s=5.0), (UNPAID,)),
        (other(elsewhere(), DC1, report_age_s=5.1), ()),
        (other(elsewhere(), DC1, report=None), ()),
        (report(elsewhere("payments"), WITNESS, failing=()), ()),  # a keeper cannot serve instead
        (outrun(), (BEHIND,)),
        (voter(outrun(), DC1, position=climbing().own.databases[0].position), ()),
        (state(climbing(), diverged=True), (PARTED,)),  # whoever holds more: it cannot be fetched
        (voter(climbing(), WITNESS, position=LATER), ()),  # a keeper cannot serve instead
        (voter(outrun(), DC1, sealed=False), ()),
        (state(outrun(), writable=True), ()),
        (state(outrun(), liveness=Liveness.STARTING), ()),
        (record(outrun(), holder=DC1), ()),
        (own(outrun(), databases=()), ()),
        (state(climbing(), diverged=True, writable=True), ()),  # it is closed first
        (state(climbing(), diverged=True, liveness=Liveness.DOWN), (DOWN,)),
    ],
)
def test_each_trouble_is_named_with_its_patience(view: View, expected: tuple[Trouble, ...]) -> None:
    assert troubles.troubles(view) == expected


def test_what_fails_here_is_told_by_name() -> None:
    view = own(serving(), failing=(PAYMENTS, replace(NAMES, shared=True)))
    assert troubles.failing_links(view) == ("payments",)


def test_each_database_has_troubles_of_its_own() -> None:
    view = state(serving(), liveness=Liveness.DOWN)
    first = view.own.databases[0]
    view = own(view, databases=(replace(first, name=JOURNAL), first))
    assert [trouble.kind for trouble in troubles.troubles(view)] == [
        "database:journal",
        "database:ledger",
    ]
    second = replace(outrun().own.databases[0], name=JOURNAL, writable=True)
    both = own(outrun(), databases=(second, outrun().own.databases[0]))
    assert troubles.troubles(both) == (BEHIND,)
    parted = replace(outrun().own.databases[0], name=JOURNAL, diverged=True)
    both = own(outrun(), databases=(parted, outrun().own.databases[0]))
    assert [found.kind for found in troubles.troubles(both)] == ["diverged:journal", BEHIND.kind]


def test_one_site_that_is_better_off_is_enough() -> None:
    """However many others are no better, or could not take over."""
    better = elsewhere()
    worse = elsewhere("payments").others[DC1]
    three = spec(better, data_sites=(DC1, DC2, DC3))
    assert troubles.healthier_elsewhere(replace(three, others={**better.others, DC3: worse}))
    unfit = report(serving(), DC1, eligible=False).others[DC1]
    three = spec(serving(), data_sites=(DC1, DC2, DC3))
    assert troubles.relief_expected(replace(three, others={**three.others, DC3: unfit}))


@pytest.mark.parametrize(
    ("lasted_s", "asked"), [({}, ()), ({"front": 1.4}, ()), ({"front": 1.5}, (FRONT.text,))]
)
def test_a_trouble_is_borne_for_its_patience(
    lasted_s: dict[str, float], asked: tuple[str, ...]
) -> None:
    view = own(serving(), front_ok=False, trouble_s=lasted_s)
    assert troubles.yield_reasons(view) == asked


def test_the_next_patience_that_ends_is_known() -> None:
    view = own(serving(), front_ok=False, sessions_up=0, trouble_s={"front": 1.4, "bgp": 7.0})
    assert round(troubles.patience_left_s(view), 3) == 0.1
    assert round(troubles.patience_left_s(own(view, trouble_s={"front": 1.5})), 3) == 8.0
    assert troubles.patience_left_s(own(view, trouble_s={"front": 1.5, "bgp": 8.0})) == FOREVER_S
    assert troubles.patience_left_s(serving()) == FOREVER_S
    assert troubles.patience_left_s(state(serving(), liveness=Liveness.DOWN)) == 0.05


def test_what_has_only_begun_is_borne_unless_nothing_would_mend_it() -> None:
    assert troubles.yield_reasons(state(serving(), liveness=Liveness.DOWN)) == ()
    assert troubles.yield_reasons(state(climbing(), diverged=True)) == (PARTED.text,)


def test_relief_is_waited_for_from_the_first_trouble_on() -> None:
    view = timings(serving(), yield_grace_s=0.5)
    assert troubles.relief_expected(view)
    assert not troubles.relief_expected(own(view, trouble_s={"front": 0.6}))


@pytest.mark.parametrize(
    ("changes", "used_up"),
    [
        ({}, True),
        ({"writable": True}, False),
        ({"liveness": Liveness.STARTING}, False),
        ({"epoch": Epoch(1)}, False),
        ({"epoch": Epoch(3)}, True),
    ],
)
def test_an_epoch_is_used_up_once_its_primary_fell(
    changes: dict[str, object], used_up: bool
) -> None:
    assert troubles.epoch_used_up(state(restarted(), **changes)) is used_up


@pytest.mark.parametrize(("lasted_s", "sure"), [(None, False), (0.39, False), (0.4, True)])
def test_one_late_look_uses_no_epoch_up(lasted_s: float | None, sure: bool) -> None:
    lasted = {} if lasted_s is None else {"restarted": lasted_s}
    assert troubles.used_up_for_sure(own(restarted(), trouble_s=lasted)) is sure


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (serving(), True),
        (own(serving(), trouble_s={"a": 2.0}), True),
        (own(serving(), trouble_s={"a": 0.1, "b": 2.1}), False),
        (replace(serving(), changed_s=10.0), False),
        (report(serving(), DC1, eligible=False), False),
        (other(serving(), DC1, report=None), False),
        (other(serving(), DC1, report_age_s=5.0), True),
        (other(serving(), DC1, report_age_s=5.1), False),
        (other(serving(), DC1, seen=GONE), False),
        (other(serving(), DC1, seen=replace(GONE, control_s=0.5)), True),
        (report(report(serving(), DC1, eligible=False), WITNESS, eligible=True), False),
    ],
)
def test_relief_is_expected_of_an_eligible_data_site_that_is_heard(
    view: View, expected: bool
) -> None:
    assert troubles.relief_expected(view) is expected


@pytest.mark.parametrize(
    ("view", "due"),
    [
        (own(serving(), front_ok=False), True),
        (own(serving(), front_ok=False, stance=Stance.OVERRIDE), True),
        (own(serving(), front_ok=False, stance=Stance.BACKUP), False),
        (own(serving(), front_ok=False, stance_epoch=Epoch(1)), False),
        (serving(), False),
        (other(own(serving(), front_ok=False), DC1, report=None), False),
    ],
)
def test_relief_is_due_to_a_primary_that_cannot_serve(view: View, due: bool) -> None:
    assert troubles.relief_due(view) is due


HEALTHY = dc2_view().own.databases[0]


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (HEALTHY, ()),
        (replace(HEALTHY, liveness=Liveness.DOWN), ("database ledger here is down",)),
        (replace(HEALTHY, liveness=Liveness.UNKNOWN), ("database ledger here is unknown",)),
        (replace(HEALTHY, liveness=Liveness.STARTING), ("database ledger here is starting",)),
        (
            replace(HEALTHY, diverged=True, quarantined=True),
            ("database ledger here has diverged and was not rewound",),
        ),
        (replace(HEALTHY, quarantined=True), ("database ledger here is still in quarantine",)),
        (
            replace(HEALTHY, epoch=Epoch(3), receiving=False),
            (
                "database ledger here has records of epoch 3, above this site's promise of 2: "
                "it was promoted by hand",
            ),
        ),
    ],
)
def test_own_data_may_stand_against_a_takeover(
    found: DatabaseState, reasons: tuple[str, ...]
) -> None:
    view = own(dc2_view(), databases=(found, replace(HEALTHY, name=JOURNAL)))
    assert troubles.ineligible_reasons(view) == reasons
    assert troubles.data_eligible(view) is not bool(reasons)
    assert troubles.fully_eligible(view) is not bool(reasons)


def test_a_database_that_is_being_rejoined_stands_against_a_takeover() -> None:
    view = replace(dc2_view(), rejoining=frozenset({LEDGER}))
    assert troubles.ineligible_reasons(view) == ("database ledger here is being rejoined",)
    assert troubles.data_eligible(replace(dc2_view(), rejoining=frozenset({JOURNAL})))


def test_who_could_follow_a_living_primary_follows_it_before_it_relieves_it() -> None:
    """What it holds of an older epoch may be nobody else's: it could not fetch the rest then."""
    view = state(dc2_view(), epoch=Epoch(1), streaming=False, receiving=False)
    reasons = ("database ledger here has not followed dc1 under epoch 2 yet",)
    assert troubles.unfollowed_reasons(view) == reasons
    assert not troubles.fully_eligible(view)
    assert troubles.data_eligible(view)  # where the holder dies meanwhile
    assert decide(view).not_eligible_because == reasons
    followed = state(view, epoch=Epoch(2))
    late = replace(HERE, control_s=0.51)
    closed = copy(view, DC1, writable=False)
    hopeless = replace(view, failed={"database:ledger": "dc1 refuses"})
    away = [followed, other(view, DC1, seen=late), closed, hopeless, replace(view, record=None)]
    for able in (*away, record(view, holder=DC2)):
        assert troubles.unfollowed_reasons(able) == ()
    assert troubles.fully_eligible(followed)
    assert (
        troubles.unfollowed_reasons(other(view, DC1, seen=replace(HERE, control_s=0.5))) == reasons
    )


def test_an_operators_drain_stands_beside_what_the_data_says() -> None:
    view = drained(state(dc2_view(), diverged=True), DC2)
    assert troubles.ineligible_reasons(view) == ("dc2 is drained by ann", PARTED.text)
    order = view.drains[DC2]
    proposed = replace(order, request=replace(order.request, approvals_needed=1))
    assert troubles.ineligible_reasons(replace(dc2_view(), drains={DC2: proposed})) == ()


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"front_ok": False}, ("haproxy here does not answer",)),
        ({"apps_up": 0}, ("0 of 2 app servers here are up",)),
        ({"apps_up": 1}, ()),
        ({"apps_up": 0, "apps_total": 0}, ()),
        ({"sessions_up": 0}, ("no BGP session here is up",)),
        ({"sessions_up": 0, "sessions_total": 0}, ()),
    ],
)
def test_a_site_that_could_not_serve_says_why(
    changes: dict[str, object], reasons: tuple[str, ...]
) -> None:
    view = own(dc2_view(), **changes)
    assert troubles.service_reasons(view) == reasons
    assert troubles.fully_eligible(view) is not bool(reasons)
    assert troubles.data_eligible(view)


def test_a_trouble_of_one_kind_outlasts_its_own_patience_alone() -> None:
    view = own(serving(), front_ok=False, apps_up=0, trouble_s={"front": 1.5, "apps": 0.9})
    assert troubles.outlasted(view, "front")
    assert not troubles.outlasted(view, "apps")
    assert not troubles.outlasted(view, f"database:{LEDGER}")
    assert not troubles.outlasted(own(view, trouble_s={"front": 1.4, "apps": 1.0}), "front")
