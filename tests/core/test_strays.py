"""Where packets of connections go that began at the other edge, while a service moves."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import strays
from controller.core.decide import decide
from controller.core.intents import ForwardStrays
from controller.core.model import Epoch, SiteName
from controller.core.requests import Kind, State
from controller.core.view import View
from tests.core.turned import other, own, record, timings
from tests.core.views import DC1, DC2, GONE, HERE, WITNESS, dc2_view
from tests.core.wishes import asked

DC3 = SiteName("dc3")

Move = Callable[[], View]


def announced() -> View:
    """dc1 has begun to hand over to dc2."""
    return asked(dc2_view(), Kind.SWITCHOVER, target="dc2", state=State.RUNNING)


def handed() -> View:
    """dc1 gave epoch 3 to dc2 a moment ago."""
    view = record(dc2_view(), epoch=Epoch(3), holder=DC2, kind="handover", previous=DC1, request=4)
    return replace(view, record_unchanged_s=1.0)


def at_dc1(view: View) -> View:
    """The same, as dc1 sees it."""
    there = replace(view.others[DC1], seen=HERE)
    return replace(view, me=DC1, others={WITNESS: view.others[WITNESS], DC2: there})


def at_dc3(view: View) -> View:
    """The same, as a third data site sees it."""
    return replace(view, me=DC3)


def asks(view: View) -> list[SiteName | None]:
    """Where `decide` sends strays anew."""
    intents = decide(view).intents
    return [intent.site for intent in intents if isinstance(intent, ForwardStrays)]


@pytest.mark.parametrize("move", [announced, handed])
def test_giver_and_taker_send_them_to_each_other_and_a_third_site_to_the_giver(move: Move) -> None:
    assert strays.other_edge(move()) == DC1
    assert strays.other_edge(at_dc1(move())) == DC2
    assert strays.other_edge(at_dc3(move())) == DC1


@pytest.mark.parametrize("move", [announced, handed])
def test_a_site_that_is_not_heard_gets_none(move: Move) -> None:
    assert strays.other_edge(other(move(), DC1, seen=GONE)) is None
    late = replace(HERE, control_s=0.5)
    assert strays.other_edge(other(move(), DC1, seen=late)) == DC1
    assert strays.other_edge(timings(other(move(), DC1, seen=late), suspect_after_s=0.49)) is None


def test_who_gave_the_service_may_be_no_site_of_it_any_more() -> None:
    assert strays.other_edge(record(handed(), previous=DC3)) is None


NO_MOVE: list[View] = [
    dc2_view(),
    replace(dc2_view(), record=None),
    asked(dc2_view(), Kind.SWITCHOVER, target="dc2", state=State.OPEN),
    asked(dc2_view(), Kind.SWITCHOVER, target="dc2", state=State.FAILED),
    asked(dc2_view(), Kind.SWITCHOVER, target="dc2", state=State.RUNNING, unchanged_s=5.1),
    replace(handed(), record_unchanged_s=15.1),
    record(handed(), kind="failover"),
    record(handed(), request=0),
    record(handed(), previous=None),
]


@pytest.mark.parametrize("view", NO_MOVE)
def test_while_nothing_moves_as_planned_they_are_reset(view: View) -> None:
    assert strays.other_edge(view) is None
    assert asks(own(view, can_forward=True)) == []
    assert asks(own(view, can_forward=True, strays_to=DC1)) == [None]


def test_they_go_there_for_as_long_as_connections_may_linger() -> None:
    assert strays.other_edge(replace(handed(), record_unchanged_s=15.0)) == DC1
    short = timings(handed(), linger_s=0.9)
    assert strays.other_edge(short) is None


@pytest.mark.parametrize("move", [announced, handed])
def test_it_is_asked_for_once_and_only_of_a_host_that_can(move: Move) -> None:
    assert asks(own(move(), can_forward=True)) == [DC1]
    assert asks(own(move(), can_forward=True, strays_to=DC1)) == []
    assert asks(own(move(), can_forward=True, strays_to=DC3)) == [DC1]
    assert asks(move()) == []
    busy = replace(own(move(), can_forward=True), busy=frozenset({"strays"}))
    assert asks(busy) == []
