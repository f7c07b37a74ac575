"""An audit log that another version wrote is not taken for a damaged one, and not for a whole one:
it is said, in one sentence, which version to use.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.audit.anchor import Anchor, BadAnchor, decode_anchor, encode_anchor
from controller.audit.chain import Why, verify
from controller.audit.entry import GENESIS, Entry, Note, canonical, sealed
from controller.audit.export import Header, header_line
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.web.audit_schema import AuditFiles, AuditVerdict
from controller.web.source import NotAsked
from tests.audit.test_chain import chain, log_of
from tests.cli.test_audit import Shelf
from tests.web.sample import STEADY, Told, daemon

Captured = pytest.CaptureFixture[str]
ENTRIES = chain(3)


def newer(seq: int, **more: object) -> bytes:
    """As a version of the future may write an entry: only that it names its format is sure."""
    return canonical({"format": 2, "seq": seq, "site": "dc1", "sum": "b" * 32, **more})


def after(entry: Entry, event: str) -> Entry:
    """What a daemon of this version appends after two entries of another one."""
    note = Note(at="2026-11-21T11:00:00.000Z", event=event, facts={"version": "0.1.0"})
    known = Anchor(site="dc1", seq=entry.seq + 2, hash="c" * 64).head
    return sealed(note, "dc1", known)


STARTED = newer(4, event="started", facts={"version": "0.9.0"})
UPGRADED: list[Entry | bytes] = [*ENTRIES, STARTED, newer(5)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(log=b"".join(_line(each) for each in UPGRADED))


def _line(each: Entry | bytes) -> bytes:
    return log_of([each]) if isinstance(each, Entry) else each + b"\n"


@pytest.fixture
def sock(tmp_path: Path, shelf: Shelf) -> Iterator[list[str]]:
    with daemon(Told(STEADY), tmp_path / "s.sock", audit=shelf):
        yield ["--socket", str(tmp_path / "s.sock")]


SENTENCE = (
    "from entry 4 on, the log of dc1 is written in format 2 of tricast 0.9.0, which this tricast "
    "0.1.0 does not know how to verify (it knows format 1); verify it with the tricast that wrote "
    "it, as it is installed on that node"
)


def test_entries_of_a_newer_version_are_named_with_the_version_to_use(
    sock: list[str], capsys: Captured
) -> None:
    assert main(["audit", "verify", *sock]) == ExitCode.UNKNOWN
    assert capsys.readouterr().out == SENTENCE + "\n"
    assert main(["audit", "verify", "--json", *sock]) == ExitCode.UNKNOWN
    found = AuditVerdict.model_validate_json(capsys.readouterr().out)
    assert (found.whole, found.unverifiable, found.seq) == (False, SENTENCE, 3)
    assert [(each.seq, each.last, each.why) for each in found.breaks] == [
        (4, 5, "of another version")
    ]


def test_their_anchors_are_no_cut(sock: list[str], shelf: Shelf, capsys: Captured) -> None:
    shelf.anchors_known = (Anchor(site="dc1", seq=5, hash="d" * 64, place="etcd"),)
    assert main(["audit", "verify", *sock]) == ExitCode.UNKNOWN
    shelf.anchors_known = (Anchor(site="dc1", seq=6, hash="d" * 64, place="etcd"),)
    assert main(["audit", "verify", *sock]) == ExitCode.FAILED
    assert "entry 6: tail cut" in capsys.readouterr().out


def test_a_log_that_says_itself_to_be_newer_is_not_even_read(
    sock: list[str], shelf: Shelf, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def files() -> AuditFiles:
        return AuditFiles(cluster="tricast", site="dc1", version="0.9.0", log_format=2)

    monkeypatch.setattr(Shelf, "files", lambda _: files())
    for verb in (["verify"], ["export", "/nowhere/x"], ["archive", "--out", "/nowhere"]):
        assert main(["audit", *verb, *sock]) == ExitCode.UNKNOWN
        caught = capsys.readouterr()
        assert caught.err.startswith("tricast: the log of dc1 is written in format 2 of tricast")
        assert caught.err.count("\n") == 1
        assert "whole" not in caught.out
    assert not Path("/nowhere").exists()


def test_a_daemon_that_does_not_tell_its_log_as_this_version_reads_it_is_named(
    sock: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def files() -> AuditFiles:
        raise NotAsked(404, "no such path")

    monkeypatch.setattr(Shelf, "files", lambda _: files())
    assert main(["audit", "verify", *sock]) == ExitCode.UNKNOWN
    said = capsys.readouterr().err
    assert "is tricast 0.1.0: this tricast 0.1.0 does not know how to read its audit log" in said


def test_what_is_changed_as_well_is_damage_all_the_same(
    sock: list[str], shelf: Shelf, capsys: Captured
) -> None:
    shelf.log = shelf.log.replace(b'"plan":"2"', b'"plan":"7"')
    assert main(["audit", "verify", *sock]) == ExitCode.FAILED
    said = capsys.readouterr().out
    assert said.startswith("dc1: the first bad entry is entry 2: changed")
    assert "also entries 4-5: of another version: it is in format 2 of tricast 0.9.0" in said


@pytest.mark.parametrize("event", ["started", "configured", "damaged"])
def test_an_older_daemon_may_have_gone_on_afterwards(event: str) -> None:
    log = b"".join(_line(each) for each in (*UPGRADED, after(ENTRIES[-1], event)))
    found = verify(log, "dc1")
    assert [each.why for each in found.breaks] == [Why.OTHER]
    assert found.unverifiable
    assert found.head.seq == 6


def test_nobody_hides_a_change_behind_another_format(shelf: Shelf) -> None:
    """Entries of this version that go on as if nothing was there: no daemon does that."""
    entries = chain(5)
    hidden = json.loads(log_of([entries[2]]))
    hers = canonical(hidden | {"format": 2, "who": "mallory"})
    lines: list[Entry | bytes] = [*entries[:2], hers, *entries[3:]]
    found = verify(b"".join(map(_line, lines)), "dc1")
    assert [(each.seq, each.why) for each in found.breaks] == [(3, Why.CHANGED)]
    assert not found.unverifiable
    added: list[Entry | bytes] = [*entries[:3], newer(4), *entries[3:]]
    found = verify(b"".join(map(_line, added)), "dc1")
    assert [(each.seq, each.why) for each in found.breaks] == [(4, Why.ADDED)]


def test_files_of_another_version_are_named(tmp_path: Path, capsys: Captured) -> None:
    alone = tmp_path / "dc1.jsonl"
    alone.write_bytes(_line(STARTED) + _line(newer(5)))
    assert main(["audit", "verify", "--file", str(alone)]) == ExitCode.UNKNOWN
    assert f"tricast: {alone} is written in format 2 of tricast 0.9.0" in capsys.readouterr().err
    assert main(["audit", "verify", "--dir", str(tmp_path)]) == ExitCode.UNKNOWN
    assert "from entry 1 on, the log of dc1 is written in format 2" in capsys.readouterr().out
    header = Header(cluster="c", site="dc1", at="", seq=5, hash=GENESIS, format=2, version="0.9.0")
    exported = tmp_path / "x.audit"
    exported.write_bytes(header_line(header) + _line(STARTED))
    assert main(["audit", "verify", "--file", str(exported)]) == ExitCode.UNKNOWN
    assert "is written in format 2 of tricast 0.9.0" in capsys.readouterr().err
    beside = tmp_path / "dc1.000000000001-000000000005.jsonl.head"
    beside.write_bytes(header_line(header))
    assert main(["audit", "verify", "--dir", str(tmp_path)]) == ExitCode.UNKNOWN
    assert f"{beside} is written in format 2 of tricast 0.9.0" in capsys.readouterr().err


def test_an_export_of_it_is_made_byte_for_byte_and_says_so(
    sock: list[str], shelf: Shelf, tmp_path: Path, capsys: Captured
) -> None:
    made = tmp_path / "x.audit"
    assert main(["audit", "export", str(made), *sock]) == ExitCode.UNKNOWN
    assert f"tricast: exported; {SENTENCE}" in capsys.readouterr().err
    assert made.read_bytes().partition(b"\n")[2] == shelf.log


def test_an_anchor_of_another_version_is_not_compared_with() -> None:
    value = encode_anchor(Anchor(site="dc1", seq=5, hash="d" * 64))
    newer_one = canonical(json.loads(value) | {"format": 2})
    with pytest.raises(BadAnchor, match="it is in format 2, not in 1"):
        decode_anchor("dc1", newer_one, "etcd")
