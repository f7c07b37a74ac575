"""Each thing that keeps a drill from beginning is said, by the check that is for it, and alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.drill.checks import CHECKS, Standing, examined, reasons

WELL = Standing(
    service="wallet", holder="dc1", target="dc2", home="dc1",
    healthy={"dc1": True, "dc2": True}, apps={"dc1": (2, 2), "dc2": (2, 2)},
    canary_url="http://198.51.100.10/whoami", lands_at="dc1",
)  # fmt: skip
WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "store": [({"store_ok": False}, "no role can change")],
    "holder": [
        ({"holder": ""}, "nobody holds wallet"),
        ({"home": "dc2", "lands_at": "dc1"}, "dc1 holds wallet, not dc2"),
        ({"holder_role": "isolated"}, "dc1 is isolated, not primary"),
    ],
    "health": [
        ({"healthy": {"dc1": False, "dc2": True}}, "dc1 is ill"),
        ({"healthy": {"dc1": True, "dc2": None}}, "dc2 is not known to be well"),
        ({"apps": {"dc1": (2, 2), "dc2": (1, 2)}}, "dc2 has 1 of 2 app servers up"),
    ],
    "redundancy": [({"missing": ("ledger at dc2 is waiting",)}, "ledger at dc2 is waiting")],
    "target": [
        ({"target": ""}, "no other data site is known"),
        ({"eligible": False}, "dc2 may not take over: it does not say why"),
        ({"not_eligible_because": ("it lags",)}, "dc2 may not take over: it lags"),
    ],
    "requests": [
        ({"request": "4, pause"}, "request 4, pause is open"),
        ({"drains": ("dc2",)}, "dc2 is drained: tricast undrain dc2"),
    ],
    "role change": [({"change": "REJOIN"}, "a role change is under way: REJOIN")],
    "pause": [({"paused": "work"}, "automation is paused: work")],
    "flap window": [({"settled": False}, "within the flap window")],
    "canary": [
        ({"canary_url": ""}, "has no canary_url"),
        ({"canary_trouble": "status 503"}, "http://198.51.100.10/whoami: status 503"),
        ({"lands_at": "dc2"}, "is answered by dc2, not by dc1"),
    ],
    "request": [({"refused": "so it is"}, "so it is")],
}
ALL = [(name, turned, why) for name, cases in WRONG.items() for turned, why in cases]


def test_every_check_has_a_case() -> None:
    assert set(WRONG) == {name for name, _, _ in CHECKS}


def test_a_service_that_is_well_may_be_rehearsed() -> None:
    found = examined(WELL)
    assert reasons(found) == ()
    assert [each.name for each in found] == [name for name, _, _ in CHECKS]
    assert not any("{" in each.detail for each in found)
    assert examined(replace(WELL, lands_at=""))[-2].ok  # an answer need not tell its site


@pytest.mark.parametrize(("name", "turned", "why"), ALL)
def test_what_is_wrong_is_named_once(name: str, turned: dict[str, Any], why: str) -> None:
    (said,) = reasons(examined(replace(WELL, **turned)))
    assert said.startswith(f"{name}: ")
    assert why in said


@given(st.lists(st.sampled_from(ALL), max_size=6))
def test_nothing_wrong_is_ever_passed_over(wrong: list[tuple[str, dict[str, Any], str]]) -> None:
    seen, names = WELL, set()
    for name, turned, _ in wrong:
        if not any(getattr(WELL, key) != getattr(seen, key) for key in turned):
            seen = replace(seen, **turned)
            names.add(name)
    if not seen.holder:
        names.discard("canary")  # nobody is there who should have answered
    assert names <= {each.name for each in examined(seen) if not each.ok}
