"""The speaker's conversation, spoken by a pretended ExaBGP that keeps to the real one's manners."""

import json
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bgp.dialogue import Dialogue
from bgp.messages import AnnounceRequest, ObserveRequest, Reply
from bgp.permit import Wish
from bgp.policy import Stance
from bgp.spec import BgpSpec
from tests.bgp.wire import LOBBY, PROVIDER, WALLET, make_spec

V4, V6 = PROVIDER["ipv4"], PROVIDER["ipv6"]
SPEC = make_spec(Path("/run/tricast"))
LENGTHS = {Stance.OVERRIDE: 1, Stance.PREFERRED: 2, Stance.BACKUP: 4, Stance.ISOLATED: 6}
BACKUP = Wish(Stance.BACKUP, 1)


class Talk:
    """Plays ExaBGP and a controller against one `Dialogue`; time moves only when told to."""

    def __init__(self, spec: BgpSpec = SPEC) -> None:
        self.now = 1000.0
        self.dialogue = Dialogue(spec, self.now)
        self.up: set[str] = set()
        self.pipe: deque[str] = deque()  # written by the speaker, not read by ExaBGP
        self.said: list[str] = []
        self.held: dict[str, dict[str, int]] = {V4: {}, V6: {}}  # path lengths at the neighbor
        self.lose_updates = False
        self.refuse = False

    def wait(self, seconds: float) -> None:
        self.now += seconds

    # --- the controller

    def want(self, permit_s: float = 10.0, age_s: float = 0.0, **wanted: Wish) -> Reply:
        request = AnnounceRequest(
            number=1, wanted=wanted, permit_s=permit_s, sent_at=self.now - age_s
        )
        return self.dialogue.asked(request, self.now)

    def seen(self) -> Any:
        return self.dialogue.asked(ObserveRequest(number=2), self.now).state

    # --- ExaBGP

    def hear(self, value: object) -> None:
        line = value if isinstance(value, str) else json.dumps(value)
        self.dialogue.heard(line, self.now)

    def event(self, kind: str, address: str, **content: object) -> None:
        self.hear({"type": kind, "neighbor": {"address": {"peer": address}, **content}})

    def session_up(self, address: str) -> None:
        self.up.add(address)
        self.held[address] = {}
        self.event("state", address, state="up")

    def session_down(self, address: str) -> None:
        self.up.discard(address)
        self.held[address] = {}
        self.event("state", address, state="down", reason="hold timer")

    def speak(self) -> bool:
        """The speaker writes what it has to say."""
        line = self.dialogue.next_command(self.now)
        if line is None:
            return False
        assert not self.pipe, "two commands unanswered"
        self.pipe.append(line)
        self.said.append(line)
        return True

    def answer(self) -> None:
        """ExaBGP reads one command and does it."""
        line = self.pipe.popleft()
        if line == "show neighbor json":
            self.hear(
                [
                    {
                        "fsm": "ESTABLISHED" if a in self.up else "IDLE",
                        "peer": {"address": a},
                    }
                    for a in (V4, V6)
                ]
            )
        elif self.refuse:
            self.hear("error")
            return
        else:
            self._carry_out(line)
        self.hear("done")

    def _carry_out(self, line: str) -> None:
        verb = "announce" if " announce " in line else "withdraw"
        head, _, tail = line.partition(f" {verb} ")
        prefixes = tail.split(" nlri ")[1].split() if " nlri " in tail else [tail.split()[1]]
        length = tail.partition("[ ")[2].partition(" ]")[0].count("64510")
        for address in head.replace("neighbor ", "").split(", "):
            if address not in self.up or self.lose_updates:
                continue
            for prefix in prefixes:
                self._send(address, prefix, length)

    def _send(self, address: str, prefix: str, length: int) -> None:
        family = "ipv6 unicast" if ":" in prefix else "ipv4 unicast"
        update: dict[str, object] = {"withdraw": {family: [{"nlri": prefix}]}}
        self.held[address].pop(prefix, None)
        if length:
            self.held[address][prefix] = length
            update = {
                "attribute": {"as-path": {"0": {"value": [64510] * length}}},
                "announce": {family: {"self": [{"nlri": prefix}]}},
            }
        self.event("update", address, direction="send", message={"update": update})

    def settle(self) -> None:
        """Everything that is to be said has been said and answered."""
        for _ in range(50):
            if self.pipe:
                self.answer()
            elif not self.speak():
                return
        raise AssertionError("it never stops talking")

    def holds(self, prefixes: tuple[str, str], length: int) -> bool:
        return [self.held[a].get(p, 0) for a, p in zip((V4, V6), prefixes, strict=True)] == [
            length,
            length,
        ]


