"""GET /api/v1/config, and what a daemon knows of the file that it was started with."""

import os
from pathlib import Path

import aiohttp
import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.daemon.config_file import RunningFile, with_configuration
from controller.web.app import build_app
from controller.web.config import add_config
from controller.web.config_schema import ConfigView, RunningConfig
from controller.web.schema import Status
from controller.web.serve import serve
from tests.web.authority import Authority
from tests.web.mutual import Gate, authority, gate, in_a_thread, office
from tests.web.running import cluster_text, running
from tests.web.sample import STEADY, Told, daemon

__all__ = ["authority", "gate", "office"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tricast.yml"
    path.write_text(cluster_text(tmp_path, 7800))
    return path


@pytest.fixture
def found(file: Path) -> RunningFile:
    return running(file, "dc1")


def disk(found: RunningFile) -> str:
    found.look()
    return found.view().disk


def test_a_daemon_knows_how_its_file_is(found: RunningFile, file: Path) -> None:
    text, mine = file.read_text(), found.view().hash
    assert disk(found) == "same"
    file.write_text(f"# a remark\n{text}")
    assert disk(found) == "same"
    file.write_text(text.replace("grace_s: 20", "grace_s: 21"))
    assert disk(found) == "changed"
    assert found.view().disk_hash not in ("", mine)
    file.write_text(text.replace("profile: fast", "profile: quick"))
    assert disk(found) == "unusable"
    assert f"{file}:3: profile = 'quick': must be one of" in found.view().detail
    file.write_bytes(b"\xff")
    assert disk(found) == "unusable"
    file.unlink()
    assert disk(found) == "gone"
    assert found.view().detail == "No such file or directory"
    assert found.view().disk_hash == ""
    file.write_text(text)
    assert disk(found) == "same"
    assert (found.view().hash, found.view().disk_hash) == (mine, mine)


def test_a_file_that_was_not_touched_is_not_read_again(
    found: RunningFile, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = Path.read_bytes

    def spy(path: Path) -> bytes:
        read.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", spy)
    for _ in range(3):
        found.look()
    assert read == []
    os.utime(file)
    found.look()
    assert read == [file]


def test_a_file_that_changed_while_the_daemon_started_says_nothing_of_defaults(
    file: Path,
) -> None:
    cluster = running(file, "dc1").cluster
    file.write_text(file.read_text().replace("grace_s: 20", "grace_s: 21"))
    late = RunningFile(path=file, cluster=cluster, site=running(file, "dc1").site)
    assert late.view().disk == "changed"
    assert late.told().given == ()


async def test_what_a_daemon_runs_with_over_http(found: RunningFile, tmp_path: Path) -> None:
    app = with_configuration(lambda: build_app(Told(STEADY)), found)()
    async with (
        serve(app, tmp_path / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/config") as answer,
    ):
        assert answer.status == 200
        told = RunningConfig.model_validate_json(await answer.read())
    assert told == found.told().model_copy(update={"now": told.now})
    assert told.configuration["timings"] == found.cluster.timings.model_dump(mode="json")
    assert "timings.controller_grace_s" in told.given
    assert "timings.tick_s" not in told.given


async def test_a_daemon_without_a_file_has_no_such_page(tmp_path: Path) -> None:
    app = with_configuration(lambda: build_app(Told(STEADY)), None)()
    async with (
        serve(app, tmp_path / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/config") as answer,
    ):
        assert answer.status == 404


def test_a_reader_may_look_and_a_stranger_may_not(
    gate: Gate, found: RunningFile, authority: Authority, capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = build_app

    def built(*given: object) -> object:
        app = real(*given)  # type: ignore[arg-type]
        add_config(app, found)
        return app

    monkeypatch.setattr("tests.web.mutual.build_app", built)
    with in_a_thread(gate) as port:
        for name, code in (("rita", ExitCode.DONE), ("mallory", ExitCode.REFUSED)):
            person = authority.person(name)
            proof = ["--cert", person.certificate, "--key", person.key, "--ca", authority.file]
            where = ["--server", f"https://127.0.0.1:{port}", *map(str, proof)]
            assert main(["config", "show", *where]) == code
        # Of the sites only those that are named are asked.
        rita = authority.person("rita")
        where[3:6:2] = str(rita.certificate), str(rita.key)
        assert main(["config", "diff", str(found.path), *where]) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.endswith("\ndc1: runs with it\n")
    assert "# what dc1 runs with: hash " in said.out
    assert "in neither api.tls.operators nor api.tls.readers" in said.err


@pytest.mark.parametrize(
    ("disk", "sentences"),
    [
        ("same", ()),
        ("changed", ("/etc/t.yml has changed, dc1 goes on with what it read at 2026-11-21T",
                     "what differs: tricast config diff")),
        ("unusable", ("/etc/t.yml cannot be used any more (why)", "would not start again")),
        ("gone", ("/etc/t.yml cannot be read any more (why)", "would not start again")),
    ],
)  # fmt: skip
def test_status_says_that_the_file_is_another(
    tmp_path: Path, capsys: Captured, disk: str, sentences: tuple[str, ...]
) -> None:
    view = ConfigView(
        file="/etc/t.yml", read_at="2026-11-21T01:00:00.000Z", hash="1", disk=disk, detail="why"
    )
    told = STEADY.model_copy(update={"configuration": view})
    with daemon(Told(told), tmp_path / "s"):
        assert main(["status", "--socket", str(tmp_path / "s")]) == ExitCode.DONE
        out = " ".join(capsys.readouterr().out.split())
        assert main(["status", "--json", "--socket", str(tmp_path / "s")]) == ExitCode.DONE
    assert Status.model_validate_json(capsys.readouterr().out).configuration == view
    assert ("Configuration:" in out) is bool(sentences)
    for sentence in sentences:
        assert sentence in out
