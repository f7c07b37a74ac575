"""What people are told of the guarantee: a vote counts only while its primary sees the voter."""

from dataclasses import replace
from typing import Any

import pytest

from bgp.policy import Stance
from controller.core import outlook
from controller.core.health import FailingLink
from controller.core.model import (
    DatabaseName,
    Durability,
    Epoch,
    Follower,
    Role,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.requests import Kind
from controller.core.view import OtherSite, View
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
)
from tests.core.views import (
    DC1,
    DC2,
    END,
    GONE,
    HERE,
    LEDGER,
    RECORD,
    WALLET,
    WITNESS,
    dc2_view,
    report_of_dc1,
)
from tests.core.wishes import wish

JOURNAL = DatabaseName("journal")
PAYMENTS = FailingLink(link="payments", detail="refused", settles_s=3.6)


def dc1_view(*followers: Follower) -> View:
    """dc1 is primary; the witness has reported a moment ago that its keeper streams."""
    keeper = VoterState(
        database=LEDGER,
        promised=Epoch(2),
        sealed=False,
        position=END,
        following=DC1,
        following_epoch=Epoch(2),
        streaming=True,
    )
    witness = ServiceReport(
        service=WALLET,
        role=Role.WITNESS,
        epoch=Epoch(2),
        stance=None,
        rule=0,
        reason="",
        healthy=True,
        eligible=False,
        voters=(keeper,),
    )
    view = dc2_view()
    state = replace(report_of_dc1().databases[0].state, followers=followers)
    return replace(
        view,
        me=DC1,
        record=RECORD,
        own=replace(view.own, databases=(state,)),
        others={
            DC2: OtherSite(report=None, seen=HERE),
            WITNESS: OtherSite(report=witness, report_age_s=0.5, seen=HERE),
        },
    )


def test_a_keeper_that_the_primary_does_not_see_does_not_vote() -> None:
    seen = Follower(name="witness", site=WITNESS, streaming=True, flushed=END, quarantined=False)
    assert outlook.live_voters(dc1_view(seen), LEDGER) == {DC1, WITNESS}
    assert outlook.live_voters(dc1_view(), LEDGER) == {DC1}
    assert "commits wait" in outlook.guarantee(dc1_view())
    hidden = replace(seen, quarantined=True)
    assert outlook.live_voters(dc1_view(hidden), LEDGER) == {DC1}


@pytest.mark.parametrize(
    ("view", "live"),
    [
        (serving(), {DC1, DC2, WITNESS}),
        (replace(serving(), record=None), set()),
        (state(serving(), writable=False), {DC1, WITNESS}),
        (other(serving(), DC1, report_age_s=5.0), {DC1, DC2, WITNESS}),
        (other(serving(), DC1, report_age_s=5.1), {DC2, WITNESS}),
        (voter(serving(), DC1, streaming=False), {DC2, WITNESS}),
        (voter(serving(), DC1, following=WITNESS), {DC2, WITNESS}),
        (copy(serving(), DC1, quarantined=True), {DC2, WITNESS}),
        (copy(serving(), DC1, quarantined=True, name=JOURNAL), {DC1, DC2, WITNESS}),
        (state(serving(), followers=(follower(DC1),)), {DC1, DC2}),
        (
            state(serving(), followers=(follower(DC1), follower(WITNESS, streaming=False))),
            {DC1, DC2},
        ),
        (state(serving(), followers=(follower(DC1, quarantined=True),)), {DC2}),
        (dc2_view(), {DC1, DC2}),
        (state(dc2_view(), quarantined=True), {DC1}),
        (state(dc2_view(), streaming=False), {DC1}),
        (state(dc2_view(), upstream=WITNESS), {DC1}),
        (copy(dc2_view(), DC1, writable=False), {DC2}),
        (record(dc2_view(), epoch=Epoch(3)), {DC2}),  # its report is of an older epoch
    ],
)
def test_a_vote_counts_while_it_is_seen_to_flow(view: View, live: set[SiteName]) -> None:
    assert outlook.live_voters(view, LEDGER) == live


def test_a_copy_of_another_name_votes_for_nothing_here() -> None:
    assert outlook.live_voters(serving(), JOURNAL) == set()
    renamed = state(serving(), name=JOURNAL)
    assert outlook.live_voters(renamed, LEDGER) == set()
    assert outlook.live_voters(copy(dc2_view(), DC1, name=JOURNAL), LEDGER) == {DC2}


ALL_VOTE = "quorum: 3 of 3 voters; survives the loss of any one site"
TWO_VOTE = "quorum: 2 of 3 voters; the NEXT failure cannot be survived automatically"
ONE_VOTES = "quorum: 1 of 3 voters; commits wait, nothing acknowledged is at risk"


