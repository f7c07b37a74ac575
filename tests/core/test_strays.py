"""Where packets of connections go that began at the other edge."""

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


def failed_over() -> View:
    """dc2 took epoch 3 from dc1 a moment ago, and dc1 is heard again."""
    view = record(dc2_view(), epoch=Epoch(3), holder=DC2, kind="failover", previous=DC1)
    return replace(view, record_unchanged_s=1.0)


def at_rest() -> View:
    """dc1 has held epoch 2 for long."""
    return replace(dc2_view(), record_unchanged_s=500.0)


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


MOVES: list[Move] = [announced, handed, failed_over]


@pytest.mark.parametrize("move", MOVES)
def test_giver_and_taker_send_them_to_each_other_and_a_third_site_to_the_giver(move: Move) -> None:
    assert strays.other_edge(move()) == DC1
    assert strays.other_edge(at_dc1(move())) == DC2
    assert strays.other_edge(at_dc3(move())) == DC1


def test_a_third_site_sends_them_to_the_new_holder_when_the_one_before_is_gone() -> None:
    view = failed_over()
    there = replace(view.others[DC1], seen=HERE)
    gone = replace(view.others[DC1], seen=GONE)
    view = replace(view, others={WITNESS: view.others[WITNESS], DC1: gone, DC2: there})
    assert strays.other_edge(at_dc3(view)) == DC2
    assert strays.other_edge(at_dc3(other(view, DC1, seen=HERE))) == DC1


STILL: list[View] = [
    at_rest(),
    record(at_rest(), previous=DC2),
    asked(at_rest(), Kind.SWITCHOVER, target="dc2", state=State.OPEN),
    asked(at_rest(), Kind.SWITCHOVER, target="dc2", state=State.FAILED),
    asked(at_rest(), Kind.SWITCHOVER, target="dc2", state=State.RUNNING, unchanged_s=5.1),
]


@pytest.mark.parametrize("view", STILL)
def test_at_rest_who_does_not_hold_the_epoch_sends_them_to_who_does(view: View) -> None:
    assert strays.other_edge(view) == DC1
    assert strays.other_edge(at_dc3(view)) == DC1
    assert strays.other_edge(at_dc1(view)) is None


@pytest.mark.parametrize("move", MOVES)
def test_a_site_that_is_not_heard_gets_none(move: Move) -> None:
    assert strays.other_edge(other(move(), DC1, seen=GONE)) is None
    late = replace(HERE, control_s=0.5)
    assert strays.other_edge(other(move(), DC1, seen=late)) == DC1
    assert strays.other_edge(timings(other(move(), DC1, seen=late), suspect_after_s=0.49)) is None


def test_who_gave_the_service_may_be_no_site_of_it_any_more() -> None:
    assert strays.other_edge(record(handed(), previous=DC3)) is None
    assert strays.other_edge(other(record(handed(), previous=WITNESS), WITNESS, seen=HERE)) is None


NOWHERE: list[View] = [
    replace(dc2_view(), record=None),
    other(at_rest(), DC1, seen=GONE),
    replace(handed(), record_unchanged_s=15.1),
    replace(failed_over(), record_unchanged_s=15.1),
    record(handed(), previous=None),
]


@pytest.mark.parametrize("view", NOWHERE)
def test_where_no_other_edge_may_know_them_they_are_reset(view: View) -> None:
    assert strays.other_edge(view) is None
    assert asks(own(view, can_forward=True)) == []
    assert asks(own(view, can_forward=True, strays_to=DC1)) == [None]


@pytest.mark.parametrize("move", [handed, failed_over])
def test_the_holder_sends_them_back_for_as_long_as_connections_may_linger(move: Move) -> None:
    assert strays.other_edge(replace(move(), record_unchanged_s=15.0)) == DC1
    assert strays.other_edge(timings(move(), linger_s=0.9)) is None


@pytest.mark.parametrize("move", [*MOVES, at_rest])
def test_it_is_asked_for_once_and_only_of_a_host_that_can(move: Move) -> None:
    assert asks(own(move(), can_forward=True)) == [DC1]
    assert asks(own(move(), can_forward=True, strays_to=DC1)) == []
    assert asks(own(move(), can_forward=True, strays_to=DC3)) == [DC1]
    assert asks(move()) == []
    busy = replace(own(move(), can_forward=True), busy=frozenset({"strays"}))
    assert asks(busy) == []
