"""Halves: what they cover, when they come, and that they go without leaving a gap."""

import ipaddress
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.dialogue import Dialogue
from bgp.permit import Wish
from bgp.policy import Stance
from bgp.route import BadRoute, Prefix
from bgp.spec import BadSpec, BgpSpec
from bgp.specifics import MoreSpecifics, Span, When, halves
from tests.bgp.test_dialogue import BACKUP, LENGTHS, V4, V6, Talk
from tests.bgp.wire import WALLET, make_spec

RULES = MoreSpecifics(
    when=When.OVERRIDE, max_length_ipv4=25, max_length_ipv6=49, after_s=2.0, take_back_s=30.0
)
SPEC = make_spec(Path("/run/tricast"), more_specifics=RULES)
HALVES = {
    V4: ("198.51.100.0/25", "198.51.100.128/25"),
    V6: ("2001:db8:100::/49", "2001:db8:100:8000::/49"),
}
ATTRACTING = (Stance.OVERRIDE, Stance.PREFERRED)


# --- what they are -------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 31))
def test_the_halves_of_an_ipv4_prefix_are_all_of_it_and_nothing_else(bits: int, long: int) -> None:
    _covers(ipaddress.ip_network((bits, long), strict=False))


@given(st.integers(0, 2**128 - 1), st.integers(1, 127))
def test_the_halves_of_an_ipv6_prefix_are_all_of_it_and_nothing_else(bits: int, long: int) -> None:
    _covers(ipaddress.ip_network((bits, long), strict=False))


def _covers(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    whole = Prefix(str(network))
    lower, upper = halves(whole)
    assert {lower.length, upper.length} == {whole.length + 1}
    assert lower.within(whole)
    assert upper.within(whole)
    pieces = [ipaddress.ip_network(half.text) for half in (lower, upper)]
    assert pieces[0][0] == network[0]
    assert int(pieces[1][0]) == int(pieces[0][-1]) + 1
    assert pieces[1][-1] == network[-1]


@pytest.mark.parametrize("text", ["192.0.2.1/32", "2001:db8::1/128"])
def test_one_address_has_no_halves(text: str) -> None:
    with pytest.raises(BadRoute, match=f"{text} is one address"):
        halves(Prefix(text))


def test_they_are_announced_only_where_that_is_allowed_and_not_beyond_the_bound() -> None:
    assert MoreSpecifics().of(Prefix("198.51.100.0/24")) == ()
    assert tuple(map(str, RULES.of(Prefix(WALLET[0])))) == HALVES[V4]
    assert tuple(map(str, RULES.of(Prefix(WALLET[1])))) == HALVES[V6]
    for text, said in (
        ("198.51.100.0/25", r"198\.51\.100\.0/25 are /26, longer than max_length_ipv4 25"),
        ("2001:db8:100::/49", r"2001:db8:100::/49 are /50, longer than max_length_ipv6 49"),
    ):
        with pytest.raises(BadRoute, match=said):
            RULES.of(Prefix(text))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length_ipv4": 0}, "max_length_ipv4 0 is not between 1 and 32"),
        ({"max_length_ipv4": 33}, "max_length_ipv4 33"),
        ({"max_length_ipv6": 129}, "max_length_ipv6 129 is not between 1 and 128"),
        ({"after_s": -1.0}, "after_s -1.0 is not between 0 and 3600"),
        ({"take_back_s": 1e9}, "take_back_s"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRoute, match=message):
        MoreSpecifics(**changes)


# --- in the specification ------------------------------------------------------------------------


def test_a_specification_with_halves_comes_back_as_it_was() -> None:
    assert BgpSpec.from_json(SPEC.to_json()) == SPEC
    assert tuple(map(str, SPEC.halves_of("wallet"))) == HALVES[V4] + HALVES[V6]
    assert "more_specifics" not in json.loads(make_spec(Path("/run")).to_json())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": "always"}, "always"),
        ({"max_length_ipv4": 24}, r"service wallet: .*halves of 198\.51\.100\.0/24 are /25"),
        ({"max_length_ipv6": "49"}, "more_specifics: max_length_ipv6 is not a whole number"),
        ({"color": 1}, "color is not a known key"),
    ],
)
def test_a_specification_that_cannot_run_is_refused(
    changes: dict[str, object], message: str
) -> None:
    plain = json.loads(SPEC.to_json())
    plain["more_specifics"] |= changes
    with pytest.raises(BadSpec, match=message):
        BgpSpec.from_json(json.dumps(plain))


