"""How far a returning database is: measured here, told to every site, and forgotten when over."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest

from controller.core.decide import decide
from controller.core.model import DatabaseName, Instant, Report, Role, SiteKind, SiteName
from controller.core.view import View
from controller.core.wire import encode_report
from controller.daemon.rejoin_pace import LATELY_S, CatchingUp, Pace
from controller.daemon.rejoins import Rejoins
from controller.daemon.status import DaemonStatus
from controller.ports import PortError, TimedOut, Work
from controller.runtime.loop import ServiceLoop
from controller.runtime.records import Records
from controller.web.audit_schema import AuditView
from controller.web.notify_schema import NotificationsView
from controller.web.schema import RejoinView
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import serving, state
from tests.core.views import DC1, DC2, LEDGER, WALLET, WITNESS, dc2_view
from tests.runtime.clock import HandClock

MB = 1 << 20
KEY = "/t/rejoins/dc2"


@dataclass
class FakeWorker:
    """Tells what it was told to tell."""

    told: Work | PortError | None = None
    closed: int = 0

    async def look(self, deadline_s: float) -> Work | None:
        del deadline_s
        if isinstance(self.told, PortError):
            raise self.told
        return self.told

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class Site:
    """A site's daemon, as far as it tells of rejoins."""

    name: SiteName
    cluster: MemoryCluster
    clock: HandClock
    view: View | None = None
    rejoining: frozenset[DatabaseName] = frozenset()
    failures: dict[str, str] = field(default_factory=dict)
    worker: FakeWorker = field(default_factory=FakeWorker)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.cluster, self.name)
        self.records = Records(store=self.store, prefix="/t/", clock=self.clock, deadline_s=0.05)
        self.loop = SimpleNamespace(
            hands=SimpleNamespace(service=WALLET),
            lanes=SimpleNamespace(
                rejoining=lambda: self.rejoining, failures=lambda: self.failures, running=dict
            ),
            last_view=self.view,
        )
        self.rejoins = Rejoins(
            site=self.name, store=self.store, prefix="/t/", deadline_s=0.05, clock=self.clock,
            records=self.records, workers={(WALLET, LEDGER): (FakeWorker(), self.worker)},
            loops=() if self.view is None else (cast("ServiceLoop", self.loop),),
        )  # fmt: skip

    def sees(self, view: View) -> None:
        """Its loop has turned."""
        self.view = self.loop.last_view = view

    async def told(self) -> RejoinView | None:
        """What it says of dc2's ledger after a turn."""
        await self.rejoins.turn()
        return self.rejoins.of(DC2, WALLET).get(LEDGER)

    async def hears(self, role: Role) -> None:
        """dc2 reports that it is `role`."""
        found = serving().others[DC1].report
        assert found is not None
        report = Report(
            site=DC2, boot="b", version="1", at="", services=(replace(found, role=role),)
        )
        await self.store.put("/t/sites/dc2", encode_report(report), 1)
        await self.records.refresh()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def dc2(clock: HandClock) -> Site:
    return Site(DC2, MemoryCluster(), clock, dc2_view())


def test_the_rate_is_that_of_late_and_tells_when_the_phase_ends() -> None:
    pace = Pace(Instant(0.0))
    first = pace.heard(Work(phase="copy", for_s=1.0, done=0, total=100 * MB), Instant(1.0))
    assert (first.bytes_s, first.left_s) == (None, None)
    slow = pace.heard(Work(phase="copy", for_s=3.0, done=2 * MB, total=100 * MB), Instant(3.0))
    assert (slow.bytes_s, slow.left_s) == (MB, 98.0)
    at = Instant(3.0 + LATELY_S + 1)
    pace.heard(Work(phase="copy", for_s=9.0, done=4 * MB, total=100 * MB), at)
    fast = pace.heard(
        Work(phase="copy", for_s=9.0, done=54 * MB, total=100 * MB), Instant(at + LATELY_S)
    )
    assert fast.bytes_s == pytest.approx(50 * MB / LATELY_S, abs=1)
    assert fast.since_s == at + LATELY_S


