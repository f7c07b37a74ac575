"""Waits end together, and never late."""

from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.beat import BEAT_S, to_the_beat


@given(st.floats(0.0, 100), st.floats(0, 4e9))
def test_a_wait_is_not_longer_than_it_may_be_and_ends_on_a_beat(seconds: float, now: float) -> None:
    waited = to_the_beat(seconds, now)
    assert 0 <= waited <= seconds
    off = (now + waited) % BEAT_S
    assert min(off, BEAT_S - off) < 1e-5 or (waited == seconds and seconds <= BEAT_S + 1e-5)
