"""A log in small files, and what an operator or a reader does with it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from controller.audit.anchor import Anchor
from controller.audit.chain import Verdict, readable, verify_lines
from controller.audit.entry import Entry, Head, Note
from controller.audit.files import Closed
from controller.runtime.audit_file import AuditFile
from controller.runtime.audit_folder import closed_in, last_entry, lines_in
from tests.audit.disk import FrailDisk

SMALL = 700  # bytes: about two entries a file


def log_in(folder: Path, disk: FrailDisk | None = None, rotate_bytes: int = SMALL) -> AuditFile:
    disk = disk or FrailDisk()
    return AuditFile(
        directory=folder, site="dc1", stamp=lambda: "now", rotate_bytes=rotate_bytes,
        write=disk.write, sync=disk.sync, rename=disk.rename, remove=disk.remove,
    )  # fmt: skip


def note(text: str, **facts: str) -> Note:
    return Note(at="now", event="asked", reason=text, facts=facts)


def written(folder: Path, count: int) -> AuditFile:
    found = log_in(folder)
    found.open(())
    for number in range(count):
        found.append([note(f"note {number + 1}")])
    return found


def anchor(head: Head) -> Anchor:
    return Anchor(site="dc1", seq=head.seq, hash=head.hash, place="etcd")


def judged(folder: Path, *anchors: Anchor) -> Verdict:
    return verify_lines(lines_in(folder, "dc1"), "dc1", anchors)


def entries(folder: Path) -> list[Entry]:
    return list(readable(line.removesuffix(b"\n") for line in lines_in(folder, "dc1")))


def asked(found: Iterable[Entry]) -> list[str]:
    return [entry.reason for entry in found if entry.event == "asked"]


def archive(log: AuditFile, to: Path, who: str = "alice") -> Closed:
    """As `tricast audit archive` does with one file."""
    closed = log.closed()[0]
    to.mkdir(exist_ok=True)
    shutil.copy(log.directory / closed.name, to / closed.name)
    end = last_entry(to / closed.name)
    assert end is not None
    wanted = Note(at="then", event="archived", who=who, reason=closed.name, facts={"to": str(to)})
    log.archive(closed.name, end.hash, wanted)
    return closed


def everything(folder: Path) -> list[Entry]:
    """What the archive and the log hold together."""
    files = {path.name: path for path in (folder / "out").glob("*.jsonl")}
    files |= {
        closed.name: folder / "audit" / closed.name for closed in closed_in(folder / "audit", "dc1")
    }
    found: dict[int, Entry] = {}
    for path in [*files.values(), folder / "audit" / "dc1.jsonl"]:
        for entry in readable(path.read_bytes().split(b"\n")):
            assert found.setdefault(entry.seq, entry) == entry, "a number has two versions"
    return [found[seq] for seq in sorted(found)]
