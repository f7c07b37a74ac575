"""A look that comes late, a climb that takes its time, files that are half rebuilt."""

from dataclasses import replace

from bgp.policy import Stance
from controller.core.decide import decide
from controller.core.intents import Announce, Direct, RaiseEpoch, Rejoin, SealDatabase
from controller.core.model import (
    FOREVER_S,
    DatabaseReport,
    DatabaseState,
    Liveness,
    Role,
    ServiceReport,
    SiteName,
)
from controller.core.view import View
from tests.core.views import DC2, LEDGER, RECORD, dc2_view, report_of_dc1, standby_state


def dc2_serves(state: DatabaseState) -> View:
    """dc2 holds the epoch and serves; its database is as given."""
    view = dc2_view(record=replace(RECORD, holder=DC2), stance=Stance.PREFERRED, directed="dc2")
    return replace(view, own=replace(view.own, databases=(state,)))


def unseen(kind_of: DatabaseState) -> DatabaseState:
    """The same database, in a look that was late."""
    return DatabaseState(name=kind_of.name, kind=kind_of.kind, liveness=Liveness.UNKNOWN)


def test_one_late_look_changes_neither_routes_nor_traffic() -> None:
    view = dc2_serves(unseen(standby_state()))
    for changed_s, rule in ((FOREVER_S, 305), (0.0, 307)):  # whether relief may be near or not
        decision = decide(replace(view, changed_s=changed_s))
        assert decision.rule == rule
        assert decision.role is Role.PRIMARY
        assert decision.stance is Stance.PREFERRED
        touching = Announce | Direct | SealDatabase | RaiseEpoch
        assert not [i for i in decision.intents if isinstance(i, touching)]


def test_a_database_that_stays_unseen_makes_the_holder_yield() -> None:
    view = dc2_serves(unseen(standby_state()))
    for proven, borne_s in (({LEDGER: 1.1}, 0.5), ({}, 2.0)):
        for age_s, yields in ((borne_s, True), (borne_s - 0.1, False)):
            own = replace(view.own, commit_age_s=proven, trouble_s={f"database:{LEDGER}": age_s})
            yielding = decide(replace(view, own=own)).yielding
            assert ("does not answer" in yielding) is yields


def test_a_serving_holder_with_a_late_look_is_not_taken_for_one_that_climbs() -> None:
    report = report_of_dc1(yielding="database ledger here does not answer")
    late = replace(report.databases[0], state=unseen(report.databases[0].state))
    report = replace(report, databases=(late,))
    assert decide(dc2_view(report=report)).rule == 323
    assert decide(dc2_view(report=report, changed_s=0.0)).rule == 391


def test_a_copy_whose_look_is_late_goes_on_following() -> None:
    view = dc2_view()
    late = replace(view, own=replace(view.own, databases=(unseen(standby_state()),)))
    for seen in (view, late):
        decision = decide(seen)
        assert decision.ladder == "REJOIN"
        assert decision.intents == ()


def climbing(yielding: str) -> ServiceReport:
    """dc1 owns the epoch and has not promoted."""
    report = report_of_dc1(yielding=yielding)
    state = replace(report.databases[0].state, writable=False, gate_open=False)
    voter = report.databases[0].voter
    return replace(
        report, role=Role.TAKING_OVER, databases=(DatabaseReport(state=state, voter=voter),)
    )


def test_a_climbing_holder_is_given_its_time() -> None:
    view = dc2_view(report=climbing("database ledger here is down"))
    assert decide(view).rule == 322
    early = replace(view, record_unchanged_s=1.0)
    assert not [i for i in decide(early).intents if isinstance(i, RaiseEpoch)]


def test_no_relief_while_an_own_database_is_worked_on() -> None:
    view = dc2_view(report=climbing("database ledger here is down"))
    busy = replace(view, busy=frozenset({f"database:{LEDGER}"}))
    assert not [i for i in decide(busy).intents if isinstance(i, RaiseEpoch)]


def test_half_rebuilt_files_are_rejoined_not_started() -> None:
    view = dc2_view()
    down = replace(unseen(standby_state()), liveness=Liveness.DOWN, diverged=True)
    view = replace(view, own=replace(view.own, databases=(down,)))
    rejoins = [i for i in decide(view).intents if isinstance(i, Rejoin)]
    assert [(i.database, i.upstream, i.epoch) for i in rejoins] == [(LEDGER, SiteName("dc1"), 2)]
