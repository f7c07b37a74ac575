# ruff: noqa: E501
"""Every verb as its users see it: what is printed where, and the exit code."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.web.schema import Explanation, History, ShedView, Status
from tests.config import unguarded
from tests.web.sample import STEADY, TAKING_OVER, Told, daemon

ROOT = Path(__file__).parents[2]
LAB = str(ROOT / "lab/containerlab/nodes/tricast.yml")

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def source() -> Told:
    return Told(STEADY)


@pytest.fixture
def sock(tmp_path: Path, source: Told) -> Iterator[str]:
    with daemon(source, tmp_path / "s.sock"):
        yield str(tmp_path / "s.sock")


def test_the_exit_codes_never_change() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "FAILED": 1, "UNKNOWN": 2, "REFUSED": 3, "WAITING": 4, "USAGE": 64,
        "UNAVAILABLE": 69, "CONFIG": 78,
    }  # fmt: skip


# --- status ---------------------------------------------------------------------------------------


def test_status_in_a_pipe_is_the_whole_table_without_colour(sock: str, capsys: Captured) -> None:
    assert main(["status", "--socket", sock, "--service", "wallet"]) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines() == [
        "+ Cluster: tricast | service: wallet | epoch: 7 | holder: dc1 ----+-----+-----------+-----------+-------+------+",
        "| Site    | Role    | Health | Database | State     | Position    | Lag | Voter     | Stance    | Heard | Rule |",
        "+---------+---------+--------+----------+-----------+-------------+-----+-----------+-----------+-------+------+",
        "| dc1     | primary | ok 2/2 | ledger   | open      | 0/30A6450@7 |     | primary   | preferred |  self |  901 |",
        "|         |         |        | journal  | open      | 0-1-48211@7 |     | primary   |           |       |      |",
        "+---------+---------+--------+----------+-----------+-------------+-----+-----------+-----------+-------+------+",
        "| dc2     | standby | ok 1/2 | ledger   | streaming | 0/30A6450@7 |   0 | following | backup    |  0.1s |  902 |",
        "|         |         |        | journal  | streaming | 0-1-47000@7 | 4MB | following |           |       |      |",
        "+---------+---------+--------+----------+-----------+-------------+-----+-----------+-----------+-------+------+",
        "| witness | witness | ok     | ledger   | streaming | 0/30A6450@7 |   0 | following | sees dc1  |  0.1s |  903 |",
        "|         |         |        | journal  | streaming | 0-1-48211@7 |   0 | following |           |       |      |",
        "+---------+---------+--------+----------+-----------+-------------+-----+-----------+-----------+-------+------+",
        " Guarantee: quorum: 3 of 3 voters; survives the loss of any one site",
        "",
        " 2026-11-21T01:10:00.000Z as seen by dc1",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 140])
def test_status_fits_the_terminal(
    sock: str, source: Told, capsys: Captured, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    source.now = TAKING_OVER
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["status", "--socket", sock]) == ExitCode.DONE
    table = [line for line in capsys.readouterr().out.splitlines() if line[:1] in "+|"]
    widths = {len(line) for line in table if line}
    assert len(widths) == 1
    assert widths.pop() <= width


def test_status_says_what_is_wrong(sock: str, source: Told, capsys: Captured) -> None:
    broken = STEADY.store.model_copy(update={"ok": False, "detail": "no majority since 12 s"})
    paused = TAKING_OVER.services[0].model_copy(update={"paused": "maintenance, says anna"})
    source.now = TAKING_OVER.model_copy(update={"store": broken, "services": (paused,)})
    assert main(["status", "--socket", sock]) == ExitCode.DONE
    out = capsys.readouterr().out
    for sentence in (
        " Paused: maintenance, says anna (no automatic role change)",
        " Role change: take over: at committing for 0.4s, 2 of 4 steps done",
        " Guarantee: 2 of 3: the NEXT failure cannot be survived automatically",
        " Warning: dc1 is silent to dc2 and to the witness",
        " Alarm: dc2 ledger: a follower is ahead: false hazard",
        " Store: no majority since 12 s; roles stay as they are, traffic goes on",
        "silent 31s",
        "deposed",
        "sealed@8",
    ):
        assert sentence in out


def test_status_names_what_is_switched_off_and_why(
    sock: str, source: Told, capsys: Captured
) -> None:
    why = "moving: dc1 is taking over"
    shed = (
        ShedView(backend="be_reports", off=True, for_s=12.2, why=why, calm_left_s=30.0),
        ShedView(backend="be_exports", off=False, for_s=400.0),
        ShedView(backend="be_none"),
    )
    wallet = STEADY.services[0].model_copy(update={"shed": shed})
    source.now = STEADY.model_copy(update={"services": (wallet,)})
    assert main(["status", "--socket", sock]) == ExitCode.DONE
    out = " ".join(capsys.readouterr().out.split())
    assert f"Shed: be_reports is off here for 12s: {why}; back on after 30s of calm" in out
    assert "be_exports" not in out


def test_status_as_json_is_the_record(sock: str, capsys: Captured) -> None:
    assert main(["status", "--json", "--socket", sock]) == ExitCode.DONE
    assert Status.model_validate_json(capsys.readouterr().out) == STEADY


def test_status_over_http(tmp_path: Path, source: Told, capsys: Captured) -> None:
    with daemon(source, tmp_path / "s.sock") as port:
        url = f"http://127.0.0.1:{port}"
        assert main(["status", "--json", "--url", url]) == ExitCode.DONE
    assert Status.model_validate_json(capsys.readouterr().out) == STEADY


def test_the_socket_is_found_through_the_configuration(
    sock: str, tmp_path: Path, capsys: Captured
) -> None:
    config = tmp_path / "tricast.yml"
    config.write_text(f"{unguarded.LAB}\napi:\n  socket: {sock}\n")
    assert main(["status", "--json", "--config", str(config)]) == ExitCode.DONE
    assert Status.model_validate_json(capsys.readouterr().out) == STEADY


@pytest.mark.parametrize("verb", ["status", "explain", "history"])
def test_a_dead_daemon_is_said_to_be(tmp_path: Path, capsys: Captured, verb: str) -> None:
    path = tmp_path / "none.sock"
    assert main([verb, "--socket", str(path)]) == ExitCode.UNAVAILABLE
    error = capsys.readouterr().err
    assert error.startswith(
        f"tricast: no tricast daemon answers at {path}: there is no such socket"
    )
    assert "systemctl start tricast" in error
    assert len(error.splitlines()) == 1
    with daemon(Told(STEADY), path):
        pass
    assert main([verb, "--url", "http://127.0.0.1:9"]) == ExitCode.UNAVAILABLE
    assert "nobody listens" in capsys.readouterr().err


def test_a_hanging_daemon_is_said_to_be(
    sock: str, source: Told, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cli.endpoint.DEADLINE_S", 0.3)
    source.delay_s = 1.0
    assert main(["status", "--socket", sock]) == ExitCode.UNAVAILABLE
    assert "no answer within 0.3 s" in capsys.readouterr().err


def test_a_future_format_is_refused_and_named(sock: str, source: Told, capsys: Captured) -> None:
    source.now = STEADY.model_copy(update={"format": 2})
    assert main(["status", "--socket", sock]) == ExitCode.FAILED
    assert "answers in format 2, this tricast reads 1" in capsys.readouterr().err


def test_an_unknown_service_is_named_with_the_known_ones(sock: str, capsys: Captured) -> None:
    for arguments in (["status", "--service", "walet"], ["explain", "walet"]):
        assert main([*arguments, "--socket", sock]) == ExitCode.USAGE
        assert "has no service 'walet'; it has wallet, lobby" in capsys.readouterr().err


# --- explain, history -----------------------------------------------------------------------------


def test_explain_names_rule_evidence_and_next_step(
    sock: str, source: Told, capsys: Captured
) -> None:
    source.now = TAKING_OVER
    assert main(["explain", "wallet", "--socket", sock]) == ExitCode.DONE
    out = capsys.readouterr().out
    for line in (
        "wallet: epoch 8, held by dc2",
        "  dc2 (taking over): rule 301, stands by",
        "    not eligible: journal is 4.2 MB behind",
        "    holds_the_epoch = 7",
        "    [x] promoted (ledger), 0.100 s",
        "    [>] committing: no voter follows yet",
        "    next: committing",
    ):
        assert line in out.splitlines()
    assert main(["explain", "--json", "--socket", sock]) == ExitCode.DONE
    assert Explanation.model_validate_json(capsys.readouterr().out).services[0].epoch == 8


def test_history_lists_changes_and_steps(sock: str, capsys: Captured) -> None:
    assert main(["history", "--verbose", "--socket", sock]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "| wallet  |     7 | 2026-11-21 01:02:03.456Z | dc2 -> dc1 | failover |  301 |" in out
    assert "  [x] promoted (journal)                 0.022 s" in out.splitlines()
    assert main(["history", "--json", "--service", "lobby", "--socket", sock]) == ExitCode.DONE
    assert History.model_validate_json(capsys.readouterr().out).changes == ()
    assert main(["history", "--service", "lobby", "--socket", sock]) == ExitCode.DONE
    assert "no role change on record" in capsys.readouterr().out


# --- config, render, the rest ---------------------------------------------------------------------


def test_check_says_good(capsys: Captured) -> None:
    assert main(["config", "check", LAB]) == ExitCode.DONE
    caught = capsys.readouterr()
    assert caught.out.endswith("sites dc1, dc2, witness; services wallet, lobby.\n")
    assert "warning: " in caught.err
    assert "no tls" in caught.err


def test_check_lists_every_problem(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(
        Path(LAB)
        .read_text()
        .replace("profile: fast", "profle: fast")
        .replace("holder: dc2", "holder: x")
    )
    assert main(["config", "check", str(bad)]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "profle = 'fast': is no key here; did you mean \"profile\"?" in error
    assert "services[1].holder = 'x': must be one of the data sites: dc1, dc2" in error
    assert f"tricast: {bad} cannot be used: 2 problems" in error
    assert main(["config", "check", "--json", str(bad)]) == ExitCode.CONFIG
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["complete"], len(found["problems"])) == (False, True, 2)
    assert found["problems"][0]["line"] == 3


def test_check_looks_at_secrets_only_when_asked(capsys: Captured) -> None:
    assert main(["config", "check", LAB, "--secrets", "--site", "dc1"]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert (
        "heartbeat.key_file = '/etc/tricast/secrets/heartbeat': this file cannot be used" in error
    )
    assert main(["config", "check", LAB, "--site", "dc7"]) == ExitCode.CONFIG
    assert "has no site 'dc7', only dc1, dc2, witness" in capsys.readouterr().err


def test_render_writes_three_files_that_agree(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "run"
    arguments = ["render", "--config", LAB, "--site", "dc2", "--out", str(out), "--user", "tricast"]
    assert main(arguments) == ExitCode.DONE
    assert sorted(path.name for path in out.iterdir()) == [
        "exabgp.conf",
        "exabgp.env",
        "speaker.json",
    ]
    conf = (out / "exabgp.conf").read_text()
    assert f"run {sys.executable} -m bgp.speaker --spec {out}/speaker.json;" in conf
    assert json.loads((out / "speaker.json").read_text())["host_name"] == "dc2"
    assert "exabgp_daemon_user=tricast\n" in (out / "exabgp.env").read_text()
    capsys.readouterr()
    assert main([*arguments[:4], "witness", *arguments[5:]]) == ExitCode.CONFIG
    assert "site witness has no bgp section" in capsys.readouterr().err


def test_a_rendered_password_is_for_its_owner_only(tmp_path: Path) -> None:
    secret = tmp_path / "md5"
    secret.write_text("s3cret")
    config = tmp_path / "tricast.yml"
    session = "remote_as: 64501, family: ipv4"
    config.write_text(
        Path(LAB).read_text().replace(session, f"{session}, password_file: {secret}", 1)
    )
    arguments = ["render", "--config", str(config), "--site", "dc1", "--out", str(tmp_path / "o")]
    assert main(arguments) == ExitCode.DONE
    assert 'md5-password "s3cret";' in (tmp_path / "o/exabgp.conf").read_text()
    assert (tmp_path / "o/exabgp.conf").stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in (tmp_path / "o/speaker.json").read_text()
    secret.unlink()
    assert main(arguments) == ExitCode.CONFIG


def test_a_broken_configuration_is_never_half_rendered(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("cluster: x\n")
    out = tmp_path / "out"
    assert (
        main(["render", "--config", str(bad), "--site", "dc1", "--out", str(out)])
        == ExitCode.CONFIG
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["statuss"], "No such command 'statuss'"),
        (["status", "--bogus"], "No such option"),
        (["status", "--url", "ftp://x"], "is no URL; write it like http://10.1.0.1:7800"),
        (["status", "--url", "http://x", "--socket", "/x"], "either --socket or --url"),
        (["run", "--config", "/x"], "Missing option '--site'"),
        (["history", "--limit", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_is_64_and_one_sentence(
    capsys: Captured, arguments: list[str], sentence: str
) -> None:
    assert main(arguments) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("tricast: ")
    assert len(error.splitlines()) == 1


def test_no_verb_prints_the_help(capsys: Captured) -> None:
    assert main([]) == ExitCode.USAGE
    assert "history" in capsys.readouterr().err
    assert main(["--help"]) == ExitCode.DONE
    assert "explain" in capsys.readouterr().out


def test_version(capsys: Captured) -> None:
    assert main(["version"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("tricast 0.")
    assert main(["version", "--json"]) == ExitCode.DONE
    assert "exabgp" in json.loads(capsys.readouterr().out)["libraries"]


@pytest.mark.parametrize(
    ("verb", "module"), [("run", "controller.daemon"), ("witness", "witness.daemon")]
)
def test_daemons_are_started_with_file_and_site(
    monkeypatch: pytest.MonkeyPatch, verb: str, module: str
) -> None:
    calls: list[tuple[Path, str]] = []

    class Daemon:
        @staticmethod
        def main(config: Path, site: str) -> int:
            calls.append((config, site))
            return 1

    monkeypatch.setitem(sys.modules, module, Daemon)
    assert main([verb, "--config", LAB, "--site", "dc1"]) == 1
    assert calls == [(Path(LAB), "dc1")]
