"""What operators' requests have this site do, against a store and a haproxy in memory."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from controller.core.alone import FORCED
from controller.core.intents import (
    AskSwitchover,
    CommitAlone,
    Direct,
    EndAlone,
    HoldTraffic,
    RaiseEpoch,
    Rejoin,
    SettleRequest,
)
from controller.core.model import (
    DatabaseKind,
    DatabaseState,
    Epoch,
    Instant,
    Liveness,
    Outcome,
    SiteName,
)
from controller.core.requests import Kind, State
from controller.core.wire import encode_epoch, epoch_key
from controller.ports import Addresses, Announcer, Database, Firewall, PortError, TimedOut
from controller.runtime.act import Deadlines, Hands
from controller.runtime.observe import _assumed
from controller.runtime.orders import Order, Orders
from controller.runtime.promises import Promises
from controller.runtime.records import Records
from controller.runtime.requests import RequestDesk
from controller.runtime.routes import Routes
from tests.contract.fakes.load_balancer import FakeLoadBalancer
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.views import DC1, DC2, LEDGER, RECORD, WALLET
from tests.core.wishes import wish
from tests.runtime.clock import HandClock


@dataclass
class Server:
    """A database that only remembers whether it commits alone, and how it was rejoined."""

    state: DatabaseState | PortError = field(
        default_factory=lambda: DatabaseState(
            name=LEDGER,
            kind=DatabaseKind.POSTGRES,
            liveness=Liveness.RUNNING,
            epoch=Epoch(2),
        )
    )
    alone: list[bool] = field(default_factory=list)
    rejoined: list[bool] = field(default_factory=list)

    async def observe(self, deadline_s: float) -> DatabaseState:
        assert deadline_s < 1
        if isinstance(self.state, PortError):
            raise self.state
        return self.state

    async def commit_alone(self, *, alone: bool, deadline_s: float) -> None:
        del deadline_s
        self.alone.append(alone)

    async def rejoin(
        self, upstream: SiteName, epoch: Epoch, deadline_s: float, *, fresh: bool = False
    ) -> str:
        del upstream, epoch, deadline_s
        self.rejoined.append(fresh)
        return ""


@dataclass
class World:
    """dc1's hands, and what they touch."""

    hands: Hands
    cluster: MemoryCluster
    balancer: FakeLoadBalancer
    server: Server


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """dc1 holds epoch 2."""
    cluster, clock = MemoryCluster(), HandClock()
    store = MemoryStore(cluster, DC1)
    records = Records(store=store, prefix="/t/", clock=clock, deadline_s=0.05)
    server = Server()
    balancer = FakeLoadBalancer({"be_wallet": ("dc1-app1", "dc2-app1")}, (DC1, DC2))
    desk = RequestDesk(
        site=DC1, store=store, prefix="/t/", clock=clock, book=records.requests, deadline_s=0.05
    )
    hands = Hands(
        me=DC1,
        service=WALLET,
        backend="be_wallet",
        service_addresses=frozenset(),
        databases={LEDGER: cast("Database", server)},
        flows={},
        clock=clock,
        store=store,
        records=records,
        promises=Promises(tmp_path),
        desk=desk,
        orders=Orders(tmp_path),
        balancer=balancer,
        addresses=cast("Addresses", None),
        firewall=cast("Firewall", None),
        routes=Routes(announcer=cast("Announcer", None), clock=clock, permit_s=6.0, deadline_s=1.0),
        deadlines=Deadlines(
            store_s=0.05,
            seal_s=1,
            close_s=1,
            catch_up_s=1,
            promote_s=1,
            step_s=1,
            rejoin_s=1,
        ),
        flap_window_s=60.0,
        lease_s=3.0,
    )
    cluster.write(f"/t/{epoch_key(WALLET)}", encode_epoch(RECORD))
    await records.refresh()
    return World(hands, cluster, balancer, server)


def handing(world: World, *, request: int = 4) -> RaiseEpoch:
    return RaiseEpoch(
        epoch=Epoch(3),
        kind="handover",
        reason="patches",
        expected_revision=world.hands.records.epochs[WALLET].revision,
        previous=DC1,
        holder=DC2,
        request=request,
        asked_by="ann",
    )


