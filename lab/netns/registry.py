"""What `up` has made, written down under /run before it is made.

/run is cleared at boot, as namespaces and processes are, so the record can be believed: whatever
it names was made since the machine started. It does not depend on the checkout still being there.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.processes import Init

ROOT = Path("/run/tricast-lab")
NETNS = Path("/run/netns")
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One lab that exists, wholly or in part."""

    stage: str  # starting | up
    checkout: str
    state_dir: str
    nodes: tuple[str, ...]
    programs: dict[str, list[str]]  # node -> what it runs


class Registry:
    """The record of one lab, and its lock."""

    def __init__(self, lab: str) -> None:
        if not _NAME.fullmatch(lab):
            raise LabError(f"lab name {lab!r}: up to 12 small letters and digits, a letter first")
        self.lab = lab
        self.directory = ROOT / lab
        self.cuts_lock = self.directory / "cuts.lock"

    def namespace(self, node: str) -> str:
        """The name of a node's network namespace, as containerlab would name its container."""
        return f"clab-{self.lab}-{node}"

    def namespace_path(self, node: str) -> Path:
        """The handle of a node's network namespace."""
        return NETNS / self.namespace(node)

    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace that carries this lab's name, recorded or not."""
        if not NETNS.is_dir():
            return ()
        return tuple(sorted(path.name for path in NETNS.glob(f"clab-{self.lab}-*")))

    def read(self) -> Record | None:
        """The record, if the lab exists."""
        try:
            content = json.loads((self.directory / "lab.json").read_text())
        except FileNotFoundError:
            return None
        content["nodes"] = tuple(content["nodes"])
        return Record(**content)

    def write(self, record: Record) -> None:
        """The record is on file."""
        self._replace("lab.json", json.dumps(asdict(record)))

    def node_record(self, node: str) -> Path:
        """Where the node's first process is written down."""
        return self.directory / f"{node}.json"

    def init(self, node: str) -> Init | None:
        """The node's first process, as last started."""
        return Init.read(self.node_record(node))

    def read_cuts(self) -> list[dict[str, str]]:
        """The cuts in force."""
        try:
            return list(json.loads((self.directory / "cuts").read_text()))
        except FileNotFoundError:
            return []

    def write_cuts(self, cuts: list[dict[str, str]]) -> None:
        """The cuts in force are on file."""
        self._replace("cuts", json.dumps(cuts))

    def forget(self) -> None:
        """There is no record of the lab any more."""
        if self.directory.is_dir():
            # The lab's own file goes last: until then a killed `down` can be run again.
            for path in sorted(self.directory.iterdir(), key=lambda path: path.name == "lab.json"):
                path.unlink()
            self.directory.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes this lab meanwhile."""
        ROOT.mkdir(mode=0o755, exist_ok=True)
        path = ROOT / f"{self.lab}.lock"
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                same = os.fstat(handle.fileno()).st_ino == path.stat().st_ino
            except (BlockingIOError, FileNotFoundError):
                same = False
            if not same:
                raise LabError(f"lab {self.lab} is being changed by another command")
            try:
                yield
            finally:
                # Whoever has opened this file and waits for it sees that it is another one now.
                path.unlink()

    def _replace(self, name: str, content: str) -> None:
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = self.directory / f".{name}"
        draft.write_text(content)
        draft.replace(self.directory / name)


def labs() -> tuple[str, ...]:
    """Every lab on record."""
    if not ROOT.is_dir():
        return ()
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/lab.json")))