def test_a_new_phase_and_a_new_beginning_have_no_rate_yet() -> None:
    pace = Pace(Instant(0.0))
    for at, done in ((0.0, 10), (2.0, 20)):
        pace.heard(Work(phase="rewind", for_s=at, done=done, total=90), Instant(at))
    anew = pace.heard(Work(phase="rewind", for_s=4.0, done=5, total=90), Instant(4.0))
    assert (anew.bytes_s, anew.left_s) == (None, None)
    other = pace.heard(Work(phase="base backup", for_s=0.1, done=50, total=90), Instant(6.0))
    assert (other.bytes_s, other.left_s) == (None, None)
    silent = pace.heard(Work(phase="start", for_s=0.1), Instant(8.0))
    assert (silent.done_bytes, silent.total_bytes, silent.bytes_s) == (None, None, None)
    stuck = Pace(Instant(0.0))
    for at in (0.0, 2.0):
        told = stuck.heard(Work(phase="copy", for_s=at, done=10, total=90), Instant(at))
    assert (told.bytes_s, told.left_s) == (0.0, None)


def test_what_is_left_to_replay_is_counted_from_the_most_that_was_seen() -> None:
    catching = CatchingUp(Instant(0.0))
    assert catching.work(None, Instant(1.0)).done is None
    assert catching.work(40 * MB, Instant(2.0)).done == 0
    found = catching.work(10 * MB, Instant(3.0))
    assert (found.phase, found.done, found.total) == ("catching up", 30 * MB, 40 * MB)
    assert catching.work(50 * MB, Instant(4.0)).total == 50 * MB


async def test_a_rejoin_is_seen_from_every_site_until_it_is_over(
    dc2: Site, clock: HandClock
) -> None:
    witness = Site(WITNESS, dc2.cluster, clock)
    assert (await dc2.told(), await witness.told()) == (None, None)
    dc2.rejoining = frozenset({LEDGER})
    dc2.worker.told = Work(phase="base backup", for_s=1.5, done=10 * MB, total=100 * MB)
    await witness.hears(Role.REJOINING)
    mine = await dc2.told()
    clock.now += 2.0
    dc2.worker.told = Work(phase="base backup", for_s=3.5, done=30 * MB, total=100 * MB)
    mine = await dc2.told()
    assert mine == RejoinView(
        phase="base backup", since_s=2.0, phase_s=3.5, done_bytes=30 * MB, total_bytes=100 * MB,
        bytes_s=10 * MB, left_s=7.0,
    )  # fmt: skip
    assert await witness.told() == mine
    clock.now += 1.0
    assert witness.rejoins.of(DC2, WALLET)[LEDGER].age_s == 1.0
    dc2.cluster.unlease(KEY)
    dc2.rejoining, dc2.worker.told = frozenset(), None
    await witness.hears(Role.STANDBY)
    assert (await dc2.told(), await witness.told()) == (None, None)
    assert KEY not in dc2.cluster.entries
    assert dc2.worker.closed == 1


@pytest.mark.parametrize("told", [None, TimedOut("no answer in time")])
async def test_an_agent_that_does_not_tell_is_at_work(
    dc2: Site, clock: HandClock, told: PortError | None
) -> None:
    dc2.rejoining, dc2.worker.told = frozenset({LEDGER}), told
    await dc2.told()
    clock.now += 3.0
    assert await dc2.told() == RejoinView(phase="at work", since_s=3.0, phase_s=3.0)
    dc2.cluster.unlease(KEY)


async def test_then_it_catches_up_and_is_no_news_once_it_has(dc2: Site, clock: HandClock) -> None:
    view = dc2_view()
    dc2.rejoining = frozenset({LEDGER})
    await dc2.told()
    dc2.rejoining = frozenset()
    dc2.sees(state(view, streaming=False, lag_bytes=None))
    clock.now += 1.0
    found = await dc2.told()
    assert found is not None
    assert (found.phase, found.done_bytes, found.phase_s) == ("catching up", None, 0.0)
    for lag, done in ((80 * MB, 0), (20 * MB, 60 * MB)):
        dc2.sees(state(view, lag_bytes=lag))
        clock.now += 2.0
        found = await dc2.told()
        assert found is not None
        assert (found.done_bytes, found.total_bytes) == (done, 80 * MB)
    assert found.bytes_s == 30 * MB
    assert found.left_s == pytest.approx(0.7, abs=0.1)
    dc2.sees(state(view, lag_bytes=100))
    assert await dc2.told() is None
    dc2.sees(state(view, lag_bytes=80 * MB))  # a standby that lags has not come back just now
    assert await dc2.told() is None
    dc2.cluster.unlease(KEY)


