"""What a site remembers of a role change, turn by turn."""

from dataclasses import replace
from functools import partial
from typing import Any

from bgp.policy import Stance
from controller.core.decide import decide
from controller.core.model import Epoch, Instant
from controller.core.position import LogFormat, Position
from controller.core.requests import Approval, Kind, State
from controller.core.view import View
from controller.history.recollection import LogEnd, Recollection, Stage
from controller.history.watching import WATCHED_S, Watching
from tests.core.turned import (
    LATER,
    climbing,
    other,
    own,
    primary_state,
    record,
    report,
    serving,
    silent,
    standby_report,
    state,
    witness_report,
)
from tests.core.views import DC1, DC2, END, GONE, HERE, LEDGER, WITNESS, dc2_view
from tests.core.wishes import asked, seen, wish


def watched(*views: View) -> Recollection | None:
    watching = Watching()
    for view in views:
        watching.turned(view, decide(view), partial(str, f"at {view.now}"))
    return watching.recollection(views[-1])


def at(view: View, now: float, **own_side: Any) -> View:
    return own(replace(view, now=Instant(now)), **own_side)


def lands(view: View, site: str) -> View:
    told = replace(witness_report(), lands_at=site)
    before = view.others[WITNESS].report
    if before is not None:
        told = replace(before, lands_at=site)
    return other(view, WITNESS, report=told, report_age_s=0.1)


def taken_over(now: float, **own_side: Any) -> View:
    """dc2 has promoted under epoch 3."""
    promoted = replace(primary_state(), epoch=Epoch(3))
    return at(climbing(), now, databases=(promoted,), **own_side)


def test_a_takeover_is_told_from_the_holders_last_sign_to_the_first_answer() -> None:
    found = watched(
        lands(at(dc2_view(), 100.0), "dc1"),
        lands(at(silent(dc2_view()), 100.85), "dc1"),
        lands(at(climbing(), 101.0, stance=Stance.BACKUP), "dc1"),
        lands(at(climbing(), 101.2, stance=Stance.OVERRIDE), "dc1"),
        lands(taken_over(101.4, stance=Stance.OVERRIDE), ""),
        lands(taken_over(101.5, stance=Stance.OVERRIDE, canary_age_s=0.01), "dc2"),
        lands(taken_over(109.0, stance=Stance.PREFERRED, canary_age_s=1.0), "dc2"),
    )
    assert found is not None
    assert (found.epoch, found.site, found.seen_at) == (3, "dc2", "at 101.0")
    assert found.outage_from == "dc1 was last seen to serve"
    assert found.outage_s == 1.55  # dc1 was seen at 99.95, dc2 answered at 101.5
    assert found.routes == (
        Stage(what="backup", at_s=0.0), Stage(what="override", at_s=0.2),
        Stage(what="preferred", at_s=8.0),
    )  # fmt: skip
    (outside,) = found.outside
    assert outside.vantage == "witness"
    assert outside.entered == (
        Stage(what="dc1", at_s=0.0), Stage(what="nobody", at_s=0.4), Stage(what="dc2", at_s=0.5),
    )  # fmt: skip
    (begin,) = found.begins
    assert (begin.position, begin.source, begin.sealed) == (END, "dc2", ("dc2", "witness"))
    assert (begin.needed, begin.excused, found.ends) == (2, (), ())


def test_what_a_daemon_did_not_see_begin_it_does_not_tell() -> None:
    assert watched(at(climbing(), 101.0), taken_over(101.5, canary_age_s=0.01)) is None


def test_a_change_is_watched_for_a_while_and_then_stirs_no_more() -> None:
    watching = Watching()
    for view in (
        at(dc2_view(), 100.0),
        at(climbing(), 101.0, stance=Stance.BACKUP),
        taken_over(101.0 + WATCHED_S + 1, stance=Stance.PREFERRED, canary_age_s=0.1),
    ):
        watching.turned(view, decide(view), str)
    found = watching.recollection(view)
    assert found is not None
    assert found.routes == (Stage(what="backup", at_s=0.0),)
    assert found.outage_s is None
    assert watching.stirs(view.now)
    assert not watching.stirs(Instant(view.now + 10.0))


def test_a_silent_speaker_is_told_as_such() -> None:
    found = watched(at(dc2_view(), 100.0), at(climbing(), 101.0, stance=None))
    assert found is not None
    assert [stage.what for stage in found.routes] == ["backup", "silent"]


def test_a_copy_tells_where_its_log_of_before_ended_however_much_it_is_rewound() -> None:
    deposed = record(dc2_view(), epoch=Epoch(3), holder=DC1, kind="failover", previous=DC2)
    ended = state(deposed, upstream=None, receiving=False, streaming=False, position=LATER)
    rewound = state(ended, position=END)
    found = watched(ended, rewound)
    assert found is not None  # a daemon that has just begun tells it, too
    assert found.ends == (LogEnd(database=LEDGER, position=LATER),)
    assert (found.routes, found.outside) == ((), ())
    following = state(deposed, position=LATER)
    assert watched(following) is None
    newer = Position(epoch=3, format=LogFormat.LSN, text="0/5000000")
    assert watched(state(ended, position=newer)) is None