def test_half_of_one_service_cannot_be_the_prefix_of_another() -> None:
    services = {"wallet": (Prefix(WALLET[0]),), "lobby": (Prefix(HALVES[V4][1]),)}
    rules = MoreSpecifics(when=When.OVERRIDE, max_length_ipv4=26)
    with pytest.raises(BadSpec, match="half of a prefix of wallet, is lobby's"):
        make_spec(Path("/run"), services=services, more_specifics=rules)


# --- when they come and go -----------------------------------------------------------------------


def test_they_come_when_override_has_lasted_and_go_when_preferred_has() -> None:
    span = Span().after(Stance.OVERRIDE, 100.0, RULES)
    assert span.waits(101.9)
    assert not span.holds(101.9)
    assert span.changes_at(100.0) == 102.0
    assert span.after(Stance.OVERRIDE, 101.0, RULES) == span  # a new epoch, the same stance
    assert span.holds(102.0)
    assert not span.waits(102.0)
    assert span.after(Stance.OVERRIDE, 110.0, RULES) == span
    going = span.after(Stance.PREFERRED, 110.0, RULES)
    assert going.holds(139.9)
    assert going.changes_at(110.0) == 140.0
    assert going.after(Stance.PREFERRED, 120.0, RULES) == going
    assert going.after(Stance.OVERRIDE, 120.0, RULES) == span  # before they went
    assert not going.holds(140.0)
    assert going.changes_at(140.0) == math.inf
    again = going.after(Stance.OVERRIDE, 200.0, RULES)
    assert not again.holds(201.9)
    assert again.holds(202.0)


@pytest.mark.parametrize("stance", [stance for stance in Stance if stance not in ATTRACTING])
def test_who_does_not_hold_has_none_at_once(stance: Stance) -> None:
    span = Span().after(Stance.OVERRIDE, 100.0, RULES)
    for known in (span, span.after(Stance.PREFERRED, 110.0, RULES)):
        assert known.after(stance, 111.0, RULES) == Span()


def test_a_planned_move_does_without() -> None:
    span = Span().after(Stance.OVERRIDE, 100.0, RULES).after(Stance.PREFERRED, 101.0, RULES)
    assert span == Span()


# --- what the neighbors hold ---------------------------------------------------------------------


def up(talk: Talk) -> Talk:
    talk.settle()
    talk.session_up(V4)
    talk.session_up(V6)
    talk.settle()
    return talk


@pytest.fixture
def talk() -> Talk:
    """Both sessions have come up, nothing is wanted yet."""
    return up(Talk(SPEC))


def beside(talk: Talk) -> int:
    """How long the paths of the halves are, at both neighbors alike; 0 when there are none."""
    [found] = {talk.held[a].get(prefix, 0) for a in (V4, V6) for prefix in HALVES[a]}
    return found


def say(talk: Talk, stance: Stance, *, after_s: float = 0.0, permit_s: float = 600.0) -> None:
    talk.wait(after_s)
    talk.want(permit_s=permit_s, wallet=Wish(stance, 1), lobby=BACKUP)
    talk.settle()


def pass_time(talk: Talk, seconds: float) -> None:
    """As the speaker does it: it wakes when it said it would."""
    end = talk.now + seconds
    while talk.now < end:
        talk.wait(max(0.001, min(talk.dialogue.wake_in(talk.now), end - talk.now)))
        talk.settle()


