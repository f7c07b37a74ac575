"""A site that an operator keeps out: no candidate, no voter, relieved, closed from outside."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import asked as asking
from controller.core import copies, fenced, fencing, guards, handover, troubles, wire
from controller.core.decide import decide
from controller.core.intents import FenceOthers, Follow, RaiseEpoch, Rejoin
from controller.core.model import Closing, Epoch, Role, Seen, SiteName
from controller.core.requests import Kind
from controller.core.view import OtherSite, View
from tests.core.turned import other, own, report, serving, silent, spec, state, witness_report
from tests.core.views import DC1, DC2, GONE, HERE, WITNESS, dc2_view
from tests.core.wishes import asked, drained, wish
from tests.core.wishes import fenced as out

DC3 = SiteName("dc3")
SAID = "dc2 is fenced by ann: flooded"


# --- what a fence is -----------------------------------------------------------------------------


def test_a_fence_is_in_force_once_approved() -> None:
    view = out(dc2_view(), DC2)
    assert (fenced.fenced(view, DC2), fenced.fenced(view, DC1)) == (True, False)
    assert (fenced.fenced_sites(view), fenced.fenced_here(view)) == ((DC2,), True)
    proposed = out(dc2_view(), DC2, approvals_needed=1)
    assert (fenced.fenced_sites(proposed), fenced.fenced_here(proposed)) == ((), False)


def test_who_is_kept_out_is_told_in_order_whoever_was_first() -> None:
    view = out(out(out(dc2_view(), WITNESS), DC2), DC1)
    assert fenced.fenced_sites(view) == (DC1, DC2, WITNESS)


def test_its_record_is_read_as_it_was_written_and_beside_a_drain() -> None:
    order = wish(Kind.FENCE, target="dc1", reason="flooded")
    key = wire.key_of_request(order)
    assert key == wire.fence_key(DC1) == "fences/dc1"
    assert wire.decode_request(key, wire.encode_request(order)) == order
    newer = wire.encode_request(order).replace(b"{", b'{"later": 1, ', 1)
    assert wire.decode_request(key, newer) == order
    assert wire.is_request_key(key)
    assert not wire.is_request_key("fences/")
    assert wire.key_of_request(replace(order, kind=Kind.DRAIN)) == "requests/sites/dc1"
    with pytest.raises(wire.BadRecord):
        wire.decode_request("fences/dc2", wire.encode_request(order))


# --- no candidate --------------------------------------------------------------------------------


def test_it_is_not_eligible_and_says_why() -> None:
    assert decide(out(dc2_view(), DC2)).not_eligible_because == (SAID,)
    assert decide(out(silent(dc2_view()), DC2)).rule == 390
    assert decide(out(silent(dc2_view()), DC2)).refused_because == (SAID,)
    assert decide(silent(dc2_view())).rule == 321


def test_not_even_as_an_operator_asks() -> None:
    view = out(asked(dc2_view(), Kind.FAILOVER, target="dc2"), DC2)
    assert decide(view).rule == 221
    assert asking.failover_refusals(view) == (f"{SAID}; unfence it first: tricast unfence dc2",)
    reasons = handover.candidate_reasons(out(serving(), DC1), DC1)
    assert "dc1 is fenced by ann: flooded; unfence it first: tricast unfence dc1" in reasons


# --- the holder ----------------------------------------------------------------------------------


def test_as_the_holder_it_asks_to_be_relieved_at_once() -> None:
    view = out(serving(), DC2)
    assert [found.kind for found in troubles.troubles(view)] == ["fenced"]
    decision = decide(view)
    assert (decision.rule, decision.role, decision.yielding) == (401, Role.PRIMARY, SAID)
    assert troubles.troubles(out(dc2_view(), DC2)) == ()


def test_its_relief_waits_for_no_flap_window() -> None:
    yields = replace(report(dc2_view(), DC1, yielding="fenced"), changed_s=5.0)
    assert decide(yields).rule == 391
    decision = decide(out(yields, DC1))
    assert (decision.rule, type(decision.intents[0])) == (323, RaiseEpoch)
    assert not guards.outside_flap_window(out(yields, DC2))


def test_a_dead_controller_of_it_has_no_grace() -> None:
    late = Seen(control_s=0.6, front_s=0.05, data_s=0.05)
    view = other(dc2_view(), DC1, seen=late, seen_by={WITNESS: late})
    assert not guards.holder_controller_gone(view)
    assert guards.holder_controller_gone(out(view, DC1))
    assert decide(out(view, DC1)).rule == 324
    heard = replace(late, control_s=0.5)
    assert not guards.holder_controller_gone(
        out(other(view, DC1, seen=heard, seen_by={WITNESS: heard}), DC1)
    )


# --- its copies ----------------------------------------------------------------------------------


def test_its_copy_does_not_vote() -> None:
    view = serving()
    (database,) = view.own.databases
    assert DC1 in copies.wanted_admitted(view, database)
    assert copies.wanted_admitted(out(view, DC1), database) == {WITNESS}


def test_it_does_not_rejoin_before_it_is_unfenced() -> None:
    view = state(dc2_view(), streaming=False, receiving=False, upstream=None)
    kinds = (Follow, Rejoin)
    assert any(isinstance(intent, kinds) for intent in decide(view).intents)
    assert not any(isinstance(intent, kinds) for intent in decide(out(view, DC2)).intents)
    parted = state(view, diverged=True)
    assert any(isinstance(intent, kinds) for intent in decide(parted).intents)
    assert not any(isinstance(intent, kinds) for intent in decide(out(parted, DC2)).intents)


# --- closed from outside -------------------------------------------------------------------------


def test_its_databases_are_closed_once_for_each_order() -> None:
    view, close = out(serving(), DC1), FenceOthers(epoch=Epoch(2), orders=((DC1, 4),))
    assert fencing.close_fenced(view) is not None
    assert [i for i in decide(view).intents if isinstance(i, FenceOthers)] == [
        replace(close, epoch=view.record.epoch if view.record else Epoch(0))
    ]
    assert fencing.close_fenced(own(view, closings=(Closing(site=DC1, order=4),))) is None
    assert fencing.close_fenced(own(view, closings=(Closing(site=DC1, order=3),))) is not None
    assert fencing.close_fenced(own(view, closings=(Closing(site=DC2, order=4),))) is not None


@pytest.mark.parametrize(
    "view",
    [
        out(dc2_view(), DC1),  # it still holds the epoch
        out(serving(), DC2),  # this very site
        out(out(serving(), DC1), DC2),  # who is kept out closes nobody
        out(serving(), WITNESS),
        own(out(serving(), DC1), promised=Epoch(4)),  # the store was set back
        replace(out(dc2_view(), DC1), record=None),
        serving(),
    ],
)
def test_nothing_else_is_closed(view: View) -> None:
    assert fencing.close_fenced(view) is None


# --- what stands against it ----------------------------------------------------------------------


def standing_by() -> View:
    """dc2, which hears of the keeper."""
    return other(dc2_view(), WITNESS, report=witness_report())


def test_a_site_may_be_fenced_where_another_can_serve() -> None:
    assert fencing.refusals(standing_by(), DC1) == ()
    assert fencing.refusals(serving(), DC1) == ()
    assert fencing.refusals(spec(serving(), databases=()), DC1) == ()


def _lag(view: View) -> View:
    return report(view, DC1, eligible=False, not_eligible_because=("haproxy here is silent",))


def unfit(why: str) -> str:
    return f"no other data site could serve: {why}"


def too_few(missing: str) -> str:
    return f"ledger: without dc2 no majority of voters is left; missing: {missing}"


Turn = Callable[[View], View]
REFUSED: list[tuple[Turn, tuple[str, ...]]] = [
    (lambda v: other(v, DC1, seen=replace(HERE, control_s=0.5)), ()),
    (
        lambda v: other(v, DC1, seen=replace(HERE, control_s=0.51)),
        (unfit("dc1: not heard"), too_few("dc1")),
    ),
    (
        lambda v: other(v, DC1, report=None),
        (unfit("dc1: no report for longer than 5 s"), too_few("dc1")),
    ),
    (lambda v: other(v, DC1, report_age_s=5.0), ()),
    (
        lambda v: other(v, DC1, report_age_s=5.1),
        (unfit("dc1: no report for longer than 5 s"),),
    ),
    (_lag, (unfit("dc1: haproxy here is silent"),)),
    (
        lambda v: report(v, DC1, eligible=False, not_eligible_because=()),
        (unfit("dc1: not eligible"),),
    ),
    (lambda v: out(v, DC1), (unfit("dc1: dc1 is fenced by ann: flooded"), too_few("dc1, dc2"))),
    (
        lambda v: other(out(v, DC1), DC1, seen=GONE),
        (unfit("dc1: dc1 is fenced by ann: flooded, not heard"), too_few("dc1")),
    ),
    (
        lambda v: spec(v, data_sites=(DC2,)),
        (unfit("there is none"), too_few("dc2")),
    ),
    (lambda v: other(v, WITNESS, seen=GONE), (too_few("witness"),)),
    (
        lambda v: replace(v, paused="disk work"),
        (
            "dc2 holds it and automation is paused (disk work): nobody would take over; "
            "tricast resume --service wallet first",
        ),
    ),
]


@pytest.mark.parametrize(("turn", "sentences"), REFUSED)
def test_else_it_is_refused_and_what_is_missing_is_named(
    turn: Turn, sentences: tuple[str, ...]
) -> None:
    base = report(serving(), DC1, eligible=True)
    assert fencing.refusals(base, DC2) == ()
    assert fencing.refusals(turn(base), DC2) == sentences


def test_of_several_sites_each_is_named_with_all_that_it_lacks() -> None:
    view = report(serving(), DC1, eligible=False, not_eligible_because=("a is down", "b is down"))
    view = spec(view, data_sites=(DC1, DC2, DC3))
    view = replace(view, others={**view.others, DC3: OtherSite(report=None, seen=GONE)})
    assert fencing.refusals(view, DC2)[0] == unfit("dc1: a is down, b is down; dc3: not heard")


def test_voters_that_are_missing_are_named_in_order() -> None:
    names = tuple(SiteName(f"w{n}") for n in range(9))
    view = spec(serving(), witnesses=(WITNESS, *names))
    unheard = {name: OtherSite(report=None, seen=GONE) for name in names}
    view = replace(view, others={**view.others, **unheard})
    assert fencing.refusals(view, DC2) == (too_few(", ".join(names)),)


def test_the_asked_site_itself_has_to_be_fit() -> None:
    ill = own(standing_by(), front_ok=False)
    assert fencing.refusals(ill, DC1) == (
        "no other data site could serve: dc2: haproxy here does not answer",
    )


def test_nor_may_an_operator_keep_it_from_taking_over() -> None:
    ill = own(drained(standing_by(), DC2), front_ok=False)
    assert fencing.refusals(ill, DC1) == (
        "no other data site could serve: dc2: dc2 is drained by ann, haproxy here does not answer",
    )


def test_a_pause_matters_only_where_the_holder_is_fenced() -> None:
    assert fencing.refusals(replace(serving(), paused="disk work"), DC1) == ()
    assert fencing.refusals(replace(standing_by(), record=None, paused="work"), DC1) == ()


def test_voters_that_are_fenced_already_are_missing_too() -> None:
    found = fencing.refusals(out(report(serving(), DC1, eligible=True), DC1), DC2)
    assert found[-1] == "ledger: without dc2 no majority of voters is left; missing: dc1, dc2"
