"""Who is sealed, what that proves, and the laws a proof rests on."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.model import (
    DatabaseName,
    DatabaseReport,
    DatabaseState,
    Epoch,
    Liveness,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Order, Position, compare, holds, int_to_lsn
from controller.core.quorum import (
    Proof,
    excused_voters,
    furthest,
    holder_promoted,
    holder_report,
    holds_nothing,
    is_quiet,
    is_sealed,
    majority,
    own_voter,
    promoted_by_hand,
    prove,
    voters_of,
)
from controller.core.view import OtherSite, View
from tests.core.turned import (
    EARLIER,
    LATER,
    climbing,
    copy,
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
from tests.core.views import DC1, DC2, END, HERE, LEDGER, WITNESS, dc2_view

JOURNAL = DatabaseName("journal")
NOWHERE = Position(epoch=0, format=LogFormat.LSN, text="0/0")


def proof(view: View) -> Proof:
    return prove(view, view.own.databases[0])


def quiet() -> DatabaseState:
    return climbing().own.databases[0]


# --- majorities ----------------------------------------------------------------------------------


@given(st.integers(1, 9))
def test_any_two_majorities_share_a_member_and_no_fewer_do(voters: int) -> None:
    everybody = frozenset(range(voters))
    sets = [frozenset(found) for found in combinations(everybody, majority(voters))]
    assert all(first & second for first in sets for second in sets)
    fewer = [frozenset(found) for found in combinations(everybody, majority(voters) - 1)]
    assert not all(first & second for first in fewer for second in fewer)


@given(st.integers(1, 999))
def test_a_majority_meets_everybody_who_acknowledged(voters: int) -> None:
    acknowledging = 1 + voters // 2  # the primary, and half of the others
    assert majority(voters) + acknowledging > voters


def test_there_is_no_majority_of_nobody() -> None:
    with pytest.raises(AssertionError):
        majority(0)


# --- one voter -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"liveness": Liveness.STARTING}, False),
        ({"liveness": Liveness.DOWN}, False),
        ({"liveness": Liveness.UNKNOWN}, False),
        ({"writable": True}, False),
        ({"receiving": True}, False),
        ({"position": None}, False),
    ],
)
def test_quiet_is_seen_to_run_and_to_take_nothing(
    changes: dict[str, object], expected: bool
) -> None:
    assert is_quiet(replace(quiet(), **changes)) is expected  # type: ignore[arg-type]


def test_the_own_vote_is_what_the_server_shows() -> None:
    view = state(dc2_view(), problems=("p",))
    assert own_voter(view, view.own.databases[0]) == VoterState(
        database=LEDGER,
        promised=Epoch(2),
        sealed=False,
        position=END,
        following=DC1,
        following_epoch=Epoch(2),
        streaming=True,
        whole=True,
        problems=("p",),
    )
    sealed = state(climbing(), upstream=DC1, diverged=True)
    assert own_voter(sealed, sealed.own.databases[0]) == VoterState(
        database=LEDGER,
        promised=Epoch(3),
        sealed=True,
        position=END,
        following=None,
        following_epoch=Epoch(0),
        streaming=False,
        whole=False,
    )


def pointed_at_a_new_holder() -> View:
    """dc1 holds epoch 3 and dc2 has promised it; dc2's receiver still points at dc1."""
    return own(report(record(dc2_view(), epoch=Epoch(3)), DC1, epoch=Epoch(3)), promised=Epoch(3))


