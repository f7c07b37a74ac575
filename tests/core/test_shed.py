"""What is shed: the three conditions, the quiet time, and when nothing is switched at all."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core.health import FailingLink
from controller.core.model import (
    DatabaseName,
    DatabaseReport,
    DatabaseState,
    Epoch,
    Instant,
    Role,
    SiteName,
)
from controller.core.requests import Kind, State
from controller.core.shed import (
    BEFORE,
    SERVERS_PATIENCE_S,
    Look,
    ShedRule,
    Standing,
    When,
    after,
    blindness,
    found_off,
    strains,
    wanted_off,
)
from controller.core.view import View
from tests.core.turned import (
    copy,
    follower,
    other,
    own,
    primary_state,
    record,
    report,
    serving,
    spec,
    state,
)
from tests.core.views import DC1, DC2, GONE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import wish

RULE = ShedRule(backends=("be_reports",), when=frozenset(When), calm_s=30.0)
NOW = Instant(100.0)  # that of the views
FRESH_S = serving().spec.timings.report_fresh_s


def held_by_dc1(**changes: Any) -> View:
    """dc2 stands by, and dc1 reports that both other voters follow it."""
    followers = (follower(DC2), follower(WITNESS))
    return copy(dc2_view(), DC1, followers=followers, **changes)


def look(view: View, role: Role = Role.PRIMARY, **changes: Any) -> Look:
    return Look(view=view, role=role, **changes)


def why(view: View, role: Role = Role.PRIMARY, **changes: Any) -> list[str]:
    return [f"{found.when}: {found.text}" for found in strains(look(view, role, **changes))]


def link(**changes: Any) -> FailingLink:
    found = FailingLink(link="payment", detail="no answer", settles_s=1.0)
    return replace(found, **changes)


def test_a_service_at_rest_is_not_strained_anywhere() -> None:
    assert why(serving(), servers_up=2, servers_total=2) == []
    assert why(held_by_dc1(), Role.STANDBY, servers_up=2, servers_total=2) == []
    assert blindness(look(serving()), NOW) == ""
    assert blindness(look(held_by_dc1()), NOW) == ""


# --- moving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.TAKING_OVER, Role.HANDING_OVER])
def test_a_ladder_that_is_climbed_is_a_move_at_both_edges(role: Role) -> None:
    assert why(serving(), role) == [f"moving: dc2 is {role}"]
    assert why(report(held_by_dc1(), DC1, role=role)) == [f"moving: dc1 is {role}"]


def test_held_requests_are_a_move_at_both_edges() -> None:
    assert why(own(serving(), held=True)) == ["moving: requests wait at dc2"]
    assert why(report(held_by_dc1(), DC1, held=True)) == ["moving: requests wait"]


@pytest.mark.parametrize("role", [Role.STEPPING_DOWN, Role.REJOINING, Role.ISOLATED])
def test_cleaning_up_elsewhere_is_no_move(role: Role) -> None:
    assert why(serving(), role) == []


# --- degraded ------------------------------------------------------------------------------------


def test_a_missing_app_server_counts_once_it_has_lasted() -> None:
    [found] = strains(look(serving(), servers_up=1, servers_total=2))
    assert (found.when, found.text) == (When.DEGRADED, "1 of 2 app servers are up")
    assert found.patience_s == SERVERS_PATIENCE_S == 1.0
    assert why(serving(), servers_total=1) == ["degraded: 0 of 1 app servers are up"]


def test_a_holder_that_asks_for_relief_is_degraded_at_both_edges() -> None:
    said = ["degraded: the holder asks for relief: ledger is down"]
    assert why(serving(), yielding="ledger is down") == said
    assert why(report(held_by_dc1(), DC1, yielding="ledger is down")) == said


def test_only_the_holders_own_links_count_and_shared_ones_anywhere() -> None:
    assert why(own(serving(), failing=(link(),))) == ["degraded: payment fails: no answer"]
    assert why(own(held_by_dc1(), failing=(link(),))) == []
    shared = link(shared=True)
    assert why(own(held_by_dc1(), failing=(shared,))) == ["degraded: payment fails: no answer"]
    assert why(report(held_by_dc1(), DC1, failing=("ingress",))) == [
        "degraded: ingress fails at the holder"
    ]


@pytest.mark.parametrize(
    "changes", [{"streaming": False}, {"quarantined": True}, {"site": None}, {"site": DC1}]
)
def test_a_voter_that_does_not_stream_to_the_primary_is_missing(changes: dict[str, Any]) -> None:
    followers = (follower(DC1), replace(follower(WITNESS), **changes))
    [found] = strains(look(state(serving(), followers=followers)))
    assert found.text == f"the copy of {LEDGER} at witness does not vote"
    assert found.patience_s == FRESH_S


def test_a_voter_is_missing_when_its_site_is_not_heard_though_its_connection_stands() -> None:
    seen = replace(serving().others[DC1].seen, control_s=FRESH_S + 1)
    assert why(other(serving(), DC1, seen=seen)) == [
        "degraded: the copy of ledger at dc1 does not vote"
    ]


def test_the_other_edge_reads_the_voters_from_the_holders_report() -> None:
    view = copy(held_by_dc1(), DC1, followers=(follower(WITNESS),))
    assert why(view) == ["degraded: the copy of ledger at dc2 does not vote"]


def test_a_service_without_databases_misses_no_voter() -> None:
    view = own(spec(serving(), databases=()), databases=())
    assert why(view) == []


# --- alone ---------------------------------------------------------------------------------------


def test_an_order_to_serve_alone_is_seen_at_both_edges() -> None:
    order = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING)
    assert why(replace(serving(), alone=order)) == ["alone: dc2 serves alone, as ann ordered"]
    said = ["alone: the holder commits without another voter"]
    assert why(copy(held_by_dc1(), DC1, alone=True)) == said
    assert why(state(serving(), alone=True)) == said


# --- when nothing can be judged ------------------------------------------------------------------


def stale(view: View) -> View:
    return other(view, DC1, report_age_s=FRESH_S + 1)


UNKNOWN = "nothing is known of dc1 now, which holds wallet"
BLIND = {
    "stuck": (serving(), NOW + FRESH_S + 2, "the loop of wallet has not turned for 7 s"),
    "paused": (replace(serving(), paused="upgrade"), NOW, "wallet is paused: upgrade"),
    "no record": (replace(serving(), record=None), NOW, "who holds wallet is not known"),
    "holder stale": (stale(held_by_dc1()), NOW, UNKNOWN),
    "of an older epoch": (record(held_by_dc1(), epoch=Epoch(3)), NOW, UNKNOWN),
    "unknown site": (
        record(held_by_dc1(), holder=SiteName("dc9")),
        NOW,
        UNKNOWN.replace("dc1", "dc9"),
    ),
}


@pytest.mark.parametrize(("view", "now", "said"), BLIND.values(), ids=BLIND.keys())
def test_nothing_is_switched_where_nothing_can_be_judged(view: View, now: float, said: str) -> None:
    at = Instant(now)
    assert blindness(look(view), at) == said
    still_on = after(RULE, look(own(view, held=True)), Standing(), at)
    assert not still_on.sheds
    assert wanted_off([still_on]) is None
    before = replace(found_off(Instant(at - 25.0)), since={"held": Instant(at - 30.0)})
    still_off = after(RULE, look(view), before, at)
    assert still_off.since == {}, "what was seen before may have ended"
    assert still_off.sheds
    assert still_off.strained_at == at, "what is not known is no quiet time"
    assert still_off.why == BEFORE == "it was off before this daemon started"


def test_a_look_may_be_as_old_as_a_fresh_report() -> None:
    assert blindness(look(serving()), Instant(NOW + FRESH_S)) == ""
    edge = other(held_by_dc1(), DC1, report_age_s=FRESH_S)
    assert blindness(look(edge), NOW) == ""
    assert why(stale(held_by_dc1())) == [], "of a holder that says nothing nothing is told"
    assert why(other(serving(), DC1, seen=replace(GONE, control_s=FRESH_S))) == []


def test_a_holder_judges_for_itself_whatever_the_others_report() -> None:
    assert blindness(look(stale(serving())), NOW) == ""


# --- in time -------------------------------------------------------------------------------------


def at(view: View, now: float) -> Look:
    return look(replace(view, now=Instant(now)))


def test_a_move_is_shed_at_once_and_comes_back_after_the_quiet_time() -> None:
    moving = own(serving(), held=True)
    standing = after(RULE, at(moving, 100), Standing(), Instant(100))
    assert (standing.sheds, standing.why) == (True, "moving: requests wait at dc2")
    assert standing.since == {"held": Instant(100)}
    standing = after(RULE, at(serving(), 129.9), standing, Instant(129.9))
    assert (standing.sheds, standing.why) == (True, "moving: requests wait at dc2")
    standing = after(RULE, at(serving(), 130), standing, Instant(130))
    assert standing == Standing()


def test_what_has_to_last_sheds_nothing_before_but_disturbs_the_quiet_time() -> None:
    lacking = state(serving(), followers=(follower(DC1),))
    standing = after(RULE, at(lacking, 100), Standing(), Instant(100))
    assert not standing.sheds
    early, late = 100 + FRESH_S - 0.1, 100 + FRESH_S
    standing = after(RULE, at(lacking, early), standing, Instant(early))
    assert not standing.sheds
    assert after(RULE, at(lacking, late), standing, Instant(late)).sheds
    well = after(RULE, at(serving(), early), standing, Instant(early))
    assert not after(RULE, at(lacking, late), well, Instant(late)).sheds, "it began anew"
    shed = found_off(Instant(100))
    shed = after(RULE, at(lacking, 129), shed, Instant(129))
    assert (shed.sheds, shed.strained_at, shed.why) == (True, Instant(129), BEFORE)
    assert shed.since == {"voters ledger": Instant(129)}
    assert Standing().why == ""


def test_a_rule_sheds_only_when_its_own_conditions_hold() -> None:
    rule = replace(RULE, when=frozenset({When.ALONE}))
    assert not after(rule, look(own(serving(), held=True)), Standing(), NOW).sheds
    assert after(rule, look(state(serving(), alone=True)), Standing(), NOW).sheds


ORDER = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING)
KINDS = [
    (look(serving(), Role.TAKING_OVER), "role"),
    (look(own(serving(), held=True)), "held"),
    (look(report(held_by_dc1(), DC1, held=True)), "told"),
    (look(serving(), servers_total=1), "servers"),
    (look(serving(), yielding="ledger is down"), "relief"),
    (look(own(serving(), failing=(link(),))), "link payment"),
    (look(report(held_by_dc1(), DC1, failing=("ingress",))), "link ingress"),
    (look(state(serving(), followers=(follower(DC1),))), "voters ledger"),
    (look(replace(serving(), alone=ORDER)), "order"),
    (look(state(serving(), alone=True)), "told"),
]


@pytest.mark.parametrize(("strained", "kind"), KINDS, ids=[kind for _, kind in KINDS])
def test_each_strain_is_known_again_by_its_kind(strained: Look, kind: str) -> None:
    assert [strain.kind for strain in strains(strained)] == [kind]


def test_everything_that_lasts_is_named() -> None:
    busy = own(serving(), held=True, failing=(link(),))
    found = after(RULE, look(busy), Standing(), NOW)
    assert found.why == "moving: requests wait at dc2; degraded: payment fails: no answer"


def test_a_backend_is_off_as_long_as_one_rule_sheds_it() -> None:
    shedding, resting, blind = found_off(NOW), Standing(), Standing(blind="paused")
    assert wanted_off([resting]) is False
    assert wanted_off([blind, shedding, resting]) is True
    assert wanted_off([resting, blind]) is None


def test_every_database_is_looked_at() -> None:
    second = replace(primary_state(), name=DatabaseName("journal"), followers=(follower(DC1),))
    databases: tuple[DatabaseState, ...] = (*serving().own.databases, second)
    assert why(own(serving(), databases=databases)) == [
        "degraded: the copy of journal at witness does not vote"
    ]
    reports = held_by_dc1().others[DC1].report
    assert reports is not None
    voter = reports.databases[0].voter
    more = (*reports.databases, DatabaseReport(state=second, voter=voter))
    assert why(report(held_by_dc1(), DC1, databases=more)) == [
        "degraded: the copy of journal at dc2, witness does not vote"
    ]
