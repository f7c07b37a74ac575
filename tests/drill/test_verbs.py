"""`tricast drill` against a daemon and a service address: what is seen, and what is left."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.cli import drill_run, moves
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.core.requests import Kind, closed
from controller.web.drill_schema import DrillPlan, DrillReport, DrillView
from controller.web.schema import OpenChange
from tests.core.views import DC1, DC2, WALLET
from tests.drill.stage import Stage, facts, play

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def sock(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(drill_run, "WARM_S", 0.3)
    monkeypatch.setattr(drill_run, "POLL_S", 0.02)
    monkeypatch.setattr(drill_run, "AGAIN_S", 0.05)
    with play(stage, tmp_path / "s.sock"):
        yield str(tmp_path / "s.sock")


class Naps:
    """Counts how often the drill has rested, and does something after some of them."""

    def __init__(self) -> None:
        self.due: list[tuple[int, Callable[[], object]]] = []
        self.count = 0
        self._sleep = time.sleep

    def after(self, naps: int, doing: Callable[[], object]) -> None:
        self.due.append((self.count + naps, doing))

    def nap(self, seconds: float) -> None:
        self._sleep(seconds)
        self.count += 1
        for each in [due for due in self.due if due[0] <= self.count]:
            self.due.remove(each)
            each[1]()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    found = Naps()
    monkeypatch.setattr(drill_run, "time", SimpleNamespace(sleep=found.nap))
    return found


@pytest.fixture
def run(sock: str, tmp_path: Path) -> list[str]:
    out = str(tmp_path / "reports")
    return ["drill", "run", "--yes", "--hold", "0.2", "--out", out, "--socket", sock]


def report(tmp_path: Path) -> DrillReport:
    (path,) = (tmp_path / "reports").glob("*.json")
    return DrillReport.model_validate_json(path.read_bytes())


def nothing_is_open(stage: Stage) -> bool:
    seen = stage.records.requests.newest(WALLET)
    return seen is None or closed(seen.request)


def test_a_plan_says_that_it_may_begin(sock: str, capsys: Captured) -> None:
    assert main(["drill", "plan", "--socket", sock]) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "drill of wallet, dc2 to dc1 and back" in said
    assert "NO " not in said
    assert said.splitlines()[-2] == "it may begin now"


def test_a_plan_as_json_tells_the_stall_of_the_last_moves(
    sock: str, stage: Stage, capsys: Captured
) -> None:
    stage.move(DC1)
    assert main(["drill", "plan", "--json", "--socket", sock]) == ExitCode.DONE
    found = DrillPlan.model_validate_json(capsys.readouterr().out)
    assert (found.holder, found.target, found.may_run) == ("dc1", "dc2", True)
    assert (found.stall_s, found.reasons) == (0.31, ())
    assert found.stall_from.startswith("the longest of the last switchover")


@pytest.mark.parametrize(
    ("turned", "why"),
    [
        ({"paused": "disk work"}, "pause: automation is paused: disk work"),
        ({"holder": ""}, "holder: nobody holds wallet"),
        (
            {"open_change": OpenChange(ladder="TAKE_OVER", step="opened")},
            "role change: a role change is under way: TAKE_OVER",
        ),
    ],
)
def test_a_plan_says_why_not(
    sock: str, stage: Stage, capsys: Captured, turned: dict[str, object], why: str
) -> None:
    stage.turned = turned
    assert main(["drill", "plan", "--json", "--socket", sock]) == ExitCode.REFUSED
    reasons = DrillPlan.model_validate_json(capsys.readouterr().out).reasons
    assert any(said.startswith(why) for said in reasons)


def test_nothing_is_asked_when_it_must_not_begin(
    run: list[str], stage: Stage, capsys: Captured
) -> None:
    stage.sites["dc1"] = {"eligible": False, "not_eligible_because": ("it lags",)}
    assert main(run) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert said.err == ("tricast: no drill of wallet now: target: dc1 may not take over: it lags\n")
    assert stage.records.requests.newest(WALLET) is None


def test_there_and_back(run: list[str], stage: Stage, tmp_path: Path, capsys: Captured) -> None:
    assert main([*run, "--reason", "spring"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.startswith("drill of wallet, dc2 to dc1 and back: passed\n")
    assert "dc1 serves, " in said.err
    found = report(tmp_path)
    assert [(m.source, m.target, m.epoch, m.lost) for m in found.moves] == [
        ("dc2", "dc1", 3, 0),
        ("dc1", "dc2", 4, 0),
    ]
    assert [(o.name, o.passed) for o in found.objectives] == [
        ("recovery time", True),
        ("recovery point", True),
    ]
    assert (found.verdict, found.noted, found.holder, found.troubles) == (
        "passed", True, "dc2", (),
    )  # fmt: skip
    assert found.canary.good == found.canary.asked > 3
    assert [span.site for span in found.canary.spans] == ["dc2", "dc1", "dc2"]
    assert found.reason == "drill 2026-11-22T01:10:00.000Z: spring"
    assert {path.suffix for path in (tmp_path / "reports").iterdir()} == {".json", ".md", ".html"}
    record, _ = stage.records.drills[WALLET]
    assert (record.verdict, record.epochs, record.lost) == ("passed", (3, 4), 0)
    assert record.passed_at == record.at
    assert facts(stage.notes)["epochs"] == "3, 4"
    requests = [seen.request for seen in stage.records.requests.of(WALLET)]
    assert {request.reason for request in requests} == {found.reason}


def test_without_return_it_stays(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    assert main([*run, "--no-return", "--json"]) == ExitCode.DONE
    found = DrillReport.model_validate_json(capsys.readouterr().out)
    assert (found.holder, found.goes_back, len(found.moves)) == ("dc1", False, 1)
    assert stage.holder == DC1
    assert found == report(tmp_path)


def test_an_interrupt_takes_it_back(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    def once() -> None:
        stage.on_move = lambda: None
        os.kill(os.getpid(), signal.SIGINT)

    stage.on_move = once
    assert main([*run, "--hold", "600"]) == ExitCode.FAILED
    found = report(tmp_path)
    assert (found.verdict, found.aborted, found.holder) == ("aborted", "Ctrl-C", "dc2")
    assert stage.holder == DC2
    assert nothing_is_open(stage)
    assert "the drill ends here: Ctrl-C" in capsys.readouterr().err
    record, _ = stage.records.drills[WALLET]
    assert (record.verdict, record.passed_at) == ("aborted", "")


def test_a_move_that_has_begun_is_waited_for(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    def once() -> None:
        stage.on_running = lambda: None
        os.kill(os.getpid(), signal.SIGTERM)

    stage.on_running = once
    assert main(run) == ExitCode.FAILED
    found = report(tmp_path)
    assert (found.aborted, [move.state for move in found.moves]) == ("SIGTERM", ["done", "done"])
    assert (stage.holder, nothing_is_open(stage)) == (DC2, True)
    assert "SIGTERM: the move has begun, and is waited for" in capsys.readouterr().err


def test_a_daemon_that_has_just_started_and_seen_nothing_ends_nothing(
    run: list[str], stage: Stage, tmp_path: Path, naps: Naps
) -> None:
    def blind() -> None:
        stage.on_move = lambda: None
        stage.turned.update({"holder": "", "epoch": 0, "sites": ()})
        naps.after(5, stage.turned.clear)

    def settled() -> None:
        stage.on_move = lambda: None
        naps.after(20, blind)

    stage.on_move = settled
    assert main([*run, "--hold", "1"]) == ExitCode.DONE
    assert report(tmp_path).aborted == ""


def test_its_own_move_out_is_in_the_flap_window_and_keeps_it_from_nothing(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    def moved() -> None:
        goals = {**stage.goals, "settled": False, "known": True}
        stage.turned["drill"] = DrillView(**goals, canary_url=stage.address.url)

    stage.on_move = moved
    assert main([*run, "--timeout", "8"]) == ExitCode.DONE
    assert report(tmp_path).aborted == ""


def test_an_interrupt_before_anything_moved_moves_nothing(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    stage.ways = ["waits"]

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    real = stage.desk.desk.open

    async def opened(request: object) -> object:
        stop()
        return await real(request)  # type: ignore[arg-type]

    object.__setattr__(stage.desk, "desk", _Opening(stage.desk.desk, opened))
    assert main(run) == ExitCode.REFUSED
    assert (stage.holder, stage.epoch) == (DC2, 2)
    assert nothing_is_open(stage)
    assert report(tmp_path).moves[0].state == "withdrawn"
    assert WALLET not in stage.records.drills


class _Opening:
    """A desk, but for how it opens."""

    def __init__(self, desk: object, opened: object) -> None:
        self._desk, self.open = desk, opened

    def __getattr__(self, name: str) -> object:
        return getattr(self._desk, name)


def test_an_objective_that_is_missed_takes_it_back(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    stage.goals["rto_s"] = 1.5

    def dark() -> None:
        stage.address.status = 503 if stage.holder == DC1 else 200

    stage.on_move = dark
    assert main([*run, "--hold", "600"]) == ExitCode.FAILED
    found = report(tmp_path)
    assert found.verdict == "failed"
    assert "and 1.5 s are promised" in found.aborted
    assert (stage.holder, found.holder) == (DC2, "dc2")
    assert not found.objectives[0].passed
    assert found.canary.failures.keys() == {"status 503"}
    assert found.canary.longest is not None
    assert found.canary.longest.took_s > 1.5
    assert nothing_is_open(stage)


def test_a_move_that_is_taken_back_leaves_it_where_it_was(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    stage.ways = ["failed"]
    assert main(run) == ExitCode.REFUSED
    found = report(tmp_path)
    assert found.aborted == "request 1 is failed: failed it is"
    assert (found.verdict, stage.holder) == ("aborted", DC2)
    assert [objective.measured for objective in found.objectives] == ["not measured"] * 2


def test_a_return_that_fails_once_is_tried_again(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    stage.ways = ["done", "failed"]
    assert main(run) == ExitCode.FAILED
    assert [move.state for move in report(tmp_path).moves] == ["done", "failed", "done"]
    assert stage.holder == DC2


def test_a_way_back_that_is_refused_is_asked_for_again(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    stage.ways = ["done", "refused"]
    assert main(run) == ExitCode.DONE
    assert "refused, and asked again: request 2: refused it is" in capsys.readouterr().err
    found = report(tmp_path)
    assert (found.verdict, [move.state for move in found.moves]) == ("passed", ["done", "done"])


def test_a_way_out_that_is_refused_ends_it(run: list[str], stage: Stage, tmp_path: Path) -> None:
    stage.ways = ["refused"]
    assert main(run) == ExitCode.REFUSED
    assert (report(tmp_path).aborted, stage.holder) == ("request 1: refused it is", DC2)


def test_a_request_that_nobody_approves_is_withdrawn(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    stage.approvals[Kind.SWITCHOVER] = 1
    assert main([*run, "--timeout", "0.5"]) == ExitCode.REFUSED
    assert "waits for the approval of another person" in capsys.readouterr().err
    assert nothing_is_open(stage)
    assert (stage.holder, report(tmp_path).moves[0].state) == (DC2, "withdrawn")


def test_a_request_that_hangs_leaves_it_unknown(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    stage.ways = ["stuck"]
    assert main([*run, "--timeout", "0.5"]) == ExitCode.UNKNOWN
    assert "is running after 0.5 s and goes on" in report(tmp_path).aborted
    assert report(tmp_path).troubles


def test_an_answer_that_was_lost_is_found_again(
    run: list[str], stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moves.told_to

    def lost(asked: object, order: object, plan: object) -> object:
        real(asked, order, plan)  # type: ignore[arg-type]
        raise CliError(ExitCode.UNKNOWN, "no answer")

    monkeypatch.setattr(drill_run, "told_to", lost)
    assert main(run) == ExitCode.DONE
    assert [move.request for move in report(tmp_path).moves] == [1, 2]


def test_a_service_that_moves_by_itself_ends_it(
    run: list[str], stage: Stage, tmp_path: Path
) -> None:
    seen: list[str] = []
    site = stage.address.site

    def moving() -> str:
        if stage.holder == DC1 and not seen and stage.epoch == 3 and len(stage.changes) == 1:
            requests = stage.records.requests.newest(WALLET)
            if requests is not None and closed(requests.request) and stage.address.asked > 40:
                seen.append("moved")
                stage.move(DC2)
        return site()

    stage.address.site = moving
    assert main([*run, "--hold", "600"]) == ExitCode.FAILED
    assert report(tmp_path).aborted == "dc2 holds wallet by itself"
    assert len(report(tmp_path).moves) == 1


def test_a_daemon_that_is_restarted_meanwhile_is_found_again(
    run: list[str], stage: Stage, sock: str, tmp_path: Path, capsys: Captured, naps: Naps
) -> None:
    aside, path = tmp_path / "aside", Path(sock)

    def gone() -> None:
        stage.on_move = lambda: None
        path.rename(aside)
        naps.after(5, lambda: aside.rename(path))

    stage.on_move = gone
    assert main(run) == ExitCode.DONE
    assert "no tricast daemon answers at" in capsys.readouterr().err
    assert report(tmp_path).verdict == "passed"


def test_a_report_that_cannot_be_written_is_still_told(
    run: list[str], stage: Stage, tmp_path: Path, capsys: Captured
) -> None:
    def full() -> None:
        (tmp_path / "reports").rmdir()
        (tmp_path / "reports").touch()
        stage.on_move = lambda: None

    stage.on_move = full
    assert main(run) == ExitCode.FAILED
    said = capsys.readouterr()
    assert said.out.startswith("drill of wallet, dc2 to dc1 and back: passed\n")
    assert "Not a directory" in said.err


def test_a_note_that_is_refused_is_said(run: list[str], stage: Stage, tmp_path: Path) -> None:
    stage.on_move = stage.records.changes.clear
    assert main(run) == ExitCode.DONE
    found = report(tmp_path)
    assert not found.noted
    assert "the history of wallet has no role change under epoch 3, 4" in found.troubles[0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--no-wait"], "leave --no-wait away"),
        (["--to", "moon"], "'moon' is no data site"),
        (["--service", "x"], "no service 'x': wallet"),
        (["--kind", "failover"], "'failover' is not"),
        (["--out", "/proc/nothing"], "--out /proc/nothing: "),
    ],
)
def test_what_cannot_be_asked(
    run: list[str], stage: Stage, capsys: Captured, options: list[str], why: str
) -> None:
    assert main([*run, *options]) == ExitCode.USAGE
    assert why in capsys.readouterr().err
    assert stage.records.requests.newest(WALLET) is None


def test_a_report_is_printed_again(run: list[str], tmp_path: Path, capsys: Captured) -> None:
    assert main(run) == ExitCode.DONE
    first = capsys.readouterr().out
    folder, page = str(tmp_path / "reports"), tmp_path / "page.html"
    assert main(["drill", "report", "--out", folder]) == ExitCode.DONE
    assert capsys.readouterr().out == first
    asked = ["drill", "report", "--last", "--out", folder, "--html", str(page), "--json"]
    assert main(asked) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["verdict"] == "passed"
    (written,) = (tmp_path / "reports").glob("*.html")
    assert page.read_text() == written.read_text()


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        (None, ExitCode.USAGE, "No such file"),
        ("{}", ExitCode.FAILED, "is no report of a drill: cluster: Field required"),
        ("x", ExitCode.FAILED, "is no report of a drill"),
    ],
)
def test_what_is_no_report_is_said_to_be_none(
    tmp_path: Path, capsys: Captured, text: str | None, code: ExitCode, why: str
) -> None:
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text)
    assert main(["drill", "report", str(path)]) == code
    assert why in capsys.readouterr().err


def test_a_folder_without_a_report_says_so(tmp_path: Path, capsys: Captured) -> None:
    assert main(["drill", "report", "--out", str(tmp_path)]) == ExitCode.USAGE
    assert f"there is no report in {tmp_path}" in capsys.readouterr().err
