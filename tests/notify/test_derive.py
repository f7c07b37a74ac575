"""Each event is told once, its end once, and nothing while nothing changes."""

from dataclasses import replace

import pytest

from controller.notify.derive import TOLD_MAX, Known, derive
from controller.notify.event import TRAITS, EventKind, Severity, Teller
from controller.notify.situation import Situation
from tests.notify.situations import LIMIT, MOVED, QUIET, WALLET, WISH, Story, copies, serving

MOVED_ON = replace(
    serving(QUIET, epoch=8, holder="dc2", kind="handover"),
    moves=(replace(MOVED, epoch=8, previous="dc1", holder="dc2", kind="handover"), MOVED),
)

# what begins it, what it is, what its end is
CONDITIONS: list[tuple[Situation, EventKind, EventKind | None]] = [
    (replace(QUIET, store_ok=False), EventKind.STORE_LOST, EventKind.STORE_BACK),
    (
        replace(QUIET, heard={"dc2": False, "witness": True}),
        EventKind.SITE_LOST,
        EventKind.SITE_BACK,
    ),
    (replace(QUIET, audit_alarms=("broken",)), EventKind.AUDIT_TROUBLE, EventKind.AUDIT_WELL),
    (
        replace(QUIET, fenced={"dc1": "by ann: flood"}),
        EventKind.SITE_FENCED,
        EventKind.SITE_UNFENCED,
    ),
    (serving(QUIET, paused="work"), EventKind.PAUSE_SET, EventKind.PAUSE_ENDED),
    (serving(QUIET, isolated=True), EventKind.SITE_ISOLATED, EventKind.SITE_REJOINED),
    (serving(QUIET, refused=("behind",)), EventKind.TAKEOVER_REFUSED, None),
    (serving(QUIET, unsealed_s=6.0), EventKind.SEAL_REFUSED, None),
    (copies(QUIET, "dc2", votes=False), EventKind.VOTER_LOST, EventKind.VOTER_BACK),
    (copies(QUIET, "dc2", lag_bytes=LIMIT + 1), EventKind.LAG_HIGH, EventKind.LAG_GONE),
    (serving(QUIET, overdue="a drill is due"), EventKind.DRILL_OVERDUE, None),
]
ONCE: list[tuple[Situation, list[EventKind]]] = [
    (MOVED_ON, [EventKind.ROLE_CHANGE_BEGUN, EventKind.ROLE_CHANGE_FINISHED]),
    (replace(QUIET, requests=(WISH,)), [EventKind.APPROVAL_WANTED]),
    (replace(QUIET, requests=(replace(WISH, state="lapsed"),)), [EventKind.APPROVAL_LAPSED]),
    (
        replace(QUIET, requests=(replace(WISH, state="failed", missing=0),)),
        [EventKind.ROLE_CHANGE_UNDONE],
    ),
    (
        replace(QUIET, requests=(replace(WISH, missing=0, broke_glass="x"),)),
        [EventKind.GLASS_BROKEN],
    ),
]


def test_every_kind_is_derived_somewhere_here() -> None:
    derived = {kind for _, begin, end in CONDITIONS for kind in (begin, end) if kind}
    derived |= {kind for _, kinds in ONCE for kind in kinds}
    assert derived | {EventKind.DROPPED, EventKind.TEST} == set(EventKind) == set(TRAITS)


@pytest.mark.parametrize(("situation", "begin", "end"), CONDITIONS, ids=lambda x: str(x)[:20])
def test_a_condition_is_told_once_when_it_lasts_and_once_when_it_is_over(
    situation: Situation, begin: EventKind, end: EventKind | None
) -> None:
    story, patience_s = Story(), TRAITS[begin].patience_s
    if patience_s:
        assert story.kinds(situation) == []
        assert story.kinds(situation, patience_s - 0.1) == []
        assert story.kinds(situation, 0.2) == [begin]
    else:
        assert story.kinds(situation) == [begin]
    for _ in range(3):
        assert story.kinds(situation, 100.0) == []
    over = [] if end is None else [end]
    assert story.kinds(QUIET) == ([] if patience_s else over)
    assert story.kinds(QUIET, patience_s + 0.1) == (over if patience_s else [])
    assert not story.known.standing
    assert story.kinds(QUIET, 100.0) == []


