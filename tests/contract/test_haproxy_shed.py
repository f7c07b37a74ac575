"""Low-priority backends of the lab's haproxy: switched off for their path only, and on again."""

import json
import re
from dataclasses import replace

import pytest

from controller.adapters.haproxy import Haproxy
from controller.core.model import Role, ServiceName, SiteName
from controller.core.shed import Look, ShedRule, When
from controller.ports import Refused, ShedGates, TimedOut
from controller.runtime.following import Following
from controller.runtime.shedding import Shedding
from tests.contract.fakes.shed_gates import FakeShedGates
from tests.contract.haproxy_process import HaproxyProcess
from tests.contract.test_haproxy import haproxy
from tests.core.turned import own, serving
from tests.runtime.clock import HandClock

__all__ = ["haproxy"]

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

DC1, DC2 = SiteName("dc1"), SiteName("dc2")
WALLET = ServiceName("wallet")


def adapter(haproxy: HaproxyProcess) -> Haproxy:
    return Haproxy(haproxy.socket, (DC1, DC2), ("be_wallet", "be_reports"), haproxy.state_dir)


def following(edge: Haproxy) -> Following:
    leaders = {"be_reports": "be_wallet"}
    return Following(balancer=edge, leaders=leaders, turned=lambda: None, clock=HandClock())


async def serve_at_dc1(edge: Haproxy) -> None:
    await edge.direct("be_wallet", DC1, 1.0)
    await following(edge).turn()


@pytest.fixture(params=["real", "fake"])
def gates(request: pytest.FixtureRequest) -> ShedGates:
    if request.param == "fake":
        return FakeShedGates(("be_reports",))
    return adapter(request.getfixturevalue("haproxy"))


async def off(gates: ShedGates) -> bool:
    found = await gates.shed_gates(1.0)
    assert set(found) == {"be_reports"}
    return found["be_reports"].off


# --- what both must do ---------------------------------------------------------------------------


async def test_it_is_on_at_first_and_turned_as_often_as_wanted(gates: ShedGates) -> None:
    assert not await off(gates)
    for wanted in (True, True, False, False, True):
        await gates.shed("be_reports", off=wanted, deadline_s=1.0)
        assert await off(gates) is wanted
    assert (await gates.shed_gates(1.0))["be_reports"].for_s < 5


async def test_what_has_no_gate_is_refused_by_name(gates: ShedGates) -> None:
    sentence = r"tricast_shed/be_none is not ready: No such server\."
    with pytest.raises(Refused, match=sentence):
        await gates.shed("be_none", off=True, deadline_s=1.0)
    assert not await off(gates)


# --- what only the real one can show -------------------------------------------------------------


async def test_only_the_path_of_the_backend_is_refused(haproxy: HaproxyProcess) -> None:
    edge = adapter(haproxy)
    await serve_at_dc1(edge)
    await edge.shed("be_reports", off=True, deadline_s=1.0)
    for path in ("/reports", "/reports/ledger", "/reports/ledger?after=7"):
        answer = await haproxy.answer(haproxy.wallet, path)
        assert answer is not None
        status, headers, body = answer
        assert (status, headers["retry-after"], headers["x-tricast-edge"]) == (503, "5", "dc1")
        assert json.loads(body) == {"outcome": "failed", "error": "switched off for now"}
    for path in ("/transfer", "/ledger", "/whoami", "/reportsx"):
        assert await haproxy.get(haproxy.wallet, path) == 200
    await edge.shed("be_reports", off=False, deadline_s=1.0)
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 200


async def test_what_is_switched_off_does_not_wait_at_the_gate(haproxy: HaproxyProcess) -> None:
    edge = adapter(haproxy)
    await serve_at_dc1(edge)
    await edge.shed("be_reports", off=True, deadline_s=1.0)
    await edge.hold("be_wallet", 1.0)
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 503
    assert (await edge.observe(1.0))["be_wallet"].held, "and nobody was let go"


async def test_it_sends_where_its_service_does(haproxy: HaproxyProcess) -> None:
    edge = adapter(haproxy)
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 503
    for site in (DC1, DC2):
        await edge.direct("be_wallet", site, 1.0)
        await following(edge).turn()
        answers = [await haproxy.answer(haproxy.wallet, "/reports/ledger") for _ in range(6)]
        assert {json.loads(found[2])["site"] for found in answers if found} == {site}


async def test_a_started_haproxy_has_everything_switched_on(haproxy: HaproxyProcess) -> None:
    edge = adapter(haproxy)
    await serve_at_dc1(edge)
    await edge.shed("be_reports", off=True, deadline_s=1.0)
    haproxy.kill()
    await haproxy.start()
    assert not await off(edge)
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 200


async def test_a_haproxy_without_such_gates_says_so(haproxy: HaproxyProcess) -> None:
    text = haproxy.configuration()
    bare = re.sub(r".*tricast_shed/.*\n", "", text[: text.index("backend tricast_shed")])
    haproxy.kill()
    (haproxy.folder / "haproxy.cfg").write_text(bare)
    haproxy.configuration = lambda: bare  # type: ignore[method-assign]
    await haproxy.start()
    edge = adapter(haproxy)
    assert await edge.shed_gates(1.0) == {}
    with pytest.raises(Refused, match="tricast_shed/be_reports is not ready: No such"):
        await edge.shed("be_reports", off=True, deadline_s=1.0)


async def test_a_frozen_haproxy_times_out(haproxy: HaproxyProcess) -> None:
    haproxy.freeze()
    for asked in (
        adapter(haproxy).shed_gates(0.2),
        adapter(haproxy).shed("be_reports", off=True, deadline_s=0.2),
    ):
        with pytest.raises(TimedOut, match="no answer within"):
            await asked


async def test_a_service_that_moves_sheds_and_its_next_daemon_brings_it_back(
    haproxy: HaproxyProcess,
) -> None:
    edge, clock, views = adapter(haproxy), HandClock(), {"now": own(serving(), held=True)}
    await serve_at_dc1(edge)

    def started() -> Shedding:
        rule = ShedRule(backends=("be_reports",), when=frozenset({When.MOVING}), calm_s=20.0)
        return Shedding(
            gates=edge,
            rules={WALLET: (rule,)},
            looks=lambda: {WALLET: Look(view=views["now"], role=Role.PRIMARY)},
            clock=clock,
            following=following(edge),
        )

    await started().turn()
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 503
    assert await haproxy.get(haproxy.wallet, "/ledger") == 200
    views["now"] = serving()
    again = started()
    await again.turn()
    assert await off(edge), "a daemon that starts takes over what it finds"
    clock.now += 20.0
    views["now"] = replace(serving(), now=clock.monotonic())
    await again.turn()
    assert await haproxy.get(haproxy.wallet, "/reports/ledger") == 200
