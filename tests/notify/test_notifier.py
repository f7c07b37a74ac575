"""What is new reaches its targets, survives refusals, restarts and bad disks, and is bounded."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from controller.core.model import SiteName
from controller.notify.event import EventKind, Severity
from controller.notify.situation import Situation
from controller.notify.template import read_template
from controller.ports import Courier, PortError, Refused
from controller.runtime.notifier import Notifier
from controller.runtime.outbox import Outbox, Target
from tests.notify.post_office import PostOffice, post_office
from tests.notify.situations import LIMIT, QUIET, WISH, serving
from tests.runtime.clock import HandClock

pytestmark = pytest.mark.usefixtures("hurried")
PAUSED = serving(QUIET, paused="work")
TWO = (QUIET, PAUSED)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.notifier.LOOK_S", 0.02)


@dataclass(slots=True)
class Hand:
    """A courier that fails as it is told, and keeps what it takes."""

    where: str = "hand"
    errors: list[PortError] = field(default_factory=list)
    broken: PortError | None = None
    attempts: int = 0
    taken: list[str] = field(default_factory=list)

    async def deliver(self, body: bytes, content_type: str, deadline_s: float) -> str:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.broken is not None:
            raise self.broken
        self.taken.append(json.loads(body)["event"])
        return "taken"


def build(path: Path, couriers: list[Courier], **target: object) -> Notifier:
    clock, changed = HandClock(), asyncio.Event()
    return Notifier(
        cluster="tricast", site=SiteName("dc1"), clock=clock, path=path, changed=changed,
        lag_bytes=LIMIT,
        outboxes=tuple(
            Outbox(
                target=Target(name=f"t{number}", courier=courier, **target),  # type: ignore[arg-type]
                clock=clock, changed=changed, waiting_max=5, backoff_s=0.001,
            )
            for number, courier in enumerate(couriers)
        ),
    )  # fmt: skip


@asynccontextmanager
async def running(notifier: Notifier, *situations: Situation) -> AsyncIterator[None]:
    """It looks at these one after the other, and then at the last for ever."""
    left = list(situations)

    async def now() -> Situation:
        return left.pop(0) if len(left) > 1 else left[0]

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(notifier.run(now))
        try:
            yield
        finally:
            task.cancel()
            await notifier.aclose()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.01)


async def test_500_then_200_is_delivered_once_with_its_text(tmp_path: Path) -> None:
    async with post_office() as office:
        office.answers.extend([500, 503])
        notifier = build(
            tmp_path / "n.json", [office.webhook()], words=read_template("== any\nhello $what")
        )
        async with running(notifier, *TWO):
            await until(lambda: notifier.outboxes[0].sent == 1)
        bodies = [json.loads(body) for _, body in office.posted]
    assert len(bodies) == 3
    assert len({body["id"] for body in bodies}) == 1
    assert bodies[-1]["event"] == "pause_set"
    assert bodies[-1]["text"] == "hello automation of wallet is paused: work"
    assert bodies[-1]["format"] == 1
    assert notifier.outboxes[0].problem == ""
    assert notifier.outboxes[0].failing_s() == 0.0


async def test_a_target_that_hangs_holds_up_neither_the_others_nor_whoever_looks(
    tmp_path: Path,
) -> None:
    async with post_office() as office:
        office.delay_s = 30.0
        hand = Hand()
        notifier = build(tmp_path / "n.json", [office.webhook(), hand], deadline_s=30.0)
        async with running(notifier, *TWO):
            await office.until_posted(1)
            await until(lambda: hand.taken == ["pause_set"])
            began = asyncio.get_running_loop().time()
            for number in range(200):
                notifier.look(replace(PAUSED, requests=(replace(WISH, number=number),)))
            assert asyncio.get_running_loop().time() - began < 5.0
        assert notifier.outboxes[0].sent == 0


async def test_a_no_is_given_up_soon_and_what_comes_later_is_sent(tmp_path: Path) -> None:
    hand = Hand(errors=[Refused("no")] * 3)
    notifier = build(tmp_path / "n.json", [hand])
    async with running(notifier, QUIET, PAUSED, QUIET):
        await until(lambda: hand.taken == ["pause_ended"])
    assert (notifier.outboxes[0].failed, hand.attempts) == (1, 4)


async def test_what_nobody_takes_is_given_up_in_the_end_and_counted(tmp_path: Path) -> None:
    hand = Hand(broken=PortError("down"))
    notifier = build(tmp_path / "n.json", [hand])
    clock = notifier.clock
    assert isinstance(clock, HandClock)
    async with running(notifier, *TWO):
        await until(lambda: hand.attempts > 3)
        assert notifier.outboxes[0].failed == 0
        assert notifier.alarms() == ()
        clock.now += 301.0
        [alarm] = notifier.alarms()
        assert alarm == (
            "nobody at notification target t0 has been told anything for 5 min: down; 1 wait"
        )
        clock.now += 3600.0
        await until(lambda: notifier.outboxes[0].failed == 1)
        assert not notifier.outboxes[0].waiting


async def test_an_overflow_drops_what_matters_least_and_says_how_much(tmp_path: Path) -> None:
    hand = Hand(broken=PortError("down"))
    notifier = build(tmp_path / "n.json", [hand])
    notifier.look(QUIET)
    notifier.look(replace(PAUSED, now_s=1.0))
    notifier.look(replace(QUIET, now_s=2.0))
    for number in range(8):
        asked = replace(WISH, number=number)
        notifier.look(replace(QUIET, now_s=3.0, requests=(asked,)))
    box = notifier.outboxes[0]
    assert (len(box.waiting), box.dropped) == (5, 5)
    assert all(each.notice.severity is Severity.WARNING for each in box.waiting)
    hand.broken = None
    async with running(notifier, QUIET):
        await until(lambda: "dropped" in hand.taken)
    assert hand.taken == ["approval_wanted"] * 5 + ["dropped"]


async def test_a_target_is_told_only_of_what_it_wants(tmp_path: Path) -> None:
    hands = [Hand() for _ in range(2)]
    notifier = build(
        tmp_path / "n.json", list(hands),
        events=frozenset({EventKind.PAUSE_SET, EventKind.PAUSE_ENDED}),
        min_severity=Severity.WARNING, services=frozenset({"wallet"}),
    )  # fmt: skip
    lobby = replace(QUIET.services[0], name="lobby")
    both = replace(QUIET, services=(*QUIET.services, lobby))
    other = replace(both, services=(*QUIET.services, replace(lobby, paused="work")))
    paused = replace(both, services=(*PAUSED.services, lobby))
    async with running(notifier, both, other, paused, replace(both, requests=(WISH,))):
        await until(lambda: all(hand.taken for hand in hands))
        await until(lambda: not notifier.known.standing)
    assert [hand.taken for hand in hands] == [["pause_set"]] * 2


async def test_a_site_that_is_not_the_teller_is_silent(tmp_path: Path) -> None:
    hand = Hand()
    notifier = build(tmp_path / "n.json", [hand])
    notifier.look(QUIET)
    notifier.look(serving(PAUSED, holder="dc2"))
    assert not notifier.outboxes[0].waiting
    assert notifier.known.standing


async def test_a_restart_repeats_nothing_and_leaves_nothing_out(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    first = build(path, [Hand(), Hand(broken=PortError("down"))])
    async with running(first, *TWO):
        await until(lambda: first.outboxes[0].sent == 1)
    told = first.outboxes[1].waiting[0].notice.id
    hands = [Hand(), Hand()]
    second = build(path, list(hands))
    async with running(second, PAUSED, PAUSED, QUIET):
        await until(lambda: hands[0].taken == ["pause_ended"])
        await until(lambda: hands[1].taken == ["pause_set", "pause_ended"])
    assert told not in path.read_text() or hands[1].attempts == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"format": 1, "told": []}'])
async def test_a_damaged_file_is_begun_anew(tmp_path: Path, text: str) -> None:
    path, hand = tmp_path / "n.json", Hand()
    path.write_text(text)
    notifier = build(path, [hand])
    async with running(notifier, *TWO):
        await until(lambda: hand.taken == ["pause_set"])
        await until(lambda: '"told": [' in path.read_text())


async def test_without_a_disk_it_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    hand = Hand()
    notifier = build(tmp_path / "file" / "n.json", [hand])
    async with running(notifier, *TWO):
        await until(lambda: hand.taken == ["pause_set"])
        await until(lambda: bool(notifier.alarms()))
    assert "a restart may repeat or lose notifications" in notifier.alarms()[0]


async def test_a_fault_of_its_own_does_not_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.runtime.notifier.FAULT_S", 0.01)
    hand, faults = Hand(), [ZeroDivisionError()]
    notifier = build(tmp_path / "n.json", [hand])
    left = [PAUSED, QUIET]

    async def now() -> Situation:
        if faults:
            raise faults.pop()
        return left.pop() if len(left) > 1 else left[0]

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(notifier.run(now))
        await until(lambda: hand.taken == ["pause_set"])
        task.cancel()


async def test_no_secret_is_in_what_is_sent_kept_or_said(tmp_path: Path) -> None:
    def said(notifier: Notifier, office: PostOffice) -> str:
        bodies = b"".join(body for _, body in office.posted).decode()
        box = notifier.outboxes[0]
        return bodies + notifier.state() + box.problem + repr(notifier.outboxes)

    async with post_office() as office:
        office.answers.extend([500, 404])
        notifier = build(tmp_path / "n.json", [office.webhook(Authorization="t0ken")])
        async with running(notifier, *TWO):
            await until(lambda: bool(office.posted))
            during = said(notifier, office)
            await until(lambda: notifier.outboxes[0].sent == 1)
        [tried] = await notifier.test("t0")
        everything = during + said(notifier, office) + repr(tried)
    assert office.posted[0][0]["Authorization"] == "t0ken"
    assert "t0ken" not in everything
    assert "s3cret" not in everything


async def test_a_test_is_one_attempt_and_says_what_came_back(tmp_path: Path) -> None:
    hands = [Hand(), Hand(broken=PortError("hand: down"))]
    notifier = build(tmp_path / "n.json", list(hands), events=frozenset({EventKind.LAG_HIGH}))
    tried = await notifier.test("")
    assert [(each.target, each.ok, each.detail) for each in tried] == [
        ("t0", True, "taken"),
        ("t1", False, "hand: down"),
    ]
    assert hands[0].taken == ["test"]
    assert hands[1].attempts == 1
    with pytest.raises(KeyError):
        await notifier.test("nobody")