@pytest.mark.parametrize(("situation", "kinds"), ONCE, ids=lambda x: str(x)[:20])
def test_what_happened_is_told_once(situation: Situation, kinds: list[EventKind]) -> None:
    story = Story()
    assert story.kinds(situation) == kinds
    assert story.kinds(situation, 1.0) == []
    assert story.kinds(QUIET, 1.0) == []
    assert story.kinds(situation, 1.0) == []


def test_what_flickers_is_not_told() -> None:
    story, lost = Story(), copies(QUIET, "dc2", votes=False)
    for _ in range(20):
        assert story.kinds(lost, 6.0) == []
        assert story.kinds(QUIET, 6.0) == []


def test_who_learns_by_an_operators_word_is_not_missed() -> None:
    story, learns = Story(), copies(QUIET, "dc2", votes=None)
    assert story.kinds(learns) == []
    assert story.kinds(learns, 100.0) == []
    story.at(copies(QUIET, "dc2", votes=False), 1.0)
    assert story.kinds(copies(QUIET, "dc2", votes=False), 11.0) == [EventKind.VOTER_LOST]
    assert story.kinds(learns, 100.0) == []  # it was lost before, and does not vote again by that
    story.at(QUIET, 1.0)
    assert story.kinds(QUIET, 11.0) == [EventKind.VOTER_BACK]