def five(view: View) -> View:
    return spec(view, witnesses=(WITNESS, SiteName("w2"), SiteName("w3")))


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        (serving(), ALL_VOTE),
        (dc2_view(), TWO_VOTE),
        (copy(dc2_view(), DC1, writable=False), ONE_VOTES),
        (spec(serving(), databases=(LEDGER, JOURNAL)), ONE_VOTES.replace("1", "0", 1)),
        (spec(serving(), databases=()), ONE_VOTES.replace("1", "0", 1)),
        (five(serving()), TWO_VOTE.replace("2 of 3", "3 of 5")),
        (
            spec(serving(), witnesses=(), data_sites=(DC1, DC2)),
            TWO_VOTE.replace("2 of 3", "2 of 2"),
        ),
        (
            spec(serving(), durability=Durability.LEASE),
            "lease: one holder at a time by an etcd lease of 3 s; "
            "what is not replicated may be lost",
        ),
    ],
)
def test_the_guarantee_is_one_sentence(view: View, sentence: str) -> None:
    if not view.spec.witnesses:
        view = state(view, followers=(follower(DC1),))
    assert outlook.guarantee(view) == sentence


def test_four_of_five_survive_one_failure_more() -> None:
    view = five(serving())
    extra = replace(serving().others[WITNESS])
    view = replace(view, others={**view.others, SiteName("w2"): extra})
    more = (follower(DC1), follower(WITNESS), follower(SiteName("w2")))
    view = state(view, followers=more)
    assert outlook.guarantee(view) == "quorum: 4 of 5 voters; survives the loss of any one site"
    assert outlook.warnings(view) == (
        "ledger: the copy at w3 does not vote; "
        "the next failure can still be survived automatically",
    )


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (serving(), ()),
        (
            replace(serving(), store_ok=False),
            ("etcd's majority does not answer: no role can change until it does",),
        ),
        (
            voter(voter(serving(), DC1, streaming=False), WITNESS, streaming=False),
            tuple(
                f"ledger: the copy at {site} does not vote; "
                "the next failure cannot be survived automatically"
                for site in (DC1, WITNESS)
            ),
        ),
        (other(serving(), DC1, seen=replace(GONE, control_s=0.5)), ()),
        (
            other(other(serving(), WITNESS, seen=GONE), DC1, seen=GONE),
            ("dc1 is not heard", "witness is not heard"),
        ),
        (state(serving(), problems=("a", "b")), ("ledger at dc2: a", "ledger at dc2: b")),
        (own(serving(), sessions_up=1), ("1 of 2 BGP sessions of dc2 are up",)),
        (own(serving(), sessions_up=0), ("0 of 2 BGP sessions of dc2 are up",)),
        (
            own(serving(), stance=None),
            ("the BGP speaker of dc2 does not answer",),
        ),
        (
            own(serving(), stance=None, sessions_up=0, sessions_total=0),
            ("the BGP speaker of dc2 does not answer",),
        ),
        (own(serving(), front_ok=False), ("dc2: haproxy here does not answer",)),
        (own(serving(), failing=(PAYMENTS,)), ("payments fails as seen from dc2: refused",)),
        (
            report(own(serving(), failing=(PAYMENTS,)), DC1, failing=("payments",)),
            ("payments fails as seen from dc2: refused; no other site is better off",),
        ),
        (
            own(serving(), failing=(replace(PAYMENTS, shared=True),)),
            ("payments fails as seen from dc2: refused; it is shared, and moves nothing",),
        ),
    ],
)
def test_a_warning_names_the_thing(view: View, found: tuple[str, ...]) -> None:
    assert outlook.warnings(view) == found


ASTRAY = (
    "requests from witness enter at dc1, though dc2 announces preferred: a provider keeps an old"
    " route"
)


def landing(lands_at: str, **changes: Any) -> View:
    """dc2 has served for a minute."""
    view = replace(serving(), record_unchanged_s=60.0, changed_s=0.0)
    return replace(report(view, WITNESS, lands_at=lands_at), **changes)


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (landing("dc1"), (ASTRAY,)),
        (landing("dc1", record_unchanged_s=0.1, changed_s=60.0), (ASTRAY,)),  # a lease's record
        (landing("dc2"), ()),
        (landing(""), ()),
        (landing("dc1", record_unchanged_s=14.9), ()),  # routes are given their time
        (landing("dc1", record_unchanged_s=15.0), (ASTRAY,)),
        (own(landing("dc1"), stance=Stance.BACKUP), ()),
        (other(landing("dc1"), WITNESS, report_age_s=60.0), ()),
        (other(landing("dc1"), WITNESS, report=None), ()),
        (record(landing("dc1"), holder=DC1), ()),
    ],
)
def test_a_route_that_was_not_taken_is_told(view: View, found: tuple[str, ...]) -> None:
    assert tuple(said for said in outlook.warnings(view) if "requests from" in said) == found


