"""What has been measured so far, one JSON object a line, to go on from."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """The file of one bench."""

    path: Path

    def add(self, entry: Entry) -> None:
        """The entry is on file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[Entry]:
        """Everything on file."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def forget(self) -> None:
        """Nothing is on file."""
        self.path.unlink(missing_ok=True)


def runs(entries: Iterable[Entry], stack: str, fault: str) -> list[Entry]:
    """The runs of one stack under one fault that came to their end."""
    return [
        entry
        for entry in entries
        if (entry["stack"], entry.get("fault")) == (stack, fault) and "failed" not in entry
    ]


def failures(entries: Iterable[Entry], stack: str, fault: str) -> list[Entry]:
    """Those that did not: the service, or a copy of it, did not come back in time."""
    return [
        entry
        for entry in entries
        if (entry["stack"], entry.get("fault")) == (stack, fault) and "failed" in entry
    ]


def latest(entries: Iterable[Entry], stack: str) -> Entry:
    """The last entry of a kind that is measured once; {} when there is none."""
    return next((entry for entry in reversed([*entries]) if entry["stack"] == stack), {})
