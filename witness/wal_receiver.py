"""One pg_receivewal process, which outlives the daemon and is never lost sight of.

The process holds a lock on a file for as long as it lives: it inherits the open lock, and nobody
else keeps it. So "no receiver lives" is a fact that can be tested, also about a process that an
earlier daemon started and did not live to write down. It is ended by SIGKILL, which needs no
answer from a primary that is silent; what it has acknowledged it has synced before.
"""

import asyncio
import fcntl
import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.hostagent.contract import account as account_of
from controller.hostagent.contract import write_file
from controller.hostagent.wal_transfer import RECEIVER_LOCK as LOCK
from controller.ports import TimedOut, Unreachable

_STREAMING: Final = re.compile(r"starting log streaming at")
_GONE: Final = " (deleted)"
POLL_S: Final = 0.001


@dataclass(slots=True)
class Receiver:
    """The receiver of one keeper, alive or not."""

    state: Path
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def alive(self) -> bool:
        """A receiver lives, whoever started it."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        with (self.state / LOCK).open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            return False

    def start(self, argv: Sequence[str], env: Mapping[str, str], about: Mapping[str, str]) -> None:
        """A receiver lives; `about` says whom it follows, to a later daemon too."""
        with (self.state / LOCK).open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Unreachable("an earlier receiver still lives") from None
            with (self.state / "receiver.log").open("wb") as log:
                try:
                    self._child = subprocess.Popen(
                        list(argv),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        cwd="/",
                        env={**os.environ, "LC_ALL": "C", **env},
                        pass_fds=(lock.fileno(),),
                        start_new_session=True,
                    )
                except OSError as error:
                    raise Unreachable(f"cannot run {argv[0]}: {error.strerror}") from None
        text = json.dumps({**about, "pid": self._child.pid})
        write_file(self.state / "receiver.json", text, account_of(""))

    def about(self) -> dict[str, str]:
        """What was said of the last receiver when it was started."""
        try:
            found = json.loads((self.state / "receiver.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def lost(self, directory: Path) -> bool:
        """It writes to a file that was removed from `directory`: nothing of that can be served."""
        known = str(self._child.pid) if self._child is not None else self.about().get("pid", "")
        pids = [int(known)] if known.isdigit() else self._holders()
        for pid in pids:
            try:
                links = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
            except OSError:
                continue  # it ended meanwhile, or one of its files was closed
            if any(link.startswith(f"{directory}/") and link.endswith(_GONE) for link in links):
                return True
        return False

    async def kill(self, deadline: float) -> None:
        """No receiver lives."""
        told: set[int] = set()
        while self.alive():
            pids = {self._child.pid} if self._child is not None else set(self._holders())
            for pid in pids - told:
                _kill(pid)
            told |= pids
            if asyncio.get_running_loop().time() >= deadline:
                raise TimedOut(f"the receiver {sorted(told)} has not ended")
            await asyncio.sleep(POLL_S)
        child, self._child = self._child, None
        if child is not None:
            child.wait(1.0)  # it has let go of the lock: it is as good as collected

    def streaming(self) -> bool:
        """It has said that it receives."""
        return _STREAMING.search(self.words()) is not None

    def words(self) -> str:
        """What the last receiver said."""
        try:
            with (self.state / "receiver.log").open("rb") as log:
                head = log.read(8000)
                log.seek(max(len(head), log.seek(0, os.SEEK_END) - 8000))
                return (head + log.read()).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def complaint(self) -> str:
        """Why it ended, in one line: its first error (the one after it is "disconnected")."""
        lines = [line for line in self.words().splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line]
        return (errors or lines[-1:] or [""])[0].strip()

    def _holders(self) -> list[int]:
        """The processes that hold the lock; found by their open files."""
        wanted = (self.state / LOCK).stat()
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                files = list(Path(f"/proc/{entry.name}/fd").iterdir())
                if any(os.path.samestat(file.stat(), wanted) for file in files):
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended meanwhile, or one of its files did
        return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
