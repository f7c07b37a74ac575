"""The role table itself: its numbers, its totality, and what each block may do."""

from bgp.policy import Stance
from controller.core.decide import ROWS, decide
from controller.core.health import Verdict, heard
from controller.core.intents import Announce, Direct, RaiseEpoch
from controller.core.model import Epoch, EpochRecord, Seen, SiteName
from controller.core.quorum import majority
from controller.core.rules import RULES
from controller.core.sequences import REJOIN, STAND_READY, STEP_DOWN, TAKE_OVER
from controller.core.view import OtherSite, OwnSide, ServiceSpec, Timings, View
from tests.core.views import GONE, HERE, dc2_view, report_of_dc1, spec


def test_numbers_rise_and_the_last_rule_fits_everything() -> None:
    numbers = [rule.number for rule in RULES]
    assert numbers == sorted(set(numbers))
    assert RULES[-1].when == ()


def test_no_guard_is_passed_over_that_is_not_known_to_hold() -> None:
    for rule, guards in ROWS:
        assert [guard for _, guard, *_ in guards] == [*rule.when]
        for place, (_, guard, beyond, alike) in enumerate(guards):
            later, *_ = ROWS[beyond]
            assert guard not in later.when
            assert 0 <= alike <= place
            assert later.when[:alike] == rule.when[:alike]


def test_every_step_needs_only_steps_below_it() -> None:
    for ladder in (TAKE_OVER, REJOIN, STEP_DOWN, STAND_READY):
        known: set[str] = set()
        for step in ladder:
            assert set(step.needs) <= known, step.name
            known.add(step.name)


def test_a_majority_shares_a_member_with_every_acknowledging_set() -> None:
    for voters in range(1, 12):
        acknowledging = voters // 2 + 1  # the primary, and half of the others
        assert majority(voters) + acknowledging > voters


def test_a_silent_holder_is_replaced() -> None:
    decision = decide(dc2_view(seen=GONE, told=GONE))
    assert decision.rule == 321
    raised = [i for i in decision.intents if isinstance(i, RaiseEpoch)]
    assert [(i.epoch, i.expected_revision, i.previous) for i in raised] == [(3, 7, "dc1")]


def test_a_holder_that_only_this_site_misses_stays() -> None:
    assert decide(dc2_view(seen=GONE, told=HERE)).rule == 420


def test_a_holder_that_only_the_witness_misses_stays() -> None:
    assert decide(dc2_view(seen=HERE, told=GONE)).rule == 420


def test_a_dead_controller_before_a_living_data_path_moves_nothing() -> None:
    half = Seen(control_s=2.0, front_s=0.1, data_s=0.1)
    assert decide(dc2_view(seen=half, told=half)).rule == 420


def test_a_dead_controller_beyond_its_grace_is_replaced() -> None:
    half = Seen(control_s=31.0, front_s=0.1, data_s=0.1)
    assert decide(dc2_view(seen=half, told=half)).rule == 324


def test_a_silent_holder_is_not_replaced_without_the_witness() -> None:
    decision = decide(dc2_view(seen=GONE, told=GONE, witness=GONE))
    assert decision.rule == 420
    assert not decision.intents


def test_a_silent_holder_is_not_replaced_without_the_store_and_it_is_said() -> None:
    decision = decide(dc2_view(seen=GONE, told=GONE, store_ok=False))
    assert decision.rule == 390
    assert "store" in decision.refused_because[0]
    assert not [i for i in decision.intents if isinstance(i, RaiseEpoch)]


def test_a_paused_service_keeps_its_routes_and_moves_nothing() -> None:
    decision = decide(dc2_view(seen=GONE, told=GONE, paused="disk work"))
    assert decision.rule == 202
    assert decision.stance is Stance.BACKUP
    assert not decision.intents


def test_a_yielding_holder_is_relieved_only_outside_the_flap_window() -> None:
    asks = report_of_dc1(yielding="database ledger here is down")
    assert decide(dc2_view(report=asks)).rule == 323
    decision = decide(dc2_view(report=asks, changed_s=10.0))
    assert decision.rule == 391
    assert "10 s ago" in decision.refused_because[0]


def test_a_store_below_the_floor_is_refused() -> None:
    decision = decide(dc2_view(promised=9))
    assert decision.rule == 101
    assert not decision.intents


def test_a_deposed_holder_gives_up_routes_and_traffic_at_once() -> None:
    record = EpochRecord(
        epoch=Epoch(3),
        holder=SiteName("dc1"),
        kind="failover",
        reason="",
        asked_by="",
        at="",
        revision=9,
    )
    decision = decide(dc2_view(record=record, stance=Stance.PREFERRED, directed="dc2"))
    assert decision.rule == 110
    assert Direct(site=SiteName("dc1")) in decision.intents
    assert Announce(stance=Stance.BACKUP, epoch=Epoch(2)) in decision.intents


def test_a_site_that_reaches_nobody_is_isolated() -> None:
    view = dc2_view(seen=GONE, told=GONE, witness=GONE, store_ok=False)
    decision = decide(view)
    assert decision.rule == 120
    assert decision.stance is Stance.ISOLATED


def test_a_fresh_daemon_that_never_read_the_store_touches_nothing() -> None:
    view = View(
        now=dc2_view().now,
        me=SiteName("dc2"),
        spec=spec(),
        own=OwnSide(stance=Stance.BACKUP),
        others={SiteName("dc1"): OtherSite(report=None, seen=HERE)},
    )
    decision = decide(view)
    assert decision.rule == 131
    assert decision.intents == ()
    assert decision.stance is None


def test_a_verdict_falls_and_rises_after_as_many_samples_as_it_is_told() -> None:
    verdict = Verdict(rise=2, fall=3)
    seen = []
    for ok in (False, False, True, False, False, False, True, True):
        verdict = heard(verdict, ok=ok, detail="")
        seen.append(verdict.up)
    assert seen == [True, True, True, True, True, False, False, True]


def test_timings_default_to_those_of_the_fast_profile() -> None:
    assert Timings().suspect_after_s == 0.5
    assert isinstance(spec(), ServiceSpec)