async def test_an_epoch_that_is_handed_over_is_not_this_sites_own(world: World) -> None:
    hands = world.hands
    hands.lease_until = Instant(999.0)
    done = await hands.carry_out(handing(world))
    assert (done.outcome, done.detail) == (Outcome.OK, "epoch 3 to dc2")
    record = hands.records.epochs[WALLET]
    assert (record.epoch, record.holder, record.asked_by, record.request) == (3, DC2, "ann", 4)
    assert hands.raised == 0
    assert hands.lease_until == float("-inf")
    assert hands.promises.of(WALLET) == 0
    again = await hands.carry_out(replace(handing(world), expected_revision=record.revision - 1))
    assert again.outcome is Outcome.FAILED


async def test_a_lease_is_given_up_before_the_epoch_is_handed_over(world: World) -> None:
    """Whatever becomes of the answer, this site has no authority that it did not renew since."""
    world.hands.lease_until = Instant(999.0)
    cast("MemoryStore", world.hands.store).loses_answers = True
    done = await world.hands.carry_out(handing(world))
    assert done.outcome is Outcome.UNKNOWN
    assert world.hands.lease_until == float("-inf")


async def test_only_an_automatic_move_opens_the_flap_window(world: World) -> None:
    hands = world.hands
    moved = replace(handing(world), holder=None)
    await hands.carry_out(moved)
    await hands.remember_change()
    assert "/t/recent/wallet" not in world.cluster.entries
    seen = hands.records.epochs[WALLET].revision
    await hands.carry_out(replace(moved, epoch=Epoch(4), request=0, expected_revision=seen))
    await hands.remember_change()
    assert "/t/recent/wallet" in world.cluster.entries
    world.cluster.unlease("/t/recent/wallet")


async def test_an_epoch_that_a_log_here_has_already_is_not_raised(world: World) -> None:
    before, mine = dict(world.cluster.entries), replace(handing(world), holder=None)
    assert isinstance(world.server.state, DatabaseState)
    world.server.state = replace(world.server.state, epoch=Epoch(3))
    done = await world.hands.carry_out(mine)
    assert done.outcome is Outcome.FAILED
    assert done.detail == "ledger here has records of epoch 3 already"
    forced = await world.hands.carry_out(replace(mine, kind=FORCED, epoch=Epoch(2)))
    assert forced.outcome is Outcome.FAILED
    assert world.cluster.entries == before
    assert (world.hands.tried, world.hands.raised) == (0, 0)
    assert (await world.hands.carry_out(handing(world))).outcome is Outcome.OK  # it is dc2's


async def test_who_serves_alone_writes_the_epoch_that_its_databases_have(world: World) -> None:
    assert isinstance(world.server.state, DatabaseState)
    world.server.state = replace(world.server.state, epoch=Epoch(22))
    forced = replace(handing(world), holder=None, kind=FORCED, epoch=Epoch(22))
    assert (await world.hands.carry_out(forced)).outcome is Outcome.OK
    assert world.hands.raised == 22


async def test_a_database_that_does_not_answer_holds_up_no_epoch(world: World) -> None:
    world.server.state = TimedOut("a black hole")
    done = await world.hands.carry_out(replace(handing(world), holder=None))
    assert done.outcome is Outcome.OK


async def test_a_move_opens_the_flap_window_when_the_answer_to_it_was_lost(world: World) -> None:
    hands, store = world.hands, cast("MemoryStore", world.hands.store)
    store.loses_answers = True
    moved = replace(handing(world), holder=None, request=0)
    assert (await hands.carry_out(moved)).outcome is Outcome.UNKNOWN
    store.loses_answers = False
    await hands.remember_change()
    assert "/t/recent/wallet" not in world.cluster.entries  # it is not known yet whose it is
    assert await hands.records.refresh()
    await hands.remember_change()
    assert world.cluster.entries.pop("/t/recent/wallet").value == b"handover"
    world.cluster.unlease("/t/recent/wallet")
    hands.remembered = hands.tried = Epoch(0)  # a restarted daemon does not open it anew
    await hands.remember_change()
    assert "/t/recent/wallet" not in world.cluster.entries


