"""`tricast config diff`: the file against what the daemon of each site runs with."""

from pathlib import Path

import pytest

from controller.cli.config_compare import needs
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.web.config_schema import ConfigDiff
from tests.web.running import HOSTS, answering, cluster_text, free_port, running

Captured = pytest.CaptureFixture[str]
SITES = tuple(HOSTS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tricast.yml"
    path.write_text(cluster_text(tmp_path, free_port()))
    return path


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def told(capsys: Captured) -> ConfigDiff:
    return ConfigDiff.model_validate_json(capsys.readouterr().out)


def test_every_site_runs_with_the_file(file: Path, capsys: Captured) -> None:
    with answering(*(running(file, site) for site in SITES)):
        assert main(["config", "diff", str(file)]) == ExitCode.DONE
        out = capsys.readouterr().out
        assert main(["config", "diff", "--config", str(file), "--json"]) == ExitCode.DONE
    assert out.splitlines()[1:] == [f"{site}: runs with it" for site in SITES]
    found = told(capsys)
    assert found.same
    assert all(site.answered and not site.differences for site in found.sites)


def test_a_comment_is_no_difference(file: Path, capsys: Captured) -> None:
    with answering(*(running(file, site) for site in SITES)):
        file.write_text(f"# somebody was here\n{file.read_text()}")
        assert main(["config", "diff", str(file)]) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[1:] == [f"{site}: runs with it" for site in SITES]


def test_each_key_that_differs_has_a_line_for_each_site(file: Path, capsys: Captured) -> None:
    daemons = [running(file, "dc1")]
    change(file, "controller_grace_s: 20", "controller_grace_s: 25")
    daemons += [running(file, "dc2"), running(file, "witness")]
    change(file, "controller_grace_s: 25", "controller_grace_s: 30\n  tick_s: 0.2")
    for each in daemons:
        each.look()
    with answering(*daemons):
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
        lines = capsys.readouterr().out.splitlines()
        assert main(["config", "diff", str(file), "--json"]) == ExitCode.FAILED
    assert lines[1].startswith("dc1: runs with ")
    assert lines[1].endswith("2 keys differ; its own file says this already: restart it")
    assert lines[2:4] == [
        "  timings.tick_s: 0.25 (default) -> 0.2; restart",
        "  timings.controller_grace_s: 20 -> 30; restart",
    ]
    assert "  timings.controller_grace_s: 25 -> 30; restart" in lines
    assert lines[-1] == "  as dc2"
    found = told(capsys)
    assert not found.same
    rows = {site.site: {row.key: row for row in site.differences} for site in found.sites}
    assert rows["dc1"]["timings.controller_grace_s"].running == 20.0
    assert rows["dc2"]["timings.controller_grace_s"].running == 25.0
    assert rows["dc2"]["timings.tick_s"].running_default
    assert not rows["dc2"]["timings.tick_s"].file_default


def test_a_site_that_does_not_answer_is_named(file: Path, capsys: Captured) -> None:
    with answering(running(file, "dc1"), running(file, "witness")):
        assert main(["config", "diff", str(file)]) == ExitCode.UNKNOWN
        out = capsys.readouterr().out
        change(file, "weight: 90", "weight: 80")
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
    (silent,) = [line for line in out.splitlines() if line.startswith("dc2")]
    assert silent.startswith("dc2: not known, no tricast daemon answers at http://127.0.77.2:")
    assert "sites.dc2.weight: 90 -> 80; restart" in capsys.readouterr().out


def test_where_nobody_answers_every_site_is_named(file: Path, capsys: Captured) -> None:
    assert main(["config", "diff", str(file)]) == ExitCode.UNAVAILABLE
    said = capsys.readouterr()
    assert said.out == ""
    for site in SITES:
        assert f"{site}: no tricast daemon answers at http://{HOSTS[site]}:" in said.err
    assert said.err.endswith("tricast config show FILE needs none\n")


def test_a_site_that_the_file_moves_or_drops_is_found_through_the_others(
    file: Path, capsys: Captured
) -> None:
    with answering(*(running(file, site) for site in SITES)):
        change(file, f"address: {HOSTS['dc2']}\n", "address: 127.0.77.9\n")
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if "not known" in line]
    assert "  sites.dc2.address: 127.0.77.2 -> 127.0.77.9; restart" in lines


