"""Four eyes at the desk: who may ask, who agrees, what lapses, and what breaks the glass."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import PolicyConf, Verb, inspect_text
from controller.core.asked import asked_now, failover
from controller.core.guards import pause_reason
from controller.core.intents import RaiseEpoch
from controller.core.model import Epoch
from controller.core.raising import raise_for_request
from controller.core.reason import Reason
from controller.core.requests import Kind, State, approved, in_force
from controller.core.view import View
from controller.daemon.policy import Group, Policies, policies_of
from controller.web.schema import Ask, RequestView, Verdict
from controller.web.source import Asker, NotAsked
from tests.config.unguarded import LAB
from tests.contract.fakes.memory_store import MemoryCluster
from tests.core.turned import other, record, serving, silent, state
from tests.core.views import DC1, DC2, GONE, WALLET, WITNESS, dc2_view
from tests.web.authority import Authority
from tests.web.eyes import ADA, BOB, CAROL, DAVE, GROUPS, ONE_DBA, office, state_of
from tests.web.mutual import Gate, opened
from tests.web.office import Office
from tests.web.test_mutual_tls import Caller

MOVE = Ask(kind="switchover", target="dc1", reason="patches")
EVE = Asker(name="eve")


async def refused(doing: object, status: int, why: str) -> None:
    with pytest.raises(NotAsked) as found:
        await doing  # type: ignore[misc]
    assert found.value.status == status
    assert re.search(why, str(found.value)), str(found.value)


async def test_only_persons_of_the_groups_ask_and_approve(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    why = r"eve may not ask for a switchover of wallet: that is for oncall \(ada, bob\); ask one"
    await refused(there.desk.ask(MOVE, EVE), 403, why)
    await refused(there.desk.ask(MOVE.model_copy(update={"dry": True}), EVE), 403, why)
    told = await there.desk.ask(MOVE, ADA)
    assert (told.approvers, told.approvals_needed) == (("dba",), 1)
    assert told.waits_for == "the approval of another person of dba"
    why = (
        r"eve is in none of the groups that approve a switchover of wallet: dba \(bob, carol, %dba"
    )
    await refused(there.desk.approve(Verdict(number=1), EVE), 403, why)
    await refused(there.desk.approve(Verdict(number=1), ADA), 409, "ada has asked for request 1 an")
    told = await there.desk.approve(Verdict(number=1), CAROL)
    assert (told.approved_by, told.waits_for, told.lapses_in_s) == (("carol",), "", None)
    seen = there.records.requests.newest(WALLET)
    assert in_force(seen)
    await refused(there.desk.approve(Verdict(number=1), CAROL), 409, "has approved request 1 alre")


async def test_who_asks_on_the_socket_may_be_known_by_a_unix_group(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    await there.desk.ask(MOVE, ADA)
    told = await there.desk.approve(Verdict(number=1), DAVE)
    assert told.approved_by == ("dave",)


async def test_an_approver_of_the_group_cannot_approve_an_own_wish(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    await there.desk.ask(MOVE, BOB)
    await refused(there.desk.approve(Verdict(number=1), BOB), 409, "bob has asked for request 1")
    assert not in_force(there.records.requests.newest(WALLET))


async def test_a_person_counts_once(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=PolicyConf(approvals=2, groups=("dba",)))
    await there.desk.ask(MOVE, ADA)
    await there.desk.approve(Verdict(number=1), BOB)
    why = "bob has approved .* counts once: it waits for the approval of another person of dba$"
    await refused(there.desk.approve(Verdict(number=1), BOB), 409, why)
    assert not in_force(there.records.requests.newest(WALLET))
    await there.desk.approve(Verdict(number=1), CAROL)
    assert in_force(there.records.requests.newest(WALLET))


async def test_a_service_s_own_policy_goes_first(tmp_path: Path) -> None:
    rules = Policies(
        groups=GROUPS,
        everywhere={Verb.SWITCHOVER: ONE_DBA},
        of_service={"wallet": {Verb.SWITCHOVER: PolicyConf()}},
    )
    there = Office(serving(), tmp_path, policies=rules)
    told = await there.desk.ask(MOVE, EVE)
    assert (told.approvals_needed, told.waits_for) == (0, "")
    assert in_force(there.records.requests.newest(WALLET))


async def test_the_plan_tells_the_policy(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    found = await there.desk.plan(MOVE)
    assert (found.approvals_needed, found.approvers) == (1, ("dba",))
    assert found.break_glass == "persons of lead"


# --- the world changes ---------------------------------------------------------------------------


def raised(view: View) -> View:
    return record(view, epoch=Epoch(3), holder=DC1, reason="dc2 is silent")


CHANGED = (
    "dc1 raised epoch 3 meanwhile: dc2 is silent; it was asked for while dc2 held wallet in epoch 2"
)


@pytest.mark.parametrize(
    "order",
    [MOVE, Ask(kind="pause", reason="work"), Ask(kind="ack"), Ask(kind="drain", target="dc1")],
)
async def test_an_approval_in_another_world_makes_it_lapse(tmp_path: Path, order: Ask) -> None:
    one = PolicyConf(approvals=1)
    there = office(tmp_path, switchover=one, pause=one, ack=one, drain=one)
    await there.desk.ask(order, ADA)
    there.turn(raised(there.view))
    verdict = Verdict(number=1, target="dc1" if order.kind == "drain" else "")
    if order.kind == "drain":
        why = (
            "it was asked for while wallet is held by dc2 in epoch 2; now wallet is held by dc1 in "
            "epoch 3"
        )
    else:
        why = CHANGED
    await refused(there.desk.approve(verdict, BOB), 409, f"request 1 has lapsed: {why}; ask again")
    (told,) = await there.requests(None)
    assert (told.state, told.state_why, told.state_by) == ("lapsed", why, "tricast at dc2")
    await refused(
        there.desk.approve(verdict, BOB), 409, "is not drained|is closed: .*lapsed.*epoch"
    )


@pytest.mark.parametrize("kind", ["pause", "drain"])
async def test_what_no_rule_lets_lapse_lapses_by_itself(tmp_path: Path, kind: str) -> None:
    there = office(tmp_path, pause=PolicyConf(approvals=1), drain=PolicyConf(approvals=1))
    order = Ask(kind=kind, reason="work", target="dc1" if kind == "drain" else "")
    for change in ("time", "world"):
        await there.desk.ask(order, ADA)
        await there.desk.verdicts.keep()
        (told, *_) = await there.requests(None)
        assert (told.state, told.lapses_in_s) == ("open", 120.0)
        if change == "time":
            there.clock.now += 121.0
        else:
            there.turn(raised(there.view))
        await there.desk.verdicts.keep()
        (told, *_) = await there.requests(None)
        assert told.state == "lapsed"
        waited = told.state_why == "it waited 120 s for the approval of another person"
        assert waited == (change == "time")
        assert ("epoch 3" in told.state_why) == (change == "world")


async def test_an_approved_order_does_not_lapse(tmp_path: Path) -> None:
    there = office(tmp_path, pause=PolicyConf(approvals=1), drain=PolicyConf(approvals=1))
    await there.desk.ask(Ask(kind="pause", reason="work"), ADA)
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    await there.desk.approve(Verdict(number=1), BOB)
    await there.desk.approve(Verdict(number=1, target="dc1"), BOB)
    there.clock.now += 1000.0
    there.turn(raised(there.view))
    await there.desk.verdicts.keep()
    assert {told.state for told in await there.requests(None)} == {"open"}


async def test_an_expired_one_is_told_so(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=PolicyConf(approvals=1, expires_s=30.0))
    told = await there.desk.ask(MOVE, ADA)
    assert told.lapses_in_s == 30.0
    there.clock.now += 31.0
    why = "request 1 has lapsed: it waited 30 s for the approval of another person; ask again"
    await refused(there.desk.approve(Verdict(number=1), BOB), 409, why)
    assert state_of(there)[0] == "lapsed"


def last_standby() -> View:
    return other(silent(dc2_view()), WITNESS, seen=GONE)


async def test_another_loss_than_was_approved_makes_it_lapse(tmp_path: Path) -> None:
    order = Ask(kind="failover", target="dc2", allow_data_loss=True)
    there = office(tmp_path, last_standby(), failover=PolicyConf(approvals=1))
    await there.desk.ask(order, ADA)
    there.turn(dc2_view())
    await refused(
        there.desk.approve(Verdict(number=1), BOB),
        409,
        "has lapsed: what may be lost is another thing now: ledger: nothing is lost",
    )


async def test_a_loss_is_approved_where_it_is_known(tmp_path: Path) -> None:
    cluster, policy = MemoryCluster(), PolicyConf(approvals=1)
    order = Ask(kind="failover", target="dc2", allow_data_loss=True)
    there = office(tmp_path, last_standby(), cluster, failover=policy)
    await there.desk.ask(order, ADA)
    (tmp_path / "dc1").mkdir()
    elsewhere = office(tmp_path / "dc1", replace(last_standby(), me=DC1), cluster, failover=policy)
    await elsewhere.records.refresh()
    await refused(elsewhere.desk.approve(Verdict(number=1), BOB), 409, "approve it there")
    told = await there.desk.approve(Verdict(number=1), BOB)
    assert told.approved_by == ("bob",)
    found = there.records.requests.newest(WALLET)
    assert failover(replace(last_standby(), request=found)) is not None


# --- the ends of standing orders -----------------------------------------------------------------


async def paused(there: Office) -> None:
    await there.desk.ask(Ask(kind="pause", reason="disk work"), ADA)
    there.ends = [(State.RUNNING, "automation is paused")]
    await there.requests(None)


RESUME = Verdict(kind="pause", reason="done")


def is_paused(there: Office) -> bool:
    return bool(pause_reason(replace(there.view, request=there.records.requests.newest(WALLET))))


async def test_a_pause_ends_when_somebody_agrees(tmp_path: Path) -> None:
    there = office(tmp_path, resume=ONE_DBA)
    await paused(there)
    await refused(there.desk.decline(RESUME, EVE), 403, "eve may not ask for a resume of wallet")
    told = await there.desk.decline(RESUME, ADA)
    assert (told.kind, told.number, told.state) == ("resume", 1, "open")
    assert told.waits_for == "the approval of another person of dba"
    assert "ends request 1: pause asked by ada" in told.statement
    assert is_paused(there)
    why = "resume waits for approvals already: asked by ada at dc2; tricast approve 1"
    await refused(there.desk.decline(RESUME, BOB), 409, why)
    assert [told.kind for told in await there.requests("wallet")] == ["resume", "pause"]
    await refused(there.desk.approve(Verdict(number=1), ADA), 409, "ada has asked for request 1")
    await refused(there.desk.approve(Verdict(number=1, plan="x"), BOB), 409, "look again")
    told = await there.desk.approve(Verdict(number=1, plan=told.plan), BOB)
    assert (told.kind, told.state) == ("resume", "done")
    assert state_of(there) == ("withdrawn", "done (approved by bob)")
    assert not is_paused(there)


async def test_a_pause_is_not_ended_by_declining_its_number(tmp_path: Path) -> None:
    there = office(tmp_path, resume=PolicyConf(approvals=1))
    await paused(there)
    told = await there.desk.decline(Verdict(number=1), BOB)
    assert (told.kind, told.state) == ("resume", "open")
    told = await there.desk.decline(Verdict(number=1, reason="not yet"), CAROL)
    assert (told.kind, told.state, told.state_why) == ("resume", "refused", "not yet")
    assert is_paused(there)
    told = await there.desk.decline(RESUME, BOB)
    assert told.state == "open"


async def test_another_site_s_daemon_knows_and_carries_out(tmp_path: Path) -> None:
    cluster, policy = MemoryCluster(), PolicyConf(approvals=1)
    there = office(tmp_path, None, cluster, resume=policy, undrain=policy)
    (tmp_path / "dc1").mkdir()
    elsewhere = office(tmp_path / "dc1", None, cluster, resume=policy, undrain=policy)
    await paused(there)
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    await there.desk.decline(RESUME, ADA)
    await there.desk.decline(Verdict(kind="drain", target="dc1"), ADA)
    await elsewhere.records.refresh()
    for verdict in (Verdict(number=1), Verdict(number=1, target="dc1")):
        told = await elsewhere.desk.approve(verdict, BOB)
        assert (told.kind in {"resume", "undrain"}, told.state) == (True, "done")
    await there.records.refresh()
    assert {told.state for told in await there.requests(None)} == {"open", "withdrawn"}
    await there.desk.verdicts.keep()
    assert {told.state for told in await there.requests(None)} == {"done", "withdrawn"}


async def test_an_end_that_was_approved_is_carried_out_after_a_daemon_died(tmp_path: Path) -> None:
    there = office(tmp_path, resume=PolicyConf(approvals=1))
    await paused(there)
    await there.desk.decline(RESUME, ADA)
    endings = there.desk.verdicts.drawers.endings
    (seen,) = endings.all()
    await endings.change(seen, replace(seen.request, approvals_needed=0))
    assert approved(endings.all()[0].request)
    await there.desk.verdicts.keep()
    assert not is_paused(there)
    assert endings.all()[0].request.state is State.DONE


async def test_a_wish_that_an_order_ends_lapses_with_it(tmp_path: Path) -> None:
    there = office(tmp_path, resume=replace_glass(ONE_DBA), undrain=PolicyConf(approvals=1))
    await paused(there)
    await there.desk.decline(RESUME, ADA)
    loud = RESUME.model_copy(update={"break_glass": True, "reason": "it burns"})
    told = await there.desk.decline(loud, ADA)
    assert (told.kind, told.state) == ("pause", "withdrawn")
    await there.desk.verdicts.keep()
    found = [t for t in await there.requests("wallet") if t.kind == "resume"]
    assert [(t.state, t.state_why) for t in found] == [
        ("lapsed", "what it was to end has ended meanwhile")
    ]


def replace_glass(policy: PolicyConf) -> PolicyConf:
    return policy.model_copy(update={"break_glass_groups": ()})


async def test_a_drain_that_waits_for_approval_is_simply_declined(tmp_path: Path) -> None:
    one = PolicyConf(approvals=1)
    there = office(tmp_path, drain=one, undrain=one)
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    await refused(there.desk.ask(Ask(kind="drain", target="dc1"), BOB), 409, "is to be drained al")
    told = await there.desk.decline(Verdict(kind="drain", target="dc1"), BOB)
    assert (told.kind, told.state) == ("drain", "refused")


# --- serving alone -------------------------------------------------------------------------------


def last_holder() -> View:
    return state(other(silent(serving()), WITNESS, seen=GONE), followers=())


async def alone_asked(there: Office, who: Asker = ADA, **more: object) -> RequestView:
    order = Ask.model_validate({"kind": "force-single", "target": "dc2", "reason": "burnt", **more})
    plan = await there.desk.ask(order.model_copy(update={"dry": True}), who)
    return await there.desk.ask(order.model_copy(update={"plan": plan.plan}), who)


async def test_serving_alone_waits_for_an_approval_without_a_store(tmp_path: Path) -> None:
    there = office(tmp_path, replace(last_holder(), store_ok=False), force_single=ONE_DBA)
    there.store.reachable = False
    told = await alone_asked(there)
    assert (told.state, told.number) == ("open", 900_001)
    assert told.waits_for == "the approval of another person of dba"
    assert there.orders.of(WALLET) is None
    (shown,) = there.desk.verdicts.told("wallet")
    assert (shown.kind, shown.plan) == ("force-single", told.plan)
    with pytest.raises(NotAsked, match="request 900001 is open"):
        await alone_asked(there, BOB)
    await refused(there.desk.approve(Verdict(number=900_001), ADA), 409, "ada has asked")
    told = await there.desk.approve(Verdict(number=900_001, plan=told.plan), CAROL)
    assert told.state == "running"
    order = there.orders.of(WALLET)
    assert order is not None
    assert (order.request.state, order.request.asked_by) == (State.RUNNING, "ada")
    assert there.woken == 1
    await there.orders.end(WALLET)
    (shown,) = there.desk.verdicts.told("wallet")
    assert (shown.state, shown.state_why) == ("done", "the order has ended")


async def test_serving_alone_lapses_when_the_others_are_back(tmp_path: Path) -> None:
    there = office(tmp_path, last_holder(), force_single=PolicyConf(approvals=1))
    await alone_asked(there)
    there.turn(serving())
    await there.desk.verdicts.keep()
    (shown,) = there.desk.verdicts.told(None)
    assert shown.state == "lapsed"
    assert "dc2 does not serve alone any more: dc1 is heard" in shown.state_why
    await refused(there.desk.approve(Verdict(number=900_001), BOB), 409, "is closed")
    assert there.orders.of(WALLET) is None
    told = await alone_asked_again(there)
    assert told.number == 900_002


async def alone_asked_again(there: Office) -> RequestView:
    there.turn(last_holder())
    return await alone_asked(there)


async def test_serving_alone_lapses_when_it_would_cost_something_else(tmp_path: Path) -> None:
    there = office(tmp_path, last_holder(), force_single=PolicyConf(approvals=1))
    await alone_asked(there)
    there.turn(state(silent(serving()), followers=()))
    await refused(
        there.desk.approve(Verdict(number=900_001), BOB),
        409,
        "has lapsed: what it would cost is another thing now: ",
    )


async def test_a_wish_to_serve_alone_is_declined_here(tmp_path: Path) -> None:
    there = office(tmp_path, last_holder(), force_single=PolicyConf(approvals=1))
    await alone_asked(there)
    told = await there.desk.decline(Verdict(reason="wait"), BOB)
    assert (told.kind, told.state) == ("force-single", "refused")


# --- the glass -----------------------------------------------------------------------------------

GLASS = MOVE.model_copy(update={"break_glass": True, "reason": "nobody is awake"})
PAST = (
    "switchover of wallet: the approval of another person of dba, and a person of oncall to ask "
    "for it"
)
LOUD = f"BREAK-GLASS by ada, past the policy of {PAST}. Reason: nobody is awake"


async def test_who_breaks_the_glass_is_obeyed_at_once_and_loudly(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    told = await there.desk.ask(GLASS, ADA)
    assert (told.state, told.waits_for, told.approvals_needed) == ("open", "", 0)
    assert (told.reason, told.broke_glass) == (LOUD, PAST)
    seen = there.records.requests.newest(WALLET)
    assert in_force(seen)
    found = asked_now(replace(there.view, request=seen), Kind.SWITCHOVER)
    assert found is not None
    assert found.reason == LOUD
    assert there.desk.verdicts.loud(WALLET) == (f"{LOUD} (request 1, switchover to dc1, open)",)
    await there.desk.decline(Verdict(number=1), ADA)
    assert "withdrawn" in there.desk.verdicts.loud(WALLET)[0]
    there.clock.now += 86_401.0
    assert there.desk.verdicts.loud(WALLET) == ()


async def test_the_warning_ends_with_the_next_request(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    await there.desk.ask(GLASS, ADA)
    await there.desk.decline(Verdict(number=1), ADA)
    await there.desk.ask(Ask(kind="ack"), BOB)
    assert there.desk.verdicts.loud(WALLET) == ()


@pytest.mark.parametrize(
    ("order", "who", "status", "why"),
    [
        (GLASS.model_copy(update={"reason": " "}), ADA, 400, "--break-glass needs a --reason"),
        (GLASS, BOB, 403, r"bob may not break the glass .* that is for lead \(ada\); ask one of"),
        (
            Ask(kind="ack", break_glass=True, reason="x"),
            ADA,
            409,
            "no policy stands in the way of a ack of wallet: ask without --break-glass",
        ),
        (
            Ask(kind="pause", break_glass=True, reason="x"),
            ADA,
            403,
            "lets nobody break the glass: it needs the approval of 2 other persons of dba or lead",
        ),
        (
            Ask(kind="failover", target="dc1", break_glass=True, reason="x"),
            EVE,
            403,
            "eve may not ask for a failover of wallet",
        ),
    ],
)
async def test_the_glass_holds(
    tmp_path: Path, order: Ask, who: Asker, status: int, why: str
) -> None:
    there = office(
        tmp_path,
        switchover=ONE_DBA,
        failover=replace_glass(ONE_DBA),
        pause=PolicyConf(approvals=2, groups=("dba", "lead")),
    )
    await refused(there.desk.ask(order, who), status, why)
    assert there.records.requests.newest(WALLET) is None


async def test_whoever_may_ask_breaks_it_where_no_group_is_named(tmp_path: Path) -> None:
    there = office(tmp_path, failover=replace_glass(ONE_DBA))
    order = Ask(kind="failover", target="dc1", break_glass=True, reason="dc2 burns")
    told = await there.desk.ask(order, BOB)
    assert told.broke_glass.startswith("failover of wallet: the approval of another")


async def test_a_reason_alone_breaks_nothing(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    told = await there.desk.ask(MOVE.model_copy(update={"reason": LOUD}), ADA)
    assert (told.broke_glass, told.approvals_needed) == ("", 1)
    assert there.desk.verdicts.loud(WALLET) == ()


async def test_an_end_past_its_policy_is_loud(tmp_path: Path) -> None:
    there = office(tmp_path, undrain=ONE_DBA, resume=ONE_DBA)
    await paused(there)
    loud = RESUME.model_copy(update={"break_glass": True, "reason": "it burns"})
    await refused(there.desk.decline(loud, CAROL), 403, "carol may not break the glass")
    told = await there.desk.decline(loud, ADA)
    assert told.state_why.startswith("BREAK-GLASS by ada, past the policy of resume of wallet: the")
    assert told.broke_glass.startswith("resume of wallet")
    (warned,) = there.desk.verdicts.loud(WALLET)
    assert warned.endswith("it burns (request 1, the end of pause, withdrawn)")
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    loud = Verdict(kind="drain", target="dc1", break_glass=True, reason="it burns")
    told = await there.desk.decline(loud, ADA)
    assert (told.kind, told.state) == ("drain", "withdrawn")
    assert "past the policy of undrain of a site" in there.desk.verdicts.loud(WALLET)[1]


async def test_a_wish_that_is_only_declined_breaks_nothing(tmp_path: Path) -> None:
    there = office(tmp_path, switchover=ONE_DBA)
    await there.desk.ask(MOVE, ADA)
    verdict = Verdict(number=1, break_glass=True, reason="x")
    await refused(there.desk.decline(verdict, ADA), 409, "decline it without --break-glass")


async def test_serving_alone_past_its_policy(tmp_path: Path) -> None:
    there = office(tmp_path, last_holder(), force_single=ONE_DBA)
    told = await alone_asked(there, break_glass=True)
    assert told.state == "running"
    order = there.orders.of(WALLET)
    assert order is not None
    assert order.request.reason.startswith("BREAK-GLASS by ada, past the policy of force-single")
    (shown,) = there.desk.verdicts.told(None)
    assert (shown.kind, shown.state) == ("force-single", "running")
    assert shown.broke_glass
    assert "(request 1, force-single to dc2, running)" in there.desk.verdicts.loud(WALLET)[0]
    assert there.desk.verdicts.loud(DC2) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pause", "drain"])
async def test_a_site_that_is_behind_lets_nothing_lapse(tmp_path: Path, kind: str) -> None:
    one = PolicyConf(approvals=1)
    there = office(tmp_path, raised(serving()), pause=one, drain=one)
    await there.desk.ask(Ask(kind=kind, reason="x", target="dc1" if kind == "drain" else ""), ADA)
    there.turn(serving())
    await there.desk.verdicts.keep()
    (told,) = await there.requests(None)
    assert told.state == "open"


async def test_a_daemon_that_knows_nothing_yet_lets_nothing_lapse(tmp_path: Path) -> None:
    one = PolicyConf(approvals=1)
    cluster = MemoryCluster()
    there = office(tmp_path, None, cluster, pause=PolicyConf(), resume=one, drain=one, undrain=one)
    await paused(there)
    await there.desk.decline(RESUME, ADA)
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    (tmp_path / "new").mkdir()
    new = office(tmp_path / "new", replace(serving(), record=None), cluster, resume=one)
    await new.records.refresh()
    new.records.requests.keep_only(frozenset())
    await new.desk.verdicts.keep()
    await there.desk.verdicts.keep()
    assert {told.state for told in await there.requests(None)} == {"open", "running"}


async def test_a_store_that_is_silent_or_holds_nonsense_stops_nobody(tmp_path: Path) -> None:
    cluster, one = MemoryCluster(), PolicyConf(approvals=1)
    there = office(tmp_path, None, cluster, resume=one)
    await paused(there)
    await there.desk.decline(RESUME, ADA)
    cluster.write("/t/endings/requests/wallet/7", b"nonsense")
    cluster.write("/t/endings/requests/wallet/x", b"nonsense")
    key = "/t/endings/requests/wallet/1"
    cluster.write("/t/endings/requests/wallet/2", cluster.entries[key].value)
    await there.desk.verdicts.keep()
    assert [told.number for told in there.desk.verdicts.told(None)] == [1]
    there.store.reachable = False
    there.clock.now += 500.0
    await there.desk.verdicts.keep()
    assert [told.state for told in there.desk.verdicts.told(None)] == ["open"]


async def test_a_plan_is_what_is_approved_of_a_drain(tmp_path: Path) -> None:
    there = office(tmp_path, drain=PolicyConf(approvals=1))
    order = Ask(kind="drain", target="dc1")
    found = await there.desk.plan(order)
    told = await there.desk.ask(order.model_copy(update={"plan": found.plan}), ADA)
    assert told.plan == found.plan
    await there.desk.approve(Verdict(number=1, target="dc1", plan=found.plan), BOB)
    assert in_force(there.records.requests.drains()[DC1])


async def test_who_broke_the_glass_stands_in_the_epoch_record(tmp_path: Path) -> None:
    there = office(tmp_path, last_standby(), failover=ONE_DBA)
    order = Ask(kind="failover", target="dc2", break_glass=True, reason="dc1 burns")
    await there.desk.ask(order.model_copy(update={"allow_data_loss": True}), ADA)
    view = replace(there.view, request=there.records.requests.newest(WALLET))
    intent = raise_for_request(Reason.FAILOVER_ASKED)(view)
    assert isinstance(intent, RaiseEpoch)
    assert "BREAK-GLASS by ada, past the policy of failover of wallet: the ap" in intent.reason
    assert intent.asked_by == "ada"


def test_a_unix_group_that_is_not_here_has_nobody_in_it() -> None:
    conf = "groups: {dba: ['%no_such_group_here', '%root', ada]}"
    text = LAB.replace("\nheartbeat:", f"\nrequests: {{{conf}}}\nheartbeat:")
    found = inspect_text(text, "f").cluster
    assert found is not None
    group = policies_of(found).groups["dba"]
    assert group.gids == {0}
    assert group.has(Asker(name="eve", gids=frozenset({0})))
    assert group.has(ADA)
    assert not group.has(Asker(name="root"))  # over TLS nobody has a Unix group


async def test_a_certificate_is_a_person_of_a_group(tmp_path: Path) -> None:
    """grace proposes on the node, ada approves with her certificate; an operator may be nobody."""
    authority = Authority(tmp_path)
    groups = {"dba": Group(members=("ada",)), "ops": Group(members=("ada", "grace", "linus"))}
    policy = PolicyConf(approvals=1, groups=("dba",), proposers=("ops",))
    rules = Policies(groups=groups, everywhere={Verb.SWITCHOVER: policy})
    there = Office(serving(), tmp_path, policies=rules)
    gate = Gate(
        source=there,
        authority=authority,
        server=authority.server(),
        desk=there.desk,
        operators=frozenset({"ada", "grace", "linus", "eve"}),
    )
    path = "/api/v1/requests"
    async with opened(gate) as port:

        def caller(name: str) -> Caller:
            return Caller(authority, port, authority.person(name))

        code, told = await caller("eve").post(path, kind="switchover", target="dc1")
        assert (code, "eve may not ask for a switchover" in told["error"]) == (403, True)
        await there.desk.ask(MOVE, Asker(name="grace"))
        code, told = await caller("linus").post(f"{path}/approve", number=1)
        assert (code, "linus is in none of the groups that approve" in told["error"]) == (403, True)
        code, told = await caller("grace").post(f"{path}/approve", number=1)
        assert (code, "grace has asked for request 1" in told["error"]) == (409, True)
        code, told = await caller("ada").post(f"{path}/approve", number=1)
        assert (code, told["request"]["approved_by"]) == (200, ["ada"])


async def test_a_drain_is_approved_by_its_number(tmp_path: Path) -> None:
    there = office(tmp_path, drain=PolicyConf(approvals=1))
    await there.desk.ask(Ask(kind="drain", target="dc1"), ADA)
    why = "dc1 has no request 2; the newest is 1"
    await refused(there.desk.approve(Verdict(number=2, target="dc1"), BOB), 409, why)
    await refused(there.desk.approve(Verdict(number=1, target="dc2"), BOB), 409, "is not drained")
    told = await there.desk.approve(Verdict(number=1, target="dc1"), BOB)
    assert told.approved_by == ("bob",)
