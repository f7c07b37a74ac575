"""`tricast audit` against a daemon's web room: what is printed, what is written, the exit code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.audit.anchor import Anchor
from controller.audit.chain import entries_of
from controller.audit.entry import Entry, head_of, line_of
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.daemon.audit import entry_view
from controller.web.audit_schema import (
    AuditAnchors,
    AuditAnchorView,
    AuditArchive,
    AuditArchived,
    AuditFiles,
    AuditFileView,
    AuditLog,
    AuditVerdict,
    AuditView,
)
from controller.web.source import Asker, NotAsked
from tests.audit.test_chain import chain, log_of
from tests.web.sample import STEADY, Told, daemon

Captured = pytest.CaptureFixture[str]


@dataclass(slots=True)
class Shelf:
    """An AuditSource that tells what it was told."""

    log: bytes
    anchors_known: tuple[Anchor, ...] = ()
    missing: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    view: AuditView = AuditView(ok=True)
    broken: bool = False

    async def entries(self, service: str | None, since: str, limit: int) -> AuditLog:
        found = [e for e in entries_of(self.log) if service in (None, e.service) and e.at >= since]
        return AuditLog(
            cluster="tricast", site="dc1", audit=self.view,
            entries=tuple(entry_view(entry) for entry in found[-limit:]),
        )  # fmt: skip

    async def files(self) -> AuditFiles:
        if self.broken:
            raise OSError(5, "Input/output error", "/var/lib/tricast/audit/dc1.jsonl")
        only = AuditFileView(name="dc1.jsonl", id=7, size=len(self.log), first=1)
        return AuditFiles(cluster="tricast", site="dc1", files=(only,))

    async def raw(self, file: int, offset: int) -> bytes:
        assert file == 7
        return self.log[offset : offset + 1000]  # as of a log that takes several answers

    async def archive(self, copied: AuditArchive, who: Asker) -> AuditArchived:
        raise NotAsked(409, f"{copied.name} is not the oldest closed file here")

    async def anchors(self) -> AuditAnchors:
        return AuditAnchors(
            cluster="tricast", site="dc1", now="now", missing=self.missing, others=self.others,
            anchors=tuple(
                AuditAnchorView(site=a.site, seq=a.seq, hash=a.hash, at=a.at, place=a.place)
                for a in self.anchors_known
            ),
        )  # fmt: skip


ENTRIES = chain(5)


def known(entry: Entry, place: str = "etcd") -> Anchor:
    head = head_of(entry)
    return Anchor(site="dc1", seq=head.seq, hash=head.hash, place=place)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(log=log_of(ENTRIES), anchors_known=(known(ENTRIES[-1]),))


@pytest.fixture
def sock(tmp_path: Path, shelf: Shelf) -> Iterator[list[str]]:
    with daemon(Told(STEADY), tmp_path / "s.sock", audit=shelf):
        yield ["--socket", str(tmp_path / "s.sock")]


def test_the_newest_entries_are_listed_the_oldest_first(
    sock: list[str], shelf: Shelf, capsys: Captured
) -> None:
    shelf.view = AuditView(ok=False, waiting=3, alarms=("the audit log cannot be written: full",))
    assert main(["audit", "show", "--limit", "2", *sock]) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "| No | When" in said
    assert [line.split("|")[1].strip() for line in said.splitlines()[3:5]] == ["4", "5"]
    assert "alice" in said
    assert "3 entries wait to be written" in said
    assert "cannot be written: full" in said
    assert main(["audit", "show", "--limit", "1", "--verbose", *sock]) == ExitCode.DONE
    said = capsys.readouterr().out
    assert f"  hash = {ENTRIES[4].hash}" in said
    assert "  target = dc2" in said


def test_entries_are_chosen_by_time_and_service(sock: list[str], capsys: Captured) -> None:
    wanted = ["audit", "show", "--json", "--since", "2026-11-21 10:00:04Z", *sock]
    assert main(wanted) == ExitCode.DONE
    found = AuditLog.model_validate_json(capsys.readouterr().out)
    assert [entry.seq for entry in found.entries] == [4, 5]
    assert main(["audit", "show", "--service", "lobby", *sock]) == ExitCode.DONE
    assert capsys.readouterr().out == "dc1: no entry\n"
    assert main(["audit", "show", "--since", "yesterday", *sock]) == ExitCode.USAGE
    assert "write it like 2026-11-21T10:00" in capsys.readouterr().err


def test_a_whole_log_is_said_to_be_whole_and_compared_with_what(
    sock: list[str], capsys: Captured
) -> None:
    assert main(["audit", "verify", *sock]) == ExitCode.DONE
    said = capsys.readouterr().out
    assert said.startswith(f"dc1: 5 entries are whole, up to 5 {ENTRIES[-1].hash}; ")
    assert "compared with etcd" in said


@pytest.mark.parametrize(
    ("log", "first"),
    [
        (log_of(ENTRIES[:3]), "entries 4-5: tail cut: etcd knows entry 5"),
        (log_of([*ENTRIES[:1], *ENTRIES[2:]]), "entry 2: deleted: after entry 1 comes entry 3"),
        (
            log_of([*ENTRIES[:1], ENTRIES[2], ENTRIES[1], *ENTRIES[3:]]),
            "entry 2: reordered: in its place is entry 3",
        ),
        (log_of(ENTRIES).replace(b'"10"', b'"xx"'), ""),
        (log_of(ENTRIES).replace(b'"plan":"3"', b'"plan":"7"'), "entry 3: changed: its hash"),
    ],
)
def test_the_first_bad_entry_is_named(
    sock: list[str], shelf: Shelf, capsys: Captured, log: bytes, first: str
) -> None:
    shelf.log = log
    code = main(["audit", "verify", *sock])
    said = capsys.readouterr().out
    assert code == (ExitCode.FAILED if first else ExitCode.DONE)
    assert (f"dc1: the first bad entry is {first}" in said) is bool(first)
    main(["audit", "verify", "--json", *sock])
    told = AuditVerdict.model_validate_json(capsys.readouterr().out)
    assert told.whole is not bool(first)


def test_what_another_site_has_kept_shows_a_cut_that_nobody_else_remembers(
    sock: list[str], shelf: Shelf, tmp_path: Path, capsys: Captured
) -> None:
    witness = Shelf(log=b"", anchors_known=(known(ENTRIES[3], "witness"),))
    shelf.log, shelf.anchors_known = log_of(ENTRIES[:2]), ()
    with daemon(Told(STEADY), tmp_path / "w.sock", audit=witness) as port:
        shelf.others = {"witness": f"http://127.0.0.1:{port}", "dc2": "http://127.0.0.1:1"}
        assert main(["audit", "verify", *sock]) == ExitCode.FAILED
    said = capsys.readouterr().out
    assert "entries 3-4: tail cut: witness knows entry 4" in said
    assert "not compared with dc2: " in said


def test_old_damage_can_be_left_aside(sock: list[str], shelf: Shelf) -> None:
    shelf.log = log_of([*ENTRIES[:1], *ENTRIES[2:]])
    assert main(["audit", "verify", "--from", "3", *sock]) == ExitCode.DONE
    assert main(["audit", "verify", "--from", "2", *sock]) == ExitCode.FAILED


def test_an_export_is_checked_without_any_daemon(
    sock: list[str], tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "dc1.export"
    assert main(["audit", "export", str(file), *sock]) == ExitCode.DONE
    assert "5 entries of dc1" in capsys.readouterr().out
    assert main(["audit", "verify", "--file", str(file)]) == ExitCode.DONE
    assert "compared with etcd" in capsys.readouterr().out
    assert main(["audit", "export", str(file), *sock]) == ExitCode.REFUSED
    assert "is there already" in capsys.readouterr().err
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))
    assert main(["audit", "verify", "--file", str(file), "--json"]) == ExitCode.FAILED
    first = json.loads(capsys.readouterr().out)["first"]
    assert (first["seq"], first["why"]) == (5, "tail cut")


def test_a_broken_log_is_exported_as_it_is(
    sock: list[str], shelf: Shelf, tmp_path: Path, capsys: Captured
) -> None:
    shelf.log = log_of(ENTRIES[:2]) + b"garbage\xff\n" + log_of(ENTRIES[3:])
    file = tmp_path / "dc1.export"
    assert main(["audit", "export", str(file), *sock]) == ExitCode.FAILED
    assert "exported, but the log is broken: entry 3: changed" in capsys.readouterr().err
    assert file.read_bytes().endswith(shelf.log)
    assert main(["audit", "verify", "--file", str(file)]) == ExitCode.FAILED


def test_the_log_of_a_daemon_that_does_not_run_is_checked(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "dc1.jsonl"
    file.write_bytes(log_of(ENTRIES) + line_of(ENTRIES[0])[:20])
    assert main(["audit", "verify", "--file", str(file)]) == ExitCode.FAILED
    assert "entry 6: torn: 20 bytes without an end" in capsys.readouterr().out
    file.write_bytes(b"something else\n")
    assert main(["audit", "verify", "--file", str(file)]) == ExitCode.FAILED
    assert "is neither an export nor an audit log" in capsys.readouterr().err


def test_a_log_that_cannot_be_read_is_said_to_be_so(
    sock: list[str], shelf: Shelf, capsys: Captured
) -> None:
    shelf.broken = True
    assert main(["audit", "verify", *sock]) == ExitCode.UNAVAILABLE
    assert "/var/lib/tricast/audit/dc1.jsonl: Input/output error" in capsys.readouterr().err
