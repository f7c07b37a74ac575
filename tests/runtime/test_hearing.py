"""Ages of signs of life: what a fresh daemon has not seen yet is no evidence of silence."""

from collections.abc import Callable, Mapping

from controller.core import sightings
from controller.core.model import FOREVER_S, Instant, Seen, ServiceName, SiteName
from controller.ports import Heard, Sample
from controller.runtime.hearing import SETTLE_S, Hearing, ProbePace, Watched
from tests.runtime.clock import HandClock

DC1, WITNESS = SiteName("dc1"), SiteName("witness")
WALLET = ServiceName("wallet")


class Said:
    """Implements `Heartbeats`."""

    def __init__(self) -> None:
        self.last: dict[SiteName, Heard] = {}

    def say(self, payload: Callable[[], Mapping[str, object]]) -> None:
        raise AssertionError

    def hurry(self) -> None:
        raise AssertionError

    def heard(self) -> Mapping[SiteName, Heard]:
        return self.last

    def dropped(self) -> Mapping[str, int]:
        return {}


class Silent:
    """Implements `Prober`."""

    async def sample(self) -> Sample:
        return Sample(ok=False, detail="", took_s=0)


def hearing(said: Said, clock: HandClock, stall_s: float = 0.5) -> Hearing:
    return Hearing(
        heartbeats=said,
        watched={DC1: Watched(front=Silent(), data={WALLET: (Silent(),)})},
        services=[WALLET],
        clock=clock,
        pace=ProbePace(
            late_after_s=0.25, busy_s=0.1, rest_s=1.0, hitch_s=stall_s / 2.5, stall_s=stall_s
        ),
    )


def pass_by(clock: HandClock, ears: Hearing, seconds: float) -> None:
    """The daemon runs: it is asked again and again."""
    for _ in range(round(seconds * 20)):
        clock.now += 0.05
        ears.control_s(DC1)


def test_a_fresh_daemon_counts_silence_from_when_it_has_settled() -> None:
    clock = HandClock()
    ears = hearing(Said(), clock)
    pass_by(clock, ears, SETTLE_S)
    assert round(ears.seen(DC1, WALLET).control_s, 3) == 0
    pass_by(clock, ears, 0.6)
    seen = ears.seen(DC1, WALLET)
    assert round(seen.control_s, 3) == round(seen.front_s, 3) == round(seen.data_s, 3) == 0.6
    assert ears.late()


def test_a_daemon_that_stood_still_counts_silence_from_when_it_has_settled_again() -> None:
    clock, said = HandClock(), Said()
    ears = hearing(said, clock)
    pass_by(clock, ears, SETTLE_S + 1.6)
    assert round(ears.control_s(DC1), 3) == 1.6
    clock.now += 0.6
    assert ears.control_s(DC1) == 0
    pass_by(clock, ears, SETTLE_S + 0.5)
    assert round(ears.control_s(DC1), 3) == 0.5


def test_a_hitch_is_no_time_in_which_others_were_silent() -> None:
    clock, said = HandClock(), Said()
    ears = hearing(said, clock)
    pass_by(clock, ears, SETTLE_S + 0.2)
    seen = Seen(control_s=0.05, front_s=0.9, data_s=1.0)
    said.last[WITNESS] = Heard(at=Instant(clock.now), payload=sightings.tell({DC1: {WALLET: seen}}))
    clock.now = Instant(clock.now + 0.45)
    assert round(ears.control_s(DC1), 3) == 0.2
    assert round(ears.control_s(WITNESS), 3) == 0
    assert ears.told(WITNESS, DC1, WALLET) == seen
    pass_by(clock, ears, 0.3)
    assert round(ears.control_s(DC1), 3) == 0.5
    assert round(ears.told(WITNESS, DC1, WALLET).control_s, 3) == 0.35


def test_every_hitch_is_no_such_time_and_what_was_told_is_no_older_for_a_stall() -> None:
    clock, said = HandClock(), Said()
    ears = hearing(said, clock)
    pass_by(clock, ears, SETTLE_S + 0.1)
    began = Instant(clock.now)
    said.last[WITNESS] = Heard(at=began, payload=sightings.tell({DC1: {WALLET: Seen()}}))
    for _ in range(3):
        clock.now = Instant(clock.now + 0.3)
        ears.control_s(DC1)
        pass_by(clock, ears, 0.1)
    assert round(ears.control_s(DC1), 3) == 0.4
    assert round(ears.stood_still(began), 3) == 0.9
    clock.now = Instant(clock.now + 0.7)
    assert round(ears.stood_still(began), 3) == 1.6
    assert round(ears.control_s(WITNESS), 3) == 0


def test_a_daemon_with_slow_heartbeats_does_not_stand_still_between_them() -> None:
    clock = HandClock()
    ears = hearing(Said(), clock, stall_s=2.5)  # heartbeats every half a second
    for _ in range(10):
        clock.now += 0.55
        ears.control_s(DC1)
    assert round(ears.control_s(DC1), 3) == round(5.5 - SETTLE_S, 3)


def test_what_another_tells_grows_older_with_its_heartbeat() -> None:
    clock, said = HandClock(), Said()
    ears = hearing(said, clock)
    said.last[WITNESS] = Heard(
        at=Instant(clock.now),
        payload=sightings.tell({DC1: {WALLET: Seen(control_s=0.04, front_s=0.9, data_s=1.0)}}),
    )
    pass_by(clock, ears, 0.5)
    told = ears.told(WITNESS, DC1, WALLET)
    assert (round(told.control_s, 3), round(told.front_s, 3)) == (0.54, 1.4)
    assert round(told.data_s, 3) == 1.5


def test_garbage_in_a_heartbeat_counts_as_never_seen() -> None:
    clock, said = HandClock(), Said()
    ears = hearing(said, clock)
    garbage: tuple[Mapping[str, object], ...] = (
        {},
        {"seen": 3},
        {"seen": {"dc1": []}},
        {"seen": {"dc1": {"c": True}}},
    )
    for payload in garbage:
        said.last[WITNESS] = Heard(at=Instant(clock.now), payload=payload)
        assert ears.told(WITNESS, DC1, WALLET).control_s == FOREVER_S


def test_what_it_tells_is_what_it_sees_in_milliseconds() -> None:
    clock = HandClock()
    ears = hearing(Said(), clock)
    pass_by(clock, ears, SETTLE_S)
    clock.now += 0.1255
    assert sightings.told(ears.tell(), DC1, WALLET, (WALLET,)) == Seen(
        control_s=0.125, front_s=0.125, data_s=0.125
    )
