"""What a site saw of role changes is kept in the store, and what all have said is read back."""

from dataclasses import replace

import pytest

from bgp.policy import Stance
from controller.core.decide import decide
from controller.core.intents import Rejoin
from controller.core.model import Epoch, Instant, Outcome
from controller.core.view import View
from controller.core.wire import Change, encode_change
from controller.daemon.history import recorded
from controller.history.recollection import encode_recollection, recollection_key
from controller.runtime.act import Result
from controller.runtime.lanes import Done
from controller.runtime.progress import Progress
from controller.runtime.recorder import RecollectionBook, Recorder
from controller.runtime.records import Records
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import climbing, own
from tests.core.views import DC1, DC2, LEDGER, WALLET, dc2_view
from tests.history.test_losses import at as position
from tests.history.test_losses import deposed
from tests.runtime.clock import HandClock

KEY = "/t/recollections/wallet/3/dc2"
CHANGE = Change(
    service=WALLET, epoch=Epoch(3), previous_holder=DC1, holder=DC2, kind="failover",
    reason="dc1 is silent", rule=321, asked_by="controller at dc2", began_at="then", took_s=0.5,
)  # fmt: skip


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryCluster())


def recorder(store: MemoryStore, clock: HandClock) -> Recorder:
    book = RecollectionBook(store=store, prefix="/t/", deadline_s=0.01)
    return Recorder(store=store, prefix="/t/", deadline_s=0.01, clock=clock, book=book)


def turn(recorder: Recorder, *views: View) -> None:
    for view in views:
        recorder.turned(view, decide(view))


def seen(now: float, stance: Stance) -> View:
    view = dc2_view() if now < 101 else climbing()
    return own(replace(view, now=Instant(now)), stance=stance)


async def kept(store: MemoryStore) -> dict[str, bytes]:
    found = await store.read("/t/", 1.0)
    return {key: entry.value for key, entry in found.entries.items()}


async def test_what_was_seen_is_kept_and_kept_again_when_there_is_more(store: MemoryStore) -> None:
    clock = HandClock()
    mine = recorder(store, clock)
    turn(mine, seen(100.0, Stance.BACKUP), seen(101.0, Stance.BACKUP))
    await mine.flush()
    first = (await kept(store))[KEY]
    await mine.flush()
    assert (await kept(store))[KEY] == first
    turn(mine, seen(101.2, Stance.OVERRIDE))
    await mine.flush()
    assert len((await kept(store))[KEY]) > len(first)


async def test_a_daemon_that_starts_anew_replaces_nothing_before_it_has_read(
    store: MemoryStore,
) -> None:
    clock = HandClock()
    first = recorder(store, clock)
    turn(
        first, seen(100.0, Stance.BACKUP), seen(101.0, Stance.BACKUP), seen(101.2, Stance.OVERRIDE)
    )
    await first.flush()
    before = (await kept(store))[KEY]
    anew = recorder(store, clock)
    turn(anew, seen(100.5, Stance.BACKUP), seen(101.3, Stance.OVERRIDE))
    store.reachable = False
    await anew.flush()
    store.reachable = True
    await anew.flush()
    assert (await kept(store))[KEY] == before


async def test_a_store_that_does_not_answer_is_asked_again(store: MemoryStore) -> None:
    clock = HandClock()
    mine = recorder(store, clock)
    await mine.flush()
    turn(mine, seen(100.0, Stance.BACKUP), seen(101.0, Stance.BACKUP))
    store.reachable = False
    await mine.flush()
    store.reachable = True
    assert KEY not in await kept(store)
    await mine.flush()
    assert KEY in await kept(store)


async def test_whatever_goes_wrong_in_looking_on_the_loop_goes_on(store: MemoryStore) -> None:
    mine = recorder(store, HandClock())
    broken = replace(decide(dc2_view()), rungs=None)  # type: ignore[arg-type]
    mine.turned(dc2_view(), broken)
    mine.turned(dc2_view(), decide(dc2_view()))
    await mine.flush()
    assert await kept(store) == {}


async def test_the_history_is_told_with_what_every_site_has_said(store: MemoryStore) -> None:
    clock = HandClock()
    mine = recorder(store, clock)
    turn(mine, seen(100.0, Stance.BACKUP), seen(101.0, Stance.BACKUP))
    progress = Progress(clock=clock, finished=CHANGE)
    mine.collect([progress])
    back = deposed(position("0/3000100"))
    await store.put(f"/t/{recollection_key(back)}", encode_recollection(back), 1.0)
    await store.put("/t/recollections/wallet/3/dc9", b"{", 1.0)
    await mine.flush()
    records = Records(store=store, prefix="/t/", clock=clock, deadline_s=1.0)
    assert await records.refresh()
    (entry,) = recorded(records, mine.book, "wallet", 10)
    assert [site.site for site in entry.sites] == ["dc1", "dc2"]
    (loss,) = entry.losses
    assert (loss.acknowledged, loss.beyond[0].size) == ("none", 0xA0)
    (old,) = recorded(records, None, None, 10)
    assert (old.losses, old.sites, old.outage_s) == ((), (), None)


async def test_what_a_copy_threw_away_is_told_with_where_it_was_saved(store: MemoryStore) -> None:
    clock = HandClock()
    mine, progress = recorder(store, clock), Progress(clock=clock, finished=CHANGE)
    turn(mine, seen(100.0, Stance.BACKUP), seen(101.0, Stance.BACKUP))
    view = climbing()
    progress.turned(view, decide(view))
    rejoin = Rejoin(database=LEDGER, upstream=DC1, epoch=Epoch(3))
    for outcome, detail in (
        (Outcome.OK, ""),
        (Outcome.FAILED, "no route"),
        (Outcome.OK, "2 transactions; saved in /there"),
    ):
        result = Result(outcome=outcome, detail=detail)
        progress.did(Done(intent=rejoin, result=result, began=Instant(101.0), took_s=0.5))
    mine.collect([progress])
    assert progress.thrown_away == []
    await mine.flush()
    records = Records(store=store, prefix="/t/", clock=clock, deadline_s=1.0)
    assert await records.refresh()
    (entry,) = recorded(records, mine.book, "wallet", 10)
    told = [
        (site.site, gone.database, gone.what) for site in entry.sites for gone in site.discarded
    ]
    assert told == [("dc2", "ledger", "2 transactions; saved in /there")]


async def test_an_old_record_alone_is_read_as_before(store: MemoryStore) -> None:
    await store.put("/t/history/wallet/3", encode_change(CHANGE), 1.0)
    records = Records(store=store, prefix="/t/", clock=HandClock(), deadline_s=1.0)
    assert await records.refresh()
    (entry,) = recorded(records, recorder(store, HandClock()).book, None, 10)
    assert (entry.epoch, entry.asked_by, entry.losses) == (3, "controller at dc2", ())