def test_what_a_copy_threw_away_is_told_of_the_epoch_it_came_back_to() -> None:
    watching, view = Watching(), record(dc2_view(), epoch=Epoch(3), holder=DC1)
    watching.threw_away(Epoch(3), LEDGER, "before anything was seen")
    watching.turned(view, decide(view), lambda: "now")
    assert watching.recollection(view) is None
    assert not watching.stirs(Instant(view.now + 1000.0))
    for _ in range(2):
        watching.threw_away(Epoch(3), LEDGER, "2 transactions; saved in /there")
    watching.threw_away(Epoch(2), LEDGER, "of an older one")
    assert watching.stirs(Instant(view.now + 1000.0))
    found = watching.recollection(view)
    assert found is not None
    assert [(each.database, each.what) for each in found.discarded] == [
        (LEDGER, "2 transactions; saved in /there")
    ]
    assert not watching.stirs(Instant(view.now + 1000.0))


def test_an_order_is_told_with_who_approved_and_what_was_said_to_be_lost() -> None:
    order = wish(
        Kind.FAILOVER, target="dc2", statement="ledger: all beyond 0/3 is lost", approvals_needed=1,
        approvals=(Approval(by="bob", site="dc2", at="then", plan="plan"),),
    )  # fmt: skip
    moved = replace(record(climbing(), request=order.number), request=seen(order))
    found = watched(at(dc2_view(), 100.0), at(moved, 101.0))
    assert found is not None
    assert found.asked is not None
    assert (found.asked.kind, found.asked.approved_by) == ("failover", ("bob",))
    assert found.asked.statement == "ledger: all beyond 0/3 is lost"
    other_one = watched(at(dc2_view(), 100.0), at(replace(climbing(), request=seen(order)), 101.0))
    assert other_one is not None
    assert other_one.asked is None


def handing(now: float, **own_side: Any) -> View:
    """dc2 hands over to dc1."""
    view = asked(serving(), Kind.SWITCHOVER, target="dc1", state=State.RUNNING)
    return at(view, now, **own_side)


def test_who_hands_over_tells_its_steps_before_the_epoch_and_how_long_requests_waited() -> None:
    held = {"held": True, "can_hold": True}
    given = record(serving(), epoch=Epoch(3), holder=DC1, kind="handover", previous=DC2)
    found = watched(
        at(serving(), 100.0),
        handing(100.1, held=False, can_hold=True),
        report(handing(100.3, **held, held_s=0.1), DC1, held=True, quiet=True),
        at(given, 100.5, **held, held_s=0.3),
        at(given, 100.75, held=False, can_hold=True),
    )
    assert found is not None
    assert found.held_s == 0.55
    steps = {step.name: step.at_s for step in found.steps if step.ladder == "HAND_OVER"}
    assert (steps["announced"], steps["held"], steps["handed"]) == (-0.4, -0.2, 0.0)
    assert {step.ladder for step in found.steps} >= {"HAND_OVER"}


def test_steps_of_a_hand_over_that_was_taken_back_are_not_told_of_the_next_one() -> None:
    given = record(serving(), epoch=Epoch(3), holder=DC1, kind="handover", previous=DC2)
    found = watched(at(serving(), 99.0), handing(100.1), at(serving(), 101.0), at(given, 102.0))
    assert found is not None
    assert [step for step in found.steps if step.ladder == "HAND_OVER"] == []


def test_the_receiver_counts_from_when_requests_were_held() -> None:
    given = record(climbing(), kind="handover")
    given = other(given, DC1, seen=HERE, seen_by={WITNESS: HERE}, report=standby_report())
    found = watched(
        at(dc2_view(), 100.0, held=True, held_s=0.05),
        at(given, 100.2, held=True, held_s=0.25),
        at(given, 100.5, held=False, canary_age_s=0.01),
    )
    assert found is not None
    assert (found.outage_s, found.outage_from) == (0.55, "requests were held")
    assert found.held_s == 0.55


def test_an_older_record_of_a_restored_store_is_not_looked_at() -> None:
    old = record(dc2_view(), epoch=Epoch(1))
    found = watched(at(dc2_view(), 100.0), at(climbing(), 101.0), at(old, 102.0))
    assert found is not None
    assert found.epoch == 3


def test_a_holder_that_regains_counts_from_its_own_last_acknowledged_write() -> None:
    again = record(serving(), epoch=Epoch(3), kind="regained", previous=DC2)
    found = watched(
        at(serving(), 100.0), at(other(again, DC1, seen=GONE), 101.0, promised=Epoch(3),
        commit_age_s={}, canary_age_s=float("inf")),
        at(again, 102.0, promised=Epoch(3), canary_age_s=0.0),
    )  # fmt: skip
    assert found is not None
    assert (found.outage_s, found.outage_from) == (2.1, "dc2 was last seen to serve")
