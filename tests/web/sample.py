"""A cluster as a daemon would tell it, in several conditions, and a source that tells it."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from controller.web.app import build_app
from controller.web.metrics import Metrics
from controller.web.record_schema import RecordView
from controller.web.schema import (
    Apps,
    DatabaseView,
    HistoryEntry,
    OpenChange,
    RequestView,
    ServiceView,
    SiteView,
    Status,
    StepView,
    StoreView,
)
from controller.web.serve import serve
from controller.web.source import AuditSource, Desk, DrillDesk, Pulse

PRIMARY = DatabaseView(
    name="ledger", kind="postgres", liveness="running", writable=True, epoch=7,
    position="0/30A6450@7", gate_open=True, promised=7,
)  # fmt: skip
JOURNAL = DatabaseView(
    name="journal", kind="mariadb", liveness="running", writable=True, epoch=7,
    position="0-1-48211@7", gate_open=True, promised=7,
)  # fmt: skip


def standby(database: DatabaseView, **changes: object) -> DatabaseView:
    base = {
        "writable": False, "gate_open": False, "streaming": True, "upstream": "dc1", "lag_bytes": 0,
    }  # fmt: skip
    return database.model_copy(update=base | changes)


SWITCHED = HistoryEntry(
    service="wallet", epoch=7, previous_holder="dc2", holder="dc1", kind="failover", rule=301,
    reason="the holder is silent to this site and to the witness", asked_by="controller at dc1",
    began_at="2026-11-21T01:02:03.456Z", took_s=0.731, evidence={"holder_silent": "0.61 s"},
    steps=(
        StepView(name="logs_sealed", done=True, took_s=0.018, detail="dc1 and witness of 3"),
        StepView(name="promoted", database="ledger", done=True, took_s=0.041),
        StepView(name="promoted", database="journal", done=True, took_s=0.022),
    ),
)  # fmt: skip

DC1 = SiteView(
    site="dc1", kind="data", role="primary", rule=901, reason="holds the service, nothing to do",
    healthy=True, stance="preferred", report_age_s=0.0, eligible=True,
    evidence={"holds_the_epoch": "7", "acknowledged": "0.1 s ago"}, apps=Apps(up=2, total=2),
    databases=(PRIMARY, JOURNAL),
)  # fmt: skip
DC2 = SiteView(
    site="dc2", kind="data", role="standby", rule=902, reason="stands by", healthy=True,
    stance="backup", report_age_s=0.6, heartbeat_age_s=0.08, eligible=False,
    not_eligible_because=("journal is 4.2 MB behind",), apps=Apps(up=1, total=2),
    databases=(standby(PRIMARY), standby(JOURNAL, lag_bytes=4_404_019, position="0-1-47000@7")),
)  # fmt: skip
WITNESS = SiteView(
    site="witness", kind="witness", role="witness", rule=903, reason="looks and keeps",
    healthy=True, report_age_s=0.4, heartbeat_age_s=0.05, lands_at="dc1",
    databases=(standby(PRIMARY), standby(JOURNAL)),
)  # fmt: skip

WALLET = ServiceView(
    name="wallet", durability="quorum", epoch=7, holder="dc1",
    record=RecordView(
        kind="failover", reason="the holder is silent to this site and to the witness",
        asked_by="controller at dc1", at="2026-11-21T01:02:03.456Z",
    ),
    guarantee="quorum: 3 of 3 voters; survives the loss of any one site",
    sites=(DC1, DC2, WITNESS),
)  # fmt: skip
LOBBY = ServiceView(
    name="lobby", durability="lease", epoch=3, holder="dc2",
    guarantee="lease: no database; moves when its holder is silent",
    sites=tuple(
        site.model_copy(update={"databases": (), "role": role, "stance": stance})
        for site, role, stance in (
            (DC1, "standby", "backup"), (DC2, "primary", "preferred"), (WITNESS, "witness", None),
        )
    ),
)  # fmt: skip

STEADY = Status(
    cluster="tricast", site="dc1", version="0.1.0", now="2026-11-21T01:10:00.000Z",
    store=StoreView(ok=True, leader="witness"), services=(WALLET, LOBBY), history=(SWITCHED,),
)  # fmt: skip

TAKING_OVER = STEADY.model_copy(
    update={
        "site": "dc2",
        "services": (
            WALLET.model_copy(
                update={
                    "epoch": 8,
                    "holder": "dc2",
                    "guarantee": "2 of 3: the NEXT failure cannot be survived automatically",
                    "warnings": ("dc1 is silent to dc2 and to the witness",),
                    "open_change": OpenChange(
                        ladder="take over", step="committing", since_s=0.42,
                        steps=(
                            StepView(name="logs_sealed", done=True, took_s=0.02),
                            StepView(name="promoted", database="ledger", done=True, took_s=0.1),
                            StepView(name="committing", detail="no voter follows yet"),
                            StepView(name="serving"),
                        ),
                    ),
                    "sites": (
                        DC1.model_copy(
                            update={"report_age_s": 31.0, "heartbeat_age_s": 0.9, "stance": None}
                        ),
                        DC2.model_copy(
                            update={
                                "role": "taking over", "stance": "override", "rule": 301,
                                "databases": (
                                    PRIMARY.model_copy(
                                        update={
                                            "epoch": 8, "gate_open": False,
                                            "problems": ("a follower is ahead: false hazard",),
                                        }
                                    ),
                                    standby(
                                        JOURNAL, sealed=True, promised=8, streaming=False,
                                        position="0-1-47000,1-2-900000000000,2-3-123456789@7",
                                    ),
                                ),
                            }
                        ),
                        WITNESS,
                    ),
                }
            ),
        ),
    }
)  # fmt: skip


class Told:
    """A StatusSource that tells what it was told."""

    def __init__(self, status: Status) -> None:
        self.now = status
        self.well = Pulse(ok=True, detail="turned 0.1 s ago")
        self.judging = Pulse(ok=True, detail="has seen every site")
        self.delay_s = 0.0
        self.asked: tuple[RequestView, ...] = ()

    async def status(self) -> Status:
        await asyncio.sleep(self.delay_s)
        return self.now

    async def history(self, service: str | None, limit: int) -> tuple[HistoryEntry, ...]:
        return tuple(e for e in self.now.history if service in (None, e.service))[:limit]

    async def requests(self, service: str | None) -> tuple[RequestView, ...]:
        return tuple(r for r in self.asked if service in (None, r.service))

    def alive(self) -> Pulse:
        return self.well

    def ready(self) -> Pulse:
        return self.judging


@contextmanager
def daemon(
    source: Told,
    socket: Path,
    desk: Desk | None = None,
    audit: AuditSource | None = None,
    drills: DrillDesk | None = None,
) -> Iterator[int]:
    """A daemon's web room in a thread, for clients that block. Yields the TCP port."""
    started, failed = Event(), list[BaseException]()
    box: dict[str, object] = {}

    async def live() -> None:
        stop = asyncio.Event()
        app = build_app(source, Metrics(), desk, audit, drills=drills)
        async with serve(app, socket, "127.0.0.1", 0) as port:
            box.update(loop=asyncio.get_running_loop(), stop=stop, port=port)
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            failed.append(error)
            started.set()
            raise

    thread = Thread(target=run, name="daemon")
    thread.start()
    assert started.wait(10)
    if failed:
        thread.join(10)
        raise failed[0]
    loop, stop, port = box["loop"], box["stop"], box["port"]
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(stop, asyncio.Event)
    assert isinstance(port, int)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


async def _serve_for_ever(socket: Path, status: Status) -> None:
    async with serve(build_app(Told(status)), socket, None, 0):
        await asyncio.Event().wait()


if __name__ == "__main__":
    # By hand: python -m tests.web.sample /tmp/x.sock taking
    chosen = TAKING_OVER if sys.argv[2:] == ["taking"] else STEADY
    asyncio.run(_serve_for_ever(Path(sys.argv[1]), chosen))
