"""What the daemon of a data site tells of itself, and of nobody else."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from controller.config import load
from controller.core.decide import decide
from controller.core.model import SiteKind, SiteName
from controller.core.shed import Look, ShedRule, When
from controller.core.view import View
from controller.daemon.shedding import build_shedding, newest_look
from controller.daemon.status import DaemonStatus
from controller.ports import BackendState, ShedGate
from controller.runtime.following import Following
from controller.runtime.loop import ServiceLoop
from controller.runtime.records import Records
from controller.runtime.shedding import Shedding
from controller.web.audit_schema import AuditView
from controller.web.notify_schema import NotificationsView
from controller.web.schema import ShedView, Status
from tests.contract.fakes.load_balancer import FakeLoadBalancer
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.contract.fakes.shed_gates import FakeShedGates
from tests.core.turned import own, serving
from tests.core.views import DC1, DC2, WALLET, WITNESS
from tests.runtime.clock import HandClock

KINDS = {DC1: SiteKind.DATA, DC2: SiteKind.DATA, WITNESS: SiteKind.WITNESS}


def told(view: View, shedding: Shedding | None = None) -> Status:
    """What a daemon says whose only loop has just seen `view`."""
    clock = HandClock()
    lanes = SimpleNamespace(running=dict, failures=dict)
    loop = SimpleNamespace(
        last_view=view, decision=decide(view), lanes=lanes,
        observer=SimpleNamespace(spec=view.spec), progress=SimpleNamespace(open=None),
    )  # fmt: skip
    store = MemoryStore(MemoryCluster(), view.me)
    source = DaemonStatus(
        cluster="tricast", site=view.me, version="0", clock=clock,
        records=Records(store=store, prefix="/t/", clock=clock, deadline_s=0.05),
        loops=(cast("ServiceLoop", loop),), site_kinds=KINDS,
        database_kinds={"ledger": "postgres"}, leader=lambda: "",
        audit=lambda: AuditView(ok=True), notifications=NotificationsView, shedding=shedding,
    )  # fmt: skip
    return asyncio.run(source.status())


@pytest.mark.parametrize("held", [False, True])
def test_only_the_own_site_has_sessions_and_a_direction(*, held: bool) -> None:
    view = own(serving(), sessions_up=1, sessions_total=2, held=held)
    sites = {site.site: site for site in told(view).services[0].sites}
    me = sites[DC2]
    assert (me.sessions_up, me.sessions_total, me.directed_to, me.held) == (1, 2, ("dc2",), held)
    for other in (sites[DC1], sites[WITNESS]):
        assert (other.sessions_up, other.sessions_total) == (None, None)
        assert (other.directed_to, other.held) == (None, None)


def test_a_site_that_directs_nowhere_says_so() -> None:
    view = serving()
    lost = replace(view, own=replace(view.own, directed_to=frozenset[SiteName]()))
    assert told(lost).services[0].sites[1].directed_to == ()


def shedding_of(view: View) -> Shedding:
    """be_reports is off for 40 s, be_exports has no gate; `view` strains nothing."""
    gates = FakeShedGates(("be_reports",))
    gates.gates["be_reports"] = ShedGate(off=True, for_s=40.0)
    when = frozenset({When.MOVING})
    rule = ShedRule(backends=("be_reports", "be_exports"), when=when, calm_s=10.0)
    clock = HandClock()
    following = Following(
        balancer=FakeLoadBalancer({}, ()), leaders={}, turned=lambda: None, clock=clock
    )
    shedding = Shedding(
        gates=gates,
        rules={WALLET: (rule,)},
        looks=lambda: {WALLET: Look(view=view, role=decide(view).role)},
        clock=clock,
        following=following,
    )
    asyncio.run(shedding.turn())
    clock.now += 4.0
    return shedding


def test_what_is_switched_off_is_told_with_its_age_its_reason_and_its_end() -> None:
    service = told(serving(), shedding_of(serving())).services[0]
    assert service.shed == (
        ShedView(
            backend="be_reports", off=True, for_s=44.0, calm_left_s=6.0,
            why="it was off before this daemon started",
        ),
        ShedView(backend="be_exports", why="it was off before this daemon started"),
    )  # fmt: skip
    assert any("tricast_shed/be_exports" in warning for warning in service.warnings)
    assert told(serving()).services[0].shed == ()


@pytest.mark.parametrize(("directed", "counted"), [({DC2}, (1, 2)), (set(), (0, 0))])
def test_the_servers_that_count_are_those_of_the_site_that_takes_traffic(
    directed: set[SiteName], counted: tuple[int, int]
) -> None:
    view = own(serving(), directed_to=frozenset(directed))
    backend = BackendState(enabled={DC2: 2}, up={DC2: 1}, total={DC1: 2, DC2: 2})
    balancer = SimpleNamespace(value={"be_wallet": backend})
    looks = SimpleNamespace(balancer=balancer)
    loop = SimpleNamespace(
        last_view=view, decision=decide(view),
        observer=SimpleNamespace(backend="be_wallet", looks=looks),
    )  # fmt: skip
    found = newest_look(cast("ServiceLoop", loop))
    assert found is not None
    assert (found.servers_up, found.servers_total) == counted
    balancer.value = None
    silent = newest_look(cast("ServiceLoop", loop))
    assert silent is not None
    assert silent.servers_total == 0
    loop.decision = None
    assert newest_look(cast("ServiceLoop", loop)) is None


def test_what_may_be_switched_off_goes_with_its_service() -> None:
    lab = load(Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml")
    shedding = build_shedding(lab, (), HandClock())
    assert shedding is not None
    assert shedding.following.leaders == {"be_reports": "be_wallet"}
    assert shedding.rules == {
        "wallet": (ShedRule(backends=("be_reports",), when=frozenset(When), calm_s=5.0),)
    }
    lobby = lab.model_copy(update={"services": (lab.service("lobby"),)})
    assert build_shedding(lobby, (), HandClock()) is None