@pytest.mark.parametrize(
    ("view", "epoch"),
    [
        (pointed_at_a_new_holder(), 0),  # it may be a receiver of the epoch before
        (copy(pointed_at_a_new_holder(), DC1, epoch=Epoch(3)), 3),
        (state(pointed_at_a_new_holder(), epoch=Epoch(3)), 3),
        (state(pointed_at_a_new_holder(), epoch=Epoch(3), upstream=WITNESS), 0),
        (state(pointed_at_a_new_holder(), epoch=Epoch(3), receiving=False), 0),
        (own(state(pointed_at_a_new_holder(), epoch=Epoch(3)), promised=Epoch(2)), 0),
        (replace(state(pointed_at_a_new_holder(), epoch=Epoch(3)), record=None), 0),
    ],
)
def test_a_receiver_follows_an_epoch_only_once_its_holder_has_promoted(
    view: View, epoch: int
) -> None:
    assert own_voter(view, view.own.databases[0]).following_epoch == epoch


@pytest.mark.parametrize(
    ("view", "position"),
    [
        (state(climbing(), epoch=Epoch(2)), END),
        (state(own(climbing(), promised=Epoch(2)), epoch=Epoch(3)), None),  # nobody gave it 3
        (state(own(climbing(), promised=Epoch(0)), epoch=Epoch(1)), END),  # a new cluster
        (state(own(dc2_view(), promised=Epoch(2)), epoch=Epoch(3)), END),  # its primary sent it
        (state(own(dc2_view(), promised=Epoch(2)), epoch=Epoch(3), upstream=WITNESS), None),
        (replace(state(own(dc2_view(), promised=Epoch(2)), epoch=Epoch(3)), record=None), None),
    ],
)
def test_a_log_that_was_promoted_by_hand_does_not_tell_its_end(
    view: View, position: Position | None
) -> None:
    assert own_voter(view, view.own.databases[0]).position == position


SEALED = VoterState(database=LEDGER, promised=Epoch(3), sealed=True, position=END)
FOLLOWING = replace(SEALED, sealed=False, following=DC2, following_epoch=Epoch(3))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (SEALED, True),
        (replace(SEALED, promised=Epoch(2)), False),
        (replace(SEALED, promised=Epoch(4)), False),
        (replace(SEALED, sealed=False), False),
        (FOLLOWING, True),
        (replace(FOLLOWING, following=DC1), False),
        (replace(FOLLOWING, following_epoch=Epoch(2)), False),
        (replace(FOLLOWING, promised=Epoch(2)), False),
    ],
)
def test_sealed_is_quiet_or_already_with_the_holder(found: VoterState, expected: bool) -> None:
    assert is_sealed(found, Epoch(3), DC2) is expected


@pytest.mark.parametrize(
    ("whole", "position", "empty"),
    [
        (False, None, True),
        (False, NOWHERE, True),
        (False, END, False),
        (True, None, False),
        (True, NOWHERE, False),
    ],
)
def test_a_wiped_voter_holds_nothing(whole: bool, position: Position | None, empty: bool) -> None:
    assert holds_nothing(replace(SEALED, whole=whole, position=position)) is empty


# --- what others report --------------------------------------------------------------------------


def test_only_a_report_of_the_records_epoch_is_the_holders() -> None:
    view = dc2_view()
    assert holder_report(view) is view.others[DC1].report
    assert holder_report(replace(view, record=None)) is None
    assert holder_report(other(view, DC1, report=None)) is None
    assert holder_report(record(view, epoch=Epoch(3))) is None
    assert holder_report(serving()) is None


def test_the_holder_has_promoted_what_it_says_is_writable_under_the_epoch() -> None:
    assert holder_promoted(dc2_view(), LEDGER)
    assert not holder_promoted(dc2_view(), JOURNAL)
    assert not holder_promoted(copy(dc2_view(), DC1, writable=False), LEDGER)
    assert not holder_promoted(copy(dc2_view(), DC1, epoch=Epoch(1)), LEDGER)
    assert not holder_promoted(replace(dc2_view(), record=None), LEDGER)


def test_each_database_is_promoted_by_itself() -> None:
    reported = dc2_view().others[DC1].report
    assert reported is not None
    first = reported.databases[0]
    closed = replace(first, state=replace(first.state, name=JOURNAL, writable=False))
    view = report(dc2_view(), DC1, databases=(closed, first))
    assert holder_promoted(view, LEDGER)
    assert not holder_promoted(view, JOURNAL)


