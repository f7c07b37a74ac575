"""A person at a terminal with the runbook open: types its lines as they stand there."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.netns.inside import Finished
from lab.netns.topology import REPOSITORY
from tests.lab.system import PYTHON, System, edge

RUNBOOK = REPOSITORY / "docs" / "runbook.md"
WRAPPER = f"""#!/bin/sh
export PYTHONPATH=/opt/tricast TRICAST_CONFIG=/etc/tricast/tricast.yml
exec {PYTHON} -m controller.cli.main "$@"
"""
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SITUATION = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)
_LINE = re.compile(r"^ {4}(?P<line>(?:tricast|systemctl|journalctl|etcdctl) .+)$", re.MULTILINE)
# In running text: what has more than a verb.
_INLINE = re.compile(r"`(?P<line>tricast [a-z-]+ [^`]*[a-z0-9-]+)`")


def situations() -> dict[int, tuple[str, ...]]:
    """The lines that each of the ten tells people to type, in their order."""
    parts = _SITUATION.split(RUNBOOK.read_text(encoding="utf-8"))[1:]
    return {
        int(number): tuple(_lines(text.split("\n## ")[0]))
        for number, text in zip(parts[::3], parts[2::3], strict=True)
    }


def everyday() -> dict[str, tuple[str, ...]]:
    """The lines of every other part of the page that tell people to type `tricast`, by title."""
    parts = re.split(r"^#{2,3} (.+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    found = {
        title: tuple(line for line in _typed(text) if line.startswith("tricast "))
        for title, text in titled
        if not re.match(r"\d+\. ", title)
    }
    return {title: lines for title, lines in found.items() if lines}


def _typed(text: str) -> Iterator[str]:
    for match in _LINE.finditer(text):
        yield re.sub(r"\s+#.*$", "", match["line"])


def _lines(text: str) -> Iterator[str]:
    found = [*_LINE.finditer(text), *_INLINE.finditer(text)]
    for match in sorted(found, key=lambda m: m.start()):
        yield re.sub(r"\s+#.*$", "", match["line"])


@dataclass(slots=True)
class Desk:
    """One situation: each of its lines has to be typed."""

    system: System
    lines: list[str]
    typed: list[str] = field(default_factory=list)

    async def type(
        self, beginning: str, *, at: str, code: int = 0, answer: str = "y", patience_s: float = 90
    ) -> str:
        """The next line that begins so was typed at a terminal of this site; what it showed."""
        done = await self.enter(self.line(beginning), at=at, answer=answer, patience_s=patience_s)
        assert done.code == code, f"{self.typed[-1]}: exit code {done.code}\n{done.stdout}"
        return done.stdout

    def line(self, beginning: str) -> str:
        """The next line that begins so. It counts as typed."""
        found = next((line for line in self.lines if line.startswith(beginning)), None)
        assert found is not None, f"no line begins with {beginning!r}; left: {self.lines}"
        self.lines.remove(found)
        self.typed.append(found)
        return found

    async def enter(
        self, line: str, *, at: str, answer: str = "y", patience_s: float = 90
    ) -> Finished:
        """`line` at a terminal of this site; `answer` to what it asks."""
        words = shlex.quote(self._ready(at))
        shell = f"export PATH={words}:$PATH TERM=xterm COLUMNS=120; {line}"
        done = await self.system.lab.run(
            edge(at),
            ["script", "-qefc", shell, "/dev/null"],
            stdin=f"{answer}\n",
            check=False,
            deadline_s=patience_s,
        )
        return replace(done, stdout=_COLOUR.sub("", done.stdout).replace("\r", ""))

    def _ready(self, site: str) -> str:
        wrapper: Path = self.system.lab.path(edge(site), "/tmp/desk/tricast")
        if not wrapper.exists():
            wrapper.parent.mkdir(mode=0o755, exist_ok=True)
            wrapper.write_text(WRAPPER)
            wrapper.chmod(0o755)
        return "/tmp/desk"

    def log(self, beginning: str, node: str, program: str) -> str:
        """`journalctl` of a unit is, in the lab, the end of its program's log."""
        lines = int(self.line(beginning).rsplit(" ", 1)[1])
        text = self.system.lab.log(node, program).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])
