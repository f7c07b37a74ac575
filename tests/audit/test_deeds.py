"""What a daemon puts into its audit log: every wish and its outcome, every change and its cause."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controller.audit.entry import Event, Note
from controller.core.decide import decide
from controller.core.model import Epoch, EpochRecord, Instant
from controller.core.requests import Kind, State
from controller.core.wire import Change, ChangeStep
from controller.daemon.deeds import AuditedDesk, Deeds
from controller.runtime.audit_anchors import AnchorBook, StoreAnchors
from controller.runtime.audit_file import AuditFile
from controller.runtime.auditor import Auditor
from controller.web.plan_schema import Foreseen
from controller.web.schema import Ask, RequestView, Verdict
from controller.web.source import Asker, NotAsked
from controller.web.voters_schema import ServiceVoters
from tests.core.turned import serving, silent
from tests.core.views import DC1, DC2, WALLET, dc2_view
from tests.core.wishes import settling, wish
from tests.runtime.clock import HandClock
from tests.web import eyes
from tests.web.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(serving(), tmp_path)


@pytest.fixture
def auditor(office: Office, tmp_path: Path) -> Auditor:
    clock = HandClock()
    return Auditor(
        site=DC2,
        clock=clock,
        file=AuditFile(directory=tmp_path / "audit", site=DC2, stamp=clock.stamp),
        book=AnchorBook(tmp_path / "audit" / "anchors.json", DC2),
        store=StoreAnchors(store=office.store, prefix="/t/", deadline_s=0.05),
    )


def last(auditor: Auditor) -> Note:
    return auditor.waiting[-1]


def told(note: Note) -> tuple[str, str, str, str, int]:
    return note.event, note.who, note.verb, note.service, note.epoch


async def test_what_is_asked_is_noted_with_who_why_and_what_came_of_it(
    office: Office, auditor: Auditor
) -> None:
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    order = Ask(kind="switchover", target="dc1", reason="patches", not_before_s=5)
    await desk.ask(order, Asker(name="alice"))
    found = last(auditor)
    assert told(found) == (Event.ASKED, "alice", "switchover", "wallet", 2)
    assert (found.reason, found.outcome) == ("patches", "request 1 is open")
    assert found.facts["target"] == "dc1"
    assert found.facts["not_before_s"] == "5.0"
    assert len(found.facts["plan"]) == 16


async def test_a_plan_that_is_only_looked_at_is_noted_if_it_is_refused(
    office: Office, auditor: Auditor
) -> None:
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    await desk.ask(Ask(kind="switchover", target="dc1", dry=True), Asker(name="alice"))
    assert not auditor.waiting
    with pytest.raises(NotAsked, match="dc2 holds wallet already"):
        await desk.ask(Ask(kind="switchover", target="dc2", dry=True), Asker(name="alice"))
    assert told(last(auditor))[:3] == (Event.REFUSED, "alice", "switchover")
    assert last(auditor).outcome == "dc2 holds wallet already"


async def test_weights_are_noted_as_they_were_typed_and_when_they_came_into_force(
    office: Office, auditor: Auditor
) -> None:
    office.approvals[Kind.WEIGHTS] = 1
    desk, deeds = AuditedDesk(desk=office.desk, auditor=auditor), Deeds(auditor=auditor)
    order = Ask(kind="weights", weights={"dc1": 200, "dc2": 5}, reason="old disks")
    await desk.ask(order, Asker(name="alice"))
    found = last(auditor)
    assert told(found) == (Event.ASKED, "alice", "weights", "wallet", 2)
    assert (found.facts["weights"], found.facts["target"]) == ("dc1=200 dc2=5", "dc1=200 dc2=5")
    assert found.facts["statement"] == "wallet: dc1 0 -> 200, dc2 0 -> 5"
    await office.records.refresh()
    deeds.looked(office.records, [WALLET])
    await desk.approve(Verdict(number=800_001), Asker(name="bob"))
    deeds.looked(office.records, [WALLET])
    assert told(last(auditor))[:3] == (Event.SETTLED, "", "weights")
    assert last(auditor).outcome == "request 800001 is done"


async def test_approvals_declines_and_their_refusals_are_noted(
    office: Office, auditor: Auditor
) -> None:
    office.approvals[Kind.SWITCHOVER] = 1
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    await desk.ask(Ask(kind="switchover", target="dc1"), Asker(name="alice"))
    with pytest.raises(NotAsked, match="cannot approve it"):
        await desk.approve(Verdict(number=1), Asker(name="alice"))
    assert told(last(auditor))[:3] == (Event.REFUSED, "alice", "approve")
    await desk.approve(Verdict(number=1), Asker(name="bob"))
    assert told(last(auditor))[:3] == (Event.APPROVED, "bob", "approve switchover")
    await desk.decline(Verdict(number=1, reason="not now"), Asker(name="carol"))
    assert told(last(auditor))[:3] == (Event.DECLINED, "carol", "decline switchover")
    assert (last(auditor).reason, last(auditor).outcome) == ("not now", "request 1 is refused")


async def test_whose_copy_is_made_anew_is_noted_with_who_agreed(
    office: Office, auditor: Auditor
) -> None:
    office.approvals[Kind.REINIT] = 1
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    order = Ask(kind="reinit", target="dc1", database="ledger", reason="bad sectors")
    asked = await desk.ask(order, Asker(name="alice"))
    assert asked.waits_for == "the approval of another person"
    await desk.approve(Verdict(number=1), Asker(name="bob"))
    found = last(auditor)
    assert told(found) == (Event.APPROVED, "bob", "approve reinit", "wallet", 2)
    assert (found.facts["database"], found.facts["target"]) == ("ledger", "dc1")
    assert found.facts["statement"].startswith("The copy of ledger at dc1 is thrown away")


async def test_who_votes_no_more_is_noted_with_what_it_means_and_who_looks_is_not(
    office: Office, auditor: Auditor
) -> None:
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    assert [found.service for found in await desk.voters("")] == ["wallet"]
    assert not auditor.waiting
    order = Ask(kind="demote-voter", target="witness", reason="new disk")
    await desk.ask(order, Asker(name="alice"))
    found = last(auditor)
    assert told(found) == (Event.ASKED, "alice", "demote-voter", "wallet", 2)
    assert (found.facts["target"], found.reason) == ("witness", "new disk")
    assert found.facts["statement"].startswith("witness counts no more for commits of wallet")
    with pytest.raises(NotAsked, match="another request is open"):
        await desk.ask(Ask(kind="promote-voter", target="dc1"), Asker(name="bob"))
    assert told(last(auditor))[:3] == (Event.REFUSED, "bob", "promote-voter")


async def test_what_nobody_knows_the_end_of_is_noted_as_unknown(
    office: Office, auditor: Auditor
) -> None:
    desk = AuditedDesk(desk=office.desk, auditor=auditor)
    office.store.loses_answers = True
    with pytest.raises(NotAsked, match="whether it stands is not known"):
        await desk.ask(Ask(kind="ack", reason="x"), Asker(name="alice"))
    assert last(auditor).event == Event.ASKED
    assert "is not known" in last(auditor).outcome


async def test_what_is_cut_off_half_way_is_noted_as_unknown(auditor: Auditor) -> None:
    class Slow:
        async def ask(self, order: Ask, who: Asker) -> RequestView:
            await asyncio.Event().wait()
            raise AssertionError

        async def plan(self, order: Ask) -> Foreseen:
            raise AssertionError

        async def voters(self, service: str) -> tuple[ServiceVoters, ...]:
            raise AssertionError

        async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
            raise AssertionError

        async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
            raise AssertionError

    desk = AuditedDesk(desk=Slow(), auditor=auditor)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await desk.ask(Ask(kind="drain", target="dc1"), Asker(name="alice"))
    assert (last(auditor).event, last(auditor).who) == (Event.ASKED, "alice")
    assert "unknown" in last(auditor).outcome


# --- what changes without anybody ---------------------------------------------------------------


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=Epoch(epoch), holder=DC2, kind="failover", reason="dc1 is silent",
        asked_by="tricast at dc2", at="now", previous=DC1, request=4, excused=(DC1,),
    )  # fmt: skip


def test_an_epoch_is_noted_once_with_all_that_its_record_says(auditor: Auditor) -> None:
    deeds = Deeds(auditor=auditor)
    for epoch in (7, 7, 8):
        deeds.saw(WALLET, record(epoch))
    assert [(n.event, n.epoch) for n in auditor.waiting] == [("raised", 7), ("raised", 8)]
    assert last(auditor).facts == {
        "holder": "dc2", "kind": "failover", "previous": "dc1", "asked_by": "tricast at dc2",
        "raised_at": "now", "request": "4", "excused": "dc1",
    }  # fmt: skip


def test_who_raises_an_epoch_notes_its_rule_and_what_it_saw(auditor: Auditor) -> None:
    deeds = Deeds(auditor=auditor)
    view = silent(dc2_view())
    decision = decide(view)
    deeds.turned(view, decision)
    assert view.record is not None
    raised = replace(view.record, epoch=Epoch(view.record.epoch + 1), holder=DC2)
    deeds.saw(WALLET, raised)
    facts = last(auditor).facts
    assert facts["rule"] == "321"
    assert facts["because"] == decision.reason.value
    assert "dc1 seen by witness" in facts


def test_a_takeover_that_is_refused_is_noted_when_that_begins(auditor: Auditor) -> None:
    deeds = Deeds(auditor=auditor)
    view = silent(dc2_view())
    refused = replace(decide(view), rule=390, intents=(), refused_because=("no majority",))
    for later in (0.0, 0.1, 59.0):  # it goes on
        deeds.turned(replace(view, now=Instant(view.now + later)), refused)
    noted = [note for note in auditor.waiting if note.event == Event.REFUSED]
    assert [(note.verb, note.outcome, note.who) for note in noted] == [
        ("failover", "no majority", "")
    ]
    assert noted[0].facts["rule"] == "390"
    deeds.turned(replace(view, now=Instant(view.now + 59.1)), decide(view))
    deeds.turned(replace(view, now=Instant(view.now + 200)), refused)
    assert [note.event for note in auditor.waiting].count(Event.REFUSED) == 2


def test_a_finished_role_change_is_noted_with_its_steps(auditor: Auditor) -> None:
    change = Change(
        service=WALLET, epoch=Epoch(9), previous_holder="dc1", holder=DC2, kind="failover",
        reason="dc1 is silent", rule=321, asked_by="tricast at dc2", began_at="now", took_s=0.9,
        evidence={"holder_silent": "true"},
        steps=(ChangeStep(name="promoted", database="ledger", took_s=0.2),
               ChangeStep(name="intent Promote", took_s=0.1)),
    )  # fmt: skip
    Deeds(auditor=auditor).moved(change)
    found = last(auditor)
    assert (found.event, found.epoch, found.outcome) == ("moved", 9, "ok after 0.900 s")
    assert found.facts["step promoted ledger"] == "0.200 s"
    assert found.facts["rule"] == "321"
    assert found.facts["holder_silent"] == "true"
    assert not any("intent" in name for name in found.facts)


async def test_what_becomes_of_a_request_is_noted_by_the_site_that_did_it(
    office: Office, auditor: Auditor
) -> None:
    deeds = Deeds(auditor=auditor)
    await office.records.refresh()
    deeds.looked(office.records, [WALLET])
    opened = await office.desk.desk.open(replace(wish(Kind.SWITCHOVER), number=1, service=WALLET))
    deeds.looked(office.records, [WALLET])
    assert not auditor.waiting  # a person asked; the desk notes that
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    await office.desk.desk.settle(
        WALLET, settling(opened.number, seen.revision, State.LAPSED, "another epoch was raised")
    )
    for _ in range(2):
        deeds.looked(office.records, [WALLET])
    [found] = auditor.waiting
    assert (found.event, found.outcome) == (Event.SETTLED, "request 1 is lapsed")
    assert found.reason == "another epoch was raised"


async def test_a_pause_by_hand_is_noted_when_it_comes_and_goes(
    office: Office, auditor: Auditor
) -> None:
    deeds = Deeds(auditor=auditor)
    await office.records.refresh()
    deeds.looked(office.records, [WALLET])
    await office.store.put("/t/pause/wallet", b"hands off", 0.05)
    await office.records.refresh()
    deeds.looked(office.records, [WALLET])
    await office.store.delete("/t/pause/wallet", 0.05)
    await office.records.refresh()
    deeds.looked(office.records, [WALLET])
    assert [(n.event, n.reason) for n in auditor.waiting] == [
        (Event.PAUSED, "hands off"),
        (Event.RESUMED, ""),
    ]


async def test_what_went_past_its_policy_is_an_entry_of_its_own(
    tmp_path: Path, auditor: Auditor
) -> None:
    there = eyes.office(tmp_path, switchover=eyes.ONE_DBA, resume=eyes.ONE_DBA)
    desk = AuditedDesk(desk=there.desk, auditor=auditor)
    order = Ask(kind="switchover", target="dc1", break_glass=True, reason="it burns")
    with pytest.raises(NotAsked, match="may not break the glass"):
        await desk.ask(order, eyes.BOB)
    assert told(last(auditor))[:3] == (Event.REFUSED, "bob", "switchover")
    await desk.ask(order, eyes.ADA)
    noted = last(auditor)
    assert told(noted)[:3] == (Event.BROKE_GLASS, "ada", "switchover")
    assert (noted.reason, noted.outcome) == ("it burns", "request 1 is open")
    assert noted.facts["passed over"].startswith("switchover of wallet: the approval of another")
    await desk.decline(Verdict(number=1), eyes.ADA)
    await desk.ask(Ask(kind="pause", reason="work"), eyes.ADA)
    resume = Verdict(kind="pause", reason="it burns")
    await desk.decline(resume, eyes.ADA)
    assert told(last(auditor))[:3] == (Event.ASKED, "ada", "resume")
    await desk.approve(Verdict(number=2), eyes.BOB)
    assert told(last(auditor))[:3] == (Event.APPROVED, "bob", "approve resume")
    await desk.ask(Ask(kind="pause", reason="work"), eyes.ADA)
    await desk.decline(resume.model_copy(update={"break_glass": True}), eyes.ADA)
    assert told(last(auditor))[:3] == (Event.BROKE_GLASS, "ada", "end pause")
    assert last(auditor).facts["passed over"].startswith("resume of wallet: ")