def test_a_lag_between_half_and_the_limit_neither_begins_nor_ends() -> None:
    story, middle = Story(), copies(QUIET, "dc2", lag_bytes=LIMIT * 3 // 4)
    assert story.kinds(middle) == []
    assert story.kinds(middle, 100.0) == []
    high = copies(QUIET, "dc2", lag_bytes=LIMIT * 2)
    story.at(high)
    assert story.kinds(high, 11.0) == [EventKind.LAG_HIGH]
    assert story.kinds(middle, 100.0) == []
    assert story.kinds(copies(QUIET, "dc2", lag_bytes=None), 100.0) == []
    story.at(QUIET)
    assert story.kinds(QUIET, 11.0) == [EventKind.LAG_GONE]


def test_what_is_not_known_neither_begins_nor_ends() -> None:
    story, lost = Story(), replace(QUIET, heard={"dc2": False, "witness": True})
    story.at(lost)
    assert story.kinds(lost, 4.0) == [EventKind.SITE_LOST]
    unknown = replace(QUIET, heard={}, audit_alarms=None, services=(replace(WALLET, epoch=0),))
    assert story.kinds(unknown, 100.0) == []
    assert story.kinds(lost, 100.0) == []


def test_the_first_start_of_all_tells_nothing_of_the_past_and_waits_for_the_store() -> None:
    unread = replace(QUIET, store_ok=False, services=(replace(WALLET, epoch=0),), moves=())
    known, events = derive(Known(), unread, lag_bytes=LIMIT)
    assert (known.told, events) == (None, ())
    known, [lost] = derive(known, replace(unread, now_s=6.0), lag_bytes=LIMIT)
    assert (known.told, lost.kind) == (None, EventKind.STORE_LOST)
    known, events = derive(known, QUIET, lag_bytes=LIMIT)
    assert events == ()
    assert known.told is not None
    assert len(known.told) == 2


def test_after_a_restart_only_what_is_new_is_told() -> None:
    story = Story()
    lost = copies(QUIET, "dc2", votes=False)
    story.at(lost)
    story.at(lost, 11.0)
    story.known = Known(told=story.known.told, standing=story.known.standing)
    story.now_s = 3.0
    assert story.kinds(lost, 100.0) == []
    assert story.kinds(copies(MOVED_ON, "dc2", votes=False)) == ONCE[0][1]


def test_the_ids_of_one_occurrence_are_the_same_and_of_two_are_not() -> None:
    story, paused = Story(), serving(QUIET, paused="work")
    [first] = story.at(paused)
    story.at(QUIET, 5.0)
    [second] = story.at(paused, 5.0)
    assert first.id != second.id
    one, other = Story(), Story(replace(QUIET, me="dc2", heard={"dc1": True, "witness": True}))
    at_dc2 = replace(MOVED_ON, me="dc2", heard={"dc1": True, "witness": True})
    assert [e.id for e in one.at(MOVED_ON)] == [e.id for e in other.at(at_dc2)]


@pytest.mark.parametrize("me", ["dc1", "dc2"])
def test_of_sites_that_hear_each_other_only_the_new_holder_tells(me: str) -> None:
    other = "dc1" if me == "dc2" else "dc2"
    story = Story(replace(QUIET, me=me, heard={other: True, "witness": True}))
    events = story.at(replace(MOVED_ON, me=me, heard={other: True, "witness": True}))
    assert {event.teller for event in events} == {"dc2"}


def test_who_tells_while_the_holder_is_not_heard() -> None:
    at_dc2 = replace(QUIET, me="dc2", heard={"dc1": False, "witness": True})
    story = Story(replace(QUIET, me="dc2", heard={"dc1": True, "witness": True}))
    story.at(at_dc2)
    [lost] = story.at(at_dc2, 4.0)
    assert (lost.kind, lost.teller) == (EventKind.SITE_LOST, "dc2")
    [paused] = story.at(serving(at_dc2, paused="work"))
    assert paused.teller == "dc2"


def test_planned_moves_matter_less_than_unplanned_ones() -> None:
    assert {event.severity for event in Story().at(MOVED_ON)} == {Severity.INFO}
    forced = serving(QUIET, epoch=8, kind="failover")
    assert [event.severity for event in Story().at(forced)] == [Severity.WARNING]


def test_what_is_kept_is_bounded() -> None:
    story = Story()
    for number in range(TOLD_MAX + 50):
        story.at(replace(QUIET, requests=(replace(WISH, number=number),)))
    assert story.known.told is not None
    assert len(story.known.told) == TOLD_MAX


def test_events_of_one_site_s_own_are_told_by_it() -> None:
    for kind, trait in TRAITS.items():
        if trait.end is not None:
            assert TRAITS[trait.end].teller is trait.teller, kind
            assert TRAITS[trait.end].severity is Severity.INFO
    assert TRAITS[EventKind.TAKEOVER_REFUSED].teller is Teller.OWN


GLASS = replace(
    WISH,
    kind="pause",
    missing=0,
    reason="BREAK-GLASS by ada, past the policy of pause of wallet: two. Reason: it burns",
    broke_glass="pause of wallet: two",
)


def test_who_broke_the_glass_and_why_is_told_at_its_begin_and_at_its_end() -> None:
    story = Story()
    [told] = story.at(replace(QUIET, requests=(GLASS,)))
    assert (told.kind, told.severity, told.service) == (
        EventKind.GLASS_BROKEN,
        Severity.CRITICAL,
        "wallet",
    )
    assert told.what == (
        "request 3, pause of wallet asked by alice, was carried out past the policy of pause of "
        f"wallet: two: {GLASS.reason}"
    )
    assert told.facts["passed_over"] == "pause of wallet: two"
    assert story.at(replace(QUIET, requests=(GLASS,))) == []
    ended = replace(
        GLASS,
        state="withdrawn",
        why="BREAK-GLASS by bob, past the policy of resume of wallet: one. Reason: it is out",
        broke_glass="resume of wallet: one",
    )
    [told] = story.at(replace(QUIET, requests=(ended,)))
    assert told.what.endswith("resume of wallet: one: " + ended.why)
    assert told.id.endswith("/wallet/3/end")


def test_a_wish_that_an_order_ends_may_be_told_again() -> None:
    story = Story()
    wish = replace(WISH, kind="resume", at="t1")
    assert story.kinds(replace(QUIET, requests=(wish,))) == [EventKind.APPROVAL_WANTED]
    assert story.kinds(replace(QUIET, requests=(wish,))) == []
    again = replace(wish, at="t2")
    assert story.kinds(replace(QUIET, requests=(again,))) == [EventKind.APPROVAL_WANTED]
