"""`tricast audit` of a log in several files: read across them, archived, verified on its own."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.audit.chain import entries_of
from controller.audit.entry import Event, Note
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.config import load
from controller.daemon.audit import AuditAnswers
from controller.runtime import audit_reader
from controller.runtime.audit_file import AuditFile
from controller.web.audit_schema import AuditAnchors, AuditLog, AuditVerdict
from tests.audit.rotating import entries, judged
from tests.audit.test_auditor import Node
from tests.contract.fakes.memory_store import MemoryCluster
from tests.web.sample import STEADY, Told, daemon

Captured = pytest.CaptureFixture[str]
CLUSTER = load(Path(__file__).parents[2] / "configs" / "tricast.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone(AuditAnswers):
    """As a daemon answers that has nobody else to name."""

    async def anchors(self) -> AuditAnchors:
        told = await AuditAnswers.anchors(self)
        return told.model_copy(update={"others": {}})


@pytest.fixture
def log(tmp_path: Path) -> AuditFile:
    return Node(tmp_path, MemoryCluster()).auditor().file


@pytest.fixture
def sock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setattr(audit_reader, "PART_BYTES", 1000)
    auditor = Node(tmp_path, MemoryCluster()).auditor()
    auditor.file.rotate_bytes = 2000
    auditor.file.open(())
    for number in range(20):
        auditor.file.append([Note(
            at=f"2026-11-21T10:00:{number:02}.000Z", event=Event.ASKED, who="alice",
            service="wallet" if number % 5 == 0 else "lobby", reason=f"note {number}",
        )])  # fmt: skip
    auditor.opened = True
    with daemon(Told(STEADY), tmp_path / "s", audit=Alone(auditor=auditor, cluster=CLUSTER)):
        yield ["--socket", str(tmp_path / "s")]
    for thread in (auditor._thread, auditor._reading):
        thread.shutdown(wait=True)


def verdict(capsys: Captured, *words: str) -> AuditVerdict:
    capsys.readouterr()
    code = main(["audit", "verify", "--json", *words])
    told = AuditVerdict.model_validate_json(capsys.readouterr().out)
    assert code == (ExitCode.DONE if told.whole else ExitCode.FAILED)
    return told


def test_all_files_are_read_in_order(sock: list[str], log: AuditFile, capsys: Captured) -> None:
    assert len(log.closed()) >= 3
    told = verdict(capsys, *sock)
    assert (told.whole, told.entries, told.begins) == (True, len(entries(log.directory)), 1)
    assert main(["audit", "show", "--json", "--limit", "1000", *sock]) == ExitCode.DONE
    shown = AuditLog.model_validate_json(capsys.readouterr().out).entries
    assert [entry.seq for entry in shown] == list(range(1, told.entries + 1))
    wanted = ["--service", "wallet", "--since", "2026-11-21T10:00:05", "--limit", "2"]
    assert main(["audit", "show", "--json", *wanted, *sock]) == ExitCode.DONE
    shown = AuditLog.model_validate_json(capsys.readouterr().out).entries
    assert [entry.reason for entry in shown] == ["note 10", "note 15"]
    wanted = ["--service", "wallet", "--since", "2026-11-21T10:00:05"]
    assert main(["audit", "show", "--json", *wanted, *sock]) == ExitCode.DONE
    shown = AuditLog.model_validate_json(capsys.readouterr().out).entries
    assert [entry.reason for entry in shown] == ["note 5", "note 10", "note 15"]


def test_a_missing_file_and_an_edited_one_are_named(
    sock: list[str], log: AuditFile, capsys: Captured
) -> None:
    one, two, *_ = log.closed()
    path = log.directory / one.name
    path.write_bytes(path.read_bytes().replace(b"note 1", b"note 7"))
    first = verdict(capsys, *sock).first
    assert first is not None
    assert (first.seq, first.why) == (2, "changed")
    (log.directory / two.name).unlink()
    assert [b.why for b in verdict(capsys, *sock).breaks] == ["changed", "deleted"]


def test_an_archive_is_on_record_and_is_verified_on_its_own(
    sock: list[str], log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    out, closed = tmp_path / "worm" / "dc1", log.closed()
    assert main(["audit", "archive", "--out", str(out), *sock]) == ExitCode.DONE
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(closed)
    assert said[0].startswith(f"{closed[0].name}: {closed[0].last} entries are copied to {out}")
    assert not set(log.closed()) & set(closed)
    assert {path.name for path in out.glob("*.jsonl")} == {file.name for file in closed}
    told = verdict(capsys, *sock)
    assert (told.whole, told.begins) == (True, closed[-1].last + 1)
    span = told.archived[-1]
    record = next(e for e in entries(log.directory) if e.event == "archived")
    assert (span.first, span.last, span.who) == (1, closed[-1].last, record.who)
    assert record.facts["file"] == closed[0].name
    assert record.facts["to"] == str(out)
    assert main(["audit", "verify", *sock]) == ExitCode.DONE
    said_now = capsys.readouterr().out
    about = f"  entries 1-{span.last} are archived, the last of them at {span.at} by {span.who}:\n"
    assert f"{about}    {span.hash}\n" in said_now
    assert len(told.archived) == 1
    assert f"  it begins at entry {span.last + 1}\n" in said_now
    there = verdict(capsys, "--dir", str(out))
    assert (there.whole, there.seq, there.hash) == (True, span.last, span.hash)
    (out / closed[-1].name).unlink()
    first = verdict(capsys, "--dir", str(out)).first
    assert first is not None
    assert (first.seq, first.last, first.why) == (closed[-1].first, closed[-1].last, "tail cut")


def test_a_second_archive_in_another_folder_says_where_it_begins(
    sock: list[str], log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    first_out, second_out = tmp_path / "one", tmp_path / "two"
    assert main(["audit", "archive", "--json", "--out", str(first_out), *sock]) == ExitCode.DONE
    done = json.loads(capsys.readouterr().out)["files"]
    second = [file.name for file in log.closed()]
    assert second  # what was put on record has closed others
    assert main(["audit", "archive", "--out", str(second_out), *sock]) == ExitCode.DONE
    assert {path.name for path in second_out.glob("*.jsonl")} == set(second)
    told = verdict(capsys, "--dir", str(second_out))
    assert told.whole
    assert told.begins == int(done[-1].split("-")[1].removesuffix(".jsonl")) + 1
    assert verdict(capsys, *sock).whole
    for path in second_out.iterdir():
        shutil.copy(path, first_out)
    assert verdict(capsys, "--dir", str(first_out)).begins == 1


def test_what_is_copied_and_not_removed_goes_on_and_another_file_is_not_replaced(
    sock: list[str], log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    one, two, *_ = log.closed()
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(log.directory / one.name, out / one.name)
    (out / two.name).write_bytes(b"something else")
    assert main(["audit", "archive", "--out", str(out), *sock]) == ExitCode.REFUSED
    assert f"{out / two.name} is there and is another file" in capsys.readouterr().err
    assert log.closed()[0] == two
    assert (out / two.name).read_bytes() == b"something else"
    assert sorted(path.suffix for path in out.iterdir()) == [".head", ".jsonl", ".jsonl"]
    assert verdict(capsys, *sock).whole


def test_a_broken_file_is_archived_only_when_it_is_said(
    sock: list[str], log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    one = log.closed()[0]
    path = log.directory / one.name
    path.write_bytes(path.read_bytes().replace(b"note 1", b"note 7"))
    wanted = ["audit", "archive", "--out", str(tmp_path / "out"), *sock]
    assert main(wanted) == ExitCode.FAILED
    assert f"{one.name} is broken, entry 2: changed" in capsys.readouterr().err
    assert log.closed()[0] == one
    assert main([*wanted, "--with-damage"]) == ExitCode.DONE
    record = next(e for e in entries(log.directory) if e.event == "archived")
    assert record.facts["damage"].startswith("entry 2: changed")
    assert judged(log.directory).whole


def test_nothing_closed_is_nothing_to_archive(
    sock: list[str], tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    for _ in range(9):  # each record may close another file
        capsys.readouterr()
        assert main(["audit", "archive", "--out", str(out), *sock]) == ExitCode.DONE
        if "nothing to archive" in capsys.readouterr().out:
            return
    pytest.fail("there was always something to archive")


def test_a_part_of_the_log_is_exported_with_what_it_comes_after(
    sock: list[str], log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    everything, part = tmp_path / "all", tmp_path / "part"
    assert main(["audit", "export", str(everything), *sock]) == ExitCode.DONE
    assert verdict(capsys, "--file", str(everything)).entries == len(entries(log.directory))
    assert main(["audit", "export", "--from", "8", "--to", "15", str(part), *sock]) == ExitCode.DONE
    assert f"{part}: 8 entries of dc1, up to " in capsys.readouterr().out
    told = verdict(capsys, "--file", str(part))
    assert (told.whole, told.entries, told.begins, told.seq) == (True, 8, 8, 15)
    lines = part.read_bytes().splitlines(keepends=True)
    assert [e.seq for e in entries_of(b"".join(lines[1:]))] == list(range(8, 16))
    for wrong in (lines[:-1], [lines[0], *lines[2:]], [*lines[:4], *lines[5:]]):
        part.write_bytes(b"".join(wrong))
        assert not verdict(capsys, "--file", str(part)).whole
    far = tmp_path / "far"
    assert main(["audit", "export", "--from", "800", str(far), *sock]) == ExitCode.REFUSED
    assert (
        "no entry from 800 to the end is here: the log of dc1 has 1 to" in capsys.readouterr().err
    )
    assert not far.exists()
    assert main(["audit", "export", "--from", "8", "--to", "3", str(far), *sock]) == ExitCode.USAGE


def test_an_export_of_what_follows_an_archive_is_whole(
    sock: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert main(["audit", "archive", "--out", str(tmp_path / "out"), *sock]) == ExitCode.DONE
    assert main(["audit", "export", str(tmp_path / "x"), *sock]) == ExitCode.DONE
    assert "those before are archived" in capsys.readouterr().out
    told = verdict(capsys, "--file", str(tmp_path / "x"))
    assert told.whole
    assert told.begins > 1


def test_a_folder_that_cannot_be_verified_is_said_to_be_so(
    log: AuditFile, tmp_path: Path, capsys: Captured
) -> None:
    empty = tmp_path / "empty"
    for words, code, said in (
        (["--dir", str(empty)], ExitCode.FAILED, "No such file"),
        (["--dir", str(tmp_path)], ExitCode.FAILED, "holds no audit log (*.jsonl)"),
        (["--dir", str(tmp_path), "--file", __file__], ExitCode.USAGE, "not both"),
        (["--site", "dc1"], ExitCode.USAGE, "--site goes with --dir"),
    ):
        assert main(["audit", "verify", *words]) == code
        assert said in capsys.readouterr().err
    for site in ("dc1", "dc2"):
        one = AuditFile(directory=tmp_path, site=site, stamp=lambda: "now")
        one.open(())
        one.append([Note(at="now", event=Event.ASKED)])
    assert main(["audit", "verify", "--dir", str(tmp_path)]) == ExitCode.USAGE
    assert "holds the logs of dc1, dc2: name one with --site" in capsys.readouterr().err
    assert verdict(capsys, "--dir", str(tmp_path), "--site", "dc2").site == "dc2"


def test_one_file_of_a_log_is_checked_as_far_as_it_goes(
    sock: list[str], log: AuditFile, capsys: Captured
) -> None:
    second = log.closed()[1]
    told = verdict(capsys, "--file", str(log.directory / second.name))
    assert (told.whole, told.begins, told.seq) == (True, second.first, second.last)