async def test_traffic_is_held_and_let_go(world: World) -> None:
    await world.hands.carry_out(Direct(site=DC1))
    assert (await world.hands.carry_out(HoldTraffic())).outcome is Outcome.OK
    state = (await world.balancer.observe(1.0))["be_wallet"]
    assert (state.held, state.enabled[DC1]) == (True, 1)
    await world.hands.carry_out(Direct(site=DC2))
    state = (await world.balancer.observe(1.0))["be_wallet"]
    assert (state.held, state.enabled[DC1], state.enabled[DC2]) == (False, 0, 1)
    world.balancer.gates.clear()
    refused = await world.hands.carry_out(HoldTraffic())
    assert refused.outcome is Outcome.FAILED
    assert "gate of be_wallet" in refused.detail


async def test_a_request_is_settled_as_it_was_seen(world: World) -> None:
    opened = await world.hands.desk.open(wish(Kind.SWITCHOVER, target="dc2"))
    seen = world.hands.desk.book.newest(WALLET)
    assert seen is not None
    move = SettleRequest(
        number=opened.number, expected_revision=seen.revision, state=State.RUNNING, why="begins"
    )
    assert (await world.hands.carry_out(move)).outcome is Outcome.OK
    again = await world.hands.carry_out(move)
    assert again.outcome is Outcome.FAILED
    assert "changed meanwhile" in again.detail


async def test_a_drain_opens_a_request_in_the_name_of_who_drains(world: World) -> None:
    intent = AskSwitchover(target=DC2, asked_by="ann", reason="dc1 is drained: kernel")
    assert (await world.hands.carry_out(intent)).detail == "request 1"
    seen = world.hands.desk.book.newest(WALLET)
    assert seen is not None
    request = seen.request
    assert (request.kind, request.target, request.asked_by) == (Kind.SWITCHOVER, "dc2", "ann")
    assert (request.epoch, request.holder, request.approvals_needed) == (2, DC1, 0)
    assert request.plan
    second = await world.hands.carry_out(intent)
    assert second.outcome is Outcome.FAILED
    assert "request 1 is open" in second.detail
    world.hands.records.epochs.clear()
    unknown = await world.hands.carry_out(intent)
    assert unknown.detail == "the epoch record is not known"


async def test_serving_alone_is_done_and_forgotten(world: World) -> None:
    await world.hands.orders.give(Order(request=wish(Kind.FORCE_SINGLE, target="dc1")))
    await world.hands.carry_out(CommitAlone(database=LEDGER, alone=True))
    await world.hands.carry_out(CommitAlone(database=LEDGER, alone=False))
    assert world.server.alone == [True, False]
    await world.hands.carry_out(EndAlone())
    assert world.hands.orders.of(WALLET) is None


def test_an_assumed_epoch_stands_until_the_store_has_one_as_high() -> None:
    assumed = replace(RECORD, epoch=Epoch(22), holder=DC2, revision=0)
    order = Order(request=wish(Kind.FORCE_SINGLE, target="dc2"), assumed=assumed)
    assert _assumed(RECORD, None) is RECORD
    assert _assumed(RECORD, replace(order, assumed=None)) is RECORD
    assert _assumed(None, order) is assumed
    assert _assumed(RECORD, order) is assumed
    newer = replace(RECORD, epoch=Epoch(22))
    assert _assumed(newer, order) is newer


async def test_a_copy_that_was_made_anew_is_remembered_for_its_request(world: World) -> None:
    world.hands.records.epochs.clear()
    anew = Rejoin(database=LEDGER, upstream=DC2, epoch=Epoch(2), fresh=7)
    assert (await world.hands.carry_out(anew)).outcome is Outcome.OK
    again = replace(anew, fresh=0)
    assert (await world.hands.carry_out(again)).outcome is Outcome.OK
    assert (world.server.rejoined, world.hands.copied) == ([True, False], 7)