def test_the_voters_of_a_database_are_all_copies_that_are_known() -> None:
    assert set(voters_of(serving(), LEDGER)) == {DC1, DC2, WITNESS}
    assert voters_of(serving(), JOURNAL) == {}
    assert set(voters_of(other(serving(), DC1, report=None), LEDGER)) == {DC2, WITNESS}
    assert set(voters_of(voter(serving(), DC1, database=JOURNAL), LEDGER)) == {DC2, WITNESS}
    assert set(voters_of(voter(serving(), WITNESS, database=JOURNAL), LEDGER)) == {DC1, DC2}
    found = voters_of(serving(), LEDGER)
    assert found[DC2] == own_voter(serving(), serving().own.databases[0])
    assert found[WITNESS] == witness_report().voters[0]


def test_a_site_with_several_databases_votes_for_each() -> None:
    reported = serving().others[DC1].report
    assert reported is not None
    first = reported.databases[0]
    second = DatabaseReport(
        state=replace(first.state, name=JOURNAL), voter=replace(first.voter, database=JOURNAL)
    )
    view = report(serving(), DC1, databases=(second, first))
    assert voters_of(view, LEDGER)[DC1] == first.voter
    assert voters_of(view, JOURNAL)[DC1] == second.voter


# --- proofs --------------------------------------------------------------------------------------


def test_two_sealed_of_three_prove_the_furthest() -> None:
    found = proof(climbing())
    assert found == Proof(sealed=(DC2, WITNESS), needed=2, target=END, source=DC2)
    assert found.complete
    assert proof(voter(climbing(), WITNESS, position=LATER)) == Proof(
        sealed=(DC2, WITNESS), needed=2, target=LATER, source=WITNESS
    )
    assert proof(voter(climbing(), WITNESS, position=EARLIER)).source == DC2


@pytest.mark.parametrize(
    "view",
    [
        voter(climbing(), WITNESS, sealed=False),
        voter(climbing(), WITNESS, promised=Epoch(2)),
        voter(climbing(), WITNESS, whole=False, position=None),
        voter(climbing(), WITNESS, whole=False, position=NOWHERE),
        voter(climbing(), WITNESS, position=None),  # its log may hold what nobody else has
        other(climbing(), WITNESS, report=None),
        state(climbing(), receiving=True),  # the own seal is needed, whoever else is sealed
        own(climbing(), promised=Epoch(2)),
        spec(climbing(), data_sites=(DC1, DC2, SiteName("dc3"), SiteName("dc4"))),
    ],
)
def test_less_proves_nothing(view: View) -> None:
    found = proof(view)
    assert not found.complete
    assert (found.target, found.source) == (None, None)


def test_the_own_seal_is_needed_though_a_majority_of_others_is_sealed() -> None:
    view = state(climbing(), receiving=True)
    view = other(view, DC1, report=standby_sealed())
    found = proof(view)
    assert found.sealed == (DC1, WITNESS)
    assert not found.complete


def standby_sealed() -> ServiceReport:
    reported = climbing().others[DC1].report
    assert reported is not None
    vote = replace(SEALED, position=LATER)
    return replace(reported, databases=(DatabaseReport(state=quiet(), voter=vote),))


def test_a_promoted_server_is_its_own_target() -> None:
    view = state(climbing(), writable=True, epoch=Epoch(3), position=LATER)
    assert proof(view) == Proof(sealed=(DC2, WITNESS), needed=2, target=LATER, source=DC2)
    older = state(climbing(), writable=True, epoch=Epoch(2))
    assert DC2 not in proof(older).sealed


def test_positions_that_exclude_each_other_prove_nothing() -> None:
    mine = Position(epoch=2, format=LogFormat.MYSQL_GTID, text="a:1-5")
    theirs = Position(epoch=2, format=LogFormat.MYSQL_GTID, text="a:1-4,b:1")
    found = proof(state(voter(climbing(), WITNESS, position=theirs), position=mine))
    assert found.conflict == f"{WITNESS} has {theirs}, {DC2} has {mine}"
    assert not found.complete
    assert found.sealed == (DC2, WITNESS)


