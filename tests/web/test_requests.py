"""Asking over the API: who asks is the kernel's word, and every refusal is a sentence."""

import json
import os
import pwd
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from controller.core.model import Epoch, ServiceName
from controller.core.requests import Approval, Kind, State
from controller.core.view import View
from controller.web.app import build_app
from controller.web.schema import Ask, RequestView
from controller.web.serve import serve
from controller.web.source import Asker
from tests.core.turned import other, record, report, serving, silent, state
from tests.core.views import DC1, DC2, GONE, WALLET, WITNESS, dc2_view
from tests.core.wishes import wish
from tests.web.office import Office
from tests.web.sample import STEADY, Told

ME = pwd.getpwuid(os.getuid()).pw_name
PATH = "/api/v1/requests"


class Client:
    """Posts to one daemon."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session, self._base = session, base

    async def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        async with self._session.post(self._base + path, json=body) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> dict[str, Any]:
        async with self._session.get(self._base + path) as answer:
            assert answer.status == 200
            return dict(await answer.json())


@asynccontextmanager
async def client(office: Office, tmp_path: Path) -> AsyncIterator[Client]:
    app = build_app(office, desk=office.desk)
    async with serve(app, tmp_path / "s", None, 0):
        connector = aiohttp.UnixConnector(str(tmp_path / "s"))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Client(session, "http://daemon")


async def asked(office: Office, tmp_path: Path, **body: object) -> tuple[int, dict[str, Any]]:
    async with client(office, tmp_path) as daemon:
        return await daemon.post(PATH, **body)


def last_standby() -> View:
    return other(silent(dc2_view()), WITNESS, seen=GONE)


def last_holder() -> View:
    return state(other(silent(serving()), WITNESS, seen=GONE), followers=())


async def test_a_switchover_is_planned_then_asked_for(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    async with client(office, tmp_path) as daemon:
        code, plan = await daemon.post(PATH, kind="switchover", reason="patches", dry=True)
        assert code == 200
        assert plan["request"]["target"] == "dc1"
        assert await daemon.get(PATH) == {
            "format": 1,
            "cluster": "tricast",
            "site": "dc1",
            "requests": [],
        }
        code, told = await daemon.post(
            PATH, kind="switchover", reason="patches", target="dc1", plan=plan["request"]["plan"]
        )
        assert code == 200
        request = told["request"]
        assert (request["state"], request["asked_by"], request["asked_at"]) == ("open", ME, "dc2")
        assert (request["epoch"], request["holder"], request["number"]) == (2, "dc2", 1)
        code, second = await daemon.post(PATH, kind="failover", target="dc1")
        assert code == 409
        assert f"switchover to dc1 asked by {ME} at dc2 (open" in second["error"]
        assert [r["number"] for r in (await daemon.get(PATH))["requests"]] == [1]
        assert (await daemon.get(f"{PATH}?service=lobby"))["requests"] == []


async def test_who_asks_is_not_for_the_asker_to_say(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    code, answer = await asked(office, tmp_path, kind="ack", asked_by="root")
    assert code == 400
    assert "asked_by" in answer["error"]


async def test_the_kernel_tells_the_groups_of_who_asks(tmp_path: Path) -> None:
    office, known = Office(serving(), tmp_path), []
    real = office.desk.ask

    async def ask(order: Ask, who: Asker) -> RequestView:
        known.append(who)
        return await real(order, who)

    object.__setattr__(office, "desk", SimpleNamespace(ask=ask))
    app = build_app(office, desk=office.desk)
    async with (
        serve(app, tmp_path / "s", None, 0),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as session,
        session.post(f"http://daemon{PATH}", json={"kind": "ack"}) as answer,
    ):
        assert answer.status == 200
    assert [(who.name, who.gids) for who in known] == [
        (ME, frozenset({os.getgid(), *os.getgroups()}))
    ]


async def test_over_tcp_nothing_can_be_asked(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    app = build_app(office, desk=office.desk)
    async with (
        serve(app, tmp_path / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}{PATH}", json={"kind": "ack"}) as answer,
    ):
        assert answer.status == 403
        assert "unix socket" in (await answer.json())["error"]
    assert office.records.requests.newest(WALLET) is None


async def test_a_witness_takes_no_requests(tmp_path: Path) -> None:
    async with (
        serve(build_app(Told(STEADY)), tmp_path / "s", None, 0),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as session,
        session.post(f"http://daemon{PATH}", json={"kind": "ack"}) as answer,
    ):
        assert answer.status == 405


REFUSED = [
    (serving(), {"kind": "swap"}, 400, "there is no request 'swap'; there are switchover"),
    (serving(), {"kind": "ack", "service": "lobby"}, 400, "no service 'lobby'; there are wallet"),
    (serving(), {"kind": "switchover", "target": "dc2"}, 409, "dc2 holds wallet already"),
    (serving(), {"kind": "switchover", "target": "dc9"}, 400, "'dc9' is no data site"),
    (serving(), {"kind": "switchover", "target": "witness"}, 400, "'witness' is no data site"),
    (
        other(serving(), DC1, seen=GONE),
        {"kind": "switchover", "target": "dc1"},
        409,
        "dc1 cannot take over: dc1 is not heard",
    ),
    (serving(), {"kind": "pause"}, 400, "a pause needs a --reason"),
    (serving(), {"kind": "failover"}, 400, "--to SITE"),
    (serving(), {"kind": "failover", "target": "dc2"}, 409, "dc2 holds wallet already"),
    (
        serving(),
        {"kind": "failover", "target": "dc2", "allow_data_loss": True},
        409,
        "dc2 holds wallet already",
    ),
    (
        serving(),
        {"kind": "failover", "target": "dc1", "allow_data_loss": True},
        409,
        "what dc1 would lose is only known there",
    ),
    (
        last_standby(),
        {"kind": "failover", "target": "dc2"},
        409,
        "cannot be proved that nothing is lost without dc1, witness",
    ),
    (
        replace(last_standby(), store_ok=False),
        {"kind": "failover", "target": "dc2"},
        409,
        "tricast force-single SITE.*beyond 0/3000060@2 is lost",
    ),
    (serving(), {"kind": "force-single", "target": "dc1"}, 409, "this is the daemon of dc2"),
    (serving(), {"kind": "force-single"}, 409, "ask at the site itself"),
    (serving(), {"kind": "force-single", "target": "dc2"}, 409, "dc1 is heard"),
    (last_holder(), {"kind": "force-single", "target": "dc2"}, 400, "needs the plan"),
    (last_holder(), {"kind": "force-single", "target": "dc2", "plan": "old"}, 409, "look again"),
    (serving(), {"kind": "drain", "target": "dc9"}, 400, "'dc9' is no data site"),
    (replace(serving(), record=None), {"kind": "ack"}, 503, "has not been read here yet"),
]


@pytest.mark.parametrize(("view", "body", "code", "why"), REFUSED)
async def test_what_is_refused_and_why(
    tmp_path: Path, view: View, body: dict[str, object], code: int, why: str
) -> None:
    office = Office(view, tmp_path)
    found, answer = await asked(office, tmp_path, **body)
    assert found == code
    assert re.search(why, answer["error"], re.DOTALL), answer["error"]
    assert office.records.requests.newest(WALLET) is None
    assert office.orders.of(WALLET) is None


async def test_of_several_services_one_has_to_be_named(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    office.views[ServiceName("lobby")] = None
    code, answer = await asked(office, tmp_path, kind="ack")
    assert (code, answer["error"]) == (400, "which service? --service one of wallet, lobby")
    code, answer = await asked(office, tmp_path, kind="ack", service="lobby")
    assert code == 503


async def test_from_the_standby_a_switchover_goes_to_it_and_the_holder_judges(
    tmp_path: Path,
) -> None:
    office = Office(other(dc2_view(), DC1, report_age_s=60.0), tmp_path)
    code, answer = await asked(office, tmp_path, kind="switchover")
    assert (code, answer["request"]["target"], answer["request"]["holder"]) == (200, "dc2", "dc1")


@pytest.mark.parametrize(
    "view", [last_standby(), record(last_standby(), epoch=Epoch(3), holder=DC2, previous=DC2)]
)
async def test_a_loss_is_named_before_it_is_allowed(tmp_path: Path, view: View) -> None:
    office = Office(view, tmp_path)
    body = {"kind": "failover", "target": "dc2", "allow_data_loss": True}
    code, answer = await asked(office, tmp_path, **body)
    assert code == 200
    assert "without dc1, witness, everything acknowledged beyond" in answer["request"]["statement"]
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    assert seen.request.excused == (DC1, WITNESS)
    code, answer = await asked(
        Office(dc2_view(), tmp_path), tmp_path, kind="failover", target="dc1"
    )
    assert code == 409


async def test_a_failover_is_asked_for_elsewhere(tmp_path: Path) -> None:
    code, answer = await asked(Office(serving(), tmp_path), tmp_path, kind="failover", target="dc1")
    assert (code, answer["request"]["state"]) == (200, "open")


@pytest.mark.parametrize("view", [last_holder(), replace(last_standby(), store_ok=False)])
async def test_an_order_to_serve_alone_stands_on_disk(tmp_path: Path, view: View) -> None:
    office = Office(view, tmp_path)
    body = {"kind": "force-single", "target": "dc2", "reason": "all burnt"}
    async with client(office, tmp_path) as daemon:
        _, plan = await daemon.post(PATH, **body, dry=True)
        assert "You assert" in plan["request"]["statement"]
        assert office.orders.of(WALLET) is None
        code, answer = await daemon.post(PATH, **body, plan=plan["request"]["plan"])
    assert (code, answer["request"]["state"]) == (200, "running")
    order = office.orders.of(WALLET)
    assert order is not None
    assert order.request.asked_by == ME
    assert (order.assumed is not None) == (view.record is not None and view.record.holder == DC1)
    assert office.woken == 1


# --- verdicts -------------------------------------------------------------------------------------


async def test_four_eyes_over_the_api(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    office.approvals[Kind.SWITCHOVER] = 1
    async with client(office, tmp_path) as daemon:
        _, told = await daemon.post(PATH, kind="switchover", target="dc1")
        assert told["request"]["waits_for"] == "the approval of another person"
        code, answer = await daemon.post(f"{PATH}/approve", number=1)
        assert (code, answer["error"].startswith(f"{ME} has asked for request 1")) == (409, True)
        await office.approve_as("ann")
        code, answer = await daemon.post(f"{PATH}/approve", number=1, plan="older")
        assert code == 409
        assert "the approval is for older" in answer["error"]
        code, answer = await daemon.post(f"{PATH}/approve", number=1)
        assert (code, answer["request"]["approved_by"]) == (200, [ME])
        code, answer = await daemon.post(f"{PATH}/approve", number=9)
        assert (code, answer["error"]) == (409, "wallet has no request 9")
        code, answer = await daemon.post(f"{PATH}/decline", number=1, reason="not now")
        assert (code, answer["request"]["state"]) == (200, "refused")
        assert answer["request"]["state_why"] == "not now"
        code, answer = await daemon.post(f"{PATH}/approve", number=1)
        assert (code, "request 1 is closed" in answer["error"]) == (409, True)
        code, answer = await daemon.post(f"{PATH}/approve", number=-1)
        assert (code, answer["error"].startswith("number: ")) == (400, True)


async def test_an_old_approval_does_not_count_for_another_plan(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    replayed = wish(
        Kind.SWITCHOVER,
        number=1,
        target="dc1",
        approvals_needed=1,
        approvals=(Approval(by="bob", site="dc2", at="", plan="of another epoch"),),
    )
    await office.desk.desk.open(replayed)
    async with client(office, tmp_path) as daemon:
        (shown,) = (await daemon.get(PATH))["requests"]
    assert shown["approved_by"] == []
    assert shown["waits_for"] == "the approval of another person"


async def test_a_pause_and_its_end(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    async with client(office, tmp_path) as daemon:
        code, answer = await daemon.post(f"{PATH}/decline", kind="pause")
        assert (code, answer["error"]) == (409, "wallet has no request")
        await daemon.post(PATH, kind="pause", reason="disk work", lasts_s=60)
        code, answer = await daemon.post(f"{PATH}/decline", kind="pause")
        assert (code, answer["request"]["state"]) == (200, "withdrawn")
        code, answer = await daemon.post(f"{PATH}/decline", kind="pause")
        assert (code, answer["error"]) == (409, "wallet has no pause in force")


async def test_a_drain_and_its_end(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    async with client(office, tmp_path) as daemon:
        code, answer = await daemon.post(f"{PATH}/decline", kind="drain", target="dc1")
        assert (code, answer["error"]) == (409, "dc1 is not drained")
        code, answer = await daemon.post(PATH, kind="drain", target="dc1", reason="kernel")
        assert (code, answer["request"]["service"]) == (200, "")
        code, answer = await daemon.post(PATH, kind="drain", target="dc1")
        assert (code, "dc1 is drained already: drain of dc1 asked by" in answer["error"]) == (
            409,
            True,
        )
        assert [r["kind"] for r in (await daemon.get(PATH))["requests"]] == ["drain"]
        code, answer = await daemon.post(f"{PATH}/decline", kind="drain", target="dc1")
        assert (code, answer["request"]["state"]) == (200, "withdrawn")
        code, answer = await daemon.post(PATH, kind="drain", target="dc1")
        assert (code, answer["request"]["number"]) == (200, 2)


async def test_a_lost_answer_is_unknown_and_a_lost_store_is_said(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    office.store.loses_answers = True
    code, answer = await asked(office, tmp_path, kind="ack")
    assert (code, "is not known; see tricast requests" in answer["error"]) == (504, True)
    office.store.reachable = False
    code, answer = await asked(office, tmp_path, kind="ack")
    assert (code, "without the store's majority" in answer["error"]) == (503, True)


async def test_a_body_that_is_none_is_refused(tmp_path: Path) -> None:
    office = Office(report(serving(), DC1), tmp_path)
    async with (
        serve(build_app(office, desk=office.desk), tmp_path / "s", None, 0),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as session,
    ):
        for body in (b"", b"[]", b"\xff", b"{", json.dumps({"kind": 3}).encode()):
            async with session.post(f"http://daemon{PATH}", data=body) as answer:
                assert answer.status == 400
        async with session.post(f"http://daemon{PATH}", data=b"x" * 5000) as answer:
            assert answer.status == 413


def test_every_state_is_told_as_it_is_called() -> None:
    assert {state.value for state in State} == {
        "open", "running", "done", "failed", "refused", "lapsed", "withdrawn",
    }  # fmt: skip
