"""Gaps, spans and verdicts, over any watch."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.drill.measure import (
    NOT_MEASURED,
    Sample,
    gaps,
    good,
    judged,
    longest,
    lost_of,
    outages,
    spans,
    verdict,
)

times = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
sites = st.sampled_from(["dc1", "dc2", ""])


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    sent, took = draw(times), draw(times)
    return Sample(sent_s=sent, ended_s=sent + took, ok=draw(st.booleans()), site=draw(sites))


watches = st.lists(samples(), max_size=30)


def at(*ended: float, site: str = "dc1") -> list[Sample]:
    return [Sample(sent_s=when - 0.01, ended_s=when, ok=True, site=site) for when in ended]


@given(watches)
def test_gaps_are_the_whole_watch_and_no_good_answer_lies_within_one(seen: list[Sample]) -> None:
    found = gaps(seen, 0.0, 300.0)
    assert found[0].began_s == 0.0
    assert found[-1].ended_s == 300.0
    assert all(first.ended_s == after.began_s for first, after in pairwise(found))
    for gap in found:
        assert gap.took_s >= 0
        assert not any(s.ok and gap.began_s < s.ended_s < gap.ended_s for s in seen)


@given(watches)
def test_the_longest_gap_is_never_shorter_than_any_other(seen: list[Sample]) -> None:
    worst = longest(seen, 0.0, 300.0)
    assert worst.took_s == max(gap.took_s for gap in gaps(seen, 0.0, 300.0))
    assert worst.took_s >= 300.0 / (len(good(seen)) + 1)


@given(watches, samples())
def test_one_more_good_answer_never_makes_it_longer(seen: list[Sample], more: Sample) -> None:
    before, after = longest(seen, 0.0, 300.0), longest([*seen, more], 0.0, 300.0)
    assert after.took_s <= before.took_s


@given(watches)
def test_spans_hold_every_good_answer_once_and_neighbors_differ(seen: list[Sample]) -> None:
    found = spans(seen)
    assert sum(span.answers for span in found) == len(good(seen))
    for first, after in pairwise(found):
        assert first.site != after.site
        assert first.ended_s <= after.began_s


def test_a_gap_begins_at_the_last_good_answer_and_ends_at_the_next() -> None:
    failed = Sample(sent_s=1.0, ended_s=1.2, ok=False, detail="status 503")
    watch = [*at(0.1, 0.9), failed, *at(2.4, 2.5)]
    worst = longest(watch, 0.0, 2.6)
    assert (worst.began_s, worst.ended_s) == (0.9, 2.4)
    assert worst.took_s == pytest.approx(1.5)
    assert [gap.began_s for gap in outages(watch, 0.0, 2.6, 0.5)] == [0.1, 0.9]


def test_who_answered_when() -> None:
    watch = [*at(0.1, 0.2), *at(0.5, 0.6, site="dc2"), *at(0.9)]
    assert [(s.site, s.began_s, s.ended_s, s.answers) for s in spans(watch)] == [
        ("dc1", 0.1, 0.2, 2),
        ("dc2", 0.5, 0.6, 2),
        ("dc1", 0.9, 0.9, 1),
    ]


@pytest.mark.parametrize(
    ("gap_s", "lost", "passed"),
    [
        (5.0, 0, (True, True)),
        (5.001, 0, (False, True)),
        (0.1, 1, (True, False)),
        (None, None, (False, False)),
    ],
)
def test_objectives_at_their_edges(
    gap_s: float | None, lost: int | None, passed: tuple[bool, bool]
) -> None:
    found = judged(rto_s=5.0, gap_s=gap_s, rpo_transactions=0, lost=lost)
    assert tuple(each.passed for each in found) == passed
    assert (found[0].measured == NOT_MEASURED) == (gap_s is None)


@pytest.mark.parametrize(
    ("gap_s", "aborted", "troubles", "said"),
    [
        (0.4, "", (), "passed"),
        (9.0, "", (), "failed"),
        (0.4, "", ("dc1 is ill",), "failed"),
        (0.4, "Ctrl-C", (), "aborted"),
        (None, "Ctrl-C", (), "aborted"),
        (9.0, "no good answer", (), "failed"),
        (None, "", (), "failed"),
    ],
)
def test_the_verdict(
    gap_s: float | None, aborted: str, troubles: tuple[str, ...], said: str
) -> None:
    lost = None if gap_s is None else 0
    objectives = judged(rto_s=5.0, gap_s=gap_s, rpo_transactions=0, lost=lost)
    assert verdict(objectives, aborted, troubles) == said


@pytest.mark.parametrize(
    ("kind", "told", "lost"),
    [
        ("handover", "", 0),
        ("handover", "3", 3),
        ("failover", "", None),
        ("failover", "0", 0),
        ("failover", "²", None),
        ("failover", "some", None),
    ],
)
def test_what_was_lost_is_counted_or_proved_or_not_known(
    kind: str, told: str, lost: int | None
) -> None:
    assert lost_of(kind, told) == lost
