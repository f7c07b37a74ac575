"""What the daemon notes of a drill, and what every site tells of it then."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from controller.cli.endpoint import Endpoint, tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.status_view import status_lines
from controller.config import Service
from controller.config.services import Objectives
from controller.core.decide import decide
from controller.core.model import SiteKind
from controller.core.view import View
from controller.daemon.drills import drill_view
from controller.daemon.notify import serving as as_noticed
from controller.daemon.status import DaemonStatus
from controller.drill.record import DrillRecord, encode_drill
from controller.notify.event import EventKind
from controller.runtime.loop import ServiceLoop
from controller.runtime.records import Records
from controller.web.audit_schema import AuditView
from controller.web.drill_schema import DrillNote, DrillNoted, DrillView, LastDrill
from controller.web.metrics import Metrics
from controller.web.notify_schema import NotificationsView
from controller.web.schema import Status
from controller.web.source import Asker, NotAsked
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import serving
from tests.core.views import DC1, DC2, WALLET
from tests.drill.stage import Stage, facts, play
from tests.notify import situations
from tests.runtime.clock import HandClock
from tests.web.sample import STEADY

ANN = Asker(name="ann", proof="certificate 4F", facts={"serial": "4F"})
NOTE = DrillNote(
    service="wallet", verdict="passed", home="dc2", target="dc1", epochs=(3, 4), gap_s=0.4, lost=0
)
NOW = "2026-06-01T00:00:00.000Z"
PASSED = DrillRecord(at="2026-01-01T00:00:00Z", verdict="passed", passed_at="2026-01-01T00:00:00Z")
CONF = cast(
    "Service",
    SimpleNamespace(objectives=Objectives(drill_every_days=90), canary_url="http://x/whoami"),
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    found = Stage(tmp_path)
    found.move(DC1)
    found.move(DC2)
    return found


@pytest.fixture
def sock(tmp_path: Path, stage: Stage) -> Iterator[Endpoint]:
    with play(stage, tmp_path / "s.sock") as _:
        yield Endpoint(socket=tmp_path / "s.sock")


async def test_it_stands_in_the_store_and_in_the_audit_log(stage: Stage) -> None:
    last = await stage.drills.note(NOTE, ANN)
    assert (last.by, last.site, last.verdict) == ("ann", "dc2 (certificate 4F)", "passed")
    assert last.passed_at == last.at
    event, given = stage.notes.told[-1]
    assert (event, given["who"], given["verb"]) == ("asked", "ann (certificate 4F)", "drill")
    assert (given["epoch"], given["outcome"]) == (4, "the drill passed")
    assert facts(stage.notes)["serial"] == "4F"
    other = Records(store=stage.store, prefix="/t/", clock=HandClock(), deadline_s=0.5)
    assert await other.refresh()
    record, _ = other.drills[WALLET]
    assert (record.epochs, record.gap_s, record.lost, record.home) == ((3, 4), 0.4, 0, "dc2")


async def test_a_second_note_replaces_the_first_and_remembers_what_passed(stage: Stage) -> None:
    first = await stage.drills.note(NOTE, ANN)
    second = await stage.drills.note(NOTE.model_copy(update={"verdict": "failed"}), ANN)
    assert (second.verdict, second.passed_at) == ("failed", first.at)


@pytest.mark.parametrize(
    ("changes", "status", "why"),
    [
        ({"service": "x"}, 400, "there is no service 'x'; there are wallet"),
        ({"epochs": (3, 7)}, 409, "no role change under epoch 7: a drill that nobody saw"),
    ],
)
async def test_what_nobody_saw_is_not_noted(
    stage: Stage, changes: dict[str, object], status: int, why: str
) -> None:
    with pytest.raises(NotAsked, match=why) as refused:
        await stage.drills.note(NOTE.model_copy(update=changes), ANN)
    assert refused.value.status == status
    assert stage.notes.told[-1][0] == "refused"
    assert stage.records.drills == {}


async def test_of_two_notes_at_once_one_is_told(stage: Stage) -> None:
    await stage.store.put("/t/drills/wallet", encode_drill(PASSED), 0.5)
    with pytest.raises(NotAsked, match="was noted meanwhile: try again") as refused:
        await stage.drills.note(NOTE, ANN)
    assert refused.value.status == 503


async def test_a_store_that_loses_its_answer_leaves_it_unknown(stage: Stage) -> None:
    stage.store.loses_answers = True
    with pytest.raises(NotAsked, match="whether the drill is noted is not known") as refused:
        await stage.drills.note(NOTE, ANN)
    assert (refused.value.status, stage.notes.told[-1][0]) == (504, "asked")


def test_over_the_socket(sock: Endpoint) -> None:
    answer = tell(sock, "/api/v1/drills", NOTE, DrillNoted)
    assert (answer.cluster, answer.last.verdict) == ("tricast", "passed")
    wrong = NOTE.model_copy(update={"verdict": "fine"})
    with pytest.raises(CliError, match="verdict: String should match") as refused:
        tell(sock, "/api/v1/drills", wrong, DrillNoted)
    assert refused.value.code is ExitCode.USAGE


# --- what is told then ---------------------------------------------------------------------------


def viewed(record: DrillRecord | None, view: View, *, read: bool = True) -> DrillView:
    clock = HandClock()
    store = MemoryStore(MemoryCluster())
    records = Records(store=store, prefix="/t/", clock=clock, deadline_s=0.5)
    if read:
        asyncio.run(records.refresh())
    if record is not None:
        records.drills[WALLET] = record, 7
    found = drill_view(CONF, records, view, NOW)
    assert found is not None
    return found


def test_days_are_told_and_what_is_due() -> None:
    found = viewed(PASSED, serving())
    assert (found.known, found.age_days, found.every_days) == (True, 151.0, 90)
    assert found.overdue.startswith("wallet passed its last drill 151 days ago; a drill is due")
    assert found.settled
    assert not viewed(PASSED, replace(serving(), changed_s=0.0)).settled


def test_nothing_is_due_before_the_store_was_read() -> None:
    assert viewed(None, serving(), read=False).overdue == ""
    assert "has never been rehearsed" in viewed(None, serving()).overdue


async def test_a_drill_that_is_due_is_a_warning_of_its_service() -> None:
    view, clock = serving(), HandClock()
    lanes = SimpleNamespace(running=dict, failures=dict)
    loop = SimpleNamespace(
        last_view=view, decision=decide(view), lanes=lanes,
        observer=SimpleNamespace(spec=view.spec), progress=SimpleNamespace(open=None),
        hands=SimpleNamespace(service=WALLET),
    )  # fmt: skip
    records = Records(store=MemoryStore(MemoryCluster()), prefix="/t/", clock=clock, deadline_s=0.5)
    source = DaemonStatus(
        cluster="tricast", site=view.me, version="0", clock=clock, records=records,
        loops=(cast("ServiceLoop", loop),), site_kinds={DC2: SiteKind.DATA},
        database_kinds={"ledger": "postgres"}, leader=lambda: "",
        audit=lambda: AuditView(ok=True), notifications=NotificationsView,
        services={"wallet": CONF},
    )  # fmt: skip
    before = (await source.status()).services[0]
    assert before.drill is not None
    assert not before.drill.known
    await records.refresh()
    after = (await source.status()).services[0]
    assert after.drill is not None
    assert set(after.warnings) - set(before.warnings) == {after.drill.overdue}
    assert after.drill.overdue.startswith("wallet has never been rehearsed")


def shown(drill: DrillView | None) -> Status:
    service = STEADY.services[0].model_copy(update={"drill": drill})
    return STEADY.model_copy(update={"services": (service,)})


LAST = LastDrill(at="2026-05-30T00:00:00Z", verdict="passed", gap_s=0.412)
VIEW = DrillView(rto_s=5.0, rpo_transactions=0, every_days=90, known=True, last=LAST, age_days=12.3)


@pytest.mark.parametrize(
    ("drill", "said"),
    [
        (VIEW, "passed 12 days ago, 0.412 s without an answer; one is due every 90 days"),
        (VIEW.model_copy(update={"age_days": 0.5, "every_days": 0}),
         "passed 12 h ago, 0.412 s without an answer"),
        (VIEW.model_copy(update={"last": None}), "never; one is due every 90 days"),
        (VIEW.model_copy(update={"last": LAST.model_copy(update={"verdict": "failed"})}),
         f"the last one failed ({LAST.at}), passed 12 days ago; one is due every 90 days"),
        (VIEW.model_copy(update={"last": None, "every_days": 0}), ""),
        (VIEW.model_copy(update={"last": None, "known": False}), ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_status_tells_of_the_last_drill(drill: DrillView | None, said: str) -> None:
    lines = [line.plain for line in status_lines(shown(drill), 200)]
    assert [line for line in lines if line.startswith(" Drill: ")] == (
        [f" Drill: {said}"] if said else []
    )


def test_metrics_tell_it_too() -> None:
    metrics = Metrics()
    metrics.apply(shown(VIEW.model_copy(update={"overdue": "so it is"})))
    text = metrics.render().decode()
    assert 'tricast_drill_age_days{service="wallet"} 12.3' in text
    assert 'tricast_drill_overdue{service="wallet"} 1.0' in text
    metrics.apply(shown(VIEW.model_copy(update={"last": None, "age_days": None})))
    assert 'drill_age_days{service="wallet"}' not in metrics.render().decode()


def test_it_is_noticed_once_when_it_has_been_due_for_a_minute() -> None:
    due = situations.serving(situations.QUIET, overdue="wallet has never been rehearsed; so and so")
    story = situations.Story()
    assert story.kinds(due) == []
    (told,) = story.at(due, 60.0)
    assert (told.kind, told.teller) == (EventKind.DRILL_OVERDUE, "dc1")
    assert told.what.startswith("wallet has never been rehearsed")
    assert story.kinds(due, 600.0) == []
    unknown = situations.serving(situations.QUIET, overdue=None)
    assert story.kinds(unknown, 600.0) == []
    assert story.kinds(due, 600.0) == []
    done = situations.serving(situations.QUIET, overdue="")
    assert story.kinds(done, 0.0) == story.kinds(done, 60.0) == []
    assert story.kinds(due) == []
    assert story.kinds(due, 60.0) == [EventKind.DRILL_OVERDUE]


def test_what_is_not_known_is_not_noticed() -> None:
    wallet = shown(VIEW.model_copy(update={"overdue": "due"})).services[0]
    assert as_noticed(wallet, "dc1", 5.0).overdue == "due"
    assert as_noticed(shown(None).services[0], "dc1", 5.0).overdue is None
    unread = shown(VIEW.model_copy(update={"known": False})).services[0]
    assert as_noticed(unread, "dc1", 5.0).overdue is None


def test_the_audit_log_is_never_given_what_json_cannot_say(stage: Stage) -> None:
    asyncio.run(stage.drills.note(NOTE.model_copy(update={"gap_s": None, "lost": None}), ANN))
    assert json.dumps(dict(facts(stage.notes)))
    assert facts(stage.notes)["gap_s"] == ""
