"""Weights at the desk: merged into what is set, refused where nothing would change, four eyes."""

import asyncio
from pathlib import Path

import pytest

from controller.config import PolicyConf
from controller.core.model import Epoch
from controller.core.requests import Kind, State
from controller.daemon.weights import weights_view
from controller.web.schema import Ask, Verdict
from controller.web.source import NotAsked
from controller.web.weights_schema import SiteWeight
from tests.contract.fakes.memory_store import MemoryCluster
from tests.core.turned import record, report, serving, spec
from tests.core.views import DC1, DC2, WALLET
from tests.core.wishes import wish
from tests.web.eyes import ADA, BOB, CAROL, ONE_DBA, office
from tests.web.office import Office
from tests.web.test_daemon_status import told

VIEW = spec(serving(), weights={DC1: 100, DC2: 90})
HEAVY = Ask(kind="weights", weights={"dc1": 200}, reason="new disks")
CLEAR = Ask(kind="weights", reason="as before")
FIRST, SECOND = 800_001, 800_002


def set_at(there: Office) -> dict[str, int]:
    found = there.records.weights.weights(WALLET)
    return {} if found is None else {str(site): w for site, w in found.weights.items()}


async def test_what_is_set_is_in_force_at_once_and_says_what_changes(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW)
    dry = await there.desk.ask(HEAVY.model_copy(update={"dry": True}), ADA)
    assert (dry.statement, set_at(there)) == ("wallet: dc1 100 -> 200", {})
    done = await there.desk.ask(HEAVY.model_copy(update={"plan": dry.plan}), ADA)
    assert (done.number, done.state, done.target) == (FIRST, "done", "dc1=200")
    assert (done.asked_by, done.state_by, done.reason) == ("ada", "ada", "new disks")
    assert set_at(there) == {"dc1": 200}
    assert there.records.requests.newest(WALLET) is None
    assert [r.number for r in await there.requests("wallet")] == [FIRST]


async def test_sites_that_are_not_named_keep_what_they_have(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW)
    await there.desk.ask(HEAVY, ADA)
    found = await there.desk.ask(HEAVY.model_copy(update={"weights": {"dc2": 0}}), BOB)
    assert (found.statement, found.target) == ("wallet: dc2 90 -> 0", "dc1=200 dc2=0")
    assert set_at(there) == {"dc1": 200, "dc2": 0}
    back = await there.desk.ask(HEAVY.model_copy(update={"weights": {"dc1": 100}}), BOB)
    assert (back.statement, set_at(there)) == ("wallet: dc1 200 -> 100", {"dc1": 100, "dc2": 0})


async def test_cleared_it_is_as_configured(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW)
    await there.desk.ask(HEAVY, ADA)
    found = await there.desk.ask(CLEAR, BOB)
    assert (found.number, found.target) == (SECOND, "those configured")
    assert (found.statement, set_at(there)) == ("wallet: dc1=200 is over", {})
    with pytest.raises(NotAsked, match="the weights of wallet are as configured: nothing to clear"):
        await there.desk.ask(CLEAR, BOB)


