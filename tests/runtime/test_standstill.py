"""Time in which the daemon itself stood still is no time in which anything was seen to last."""

from controller.core.model import Instant
from controller.runtime.standstill import KEPT, Standstill, lasted


def at(seconds: float) -> Instant:
    return Instant(seconds)


def test_every_hitch_since_then_counts_and_only_its_part_after_it() -> None:
    still = Standstill(at(10.0), hitch_s=0.2)
    assert still.awake(at(10.2)) == 0.0
    assert round(still.awake(at(10.5)), 3) == 0.3
    assert round(still.awake(at(10.6)), 3) == 0.0
    assert round(still.awake(at(11.0)), 3) == 0.4
    assert round(still.since(at(10.0)), 3) == 0.7
    assert round(still.since(at(10.4)), 3) == 0.5
    assert round(still.since(at(10.5)), 3) == 0.4
    assert round(still.since(at(10.9)), 3) == 0.1
    assert still.since(at(11.0)) == 0.0


def test_no_more_is_kept_than_is_news() -> None:
    still = Standstill(at(0.0), hitch_s=0.2)
    for number in range(1, 3 * KEPT):
        still.awake(at(float(number)))
    assert still.since(at(0.0)) == KEPT


def test_a_trouble_lasts_only_while_somebody_was_awake_to_see_it() -> None:
    since: dict[str, Instant] = {}
    still = Standstill(at(5.0), hitch_s=0.2)
    assert lasted(since, {"front"}, at(5.0), still.since) == {"front": 0.0}
    still.awake(at(5.1))
    assert round(lasted(since, {"front"}, at(5.1), still.since)["front"], 3) == 0.1
    still.awake(at(5.5))
    found = lasted(since, {"front", "bgp"}, at(5.6), still.since)
    assert {kind: round(seconds, 3) for kind, seconds in found.items()} == {
        "front": 0.2,
        "bgp": 0.0,
    }
    assert lasted(since, {"bgp"}, at(5.7), still.since).keys() == {"bgp"}
    assert lasted(since, {"front"}, at(5.8), still.since) == {"front": 0.0}


def test_a_look_of_a_moment_ago_is_never_younger_than_now() -> None:
    since = {"front": at(1.0)}
    assert lasted(since, {"front"}, at(1.2), lambda _: 0.2001) == {"front": 0.0}