@pytest.fixture
def talk() -> Talk:
    """Both sessions have come up, nothing is wanted yet."""
    started = Talk()
    started.settle()
    started.session_up(V4)
    started.session_up(V6)
    started.settle()
    assert started.said == ["show neighbor json"]
    return started


def test_a_fresh_speaker_asks_and_says_nothing_until_it_is_told(talk: Talk) -> None:
    assert talk.held == {V4: {}, V6: {}}
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    assert talk.holds(WALLET, 2)
    assert talk.holds(LOBBY, 4)


def test_without_a_controller_it_turns_isolated_after_its_permit(talk: Talk) -> None:
    assert talk.dialogue.wake_in(talk.now) <= SPEC.permit_s
    talk.wait(SPEC.permit_s)
    talk.settle()
    assert talk.holds(WALLET, 6)
    assert talk.holds(LOBBY, 6)


def test_a_change_of_stance_is_one_command_a_family_and_no_withdrawal(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    talk.said.clear()
    talk.want(wallet=Wish(Stance.OVERRIDE, 2), lobby=BACKUP)
    talk.settle()
    assert len(talk.said) == 2
    assert all(" announce route " in line for line in talk.said)
    talk.want(wallet=Wish(Stance.OVERRIDE, 2), lobby=BACKUP)
    talk.settle()
    assert len(talk.said) == 2


def test_the_permit_running_out_is_said_by_itself(talk: Talk) -> None:
    talk.want(permit_s=3.0, wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    assert talk.dialogue.wake_in(talk.now) <= 3.0
    talk.wait(3.0)
    talk.settle()
    assert talk.holds(WALLET, 6)
    assert talk.holds(LOBBY, 6)
    assert "no controller renews the permit" in talk.seen().problems


def test_withdrawn_stays_withdrawn_when_the_permit_runs_out(talk: Talk) -> None:
    talk.want(permit_s=3.0, wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    talk.want(permit_s=3.0, wallet=Wish(Stance.WITHDRAWN, 1), lobby=BACKUP)
    talk.settle()
    assert talk.holds(WALLET, 0)
    assert talk.seen().services["wallet"].confirmed
    talk.wait(60.0)
    talk.settle()
    assert talk.holds(WALLET, 0)
    assert talk.holds(LOBBY, 6)


def test_a_session_that_comes_back_is_told_everything_again(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    talk.session_down(V4)
    talk.want(wallet=Wish(Stance.OVERRIDE, 2), lobby=BACKUP)
    talk.settle()
    assert talk.seen().services["wallet"].confirmed  # the session that is up has it
    talk.session_up(V4)
    assert not talk.seen().services["wallet"].confirmed
    talk.settle()
    assert talk.holds(WALLET, 1)
    assert talk.seen().services["wallet"].confirmed


def test_a_new_session_is_noticed_though_the_end_of_the_old_was_not(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=Wish(Stance.WITHDRAWN, 1))
    talk.settle()
    talk.said.clear()
    talk.session_up(V4)
    talk.settle()
    assert talk.holds(WALLET, 2)
    assert len(talk.said) == 1  # and what is withdrawn needs no words in a new session


def test_nothing_is_confirmed_while_a_session_may_be_up_unknown_to_us() -> None:
    talk = Talk()
    talk.up = {V4}
    talk.held[V4] = {WALLET[0]: 2}  # of a predecessor
    talk.session_up(V6)
    talk.want(wallet=Wish(Stance.WITHDRAWN, 1), lobby=BACKUP)
    assert not talk.seen().services["wallet"].confirmed
    talk.settle()
    assert talk.seen().services["wallet"].confirmed
    assert talk.holds(WALLET, 0)


def test_nothing_is_confirmed_while_no_session_is_up(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.session_down(V4)
    talk.session_down(V6)
    talk.settle()
    state = talk.seen()
    assert not state.services["wallet"].confirmed
    assert state.sessions == {V4: False, V6: False}
    assert sum("is down (hold timer)" in problem for problem in state.problems) == 2


def test_a_command_of_a_dead_session_does_not_count_for_the_next(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    assert talk.speak()
    talk.session_down(V4)
    talk.lose_updates = True
    talk.session_up(V4)
    talk.answer()
    talk.lose_updates = False
    talk.settle()
    assert talk.holds(WALLET, 2)


def test_a_respawned_speaker_finds_the_sessions_and_says_what_is_wanted() -> None:
    talk = Talk()
    talk.up = {V4, V6}
    talk.held = {V4: {WALLET[0]: 1}, V6: {WALLET[1]: 1}}  # what its predecessor announced
    talk.settle()
    assert talk.seen().sessions == {V4: True, V6: True}
    assert talk.holds(WALLET, 1)  # and it leaves that alone
    talk.want(wallet=Wish(Stance.WITHDRAWN, 4), lobby=BACKUP)
    talk.settle()
    assert talk.holds(WALLET, 0)
    assert talk.holds(LOBBY, 4)
    assert talk.seen().services["wallet"].confirmed


def test_an_answer_meant_for_a_predecessor_confuses_nothing() -> None:
    talk = Talk()
    talk.up = {V4, V6}
    assert talk.speak()
    talk.session_up(V4)
    for stray in ("done", "done"):
        talk.hear(stray)
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    assert not talk.speak()  # the sessions are still awaited
    talk.settle()
    assert talk.holds(WALLET, 2)
    talk = Talk()
    assert talk.speak()
    talk.hear("error")
    talk.pipe.clear()
    assert not talk.speak()
    talk.wait(1.0)
    assert talk.speak()
    assert talk.said[-1] == "show neighbor json"


def test_exabgp_is_asked_for_its_sessions_again_and_again(talk: Talk) -> None:
    for count in (2, 3):
        talk.wait(talk.dialogue.wake_in(talk.now))
        talk.settle()
        assert talk.said == ["show neighbor json"] * count
    talk.up.discard(V4)  # and it notices what no event told it
    talk.wait(talk.dialogue.wake_in(talk.now))
    talk.settle()
    assert talk.seen().sessions == {V4: False, V6: True}


def test_a_quiet_exabgp_is_asked_before_routes_are_said(talk: Talk) -> None:
    talk.wait(1.4)
    talk.want(wallet=Wish(Stance.OVERRIDE, 1), lobby=BACKUP)
    assert talk.speak()
    assert talk.pipe[0] == "show neighbor json"
    assert talk.dialogue.wake_in(talk.now) == math.inf  # only an answer, or a controller, wakes it
    # It is frozen now; the permit runs out; what lies in the pipe announces nothing.
    talk.wait(60.0)
    assert not talk.speak()
    assert any("has not answered for 60 s" in problem for problem in talk.seen().problems)
    talk.settle()
    assert talk.holds(WALLET, 6)
    assert not any("[ 64510 ]" in line for line in talk.said)


def test_what_did_not_leave_is_said_again(talk: Talk) -> None:
    talk.lose_updates = True
    talk.want(permit_s=60.0, wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    assert not talk.seen().services["wallet"].confirmed
    assert talk.dialogue.wake_in(talk.now) <= 2.0
    talk.wait(2.1)
    talk.settle()
    assert any("not seen leaving" in problem for problem in talk.seen().problems)
    talk.lose_updates = False
    talk.wait(4.1)
    talk.settle()
    assert talk.seen().services["wallet"].confirmed
    assert not talk.seen().problems


def test_everything_is_refreshed_now_and_then(talk: Talk) -> None:
    talk.want(permit_s=600.0, wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    talk.said.clear()
    talk.held = {V4: {}, V6: {}}  # the neighbor lost them and nobody noticed
    talk.wait(SPEC.refresh_s)
    talk.settle()
    assert talk.holds(WALLET, 2)
    assert talk.holds(LOBBY, 4)
    assert talk.said[0] == "show neighbor json"


def test_a_refused_command_is_retried_and_holds_nothing_else_up(talk: Talk) -> None:
    talk.refuse = True
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    assert talk.speak()
    talk.answer()
    talk.refuse = False
    assert any("ExaBGP refused to announce 198" in problem for problem in talk.seen().problems)
    talk.settle()
    assert talk.held[V4] == {LOBBY[0]: 4}
    assert len(talk.held[V6]) == 2
    talk.wait(1.0)
    talk.settle()
    assert talk.holds(WALLET, 2)
    assert not talk.seen().problems


def test_a_stale_controller_is_told_why_and_changes_nothing(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.BACKUP, 5), lobby=BACKUP)
    reply = talk.want(wallet=Wish(Stance.PREFERRED, 4), lobby=BACKUP)
    assert reply.error == "wallet: epoch 4 is below 5"
    talk.settle()
    assert talk.holds(WALLET, 4)
    assert "ago" in talk.want(permit_s=2.0, age_s=3.0, wallet=Wish(Stance.PREFERRED, 9)).error


def test_confirmation_is_not_taken_from_the_past(talk: Talk) -> None:
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    talk.settle()
    talk.want(wallet=Wish(Stance.BACKUP, 1), lobby=BACKUP)
    assert talk.speak()  # on its way, not seen
    talk.want(wallet=Wish(Stance.PREFERRED, 1), lobby=BACKUP)
    assert not talk.seen().services["wallet"].confirmed
    talk.settle()
    assert talk.holds(WALLET, 2)
    assert talk.seen().services["wallet"].confirmed


def test_a_neighbor_exabgp_does_not_know_is_a_problem() -> None:
    talk = Talk()
    assert talk.speak()
    talk.hear([])
    talk.hear("done")
    assert sum("ExaBGP has no neighbor" in problem for problem in talk.seen().problems) == 2


def test_noise_and_strangers_are_only_counted(talk: Talk) -> None:
    talk.event("state", "192.0.2.77", state="up")
    talk.hear("{nonsense")
    talk.hear("hello")
    assert talk.seen().counters["lines_unreadable"] == 1
    talk.dialogue.missed()
    assert talk.dialogue.wake_in(talk.now) == 0.0
    assert talk.speak()
    assert talk.pipe[0] == "show neighbor json"


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, once quiet the neighbors hold what is in force."""

    @initialize()
    def start(self) -> None:
        self.talk = Talk()
        self.epoch = 1

    @rule(
        wallet=st.sampled_from([*LENGTHS, Stance.WITHDRAWN]),
        lobby=st.sampled_from([*LENGTHS, Stance.WITHDRAWN]),
        permit_s=st.floats(0.5, 20.0),
        rise=st.integers(0, 1),
    )
    def controller_wants(self, wallet: Stance, lobby: Stance, permit_s: float, rise: int) -> None:
        self.epoch += rise
        wanted = {"wallet": Wish(wallet, self.epoch), "lobby": Wish(lobby, self.epoch)}
        assert not self.talk.want(permit_s, 0.0, **wanted).error

    @rule(address=st.sampled_from([V4, V6]))
    def session_flaps(self, address: str) -> None:
        if address in self.talk.up:
            self.talk.session_down(address)
        else:
            self.talk.session_up(address)

    @rule(seconds=st.floats(0.0, 10.0))
    def time_passes(self, seconds: float) -> None:
        self.talk.wait(seconds)

    @rule(lose=st.booleans(), refuse=st.booleans())
    def exabgp_is_in_a_mood(self, lose: bool, refuse: bool) -> None:
        self.talk.lose_updates, self.talk.refuse = lose, refuse

    @precondition(lambda self: not self.talk.pipe)
    @rule()
    def speaker_speaks(self) -> None:
        self.talk.speak()

    @precondition(lambda self: self.talk.pipe)
    @rule()
    def exabgp_answers(self) -> None:
        self.talk.answer()

    @rule()
    def speaker_dies_and_is_respawned(self) -> None:
        held, up, now = self.talk.held, self.talk.up, self.talk.now
        self.talk = Talk()
        self.talk.held, self.talk.up, self.talk.now = held, up, now
        self.talk.dialogue = Dialogue(SPEC, now)

    @rule()
    def all_is_quiet(self) -> None:
        self.talk.lose_updates = self.talk.refuse = False
        for _ in range(3):
            self.talk.settle()
            self.talk.wait(SPEC.refresh_s)  # the longest anything is put off
        self.talk.settle()
        self._check(self.talk.seen().services)

    def _check(self, services: Mapping[str, Any]) -> None:
        for name, prefixes in (("wallet", WALLET), ("lobby", LOBBY)):
            length = LENGTHS.get(services[name].stance, 0)
            for address, prefix in zip((V4, V6), prefixes, strict=True):
                if address in self.talk.up:
                    assert self.talk.held[address].get(prefix, 0) == length
            assert services[name].confirmed is bool(self.talk.up)

    @invariant()
    def confirmed_is_never_a_lie(self) -> None:
        for name, said in self.talk.seen().services.items():
            if not said.confirmed or self.talk.pipe:
                continue
            for address, prefix in zip(
                (V4, V6), {"wallet": WALLET, "lobby": LOBBY}[name], strict=True
            ):
                if address in self.talk.up:
                    assert self.talk.held[address].get(prefix, 0) == LENGTHS.get(said.stance, 0)


AnyOrder.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
