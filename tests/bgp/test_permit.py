import math

import pytest

from bgp.permit import Denied, Permit, Wish
from bgp.policy import Stance

SERVICES = frozenset({"wallet", "lobby"})
FRESH = Permit.at_start(SERVICES, now=100.0, permit_s=2.0)
WALLET = {"wallet": Wish(Stance.PREFERRED, 7)}
BOTH = {**WALLET, "lobby": Wish(Stance.BACKUP, 3)}


def test_a_fresh_speaker_is_silent_and_then_isolated() -> None:
    assert FRESH.in_force(101.9) == {}
    assert FRESH.in_force(102.0) == dict.fromkeys(SERVICES, Wish(Stance.ISOLATED, 0))


def test_a_wanted_set_holds_until_its_permit_runs_out() -> None:
    permit = FRESH.renewed(BOTH, sent_at=100.5, permit_s=3.0, now=100.6)
    assert permit.in_force(103.4) == BOTH
    assert permit.left(103.0) == pytest.approx(0.5)
    assert permit.in_force(103.5) == {
        "wallet": Wish(Stance.ISOLATED, 7),
        "lobby": Wish(Stance.ISOLATED, 3),
    }
    assert permit.left(104.0) == 0.0


@pytest.mark.parametrize("stance", [Stance.DRAINED, Stance.WITHDRAWN])
def test_what_an_operator_took_away_does_not_come_back_by_lapse(stance: Stance) -> None:
    permit = FRESH.renewed({"wallet": Wish(stance, 7)}, sent_at=101.0, permit_s=1.0, now=101.0)
    assert permit.in_force(500.0)["wallet"] == Wish(stance, 7)


def test_a_service_left_out_turns_isolated_not_absent() -> None:
    permit = FRESH.renewed(BOTH, sent_at=100.0, permit_s=9.0, now=100.0)
    permit = permit.renewed(WALLET, sent_at=101.0, permit_s=9.0, now=101.0)
    assert permit.in_force(101.0)["lobby"] == Wish(Stance.ISOLATED, 3)


def test_a_service_never_spoken_for_turns_isolated_though_others_are_renewed() -> None:
    permit = FRESH.renewed(WALLET, sent_at=100.0, permit_s=60.0, now=100.0)
    assert permit.in_force(101.0) == WALLET
    assert permit.in_force(102.0) == {**WALLET, "lobby": Wish(Stance.ISOLATED, 0)}


def test_a_lower_epoch_is_denied_whole_and_the_same_is_not() -> None:
    permit = FRESH.renewed(BOTH, sent_at=100.0, permit_s=3.0, now=100.0)
    stale = {"wallet": Wish(Stance.OVERRIDE, 6), "lobby": Wish(Stance.PREFERRED, 4)}
    with pytest.raises(Denied, match="wallet: epoch 6 is below 7"):
        permit.renewed(stale, sent_at=101.0, permit_s=3.0, now=101.0)
    assert permit.renewed(BOTH, sent_at=101.0, permit_s=3.0, now=101.0).left(101.0) == 3.0


def test_an_epoch_outlives_the_service_being_left_out() -> None:
    permit = FRESH.renewed(BOTH, sent_at=100.0, permit_s=3.0, now=100.0)
    permit = permit.renewed({}, sent_at=101.0, permit_s=3.0, now=101.0)
    with pytest.raises(Denied, match="epoch 2 is below 3"):
        permit.renewed({"lobby": Wish(Stance.PREFERRED, 2)}, sent_at=102.0, permit_s=3.0, now=102.0)


def test_a_wanted_set_ages_while_it_lies_in_a_buffer() -> None:
    permit = FRESH.renewed(WALLET, sent_at=101.0, permit_s=2.0, now=102.5)
    assert permit.left(102.5) == pytest.approx(0.5)
    with pytest.raises(Denied, match=r"sent 3\.000 s ago"):
        FRESH.renewed(WALLET, sent_at=101.0, permit_s=2.0, now=104.0)


def test_a_wanted_set_overtaken_by_a_later_one_is_denied() -> None:
    permit = FRESH.renewed(WALLET, sent_at=102.0, permit_s=9.0, now=102.0)
    with pytest.raises(Denied, match="before the wanted set already taken"):
        permit.renewed(WALLET, sent_at=101.0, permit_s=9.0, now=102.0)


def test_the_future_grants_nothing() -> None:
    permit = FRESH.renewed(WALLET, sent_at=9000.0, permit_s=2.0, now=101.0)
    assert permit.left(101.0) == 2.0


def test_unknown_services_are_denied() -> None:
    with pytest.raises(Denied, match="'shop'"):
        FRESH.renewed({"shop": Wish(Stance.BACKUP, 1)}, sent_at=100.0, permit_s=1.0, now=100.0)


def test_it_says_when_it_changes_by_itself() -> None:
    assert FRESH.changes_at(100.0) == 102.0
    permit = FRESH.renewed(WALLET, sent_at=100.0, permit_s=9.0, now=100.0)
    assert [permit.changes_at(t) for t in (100.0, 102.0, 109.0)] == [102.0, 109.0, math.inf]
