"""`tricast config show`: of a file, and of what a daemon runs with."""

import re
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.config import inspect_text
from controller.web.config_schema import ConfigShown
from controller.web.config_shown import fingerprint
from tests.web.running import answering, cluster_text, free_port, running

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "configs/tricast.yml"
LAB = ROOT / "lab/containerlab/nodes/tricast.yml"

Captured = pytest.CaptureFixture[str]


def shown(capsys: Captured, *arguments: object) -> str:
    assert main(["config", "show", *map(str, arguments)]) == ExitCode.DONE
    return capsys.readouterr().out


def meant(text: str) -> str:
    found = inspect_text(text, "shown.yml")
    assert found.cluster is not None, found.problems
    assert not found.problems
    return fingerprint(found.cluster)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tricast.yml"
    path.write_text(cluster_text(tmp_path, free_port()))
    return path


@pytest.mark.parametrize("origin", [REFERENCE, LAB])
@pytest.mark.parametrize("defaults", ["--defaults", "--no-defaults"])
@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_what_is_shown_is_a_cluster_file_that_says_the_same(
    origin: Path,
    defaults: str,
    columns: str,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "tricast.yml"  # the path of the address of a webhook is hidden
    path.write_text(re.sub(r"(?m)^(      url: https://[^/]+/).*$", r"\1", origin.read_text()))
    monkeypatch.setenv("COLUMNS", columns)
    assert meant(shown(capsys, path, defaults)) == meant(path.read_text())


def test_a_default_is_marked_and_what_stands_in_the_file_is_not(capsys: Captured) -> None:
    lines = shown(capsys, LAB).splitlines()
    assert "  controller_grace_s: 20" in lines
    (tick,) = [line for line in lines if line.startswith("  tick_s: ")]
    assert tick == "  tick_s: 0.25                            # default of profile fast"
    assert any(re.fullmatch(r" +user: null +# default: voter_dc1", line) for line in lines)
    every = [line for line in lines if " interval_s: " in line and "default" in line]
    assert every
    assert all("# default: timings.probe_s, 0.2" in line for line in every)
    bare = shown(capsys, LAB, "--no-defaults")
    assert "tick_s" not in bare.split("# What follows")[0]
    assert "  controller_grace_s: 20" in bare.splitlines()
    assert "# default" not in bare


def test_a_stance_that_is_a_bare_number_stands_in_the_file(capsys: Captured) -> None:
    assert "\n    drained: 5\n" in REFERENCE.read_text()
    told = ConfigShown.model_validate_json(shown(capsys, REFERENCE, "--json"))
    assert "bgp.stances.drained.prepends" not in told.defaults
    assert "bgp.stances.drained.med" in told.defaults


def test_the_numbers_that_follow_are_told(capsys: Captured) -> None:
    told = ConfigShown.model_validate_json(shown(capsys, REFERENCE, "--json"))
    follows = [(fact.about, fact.sentence) for fact in told.follows]
    assert (
        "services[wallet].databases[ledger]",
        "3 voters; a commit waits for 1 other voter, a takeover seals 2",
    ) in follows
    assert any(
        about == "timings.suspect_after_s" and "given up after 1 s, 5 heartbeats" in sentence
        for about, sentence in follows
    )
    assert any(
        about == "timings.permit_s" and "has to be above 0.8 = 2 * tick_s + observe" in sentence
        for about, sentence in follows
    )
    assert any(
        about == "services[wallet].probes[ingress]"
        and sentence.startswith("down after 3 * 0.4 = 1.2 s")
        for about, sentence in follows
    )


def test_no_secret_is_shown_that_somebody_put_into_the_file(
    tmp_path: Path, capsys: Captured
) -> None:
    text = REFERENCE.read_text()
    for before, after in (
        ("[/usr/local/bin/tell-support, --queue, first]",
         "[/bin/tell, --token, S3CRET1, --password=S3CRET2, 'smtp://me:S3CRET3@mx', --queue, q]"),
        ("http://198.51.100.10/whoami", "http://198.51.100.10/whoami?key=S3CRET4"),
        ("    - name: support\n",
         "    - {name: chat, url: 'https://hooks.example/s/S3CRET5'}\n    - name: support\n"),
    ):  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "tricast.yml"
    path.write_text(text)
    for option in ("--json", "--defaults", "--no-defaults"):
        out = shown(capsys, path, option)
        assert "S3CRET" not in out
        for word in ("--token", "--password=(hidden)", "//(hidden)@mx", "--queue", "?(hidden)"):
            assert word in out
        assert "https://hooks.example/(hidden)" in out
    told = ConfigShown.model_validate_json(shown(capsys, path, "--json"))
    assert set(told.hidden) == {
        "notifications.targets[chat].url", "notifications.targets[support].command",
        "notifications.targets[operators].url", "services[wallet].canary_url",
    }  # fmt: skip
    assert "/etc/tricast/secrets/database" in shown(capsys, path)


def test_one_service_alone(capsys: Captured) -> None:
    out = shown(capsys, REFERENCE, "--service", "lobby")
    assert "be_lobby" in out
    for word in ("wallet", "timings:", "heartbeat"):
        assert word not in out


def test_what_is_about_other_sites_is_left_out(capsys: Captured) -> None:
    out = shown(capsys, REFERENCE, "--site", "dc2", "--no-defaults")
    assert "10.2.0.20:5432" in out
    for word in ("dc1:", "dc3:", "10.1.0.20", "203.0.113.2\n", "10.1.0.11:8080"):
        assert word not in out
    assert "  tick_s: 0.2" in out


@pytest.mark.parametrize(
    ("option", "name", "sentence"),
    [
        ("--site", "dcc2", "there is no site 'dcc2'; did you mean \"dc2\"?: check --site"),
        ("--service", "x", "there is no service 'x', only wallet, lobby: check --service"),
    ],
)
def test_a_name_that_is_not_there(option: str, name: str, sentence: str, capsys: Captured) -> None:
    assert main(["config", "show", str(REFERENCE), option, name]) == ExitCode.USAGE
    assert capsys.readouterr().err == f"tricast: {sentence}\n"


def test_a_file_that_cannot_be_used_has_every_problem_named(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "tricast.yml"
    path.write_text(LAB.read_text().replace("profile: fast", "profile: quick"))
    assert main(["config", "show", str(path)]) == ExitCode.CONFIG
    assert "profile = 'quick': must be one of fast, metro, wan" in capsys.readouterr().err
    assert main(["config", "show", str(tmp_path / "none.yml")]) == ExitCode.CONFIG
    assert "none.yml: (whole file): cannot be read: No such file" in capsys.readouterr().err


def test_a_file_and_a_daemon_at_once_are_refused(capsys: Captured) -> None:
    asked = ["config", "show", str(LAB), "--url", "http://127.0.0.1:9"]
    assert main(asked) == ExitCode.USAGE
    assert "is read here, and --url asks a daemon: give one of them" in capsys.readouterr().err


def test_what_the_daemon_runs_with(file: Path, capsys: Captured) -> None:
    told = running(file, "dc1")
    short = told.view().hash[:12]
    with answering(told):
        out = shown(capsys, "--config", file)
        told.look()
        file.write_text(
            file.read_text().replace("controller_grace_s: 20", "controller_grace_s: 25")
        )
        told.look()
        after = shown(capsys, "--config", file)
        as_json = ConfigShown.model_validate_json(shown(capsys, "--config", file, "--json"))
    head = " ".join(line.lstrip("# ") for line in out.splitlines()[:4])
    assert head.startswith(f"what dc1 runs with: hash {short}, tricast ")
    assert f"from {file} as it was at {told.view().read_at} " in f"{head} "
    assert "says something else" not in out
    assert "  controller_grace_s: 20" in after
    assert "that file says something else now" in " ".join(after.split())
    assert (as_json.site, as_json.disk, as_json.hash) == ("dc1", "changed", told.view().hash)
    assert "timings.tick_s" in as_json.defaults
    assert "timings.controller_grace_s" not in as_json.defaults


def test_no_daemon_no_answer(tmp_path: Path, capsys: Captured) -> None:
    assert main(["config", "show", "--socket", str(tmp_path / "s")]) == ExitCode.UNAVAILABLE
    assert "no tricast daemon answers at" in capsys.readouterr().err
