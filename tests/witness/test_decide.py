"""One log keeper: promise, seal, wait, follow; never an older epoch."""

from dataclasses import replace
from functools import partial

from controller.core.model import DatabaseName, Epoch, VoterState
from controller.core.position import LogFormat, Position, lsn_to_int
from tests.core.views import DC1, DC2, LEDGER, RECORD, report_of_dc1
from witness.decide import (
    Doing,
    FollowHolder,
    KeeperDecision,
    PromiseEpoch,
    SealKeeper,
    decide_keeper,
    prune_below,
    rests_on,
)

QUIET = VoterState(database=LEDGER, promised=Epoch(2), sealed=True, position=None)
FOLLOWING = replace(QUIET, sealed=False, following=DC1, following_epoch=Epoch(2), streaming=True)


def test_without_a_record_nothing_is_done() -> None:
    decision = decide_keeper(None, Epoch(0), QUIET, None)
    assert (decision.doing, decision.intent) == (Doing.NO_RECORD, None)


def test_a_new_epoch_is_promised_before_anything_else() -> None:
    record = replace(RECORD, epoch=Epoch(3), holder=DC2)
    decision = decide_keeper(record, Epoch(2), FOLLOWING, report_of_dc1())
    assert decision.intent == PromiseEpoch(epoch=Epoch(3))


def test_an_older_epoch_is_refused() -> None:
    decision = decide_keeper(RECORD, Epoch(5), QUIET, report_of_dc1())
    assert (decision.doing, decision.intent) == (Doing.BELOW_FLOOR, None)


def test_a_keeper_of_an_older_epoch_is_sealed() -> None:
    record = replace(RECORD, epoch=Epoch(3), holder=DC1)
    decision = decide_keeper(record, Epoch(3), FOLLOWING, report_of_dc1())
    assert decision.intent == SealKeeper(epoch=Epoch(3))


def test_a_sealed_keeper_waits_until_the_holder_is_promoted() -> None:
    record = replace(RECORD, epoch=Epoch(3))
    decision = decide_keeper(record, Epoch(3), replace(QUIET, promised=Epoch(3)), report_of_dc1())
    assert (decision.doing, decision.intent) == (Doing.AWAIT_HOLDER, None)


def test_a_sealed_keeper_follows_the_promoted_holder() -> None:
    decision = decide_keeper(RECORD, Epoch(2), QUIET, report_of_dc1())
    assert decision.intent == FollowHolder(upstream=DC1, epoch=Epoch(2))


def test_a_following_keeper_is_left_alone() -> None:
    decision = decide_keeper(RECORD, Epoch(2), FOLLOWING, report_of_dc1())
    assert (decision.doing, decision.intent) == (Doing.FOLLOWING, None)


def test_a_learner_ends_what_it_receives_and_rests() -> None:
    learner = partial(decide_keeper, holder_report=report_of_dc1(), learns=True)
    assert learner(RECORD, Epoch(2), FOLLOWING).intent == SealKeeper(epoch=Epoch(2))
    assert learner(RECORD, Epoch(2), QUIET) == KeeperDecision(doing=Doing.LEARNS)
    newer = replace(RECORD, epoch=Epoch(3))
    assert learner(newer, Epoch(2), QUIET).intent == PromiseEpoch(epoch=Epoch(3))
    assert learner(RECORD, Epoch(3), QUIET).doing is Doing.BELOW_FLOOR


def test_only_what_every_site_has_applied_may_go() -> None:
    report = report_of_dc1()
    both = {DC1: report, DC2: report}
    end = lsn_to_int("0/3000060")
    assert prune_below(RECORD, LEDGER, both, (DC1, DC2), 0x60) == end - 0x60
    assert prune_below(RECORD, LEDGER, both, (DC1, DC2), 2**40) == 0
    assert prune_below(RECORD, LEDGER, {DC1: report}, (DC1, DC2), 0) == 0
    assert prune_below(replace(RECORD, epoch=Epoch(3)), LEDGER, both, (DC1, DC2), 0) == 0
    assert prune_below(None, LEDGER, both, (DC1, DC2), 0) == 0


def test_a_copy_of_another_database_or_without_a_position_prunes_nothing() -> None:
    report = report_of_dc1()
    (found,) = report.databases
    unknown = replace(found, state=replace(found.state, position=None))
    other_name = replace(found, state=replace(found.state, name=DatabaseName("journal")))
    in_gtids = Position(epoch=2, format=LogFormat.MARIADB_GTID, text="0-1-5")
    other_kind = replace(found, state=replace(found.state, position=in_gtids))
    for copy in (unknown, other_name, other_kind):
        silent = replace(report, databases=(copy,))
        assert prune_below(RECORD, LEDGER, {DC1: report, DC2: silent}, (DC1, DC2), 0) == 0


def test_what_is_applied_counts_before_what_is_received() -> None:
    report = report_of_dc1()
    (found,) = report.databases
    applied = Position(epoch=2, format=LogFormat.LSN, text="0/3000000")
    late = replace(report, databases=(replace(found, state=replace(found.state, applied=applied)),))
    both = {DC1: report, DC2: late}
    assert prune_below(RECORD, LEDGER, both, (DC1, DC2), 0) == lsn_to_int("0/3000000")


def test_a_keeper_of_the_right_site_but_an_older_epoch_does_not_follow() -> None:
    for changes in ({"following_epoch": Epoch(1)}, {"following": DC2}):
        keeper = replace(FOLLOWING, **changes)
        decision = decide_keeper(RECORD, Epoch(2), keeper, report_of_dc1())
        assert decision.intent == SealKeeper(epoch=Epoch(2))


def test_a_promise_that_is_equal_is_neither_raised_nor_refused() -> None:
    assert decide_keeper(RECORD, Epoch(2), QUIET, None).doing is Doing.AWAIT_HOLDER


def test_a_holder_has_promoted_only_by_name_by_epoch_and_by_being_writable() -> None:
    report = report_of_dc1()
    (found,) = report.databases
    for changes in (
        {"name": DatabaseName("journal")},
        {"writable": False},
        {"epoch": Epoch(1)},
    ):
        copy = replace(found, state=replace(found.state, **changes))
        decision = decide_keeper(RECORD, Epoch(2), QUIET, replace(report, databases=(copy,)))
        assert decision.doing is Doing.AWAIT_HOLDER


def test_a_decision_rests_on_the_record_and_on_whether_the_holder_is_promoted() -> None:
    report = report_of_dc1()
    (found,) = report.databases
    closed = replace(found, state=replace(found.state, writable=False))
    different = (
        rests_on(None, report, LEDGER),
        rests_on(RECORD, report, LEDGER),
        rests_on(RECORD, replace(report, databases=(closed,)), LEDGER),
        rests_on(replace(RECORD, epoch=Epoch(3)), report, LEDGER),
        rests_on(replace(RECORD, holder=DC2), None, LEDGER),
        rests_on(replace(RECORD, learners=(DC2,)), report, LEDGER),
    )
    assert len(set(different)) == len(different)
    moved = replace(found, state=replace(found.state, waiting_commits=7))
    assert rests_on(RECORD, replace(report, databases=(moved,)), LEDGER) == different[1]
    assert rests_on(RECORD, None, LEDGER) == different[2]
