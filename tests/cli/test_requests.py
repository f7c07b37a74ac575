"""The verbs that ask for a change: what is printed where, and the exit code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.arrival import LOST
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.progress import CODES
from controller.core.model import ServiceName
from controller.core.requests import CLOSED, Kind, State
from controller.web.schema import Move, OpenChange, Requests, RequestView
from tests.core.turned import other, serving, silent, state
from tests.core.views import GONE, WALLET, WITNESS, dc2_view
from tests.web.office import Office, change_for
from tests.web.sample import STEADY, daemon

Captured = pytest.CaptureFixture[str]
TIME = re.compile(r"^ +[0-9]+\.[0-9] s  ")
STEPS = (
    "  dc2 climbed HAND_OVER: held -0.076 s",
    "  dc1 climbed TAKE_OVER: promised +0.016 s, promoted (ledger) +0.225 s, verified +1.250 s",
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(serving(), tmp_path)


@pytest.fixture
def sock(tmp_path: Path, office: Office) -> Iterator[str]:
    with daemon(office, tmp_path / "s.sock", office.desk):
        yield str(tmp_path / "s.sock")


def newest(office: Office) -> State | None:
    seen = office.records.requests.newest(WALLET)
    return None if seen is None else seen.request.state


def test_every_end_has_an_exit_code() -> None:
    assert set(CODES) == {state.value for state in CLOSED}


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (State.DONE, ExitCode.DONE),
        (State.FAILED, ExitCode.FAILED),
        (State.REFUSED, ExitCode.REFUSED),
        (State.LAPSED, ExitCode.REFUSED),
    ],
)
def test_a_switchover_is_followed_to_its_end(
    sock: str, office: Office, capsys: Captured, end: State, code: ExitCode
) -> None:
    moving = OpenChange(ladder="HAND_OVER", step="log_equal")
    service = STEADY.services[0].model_copy(update={"open_change": moving})
    office.now = STEADY.model_copy(update={"services": (service,)})
    office.ends = [(State.RUNNING, "dc2 hands over"), (end, "so it ended")]
    asked = ["switchover", "--to", "dc1", "--yes", "--reason", "patches", "--socket", sock]
    assert main(asked) == code
    said = capsys.readouterr()
    measured = "; verified 1.250 s after its epoch, no answer for 0.598 s, " + LOST["none"]
    ended = f"request 1 (switchover to dc1) is {end}: so it ended"
    assert said.out == f"{ended}{measured if end is State.DONE else ''}\n"
    lines = [TIME.sub("", line) for line in said.err.splitlines()]
    assert lines == [
        "request 1 (switchover to dc1) is running: dc2 hands over [HAND_OVER: log_equal]",
        f"{ended} [HAND_OVER: log_equal]",
        *(STEPS if end is State.DONE else ()),
    ]


def test_as_json_it_is_the_record(sock: str, office: Office, capsys: Captured) -> None:
    office.ends = [(State.DONE, "dc1 serves under epoch 3")]
    assert main(["switchover", "--yes", "--json", "--socket", sock]) == ExitCode.DONE
    found = Move.model_validate_json(capsys.readouterr().out)
    assert (found.kind, found.target, found.state) == ("switchover", "dc1", "done")
    assert found.change is not None
    assert (found.change.outage_s, found.change.took_s) == (0.598, 1.25)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_move_that_nobody_verified_is_not_called_done(
    sock: str,
    office: Office,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
) -> None:
    monkeypatch.setattr("controller.cli.arrival.VERIFIED_WITHIN_S", 0.3)
    office.verified = False
    office.ends = [(State.DONE, "dc1 serves under epoch 3")]
    assert main(["switchover", "--yes", *flags, "--socket", sock]) == ExitCode.UNKNOWN
    said = capsys.readouterr()
    assert "not verified within 0.3 s: wallet was moved to dc1" in said.err
    if flags:
        assert Move.model_validate_json(said.out).change is None
    else:
        assert said.out == "request 1 (switchover to dc1) is done: dc1 serves under epoch 3\n"


def test_a_move_without_an_outage_on_record_is_told_without_it(
    sock: str, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cli.arrival.MEASURED_WITHIN_S", 0.3)
    bare = change_for(1, "switchover", "dc1").model_copy(update={"outage_s": None, "losses": ()})
    office.verified = False
    office.now = STEADY.model_copy(update={"history": (bare,)})
    office.ends = [(State.DONE, "dc1 serves under epoch 3")]
    assert main(["switchover", "--yes", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out.endswith("; verified 1.250 s after its epoch\n")


def test_without_waiting_it_is_only_asked(sock: str, office: Office, capsys: Captured) -> None:
    assert main(["switchover", "--yes", "--no-wait", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "request 1 (switchover to dc1) is open\n"
    assert newest(office) is State.OPEN


def test_when_its_time_is_up_nobody_knows(sock: str, capsys: Captured) -> None:
    asked = ["switchover", "--yes", "--timeout", "0.3", "--socket", sock]
    assert main(asked) == ExitCode.UNKNOWN
    assert "it goes on: tricast requests" in capsys.readouterr().err


def test_nobody_is_asked_back_without_a_terminal(
    sock: str, office: Office, capsys: Captured
) -> None:
    assert main(["switchover", "--socket", sock]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said == (
        "tricast: Move wallet from dc2 to dc1? Nobody can be asked back here: add --yes\n"
    )
    assert newest(office) is None


@pytest.mark.parametrize(
    ("verb", "code", "why"),
    [
        (["switchover", "--to", "dc2"], ExitCode.REFUSED, "dc2 holds wallet already"),
        (["switchover", "--to", "moon"], ExitCode.USAGE, "'moon' is no data site"),
        (["switchover", "--service", "x"], ExitCode.USAGE, "no service 'x'"),
        (["failover"], ExitCode.USAGE, "Missing option '--to'"),
        (["failover", "--to", "dc2"], ExitCode.REFUSED, "dc2 holds wallet already"),
        (["pause"], ExitCode.USAGE, "needs a --reason"),
        (["resume"], ExitCode.REFUSED, "wallet has no request"),
        (["drain", "moon"], ExitCode.USAGE, "'moon' is no data site"),
        (["undrain", "dc1"], ExitCode.REFUSED, "dc1 is not drained"),
        (["force-single", "dc1"], ExitCode.REFUSED, "this is the daemon of dc2"),
        (["approve", "3"], ExitCode.REFUSED, "wallet has no request 3"),
        (["decline", "3"], ExitCode.REFUSED, "wallet has no request 3"),
    ],
)
def test_what_is_refused(
    sock: str, office: Office, capsys: Captured, verb: list[str], code: ExitCode, why: str
) -> None:
    assert main([*verb, "--yes", "--socket", sock]) == code
    assert why in capsys.readouterr().err
    assert newest(office) is None


def test_a_second_operator_is_told_whose_is_running(
    sock: str, office: Office, capsys: Captured
) -> None:
    assert main(["pause", "--reason", "disk work", "--no-wait", "--socket", sock]) == 0
    capsys.readouterr()
    assert main(["switchover", "--yes", "--socket", sock]) == ExitCode.REFUSED
    assert "another request is open for wallet: pause asked by" in capsys.readouterr().err


def test_a_pause_is_in_force_then_over(sock: str, office: Office, capsys: Captured) -> None:
    office.ends = [(State.RUNNING, "automation is paused")]
    assert main(["pause", "--reason", "disk work", "--for", "60", "--socket", sock]) == 0
    assert capsys.readouterr().out.endswith("is running: automation is paused\n")
    assert main(["resume", "--reason", "done", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "request 1 (pause) is withdrawn: done\n"


def test_an_acknowledgement(sock: str, office: Office, capsys: Captured) -> None:
    office.ends = [(State.DONE, "acknowledged")]
    assert main(["ack", "--reason", "looked at it", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "request 1 (ack) is done: acknowledged\n"


def test_a_drain_waits_until_the_site_holds_nothing(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.now = STEADY.model_copy(update={"services": STEADY.services[:1]})  # dc1 holds it
    asked = ["drain", "dc2", "--yes", "--timeout", "5", "--socket", sock]
    assert main(asked) == ExitCode.DONE
    assert "(drain of dc2) is open" in capsys.readouterr().out
    assert main(["undrain", "dc2", "--socket", sock]) == ExitCode.DONE
    held_here = ["drain", "dc1", "--yes", "--timeout", "0.3", "--socket", sock]
    assert main(held_here) == ExitCode.UNKNOWN
    assert main(asked) == ExitCode.DONE


def test_a_loss_is_shown_before_it_is_allowed(sock: str, office: Office, capsys: Captured) -> None:
    office.turn(other(silent(dc2_view()), WITNESS, seen=GONE))
    office.ends = [(State.DONE, "dc2 serves under epoch 3")]
    asked = ["failover", "--to", "dc2", "--allow-data-loss", "--yes", "--socket", sock]
    assert main(asked) == ExitCode.DONE
    assert "everything acknowledged beyond 0/3000060@2 is lost" in capsys.readouterr().err


def test_serving_alone_wants_the_name_typed(sock: str, office: Office, capsys: Captured) -> None:
    office.turn(state(other(silent(serving()), WITNESS, seen=GONE), followers=()))
    asked = ["force-single", "dc2", "--reason", "all burnt", "--socket", sock]
    assert main(asked) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "You assert that dc1, witness acknowledge nothing now" in said
    assert "add --confirm dc2" in said
    assert main([*asked, "--yes", "--confirm", "dc1"]) == ExitCode.REFUSED
    assert office.orders.of(WALLET) is None
    assert main([*asked, "--confirm", "dc2"]) == ExitCode.DONE
    assert office.orders.of(WALLET) is not None


def test_four_eyes(sock: str, office: Office, capsys: Captured) -> None:
    office.approvals[Kind.SWITCHOVER] = 1
    assert main(["switchover", "--yes", "--socket", sock]) == ExitCode.WAITING
    assert "waits for the approval of another person" in capsys.readouterr().out
    assert main(["proposals", "--json", "--socket", sock]) == ExitCode.DONE
    (proposal,) = Requests.model_validate_json(capsys.readouterr().out).requests
    assert proposal.plan
    assert main(["approve", "1", "--plan", "older", "--socket", sock]) == ExitCode.REFUSED
    assert "and cannot approve it; somebody else has to" in capsys.readouterr().err
    assert main(["decline", "1", "--reason", "not now", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "request 1 (switchover to dc1) is withdrawn: not now\n"
    assert main(["proposals", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "cluster tricast: nothing is asked\n"


def test_requests_are_listed(sock: str, office: Office, capsys: Captured) -> None:
    main(["switchover", "--yes", "--no-wait", "--socket", sock])
    main(["decline", "1", "--socket", sock])
    main(["pause", "--reason", "disk work", "--no-wait", "--socket", sock])
    capsys.readouterr()
    assert main(["requests", "--socket", sock]) == ExitCode.DONE
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| wallet")]
    assert len(rows) == 1
    assert "disk work" in rows[0]
    assert main(["requests", "--all", "--service", "wallet", "--socket", sock]) == ExitCode.DONE
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| wallet")]
    assert [row.split("|")[3].strip() for row in rows] == ["pause", "switchover"]
    assert main(["requests", "--json", "--service", "lobby", "--socket", sock]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["requests"] == []
    office.views[ServiceName("lobby")] = None
    assert main(["ack", "--socket", sock]) == ExitCode.USAGE


def test_a_daemon_that_was_restarted_is_found_again(
    tmp_path: Path, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks the daemon is gone; the verb says so and goes on."""
    path = tmp_path / "again.sock"
    office.ends = [(State.RUNNING, "dc2 hands over"), (State.DONE, "dc1 serves")]
    gone: list[Path] = []

    def nap(_: float) -> None:
        if not gone:
            gone.append(path.rename(tmp_path / "aside"))
        elif gone[0].exists():
            gone[0].rename(path)

    with daemon(office, path, office.desk):
        monkeypatch.setattr("controller.cli.progress.time.sleep", nap)
        assert main(["switchover", "--yes", "--socket", str(path)]) == ExitCode.DONE
    assert "no tricast daemon answers" in capsys.readouterr().err


def test_a_daemon_that_does_not_answer_leaves_it_unknown(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.store.loses_answers = True
    assert main(["ack", "--socket", sock]) == ExitCode.UNKNOWN
    assert "whether it stands is not known" in capsys.readouterr().err


def test_status_and_explain_show_the_open_request(
    sock: str, office: Office, capsys: Captured
) -> None:
    shown = RequestView(
        number=4, kind="switchover", service="wallet", target="dc1", reason="patches",
        asked_by="ann", asked_at="dc2", at="now", state="open",
        waits_for="the approval of another person",
    )  # fmt: skip
    service = STEADY.services[0].model_copy(update={"request": shown})
    office.now = STEADY.model_copy(update={"services": (service,)})
    sentence = (
        "4, switchover to dc1, asked by ann at dc2, open, "
        "waits for the approval of another person: patches"
    )
    assert main(["status", "--socket", sock]) == ExitCode.DONE
    assert f" Request: {sentence}" in capsys.readouterr().out
    assert main(["explain", "--socket", sock]) == ExitCode.DONE
    assert f"  request {sentence}" in capsys.readouterr().out