KNOCKS = (
    "ledger at {site} asks {holder} for its log under its voter's name, but its last record is of"
    " epoch 1, not {epoch}: it is refused, and counts for nothing, until it has been rewound or"
    " cloned"
)


def test_an_un_rewound_copy_under_its_old_name_is_named() -> None:
    there = copy(serving(), DC1, epoch=Epoch(1), upstream=DC2, receiving=True)
    assert there.record is not None
    said = KNOCKS.format(site=DC1, holder=DC2, epoch=there.record.epoch)
    assert said in outlook.warnings(there)
    here = state(dc2_view(), epoch=Epoch(1), receiving=True, streaming=False)
    assert KNOCKS.format(site=DC2, holder=DC1, epoch=2) in outlook.warnings(here)


def test_those_who_knock_are_told_by_site_and_name() -> None:
    view = state(dc2_view(), epoch=Epoch(1), receiving=True)
    here = view.own.databases[0]
    view = own(view, databases=(here, replace(here, name=JOURNAL)))
    primary = view.others[DC1].report
    assert primary is not None
    ledger = primary.databases[0]
    journal = replace(ledger, state=replace(ledger.state, name=JOURNAL))
    view = report(view, DC1, databases=(ledger, journal))
    stray = replace(primary, databases=(replace(ledger, state=here),))
    third = OtherSite(report=stray, seen=HERE)
    view = replace(view, others={**view.others, SiteName("dc0"): third})
    knocking = [said.partition(" asks ")[0] for said in outlook.warnings(view) if " asks " in said]
    assert knocking == ["ledger at dc0", "journal at dc2", "ledger at dc2"]


def test_nobody_knocks_at_a_holder_that_has_not_promoted() -> None:
    here = state(dc2_view(), epoch=Epoch(1), receiving=True)
    assert any(" asks " in said for said in outlook.warnings(here))
    closed = copy(here, DC1, writable=False)
    assert not any(" asks " in said for said in outlook.warnings(closed))


@pytest.mark.parametrize(
    "changes",
    [{"quarantined": True}, {"receiving": False}, {"epoch": Epoch(0)}, {"upstream": None}],
)
def test_a_copy_that_does_not_ask_as_a_voter_knocks_nowhere(changes: dict[str, Any]) -> None:
    here = state(dc2_view(), **{"epoch": Epoch(1), "receiving": True, **changes})
    assert not any("under its voter's name" in said for said in outlook.warnings(here))


def test_nobody_knocks_where_there_is_no_record() -> None:
    said = outlook.warnings(replace(dc2_view(), record=None))
    assert not any("under its voter's name" in sentence for sentence in said)


def beside(view: View, **changes: Any) -> View:
    """A second database here and at dc1, as the first one but for what is turned."""
    first = view.own.databases[0]
    there = view.others[DC1].report
    assert there is not None
    known = there.databases[0]
    twin = replace(
        known,
        state=replace(known.state, name=JOURNAL, **changes),
        voter=replace(known.voter, database=JOURNAL),
    )
    view = report(view, DC1, databases=(twin, known))
    second = replace(first, name=JOURNAL, **changes)
    return own(spec(view, databases=(LEDGER, JOURNAL)), databases=(second, first))


def test_each_database_has_voters_of_its_own() -> None:
    closed = beside(serving(), writable=False)
    assert DC2 in outlook.live_voters(closed, LEDGER)
    assert DC2 not in outlook.live_voters(closed, JOURNAL)
    away = beside(dc2_view(), writable=False, quarantined=True)
    assert outlook.live_voters(away, LEDGER) == {DC1, DC2}
    assert outlook.live_voters(away, JOURNAL) == set()
    kept = beside(serving(), quarantined=True)
    assert DC1 in outlook.live_voters(kept, LEDGER)
    assert DC1 not in outlook.live_voters(kept, JOURNAL)


def test_one_copy_that_does_not_vote_is_the_last_that_may() -> None:
    view = voter(serving(), DC1, streaming=False)
    assert outlook.warnings(view) == (
        "ledger: the copy at dc1 does not vote; the next failure cannot be survived automatically",
    )


def test_serving_alone_guarantees_nothing() -> None:
    view = replace(serving(), alone=wish(Kind.FORCE_SINGLE, target="dc2"))
    assert outlook.guarantee(view) == (
        "NONE: one copy; what is acknowledged now is lost with this site"
    )


def test_sites_that_are_not_heard_are_told_in_order() -> None:
    names = [SiteName(f"w{n}") for n in range(9)]
    more = {name: OtherSite(report=None, seen=GONE) for name in reversed(names)}
    view = replace(serving(), others={**more, **serving().others})
    assert outlook.warnings(view) == tuple(f"{name} is not heard" for name in names)