@pytest.mark.parametrize(
    ("changes", "status", "why"),
    [
        ({"service": "moon"}, 400, "there is no service 'moon'; there are wallet"),
        ({"weights": {"dc9": 1}}, 400, "'dc9' is no data site of wallet; there are dc1, dc2"),
        ({"weights": {"witness": 1}}, 400, "witness is a witness and never takes over: weigh dc1"),
        ({"weights": {"dc1": 1001}}, 400, "dc1=1001: a weight is a whole number from 0 to 1000"),
        ({"weights": {"dc1": -1}}, 400, "dc1=-1: a weight is a whole number from 0 to 1000"),
        ({"weights": {"dc1": 1, "dc2": 1001}}, 400, "dc2=1001"),
        ({"reason": "  "}, 400, "weights need a --reason"),
        ({"weights": {"dc1": 100}}, 409, "nothing changes: dc1=100 holds for wallet already, see"),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, changes: dict[str, object], status: int, why: str
) -> None:
    there = office(tmp_path, VIEW)
    with pytest.raises(NotAsked, match=why) as found:
        await there.desk.ask(HEAVY.model_copy(update=changes), ADA)
    assert found.value.status == status
    assert not await there.requests(None)


async def test_a_pause_does_not_stand_in_the_way_nor_it_in_that_of_a_move(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW, weights=ONE_DBA)
    await there.desk.ask(Ask(kind="pause", reason="work"), ADA)
    assert (await there.desk.ask(HEAVY, ADA)).state == "open"
    await there.desk.decline(Verdict(kind="pause"), ADA)
    assert (await there.desk.ask(Ask(kind="switchover", target="dc1"), ADA)).number == 2


async def test_a_plan_of_a_move_is_none_of_weights(tmp_path: Path) -> None:
    with pytest.raises(NotAsked, match="weights move nothing: see them with tricast weights show"):
        await office(tmp_path, VIEW).desk.plan(HEAVY)


async def test_of_two_operators_at_once_one_is_told(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    here = office(tmp_path / "a", VIEW, cluster)
    there = office(tmp_path / "b", VIEW, cluster)
    found = await asyncio.gather(
        here.desk.ask(HEAVY, ADA),
        there.desk.ask(HEAVY.model_copy(update={"weights": {"dc2": 1}}), BOB),
        return_exceptions=True,
    )
    (refused,) = (each for each in found if isinstance(each, NotAsked))
    assert "somebody else asked for wallet at the same time" in str(refused)
    await here.records.refresh()
    await there.records.refresh()
    assert set_at(here) == set_at(there) == ({"dc1": 200} if found[1] is refused else {"dc2": 1})


# --- four eyes -----------------------------------------------------------------------------------


async def test_under_a_policy_it_waits_and_what_was_set_stands_meanwhile(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW, weights=ONE_DBA)
    await there.desk.ask(HEAVY, ADA)
    with pytest.raises(
        NotAsked, match="carol may not ask for a change of the weights of wallet: that"
    ):
        await there.desk.ask(HEAVY, CAROL)
    with pytest.raises(NotAsked, match="request 800001 is open: weights to dc1=200 asked by ada"):
        await there.desk.ask(HEAVY.model_copy(update={"weights": {"dc1": 3}}), BOB)
    assert set_at(there) == {}
    found = await there.desk.approve(Verdict(number=FIRST), BOB)
    assert (found.state, found.state_why) == ("done", "these weights are in force")
    assert found.approved_by == ("bob",)
    assert set_at(there) == {"dc1": 200}
    wanted = await there.desk.ask(CLEAR, ADA)
    assert (wanted.number, wanted.waits_for) == (SECOND, "the approval of another person of dba")
    assert set_at(there) == {"dc1": 200}
    ended = await there.desk.decline(Verdict(number=SECOND, reason="not yet"), BOB)
    assert (ended.state, set_at(there)) == ("refused", {"dc1": 200})


async def test_it_lapses_when_the_world_has_changed(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW, weights=ONE_DBA)
    await there.desk.ask(HEAVY, ADA)
    there.turn(record(VIEW, epoch=Epoch(3), holder=DC1, reason="dc2 is silent"))
    await there.desk.verdicts.keep()
    (found,) = await there.requests(None)
    assert (found.state, "dc1 raised epoch 3 meanwhile" in found.state_why) == ("lapsed", True)
    assert set_at(there) == {}


async def test_nobody_came(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW, weights=ONE_DBA)
    await there.desk.ask(HEAVY, ADA)
    there.clock.now += 121.0
    with pytest.raises(NotAsked, match="request 800001 has lapsed: it waited 120 s"):
        await there.desk.approve(Verdict(number=FIRST), BOB)


async def test_an_approval_is_carried_out_after_the_daemon_that_took_it_died(
    tmp_path: Path,
) -> None:
    there = office(tmp_path, VIEW, weights=PolicyConf(approvals=1))
    opened = await there.desk.ask(HEAVY, ADA)
    weights = there.desk.weights
    seen = weights.book.newest(WALLET)
    assert seen is not None
    agreed = wish(Kind.WEIGHTS, number=FIRST, asked_by="ada", approvals_needed=0,
                  weights=seen.request.weights, target=opened.target)  # fmt: skip
    await weights.change(seen, agreed)
    await there.desk.verdicts.keep()
    found = weights.book.newest(WALLET)
    assert found is not None
    assert (found.request.state, set_at(there)) == (State.DONE, {"dc1": 200})


async def test_past_the_policy_everybody_is_told(tmp_path: Path) -> None:
    there = office(tmp_path, VIEW, weights=ONE_DBA)
    found = await there.desk.ask(HEAVY.model_copy(update={"break_glass": True}), ADA)
    assert (found.state, found.broke_glass != "", set_at(there)) == ("done", True, {"dc1": 200})
    (loud,) = there.desk.verdicts.loud(WALLET)
    assert loud.startswith("BREAK-GLASS by ada, past the policy of change of the weights of wallet")
    assert loud.endswith("(request 800001, weights to dc1=200, done)")


# --- how it is told ------------------------------------------------------------------------------


def test_the_status_says_what_is_configured_and_who_goes_first() -> None:
    found = told(report(VIEW, DC1, eligible=True)).services[0].weights
    assert found is not None
    assert (found.order, found.first) == (None, "dc1")
    assert found.sites == (
        SiteWeight(site="dc1", weight=100, configured=100),
        SiteWeight(site="dc2", weight=90, configured=90),
    )
    nobody = told(report(VIEW, DC1, eligible=False)).services[0].weights
    assert nobody is not None
    assert nobody.first == ""  # the holder itself is no candidate


def test_it_says_who_has_set_them() -> None:
    order = wish(
        Kind.WEIGHTS, number=FIRST, state=State.DONE, weights={DC2: 300}, reason="old disks",
        asked_by="ada", state_at="later",
    )  # fmt: skip
    view = spec(VIEW, weights={DC1: 100, DC2: 300})
    found = weights_view(view, VIEW.spec, order, {DC1, DC2})
    assert [(s.site, s.weight, s.configured, s.was_set) for s in found.sites] == [
        ("dc2", 300, 90, True), ("dc1", 100, 100, False),
    ]  # fmt: skip
    assert found.first == "dc2"
    assert found.order is not None
    assert (found.order.by, found.order.at_site, found.order.at) == ("ada", "dc1", "later")
    cleared = wish(Kind.WEIGHTS, state=State.DONE)
    assert weights_view(VIEW, VIEW.spec, cleared, set()).order is None
