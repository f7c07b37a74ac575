"""The audit logs of the lab's daemons: tampered with, on a full disk, verified, put back."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import EDGE
from lab.scenario.places import DAEMON
from lab.scenario.play import Look
from lab.scenario.tampering import TAMPERING, restored, seq_of

FOLDER: Final = "/var/lib/tricast/audit"
VERIFY: Final = (
    *("env", "PYTHONPATH=/opt/tricast", "/opt/tricast/.venv/bin/python"),
    *("-m", "controller.cli.main", "audit", "verify", "--json"),
)
SOCKET: Final = "/run/tricast/tricast.sock"
# A page of the log may have some room left: refusals fill it, each with a long reason.
FILL: Final = """
set -eu
cd /var/lib/tricast
mount -t tmpfs -o size=$(($(du -sk audit | cut -f1) + 64))k,mode=0755 tmpfs /mnt
cp -a audit/. /mnt/
mount --move /mnt /var/lib/tricast/audit
dd if=/dev/zero of=audit/fill bs=1k 2>/dev/null || true
reason=$(printf '%0480d' 0)
for n in 1 2 3 4 5 6 7 8 9 10; do
    curl -s -o /dev/null --max-time 3 --unix-socket "$1" \
        -d "{\\"kind\\": \\"nothing\\", \\"reason\\": \\"$reason\\"}" http://tricast/api/v1/requests
done
"""
FREE: Final = "rm -f /var/lib/tricast/audit/fill"
OWN_DISK: Final = """
set -eu
cd /var/lib/tricast
rm -f audit/fill
cp -a audit /tmp/audit
umount audit
cp -a /tmp/audit/. audit/
rm -rf /tmp/audit
"""


@dataclass(slots=True)
class Audits:
    """What was done to which site's log."""

    lab: Lab
    before: dict[str, bytes] = field(default_factory=dict)  # what it said until it was touched
    touched: dict[str, int] = field(default_factory=dict)  # the entry
    small: set[str] = field(default_factory=set)  # sites whose log is on a disk of its own
    began: dict[str, int] = field(default_factory=dict)  # the last entry when a scenario began

    def begin(self) -> None:
        """What is in the logs now was there before the scenario."""
        for site in EDGE:
            path = self._path(site)
            lines = path.read_bytes().splitlines() if path.exists() else []
            self.began[site] = max(map(seq_of, lines), default=0)

    def tamper(self, site: str, how: str) -> None:
        """Somebody has been at the log of a running daemon."""
        path = self._path(site)
        log = path.read_bytes()
        if log.count(b"\n") < 3:
            raise LabError(f"the audit log of {site} is too short to tamper with: {log!r}")
        changed, self.touched[site] = TAMPERING[how](log)
        self.before.setdefault(site, log)
        path.write_bytes(changed)

    async def fill(self, site: str) -> None:
        """The disk of the log is full, and the daemon has noticed."""
        self.small.add(site)
        await self.lab.run(EDGE[site], ["sh", "-c", FILL, "sh", SOCKET])

    async def free(self, site: str) -> None:
        """There is room again."""
        await self.lab.run(EDGE[site], ["sh", "-c", FREE])

    async def restore(self) -> None:
        """Every log is on its own disk, and says what it would say if nobody had touched it."""
        for site in {*self.before, *self.small}:
            self.lab.kill(EDGE[site], DAEMON[site], stay_down=True)
            if site in self.small:
                await self.lab.run(EDGE[site], ["sh", "-c", OWN_DISK])
            if site in self.before:
                path = self._path(site)
                path.write_bytes(restored(self.before[site], path.read_bytes()))
            await self.lab.start(EDGE[site], DAEMON[site])
        self.before.clear()
        self.touched.clear()
        self.small.clear()

    async def is_whole(self, site: str) -> Look:
        """What `tricast audit verify` says there."""
        told = await self._verdict(site)
        return Look(bool(told["whole"]), f"{told['entries']} entries, {_first(told)}")

    async def finds(self, site: str, text: str) -> Look:
        """That it names the entry that was touched, and these words."""
        told = await self._verdict(site)
        first = told["first"] or {"seq": 0, "why": "", "detail": ""}
        named = int(first["seq"]) == self.touched.get(site)
        seen = f"{_first(told)}; entry {self.touched.get(site)} was touched"
        return Look(named and text in f"{first['why']}: {first['detail']}", seen)

    def has(self, site: str, text: str) -> Look:
        """That an entry since the beginning has these words."""
        lines = self._path(site).read_bytes().splitlines()
        fresh = [line for line in lines if seq_of(line) > self.began.get(site, 0)]
        found = [line for line in fresh if text.encode() in line]
        return Look(bool(found), f"{len(found)} of {len(fresh)} new entries, {len(lines)} in all")

    def waits(self, status: dict[str, Any]) -> Look:
        """That entries wait for room, and an alarm says so."""
        told = status.get("audit") or {}
        alarms = " ".join(told.get("alarms", []))
        full = "cannot be written" in alarms and "No space" in alarms
        return Look(full and int(told["waiting"]) > 0, f"says {told}")

    async def _verdict(self, site: str) -> dict[str, Any]:
        done = await self.lab.run(EDGE[site], list(VERIFY), check=False, deadline_s=30)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise LabError(f"audit verify at {site}: {done.stderr.strip()[-300:]}") from None
        return found

    def _path(self, site: str) -> Path:
        return self.lab.path(EDGE[site], f"{FOLDER}/{site}.jsonl")


def _first(told: dict[str, Any]) -> str:
    first = told["first"]
    return "nothing wrong" if first is None else f"{first['seq']}: {first['why']}"
