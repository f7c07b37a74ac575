"""Asking for a rejoin or a reinit: what the desk refuses, and what it lets stand."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.requests import State
from controller.core.view import View
from tests.core.turned import follower, other, serving, spec, state
from tests.core.views import DC1, GONE, LEDGER, WALLET, WITNESS
from tests.core.wishes import settling
from tests.web.office import Office
from tests.web.test_requests import PATH, asked, client

REINIT = {"kind": "reinit", "target": "dc1", "database": "ledger", "reason": "bad sectors"}


async def test_a_reinit_stands_with_what_it_throws_away(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    async with client(office, tmp_path) as daemon:
        code, plan = await daemon.post(PATH, **REINIT, dry=True)
        assert code == 200
        assert plan["request"]["statement"].startswith("The copy of ledger at dc1 is thrown away")
        assert office.records.requests.newest(WALLET) is None
        code, told = await daemon.post(PATH, **REINIT, plan=plan["request"]["plan"])
        assert (code, told["request"]["database"]) == (200, LEDGER)
        code, again = await daemon.post(PATH, kind="switchover", target="dc1")
        assert code == 409
        assert "reinit of ledger at dc1 asked by" in again["error"]
        seen = office.records.requests.newest(WALLET)
        assert seen is not None
        desk = office.desk.desk
        await desk.settle(
            WALLET, settling(1, seen.revision, State.RUNNING, "it copies", copied=True)
        )
        seen = office.records.requests.newest(WALLET)
        assert seen is not None
        assert (seen.request.state, seen.request.copied) == (State.RUNNING, True)
        code, ended = await daemon.post(f"{PATH}/decline", number=1)
        assert (code, ended["request"]["state"]) == (200, "withdrawn"), "it may be given up"


async def test_a_rejoin_may_be_about_every_database(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    code, told = await asked(office, tmp_path, kind="rejoin", target="dc1")
    assert (code, told["request"]["database"], told["request"]["state"]) == (200, "", "open")


def lonely() -> View:
    return state(serving(), followers=(follower(DC1),))


@pytest.mark.parametrize(
    ("view", "order", "code", "said"),
    [
        (serving(), {"target": "dc2"}, 409, "dc2 holds wallet"),
        (serving(), {"target": "dc9"}, 400, "'dc9' is no data site; there are dc1, dc2"),
        (serving(), {"target": "witness"}, 400, "'witness' is no data site"),
        (serving(), {"database": "legder"}, 400, "no database 'legder'; there are ledger"),
        (serving(), {"database": ""}, 400, "no database ''; there are ledger"),
        (serving(), {"kind": "rejoin", "database": "x"}, 400, "no database 'x'"),
        (spec(serving(), databases=()), {"kind": "rejoin", "database": ""}, 400, "it has none"),
        (serving(), {"reason": " "}, 400, "a reinit needs a --reason"),
        (serving(), {"service": "lobby"}, 400, "no service 'lobby'"),
        (other(serving(), DC1, seen=GONE), {}, 409, "no reinit at dc1: dc1 is not heard"),
        (state(serving(), gate_open=False), {}, 409, "no primary of ledger serves at dc2"),
        (lonely(), {}, 409, "without the copy at dc1 nobody is left to acknowledge but dc2"),
        (other(serving(), WITNESS, seen=GONE), {}, 409, "nobody is left to acknowledge but dc2"),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, view: View, order: dict[str, Any], code: int, said: str
) -> None:
    office = Office(view, tmp_path)
    got, answer = await asked(office, tmp_path, **{**REINIT, **order})
    assert (got, office.records.requests.newest(WALLET)) == (code, None)
    assert said in answer["error"]


async def test_no_copy_is_made_anew_while_another_request_is_open(tmp_path: Path) -> None:
    office = Office(serving(), tmp_path)
    async with client(office, tmp_path) as daemon:
        assert (await daemon.post(PATH, kind="switchover", target="dc1"))[0] == 200
        code, answer = await daemon.post(PATH, **REINIT)
        assert code == 409
        assert "another request is open for wallet: switchover to dc1" in answer["error"]
