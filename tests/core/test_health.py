"""Debounced verdicts: as many samples in a row as they were told, no fewer, no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.health import Verdict, heard

samples = st.lists(st.booleans(), max_size=40)
counts = st.integers(1, 5)


def after(verdict: Verdict, oks: list[bool]) -> Verdict:
    for ok in oks:
        verdict = heard(verdict, ok=ok, detail=str(ok))
    return verdict


def test_a_probed_thing_is_believed_up_until_it_is_heard_of() -> None:
    assert Verdict(rise=1, fall=1) == Verdict(rise=1, fall=1, up=True, streak=0, detail="")


@pytest.mark.parametrize(
    ("verdict", "settles_s"),
    [
        (Verdict(rise=2, fall=3), 3.0),
        (Verdict(rise=4, fall=3, every_s=0.5), 2.0),
        (Verdict(rise=1, fall=1, every_s=1.2), 1.2),
    ],
)
def test_everybody_has_found_the_same_after_the_slower_of_both_turns(
    verdict: Verdict, settles_s: float
) -> None:
    assert verdict.settles_s == pytest.approx(settles_s)


@given(counts, counts, samples)
def test_the_verdict_turns_after_exactly_so_many_contradictions_in_a_row(
    rise: int, fall: int, oks: list[bool]
) -> None:
    verdict = Verdict(rise=rise, fall=fall)
    against = 0
    for ok in oks:
        before, verdict = verdict, heard(verdict, ok=ok, detail=str(ok))
        against = 0 if ok == before.up else against + 1
        turned = against == (rise if ok else fall)
        assert verdict.up == (ok if turned else before.up)
        assert verdict.streak == (0 if turned else against)
        assert verdict.detail == str(ok)
        against = verdict.streak


@given(counts, counts, samples)
def test_enough_equal_samples_decide_whatever_was_before(
    rise: int, fall: int, oks: list[bool]
) -> None:
    before = after(Verdict(rise=rise, fall=fall), oks)
    assert after(before, [True] * rise).up
    assert not after(before, [False] * fall).up


@given(st.integers(2, 5), samples)
def test_one_sample_alone_never_turns_it(needed: int, oks: list[bool]) -> None:
    steady = after(Verdict(rise=needed, fall=needed), [*oks, *([True] * needed)])
    assert after(steady, [False, True]) == Verdict(rise=needed, fall=needed, detail="True")


@pytest.mark.parametrize(("rise", "fall"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_it_takes_one_sample_at_least(rise: int, fall: int) -> None:
    for ok in (True, False):
        with pytest.raises(AssertionError):
            heard(Verdict(rise=rise, fall=fall), ok=ok, detail="")
