"""What the daemon of a data site tells of itself, and of nobody else."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from controller.core.decide import decide
from controller.core.model import SiteKind, SiteName
from controller.core.view import View
from controller.daemon.status import DaemonStatus
from controller.runtime.loop import ServiceLoop
from controller.runtime.records import Records
from controller.web.audit_schema import AuditView
from controller.web.notify_schema import NotificationsView
from controller.web.schema import Status
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import own, serving
from tests.core.views import DC1, DC2, WITNESS
from tests.runtime.clock import HandClock

KINDS = {DC1: SiteKind.DATA, DC2: SiteKind.DATA, WITNESS: SiteKind.WITNESS}


def told(view: View) -> Status:
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
        audit=lambda: AuditView(ok=True), notifications=NotificationsView,
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