def test_a_proof_that_lacks_anything_is_not_complete() -> None:
    whole = Proof(sealed=(DC1, DC2), needed=2, target=END, source=DC2)
    assert whole.complete
    assert not replace(whole, sealed=(DC1,)).complete
    assert not replace(whole, target=None).complete
    assert not replace(whole, conflict="x").complete


lsns = st.builds(
    Position,
    epoch=st.integers(1, 3),
    format=st.just(LogFormat.LSN),
    text=st.integers(0, 5).map(int_to_lsn),
)
sites = st.sampled_from([SiteName(name) for name in ("a", "b", "c", "d", "e")])


@given(st.lists(st.tuples(sites, lsns), max_size=6))
def test_the_furthest_holds_everything_and_is_one_of_them(
    positions: list[tuple[SiteName, Position]],
) -> None:
    target, source, conflict = furthest(positions)
    assert conflict == ""
    if target is None or source is None:
        assert not positions
        return
    assert (source, target) in positions
    assert all(holds(target, position) for _, position in positions)
    first_of_equals = next(s for s, p in positions if compare(p, target) is Order.EQUAL)
    assert source == first_of_equals


gtid_sets = st.dictionaries(st.sampled_from("ab"), st.integers(1, 4), min_size=1).map(
    lambda found: Position(
        epoch=2,
        format=LogFormat.MYSQL_GTID,
        text=",".join(f"{source}:1-{last}" for source, last in sorted(found.items())),
    )
)


@given(st.lists(st.tuples(sites, gtid_sets), min_size=1, max_size=5))
def test_what_is_proved_of_sets_holds_all_of_them_or_the_conflict_is_told(
    positions: list[tuple[SiteName, Position]],
) -> None:
    target, source, conflict = furthest(positions)
    if target is None:
        assert conflict
        assert source is None
        assert any(
            compare(one, two) is Order.DIVERGED for _, one in positions for _, two in positions
        )
    else:
        assert all(holds(target, position) for _, position in positions)


@given(
    st.integers(2, 3),
    st.integers(1, 3),
    st.data(),
)
def test_a_complete_proof_has_met_everybody_who_acknowledged(
    data_sites: int, witnesses: int, data: st.DataObject
) -> None:
    """Whatever majority acknowledged a commit, a complete proof's target is not behind it."""
    names = [SiteName(f"dc{n + 1}") for n in range(data_sites)]
    keepers = [SiteName(f"w{n + 1}") for n in range(witnesses)]
    everybody = [*names, *keepers]
    needed = majority(len(everybody))
    holders = set(data.draw(st.permutations(everybody))[:needed])  # of the last acknowledged commit
    sealed = set(data.draw(st.sets(st.sampled_from(everybody)))) | {DC2}
    view = replace(
        spec(climbing(), data_sites=tuple(names), witnesses=tuple(keepers)),
        others={
            site: OtherSite(
                report=witness_report(
                    promised=Epoch(3),
                    sealed=site in sealed,
                    following=None,
                    following_epoch=Epoch(0),
                    position=LATER if site in holders else EARLIER,
                )
            )
            for site in everybody
            if site != DC2
        },
    )
    view = state(view, position=LATER if DC2 in holders else EARLIER)
    found = proof(view)
    assert found.complete == (len(sealed) >= needed)
    if found.complete:
        assert found.target == LATER
        assert found.source in holders


# --- excused voters ------------------------------------------------------------------------------


def test_a_server_that_is_not_writable_has_not_been_promoted() -> None:
    view = state(climbing(), receiving=True, epoch=Epoch(3))
    assert proof(view).sealed == (WITNESS,)


def excusing(view: View, *names: SiteName) -> View:
    return record(view, excused=names)


