"""What asking would do, as a daemon foresees it: the same as what is decided once it is asked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.core.decide import Decision, decide
from controller.core.handover import HAND_OVER
from controller.core.intents import RaiseEpoch
from controller.core.ladder import AnyStep, Step
from controller.core.model import Epoch
from controller.core.requests import Kind, SeenRequest
from controller.core.sequences import REJOIN, STEP_DOWN, TAKE_OVER
from controller.core.view import View
from controller.daemon.deeds import AuditedDesk
from controller.daemon.refusals import REFUSED
from controller.web.app import build_app
from controller.web.plan_schema import Foreseen, Plan, PlanLadder
from controller.web.schema import Ask
from controller.web.serve import serve
from controller.web.source import Asker, NotAsked
from tests.core.test_each_rule import CASES
from tests.core.turned import own, record, serving, silent, spec
from tests.core.views import DC1, DC2, WALLET, dc2_view
from tests.web.authority import Authority
from tests.web.mutual import Gate, authority, gate, office, opened
from tests.web.office import Office
from tests.web.sample import Told
from tests.web.test_mutual_tls import Caller

__all__ = ["authority", "gate", "office"]

TABLES: dict[str, tuple[AnyStep, ...]] = {
    "HAND_OVER": HAND_OVER,
    "TAKE_OVER": TAKE_OVER,
    "STEP_DOWN": STEP_DOWN,
    "REJOIN": REJOIN,
}
SITES = ("dc1", "dc2")
ORDERS = (
    *(Ask(kind="switchover", target=target) for target in ("", *SITES)),
    *(
        Ask(kind="failover", target=target, allow_data_loss=loss)
        for target in SITES
        for loss in (False, True)
    ),
    *(Ask(kind="drain", target=target) for target in SITES),
)


async def foreseen(view: View, folder: Path, order: Ask) -> Foreseen:
    return await Office(view, folder).desk.plan(order)


def marks(ladder: PlanLadder) -> list[tuple[str, str, bool | None]]:
    return [(step.name, step.database, step.met) for step in ladder.steps]


def climbed(decision: Decision) -> list[tuple[str, str, bool | None]]:
    return [(rung.step, rung.database or "", rung.done) for rung in decision.rungs]


def of(plan: Foreseen, ladder: str) -> PlanLadder:
    (found,) = (each for each in plan.services[0].ladders if each.ladder == ladder)
    return found


# --- it is what would be decided -----------------------------------------------------------------


async def test_the_holder_climbs_what_was_foreseen(tmp_path: Path) -> None:
    order = Ask(kind="switchover")
    office = Office(serving(), tmp_path)
    plan = await office.desk.plan(order)
    await office.desk.ask(order, Asker(name="ann"))
    opened = office.records.requests.newest(WALLET)
    assert isinstance(opened, SeenRequest)
    decision = decide(replace(serving(), request=opened))
    assert (decision.rule, decision.ladder) == (210, "HAND_OVER")
    assert marks(of(plan, "HAND_OVER")) == climbed(decision)
    assert plan.plan == opened.request.plan


@pytest.mark.parametrize(
    ("view", "kind"),
    [(dc2_view(), "switchover"), (silent(dc2_view()), "failover"), (dc2_view(), "failover")],
)
async def test_the_target_climbs_what_was_foreseen(tmp_path: Path, view: View, kind: str) -> None:
    plan = await foreseen(view, tmp_path, Ask(kind=kind, target="dc2", allow_data_loss=True)
                          if kind == "failover" else Ask(kind=kind))  # fmt: skip
    how = "handover" if kind == "switchover" else "failover"
    then = record(view, epoch=Epoch(3), holder=DC2, previous=DC1, kind=how, revision=8)
    decision = decide(replace(then, record_unchanged_s=0.0))
    assert decision.ladder == "TAKE_OVER"
    assert marks(of(plan, "TAKE_OVER")) == climbed(decision)


async def test_the_old_holder_climbs_what_was_foreseen(tmp_path: Path) -> None:
    plan = await foreseen(serving(), tmp_path, Ask(kind="switchover"))
    then = record(serving(), epoch=Epoch(3), holder=DC1, previous=DC2, kind="handover", request=1)
    decision = decide(replace(then, record_unchanged_s=0.0))
    assert (decision.rule, decision.ladder) == (110, "STEP_DOWN")
    assert marks(of(plan, "STEP_DOWN")) == climbed(decision)
    routes = {each.site: each.after for each in plan.services[0].routes}
    assert routes["dc2"] == (decision.stance,)


@pytest.mark.parametrize("number", range(len(CASES)))
async def test_in_every_situation_of_the_table_something_is_foreseen(
    tmp_path: Path, number: int
) -> None:
    view = CASES[number].view
    for order in ORDERS:
        office = Office(view, tmp_path)
        if view.record is None:
            with pytest.raises(NotAsked, match="has not been read here yet"):
                await office.desk.plan(order)
            continue
        plan = await office.desk.plan(order)
        assert plan.accepted is not bool(plan.reasons)
        assert bool(plan.plan) is plan.accepted
        for ladder in plan.services[0].ladders:
            named = dict.fromkeys(step.name for step in ladder.steps)
            wanted = TABLES[ladder.ladder]
            several = len(view.spec.databases) or None
            assert list(named) == [s.name for s in wanted if several or isinstance(s, Step)]
            known = {step.met for step in ladder.steps}
            assert known == {None} if ladder.site != view.me else None not in known
        if order.kind != "drain" and view.store_ok:
            await _agrees(office, order, plan)


async def _agrees(office: Office, order: Ask, plan: Foreseen) -> None:
    """The plan refuses what would be refused, with the same words."""
    dry, ann = order.model_copy(update={"dry": True}), Asker(name="ann")
    if plan.accepted:
        asked = await office.desk.ask(dry, ann)
        assert (plan.plan, plan.target) == (asked.plan, asked.target)
        assert plan.statement == asked.statement
        return
    with pytest.raises(NotAsked) as refused:
        await office.desk.ask(dry, ann)
    assert (refused.value.status, (str(refused.value),)) == (REFUSED, plan.reasons)


async def test_what_begins_is_begun_by_the_rule_for_it(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    plan = await office.desk.plan(Ask(kind="drain", target="dc2"))
    assert plan.services[0].begins is True
    await office.desk.ask(Ask(kind="drain", target="dc2"), Asker(name="ann"))
    assert decide(replace(serving(), drains=office.records.requests.drains())).rule == 230
    paused = replace(serving(), paused="disk work")
    plan = await foreseen(paused, tmp_path, Ask(kind="drain", target="dc2"))
    assert plan.services[0].begins is False
    assert plan.services[0].held_back[0].startswith("rule 201 would hold at dc2: ")


async def test_where_the_store_was_set_back_the_holder_itself_takes_over(tmp_path: Path) -> None:
    behind = own(record(serving(), epoch=Epoch(1), revision=40), promised=Epoch(2))
    office = Office(behind, tmp_path)
    plan = await office.desk.plan(Ask(kind="failover", target="dc2"))
    (service,) = plan.services
    assert (plan.accepted, service.begins, service.held_back) == (True, True, ())
    assert [ladder.ladder for ladder in service.ladders] == ["TAKE_OVER"]
    await office.desk.ask(Ask(kind="failover", target="dc2"), Asker(name="ann"))
    seen = office.records.requests.newest(WALLET)
    decision = decide(replace(behind, request=seen))
    (raised,) = [intent for intent in decision.intents if isinstance(intent, RaiseEpoch)]
    assert (decision.rule, raised.epoch, raised.asked_by) == (98, 3, "ann")
    refused = await foreseen(behind, tmp_path, Ask(kind="switchover", target="dc2"))
    assert refused.reasons == ("dc2 holds wallet already",)
    # Whether dc1 has promised more than the record says, dc1 alone knows.
    elsewhere = record(behind, holder=DC1)
    refused = await foreseen(elsewhere, tmp_path, Ask(kind="failover", target="dc1"))
    assert refused.reasons == ("dc1 holds wallet already",)


async def test_a_service_without_databases_has_its_own_steps_only(tmp_path: Path) -> None:
    view = own(spec(serving(), databases=()), databases=())
    plan = await foreseen(view, tmp_path, Ask(kind="switchover"))
    assert plan.accepted
    assert {step.database for each in plan.services[0].ladders for step in each.steps} == {""}
    assert [step.name for step in of(plan, "HAND_OVER").steps] == [
        step.name for step in HAND_OVER if isinstance(step, Step)
    ]


# --- how it is asked -----------------------------------------------------------------------------


@asynccontextmanager
async def over_tcp(office: Office, folder: Path) -> AsyncIterator[Any]:
    async with (
        serve(build_app(office, desk=office.desk), folder / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def test_it_is_answered_over_tcp_as_all_that_only_looks(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    office.approvals[Kind.DRAIN] = 2
    async with (
        over_tcp(office, tmp_path) as session,
        session.get("/api/v1/plan?kind=drain&target=dc1") as answer,
    ):
        assert answer.status == 200
        plan = Plan.model_validate_json(await answer.text())
    assert (plan.cluster, plan.site, plan.approvals_needed) == ("tricast", "dc1", 2)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "kind must be one of switchover, failover, drain, not ''"),
        ("kind=pause", "kind must be one of switchover, failover, drain, not 'pause'"),
        ("kind=drain&dry=1", "a plan takes no 'dry'; it takes kind, service, target"),
        ("kind=failover&target=dc1&allow_data_loss=perhaps", "allow_data_loss: "),
        ("kind=failover", "a failover needs its target"),
        ("kind=drain", "'' is no data site; there are dc1, dc2"),
        ("kind=switchover&service=x", "there is no service 'x'; there are wallet"),
    ],
)
async def test_what_is_asked_wrong_is_said(tmp_path: Path, query: str, why: str) -> None:
    async with (
        over_tcp(Office(serving(), tmp_path), tmp_path) as session,
        session.get(f"/api/v1/plan?{query}") as answer,
    ):
        assert answer.status == 400
        assert why in json.loads(await answer.text())["error"]


async def test_without_a_desk_nothing_is_foreseen(tmp_path: Path) -> None:
    office = Told(Office(serving(), tmp_path).now)
    async with (
        serve(build_app(office), tmp_path / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/plan?kind=switchover") as answer,
    ):
        assert answer.status == 404


async def test_a_reader_may_look_and_nothing_is_noted(
    gate: Gate, office: Office, authority: Authority
) -> None:
    gate.desk = AuditedDesk(desk=office.desk, auditor=None)  # type: ignore[arg-type]
    async with opened(gate) as port:
        reader = Caller(authority, port, authority.person("rita"))
        code, plan = await reader.get("/api/v1/plan?kind=switchover&target=dc2")
    assert (code, plan["accepted"]) == (200, False)
    assert gate.refused == []