async def test_a_copy_in_quarantine_has_not_caught_up(dc2: Site) -> None:
    dc2.rejoining = frozenset({LEDGER})
    await dc2.told()
    dc2.rejoining = frozenset()
    dc2.sees(state(dc2_view(), quarantined=True, lag_bytes=0))
    found = await dc2.told()
    assert found is not None
    assert found.phase == "catching up"
    dc2.sees(state(dc2_view(), writable=True, streaming=False))
    assert await dc2.told() is None
    dc2.cluster.unlease(KEY)


async def test_a_rejoin_that_was_refused_is_not_under_way(dc2: Site) -> None:
    dc2.rejoining = frozenset({LEDGER})
    assert await dc2.told() is not None
    dc2.rejoining, dc2.failures = frozenset(), {f"database:{LEDGER}": "not yet 3"}
    dc2.sees(state(dc2_view(), streaming=False))
    assert await dc2.told() is None
    dc2.cluster.unlease(KEY)


async def test_work_that_an_earlier_daemon_asked_for_is_seen_too(dc2: Site) -> None:
    busy = "host agent: postgres-rejoin: another call of the agent is working on ledger"
    dc2.failures = {f"database:{LEDGER}": busy}
    dc2.worker.told = Work(phase="base backup", for_s=60.0, done=1, total=2)
    found = await dc2.told()
    assert found is not None
    assert (found.phase, found.done_bytes) == ("base backup", 1)
    dc2.cluster.unlease(KEY)


async def test_a_store_that_is_away_costs_only_the_sight_of_the_others(dc2: Site) -> None:
    witness = Site(WITNESS, dc2.cluster, dc2.clock)
    await witness.hears(Role.REJOINING)
    dc2.rejoining = frozenset({LEDGER})
    dc2.store.reachable = witness.store.reachable = False
    assert await dc2.told() is not None
    assert await witness.told() is None
    dc2.store.reachable = witness.store.reachable = True
    dc2.store.loses_answers = True
    await dc2.told()
    dc2.rejoining, dc2.store.loses_answers = frozenset(), False
    await dc2.told()
    assert KEY not in dc2.cluster.entries


@pytest.mark.parametrize("value", [b"\xff", b"{}", b"[]", b'{"rejoins": [{"service": 3}]}'])
async def test_what_cannot_be_read_is_not_shown(dc2: Site, value: bytes) -> None:
    witness = Site(WITNESS, dc2.cluster, dc2.clock)
    await witness.hears(Role.REJOINING)
    await dc2.store.put(KEY, value, 1)
    assert await witness.told() is None


async def test_the_status_of_each_site_tells_it(dc2: Site) -> None:
    dc2.rejoining = frozenset({LEDGER})
    dc2.worker.told = Work(phase="rewind", for_s=1.0, done=1, total=2)
    dc1 = Site(DC1, dc2.cluster, dc2.clock)
    await dc1.hears(Role.REJOINING)
    await dc2.told()
    assert await dc1.told() is not None
    for site in (dc2, dc1):
        view = replace(serving(), me=DC2)
        loop = SimpleNamespace(
            last_view=view, decision=decide(view), lanes=dc2.loop.lanes,
            observer=SimpleNamespace(spec=view.spec), progress=SimpleNamespace(open=None),
        )  # fmt: skip
        source = DaemonStatus(
            cluster="tricast", site=DC2, version="0", clock=dc2.clock, records=site.records,
            loops=(cast("ServiceLoop", loop),), leader=lambda: "",
            site_kinds={DC1: SiteKind.DATA, DC2: SiteKind.DATA},
            database_kinds={}, audit=lambda: AuditView(ok=True), notifications=NotificationsView,
            rejoins=site.rejoins,
        )  # fmt: skip
        sites = {shown.site: shown for shown in (await source.status()).services[0].sites}
        assert [found.rejoin for found in sites["dc1"].databases] == [None]
        rejoin = sites["dc2"].databases[0].rejoin
        assert rejoin is not None
        assert (rejoin.phase, rejoin.done_bytes, rejoin.total_bytes) == ("rewind", 1, 2)
    dc2.cluster.unlease(KEY)
