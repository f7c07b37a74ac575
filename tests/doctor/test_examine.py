"""How the checks are run: each by itself, each within its time, whatever another does."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from controller.adapters.local_agent import LocalAgent
from controller.config import Inspection
from controller.doctor.agents import ask_host
from controller.doctor.around import Around
from controller.doctor.aside import aside
from controller.doctor.examine import examine
from controller.doctor.judging.row import Row, ok
from controller.doctor.plan import Check
from controller.ports import PortError, Refused, TimedOut, Unreachable
from controller.version import VERSION
from tests.doctor.ground import around

GOOD = [ok("good", "x", "well")]


async def good(_around: Around) -> list[Row]:
    return GOOD


async def hangs(_around: Around) -> list[Row]:
    await asyncio.Event().wait()
    return GOOD


async def unreachable(_around: Around) -> list[Row]:
    raise Unreachable("nobody listens")


async def broken(_around: Around) -> list[Row]:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_fails())
    return GOOD


async def _fails() -> None:
    raise KeyError("dc9")


async def test_one_check_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    checks = [
        Check(name="hangs", look=hangs, deadline_s=0.05),
        Check(name="unreachable", look=unreachable, deadline_s=5),
        Check(name="broken", look=broken, deadline_s=5),
        Check(name="good", look=good, deadline_s=5),
    ]
    left: list[Sequence[str]] = []
    ground = around(tmp_path)
    found = Inspection(cluster=ground.cluster)
    async with asyncio.timeout(5):
        told = await examine(ground, found, [check.name for check in checks], left.append, checks)
    assert [(row.check, row.grade) for row in told.rows] == [
        ("hangs", "unknown"), ("unreachable", "unknown"), ("broken", "unknown"), ("good", "ok"),
    ]  # fmt: skip
    assert [row.seen for row in told.rows[:3]] == [
        "no end of it within 0.05 s",
        "nobody listens",
        "the check itself failed: KeyError: 'dc9'",
    ]
    assert left[0] == ["hangs", "unreachable", "broken", "good"]
    assert left[-1] == []


async def test_a_disk_that_hangs_holds_up_nobody() -> None:
    mended = threading.Event()

    async def stuck(_around: Around) -> list[Row]:
        await aside(mended.wait)
        return GOOD

    checks = [Check(name="stuck", look=stuck, deadline_s=0.05)]
    ground = around(Path("/nonexistent"))
    found = Inspection(cluster=ground.cluster)
    told = await examine(ground, found, ["stuck"], lambda _left: None, checks)
    assert told.rows[0].seen == "no end of it within 0.05 s"
    pool = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    assert pool == []  # the program could end now
    mended.set()
    assert await aside(sorted, [2, 1]) == [1, 2]
    with pytest.raises(FileNotFoundError):
        await aside(Path("/nonexistent/x").read_bytes)


async def test_what_measures_time_runs_before_all_others(tmp_path: Path) -> None:
    running: list[str] = []

    async def alone(_around: Around) -> list[Row]:
        assert running == []
        return GOOD

    async def other(_around: Around) -> list[Row]:
        running.append("other")
        return GOOD

    checks = [
        Check(name="other", look=other, deadline_s=5),
        Check(name="alone", look=alone, deadline_s=5, first=True),
    ]
    ground = around(tmp_path)
    names = ["other", "alone"]
    found = Inspection(cluster=ground.cluster)
    told = await examine(ground, found, names, lambda _left: None, checks)
    assert told.verdict == "ok"
    assert running == ["other"]


class FakeAgent:
    """Implements `HostAgent`; answers by verb, or raises what stands there instead."""

    def __init__(self, answers: Mapping[str, dict[str, str] | PortError]) -> None:
        self._answers = answers
        self.closed = False

    async def call(self, verb: str, args: Mapping[str, str], deadline_s: float) -> dict[str, str]:
        del args, deadline_s
        answer = self._answers[verb]
        if isinstance(answer, PortError):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


VERBS = [("postgres-status", "ledger")]


async def asked(**answers: dict[str, str] | PortError) -> list[tuple[str, str]]:
    port = FakeAgent({name.replace("_", "-"): answer for name, answer in answers.items()})
    rows = await ask_host(port, "h", VERBS)
    assert port.closed
    return [(row.subject, row.grade) for row in rows]


async def test_an_agent_is_asked_for_its_version_and_for_its_databases() -> None:
    status = {"pid": "7", "discarded": ""}
    mine = {"version": VERSION}
    assert await asked(agent_version=mine, postgres_status=status) == [
        ("h", "ok"), ("h: ledger", "ok"),
    ]  # fmt: skip
    old = Refused("ssh x@h: agent-version: no verb 'agent-version'; families: postgres")
    assert await asked(agent_version=old, postgres_status=Refused("no 'ledger' here")) == [
        ("h", "warn"), ("h: ledger", "bad"),
    ]  # fmt: skip
    assert await asked(agent_version=Refused("the key is not accepted")) == [("h", "bad")]
    assert await asked(agent_version=TimedOut("no answer in time")) == [("h", "bad")]


async def test_the_real_agent_tells_its_version_and_refuses_other_verbs(tmp_path: Path) -> None:
    settings = tmp_path / "hostagent.json"
    settings.write_text('{"databases": {"ledger": {"kind": "postgres"}}, "keepers": {"k": {}}}')
    agent = LocalAgent(settings)
    answer = await agent.call("agent-version", {}, 10)
    assert answer == {"version": VERSION, "databases": "k ledger"}
    rows = await ask_host(agent, "h", [("postgres-status", "journal")])
    assert [row.grade for row in rows] == ["ok", "bad"]
    assert "journal" in rows[1].seen
