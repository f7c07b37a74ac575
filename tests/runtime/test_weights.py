"""Weights in the store: kept beside the requests, read by every site, and in the view at once."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.core import terms
from controller.core.model import Seen, SiteName
from controller.core.requests import Kind, Request, State
from controller.core.view import View
from controller.core.wire import decode_request, encode_request
from controller.runtime import requests as room
from controller.runtime.observe import Observer
from controller.runtime.publish import news
from controller.runtime.records import Records
from controller.runtime.requests import WEIGHTS_FROM, RequestDesk
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import serving, spec
from tests.core.views import DC1, DC2, WALLET
from tests.core.wishes import wish
from tests.runtime.clock import HandClock

PREFIX = "/t/"
KEY = f"{PREFIX}weights/requests/wallet/{WEIGHTS_FROM}"
DC9 = SiteName("dc9")
DONE = wish(Kind.WEIGHTS, state=State.DONE, weights={DC1: 200, DC2: 50})
CONFIGURED = {DC1: 100, DC2: 90}


class Site:
    """One site's records, and the desk where weights are set."""

    def __init__(self, cluster: MemoryCluster, name: SiteName = DC1) -> None:
        clock = HandClock()
        store = MemoryStore(cluster, name)
        self.records = Records(store=store, prefix=PREFIX, clock=clock, deadline_s=0.05)
        self.desk = RequestDesk(
            site=name, store=store, prefix=f"{PREFIX}weights/", clock=clock,
            book=self.records.weights, deadline_s=0.05, first=WEIGHTS_FROM,
        )  # fmt: skip

    def view(self) -> View:
        """What its observer makes of the records."""
        seen = SimpleNamespace(
            seen=lambda *_: Seen(), told=lambda *_: Seen(), stood_still=lambda _since: 0.0
        )
        looks = SimpleNamespace(
            databases={}, balancer=SimpleNamespace(value=None), verdicts={},
            announcer=SimpleNamespace(value=None), store=SimpleNamespace(late=False),
            missing_addresses=SimpleNamespace(value=frozenset()),
        )  # fmt: skip
        configured = spec(serving(), weights=CONFIGURED, databases=()).spec
        observer = Observer(
            me=DC1, spec=configured, backend="be_wallet", addresses=frozenset(),
            clock=HandClock(), looks=cast("Any", looks), hearing=cast("Any", seen),
            records=self.records, promises=cast("Any", SimpleNamespace(of=lambda _: 0)),
            orders=cast("Any", SimpleNamespace(of=lambda _: None)),
        )  # fmt: skip
        return observer.view(frozenset(), frozenset(), frozenset(), {})


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


async def test_every_site_decides_with_them_as_soon_as_it_has_read_them(
    cluster: MemoryCluster,
) -> None:
    here, there = Site(cluster), Site(cluster, DC2)
    before = news(there.records)
    await here.desk.open(DONE)
    assert list(cluster.entries) == [KEY]
    assert here.view().spec.weights == {DC1: 200, DC2: 50}
    assert there.view().spec.weights == CONFIGURED
    await there.records.refresh()
    assert there.view().spec.weights == {DC1: 200, DC2: 50}
    assert news(there.records) != before  # its loops turn
    assert there.records.requests.newest(WALLET) is None  # no rule sees a request
    assert there.view().request is None


async def test_what_sites_have_to_agree_on_stays_what_it_was(cluster: MemoryCluster) -> None:
    site = Site(cluster)
    before = terms.own_terms(site.view().spec)
    await site.desk.open(DONE)
    assert terms.own_terms(site.view().spec) == before


@pytest.mark.parametrize("state", [State.OPEN, State.LAPSED, State.REFUSED, State.WITHDRAWN])
async def test_only_what_is_done_is_in_force(cluster: MemoryCluster, state: State) -> None:
    site = Site(cluster)
    await site.desk.open(DONE)
    await site.desk.open(wish(Kind.WEIGHTS, state=state, weights={DC1: 1}))
    assert site.view().spec.weights == {DC1: 200, DC2: 50}


async def test_sites_that_are_not_named_or_not_there_any_more(cluster: MemoryCluster) -> None:
    site = Site(cluster)
    await site.desk.open(wish(Kind.WEIGHTS, state=State.DONE, weights={DC2: 7, DC9: 1000}))
    assert site.view().spec.weights == {DC1: 100, DC2: 7}
    await site.desk.open(wish(Kind.WEIGHTS, state=State.DONE))
    assert site.view().spec.weights == CONFIGURED


async def test_a_store_that_is_lost_changes_nothing_and_one_put_back_does(
    cluster: MemoryCluster,
) -> None:
    site = Site(cluster)
    await site.desk.open(DONE)
    cast("MemoryStore", site.records.store).reachable = False
    assert not await site.records.refresh()
    assert site.view().spec.weights == {DC1: 200, DC2: 50}
    cast("MemoryStore", site.records.store).reachable = True
    del cluster.entries[KEY]
    await site.records.refresh()
    assert site.view().spec.weights == CONFIGURED


async def test_a_record_that_cannot_be_read_is_told_by_its_whole_key(
    cluster: MemoryCluster,
) -> None:
    site = Site(cluster)
    await site.desk.open(DONE)
    data = json.loads(cluster.entries[KEY].value)
    data["weights"]["dc1"] = "heavy"
    await site.records.store.put(KEY, json.dumps(data).encode(), 0.05)
    await site.records.store.put(f"{PREFIX}weights/else", b"{}", 0.05)
    await site.records.refresh()
    (problem,) = site.records.problems
    assert problem.startswith(f"weights/requests/wallet/{WEIGHTS_FROM}: weights.dc1: 'heavy' is no")
    assert site.view().spec.weights == CONFIGURED


async def test_what_is_in_force_is_never_dropped(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "KEPT", 2)
    site = Site(cluster)
    await site.desk.open(DONE)
    for _ in range(4):
        await site.desk.open(wish(Kind.WEIGHTS, state=State.LAPSED, weights={DC1: 1}))
    numbers = sorted(int(key.rpartition("/")[2]) - WEIGHTS_FROM for key in cluster.entries)
    assert numbers == [0, 3, 4]
    assert site.view().spec.weights == {DC1: 200, DC2: 50}
    await site.desk.open(wish(Kind.WEIGHTS, state=State.DONE))
    assert sorted(int(key.rpartition("/")[2]) - WEIGHTS_FROM for key in cluster.entries) == [4, 5]


def test_the_record_is_read_by_its_neighbors() -> None:
    key = f"requests/wallet/{DONE.number}"
    stored = encode_request(DONE)
    data = json.loads(stored)
    assert (data["format"], data["kind"], data["weights"]) == (
        1,
        "weights",
        {"dc1": 200, "dc2": 50},
    )
    assert decode_request(key, stored) == DONE
    newer = json.dumps({**data, "colour": {"blue": 1}}).encode()
    assert decode_request(key, newer) == DONE
    older = json.dumps({name: value for name, value in data.items() if name != "weights"})
    assert decode_request(key, older.encode()).weights == {}
    assert len({DONE, decode_request(key, stored)}) == 1


def test_other_requests_are_no_weights() -> None:
    site = Site(MemoryCluster())
    book = site.records.requests
    other: Request = wish(Kind.ACK, state=State.DONE)
    book.took("requests/wallet/4", other, 1)
    assert book.weights(WALLET) is None