def test_override_brings_them_to_both_families_and_preferred_takes_them_back(talk: Talk) -> None:
    say(talk, Stance.OVERRIDE)
    assert talk.holds(WALLET, 1)
    assert beside(talk) == 0
    assert talk.dialogue.wake_in(talk.now) <= RULES.after_s
    pass_time(talk, RULES.after_s)
    assert beside(talk) == 1
    assert talk.seen().services["wallet"].more_specifics == HALVES[V4] + HALVES[V6]
    assert talk.seen().services["lobby"].more_specifics == ()
    talk.said.clear()
    say(talk, Stance.PREFERRED)
    assert talk.holds(WALLET, 2)
    assert beside(talk) == 2  # a later override of another site would win
    assert not any("withdraw" in line for line in talk.said)
    pass_time(talk, RULES.take_back_s - 0.1)
    assert beside(talk) == 2
    pass_time(talk, 0.2)
    assert beside(talk) == 0
    assert talk.holds(WALLET, 2)
    assert talk.seen().services["wallet"].more_specifics == ()
    assert talk.seen().services["wallet"].confirmed


def test_without_a_controller_they_are_taken_back_and_the_prefix_stays(talk: Talk) -> None:
    say(talk, Stance.OVERRIDE, permit_s=5.0)
    pass_time(talk, 4.0)
    assert beside(talk) == 1
    pass_time(talk, 1.1)
    assert beside(talk) == 0
    assert talk.holds(WALLET, 6)


def test_a_respawned_speaker_does_not_take_them_back_only_to_announce_them_again() -> None:
    talk = Talk(SPEC)
    talk.up = {V4, V6}
    talk.held = {
        a: dict.fromkeys((p, *HALVES[a]), 1) for a, p in ((V4, WALLET[0]), (V6, WALLET[1]))
    }
    talk.settle()
    say(talk, Stance.OVERRIDE)
    pass_time(talk, 60.0)
    assert beside(talk) == 1
    taken_back = [line for line in talk.said if "withdraw" in line]
    assert not any(half in line.split() for line in taken_back for half in HALVES[V4] + HALVES[V6])


def test_a_respawned_speaker_takes_back_what_nobody_wants_any_more() -> None:
    talk = Talk(SPEC)
    talk.up = {V4, V6}
    talk.held = {
        a: dict.fromkeys((p, *HALVES[a]), 1) for a, p in ((V4, WALLET[0]), (V6, WALLET[1]))
    }
    talk.settle()
    say(talk, Stance.BACKUP)
    assert beside(talk) == 0
    assert talk.holds(WALLET, 4)


def test_a_new_session_is_told_of_them(talk: Talk) -> None:
    say(talk, Stance.OVERRIDE)
    pass_time(talk, RULES.after_s)
    talk.session_down(V4)
    talk.session_up(V4)
    talk.settle()
    assert beside(talk) == 1


class Watched(Talk):
    """Counts withdrawals that leave a neighbor without the prefix itself, and were not meant."""

    gaps = 0
    may_withdraw = False

    def _send(self, address: str, prefix: str, length: int) -> None:
        super()._send(address, prefix, length)
        cover = WALLET[0] if address == V4 else WALLET[1]
        of_wallet = prefix == cover or prefix in HALVES[address]
        taken_back = of_wallet and not length and not self.may_withdraw
        self.gaps += taken_back and cover not in self.held[address]


STEP = st.tuples(
    st.sampled_from(list(Stance)), st.floats(0.0, 40.0), st.sampled_from(["", "flap", "respawn"])
)


@given(st.lists(STEP, min_size=1, max_size=8))
def test_whatever_is_said_in_whatever_order_no_gap_opens_and_only_the_holder_has_them(
    steps: list[tuple[Stance, float, str]],
) -> None:
    talk = Watched(SPEC)
    up(talk)
    since: dict[Stance, float] = {}
    for stance, seconds, event in steps:
        talk.may_withdraw = stance is Stance.WITHDRAWN
        if event == "flap":
            talk.session_down(V6)
            talk.session_up(V6)
        elif event == "respawn":
            talk.dialogue = Dialogue(SPEC, talk.now)
        say(talk, stance)
        since = {stance: since.get(stance, talk.now)}
        pass_time(talk, seconds)
        length = LENGTHS.get(stance, 6 if stance is Stance.DRAINED else 0)
        assert talk.holds(WALLET, length)
        lasted = talk.now - since[stance]
        if stance not in ATTRACTING or (stance is Stance.PREFERRED and lasted > 30.1):
            assert beside(talk) == 0
        elif stance is Stance.OVERRIDE and seconds > RULES.after_s + 0.1:
            assert beside(talk) == 1
    assert talk.gaps == 0