@pytest.mark.parametrize(
    ("view", "excused"),
    [
        (climbing(), set()),
        (excusing(climbing(), DC1), {DC1}),
        (excusing(climbing(), DC1, DC2, SiteName("dc9")), {DC1}),  # never itself, nor a stranger
        (excusing(climbing(), WITNESS), set()),  # heard, and still given its time
        (replace(excusing(climbing(), WITNESS), record_unchanged_s=2.0), {WITNESS}),
        (replace(excusing(climbing(), WITNESS), record_unchanged_s=1.99), set()),
        (other(excusing(climbing(), WITNESS), WITNESS, seen=replace(HERE, control_s=0.5)), set()),
        (
            other(excusing(climbing(), WITNESS), WITNESS, seen=replace(HERE, control_s=0.51)),
            {WITNESS},
        ),
    ],
)
def test_an_operator_does_without_voters_that_are_gone_or_had_their_time(
    view: View, excused: set[SiteName]
) -> None:
    assert excused_voters(view) == excused


def test_the_excused_complete_a_majority_and_are_told_in_order() -> None:
    names = tuple(SiteName(f"w{n}") for n in range(9))
    lost = {name: OtherSite(report=None) for name in names}
    view = spec(climbing(), witnesses=(WITNESS, *names))
    view = replace(view, others={**view.others, **lost})
    assert not proof(view).complete
    found = proof(excusing(view, *names, DC1))
    assert found.complete
    assert found.excused == (DC1, *names)
    assert found.target == END
    assert not proof(excusing(state(view, receiving=True), *names, DC1)).complete
    # A seal counts once, though it was excused.
    assert WITNESS not in proof(replace(excusing(view, WITNESS), record_unchanged_s=9.0)).excused


# --- a copy that is worked on, or was promoted by hand --------------------------------------------


def at_work(view: View, lane: str = "database:ledger") -> View:
    return replace(view, busy=frozenset({lane}))


def rejoining(view: View, database: str = "ledger") -> View:
    return replace(view, rejoining=frozenset({DatabaseName(database)}))


@pytest.mark.parametrize(
    ("view", "sealed"),
    [
        (state(dc2_view(), receiving=False), True),
        (at_work(state(dc2_view(), receiving=False)), False),
        (at_work(state(dc2_view(), receiving=False), "database:journal"), True),
        (at_work(replace(state(dc2_view(), receiving=False), record=None)), False),
        (at_work(climbing()), True),  # the holder's own work is part of its climb
        (rejoining(climbing()), False),  # but not what was begun for somebody else
        (rejoining(climbing(), "journal"), True),
    ],
)
def test_a_copy_that_is_worked_on_is_not_sealed_for_another_site(view: View, sealed: bool) -> None:
    assert own_voter(view, view.own.databases[0]).sealed is sealed


@pytest.mark.parametrize(
    ("promised", "epoch", "changes", "told"),
    [
        (2, 2, {}, True),
        (1, 3, {}, False),
        (2, 3, {}, False),
        (3, 2, {}, True),
        (0, 3, {}, True),  # it never promised anything: a new site
        (2, 3, {"receiving": True, "upstream": DC1}, True),  # its primary has sent it that
        (2, 3, {"receiving": True, "upstream": WITNESS}, False),
        (2, 3, {"upstream": DC1}, False),
    ],
)
def test_the_end_of_a_log_that_was_promoted_by_hand_is_not_told(
    promised: int, epoch: int, changes: dict[str, object], told: bool
) -> None:
    view = state(dc2_view(), **({"receiving": False, "upstream": None} | changes))
    view = own(state(view, epoch=Epoch(epoch)), promised=Epoch(promised))
    found = view.own.databases[0]
    assert promoted_by_hand(view, found) is not told
    assert own_voter(view, found).position == (END if told else None)
    assert promoted_by_hand(replace(view, record=None), found) is (0 < promised < epoch)