def test_an_item_that_comes_or_goes_is_one_line(file: Path, capsys: Captured) -> None:
    text = file.read_text()
    start = text.index("  - name: lobby")
    rest = text[start:].splitlines(keepends=True)
    size = next(
        (n for n, line in enumerate(rest) if n and line.strip() and not line.startswith("    ")),
        len(rest),
    )
    daemons = [running(file, site) for site in SITES]
    file.write_text(text[:start] + "".join(rest[size:]))
    with answering(*daemons):
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("  services[lobby]: there, with ")
    assert lines[2].endswith(" keys -> not there; restart, exabgp too")


def test_what_only_a_hidden_part_differs_in_is_a_difference(file: Path, capsys: Captured) -> None:
    change(file, "/whoami", "/whoami?key=ONE")
    daemons = [running(file, site) for site in SITES]
    change(file, "key=ONE", "key=TWO")
    with answering(*daemons):
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
    out = capsys.readouterr().out
    assert "(a part that is hidden) of a value differs; restart" in out
    assert "key=" not in out


def test_only_the_daemon_that_is_named_is_asked(file: Path, capsys: Captured) -> None:
    first = running(file, "dc1")
    with answering(first):
        url = f"http://{HOSTS['dc1']}:{first.cluster.api.port}"
        assert main(["config", "diff", str(file), "--url", url]) == ExitCode.DONE
        assert main(["config", "diff", str(file), "--socket", first.cluster.api.socket]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "dc1: runs with it"


def test_a_daemon_says_that_its_own_file_is_broken(file: Path, capsys: Captured) -> None:
    other = file.with_name("other.yml")
    other.write_text(file.read_text())
    daemons = [running(file, site) for site in SITES]
    file.write_text("cluster: [")
    daemons[0].look()
    with answering(*daemons):
        assert main(["config", "diff", str(other)]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "dc1: runs with it; its own file cannot be used any more", "dc2: runs with it",
    ]  # fmt: skip


def test_a_file_that_cannot_be_used_is_not_compared(file: Path, capsys: Captured) -> None:
    change(file, "profile: fast", "profile: quick")
    assert main(["config", "diff", str(file)]) == ExitCode.CONFIG
    assert "must be one of fast, metro, wan" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_line_is_broken_before_the_arrow_where_it_is_too_wide(
    file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    daemons = [running(file, site) for site in SITES]
    change(file, "credential_file: /etc/tricast/secrets/voter_dc1",
           "credential_file: /etc/tricast/secrets/voter_dc1.new")  # fmt: skip
    with answering(*daemons):
        assert main(["config", "diff", str(file)]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    at = next(n for n, line in enumerate(lines) if "voters.dc1.credential_file" in line)
    assert lines[at].endswith("voters.dc1.credential_file: restart")
    below = [line.strip() for line in lines[at + 1 : at + 3]]
    before = "/etc/tricast/secrets/voter_dc1"
    both = [before, f"-> {before}.new"]
    assert below == both if columns == "60" else below[0] == " ".join(both)
    assert all(len(line) <= int(columns) for line in lines[at + 1 : at + 3])


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("timings.tick_s", "daemon"),
        ("timings.permit_s", "daemon, exabgp"),
        ("bgp.stances.backup.prepends", "daemon, exabgp"),
        ("sites.dc1.bgp.neighbors[203.0.113.1].hold_s", "daemon, exabgp"),
        ("sites.dc1.weight", "daemon"),
        ("services[wallet].prefixes", "daemon, exabgp"),
        ("services[wallet].probes[ingress].rise", "daemon"),
        ("services[wallet].holder", "nothing"),
    ],
)
def test_what_has_to_be_restarted_before_a_key_counts(key: str, wanted: str) -> None:
    assert needs(key) == wanted
