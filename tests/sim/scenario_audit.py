"""The audit logs of a simulated world: the daemons' own file and chain, on a disk of this machine.

Only scenarios have them, from the first sentence on that says a word about them; no drawn history
does. What a daemon notes here is every epoch that it sees, and what it finds wrong with its log.
"""

import errno
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

from controller.audit.anchor import Anchor
from controller.audit.entry import Event, Note
from controller.runtime.audit_file import AuditFile
from lab.scenario.arguments import SERVICES, SITES
from lab.scenario.play import Look
from lab.scenario.tampering import TAMPERING, restored
from tests.sim.world import World


@dataclass(slots=True)
class SiteAudit:
    """The log of one site, as its daemon keeps it."""

    file: AuditFile
    life: int
    full: bool = False
    waiting: list[Note] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    before: bytes | None = None  # what it said until it was touched
    touched: int = 0


@dataclass(slots=True, weakref_slot=True)
class Audits:
    """Every site's log, and the anchors of all in the store."""

    world: World
    sites: dict[str, SiteAudit] = field(default_factory=dict)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    _folder: Path | None = None

    def tamper(self, site: str, how: str) -> None:
        """Somebody has been at the log."""
        found = self._now(site)
        log = found.file.raw()
        changed, found.touched = TAMPERING[how](log)
        found.before = found.before or log
        found.file.path.write_bytes(changed)

    def fill(self, site: str, *, full: bool) -> None:
        """Whether its disk is full; somebody asks for something that is refused."""
        found = self._now(site)
        found.full = full
        found.waiting.append(self._note(Event.REFUSED, "there is no request 'nothing'"))
        self._write(site)

    def mend(self) -> None:
        """Every log says what it would say if nobody had touched it; its daemon has restarted."""
        for site, found in self.sites.items():
            found.full = False
            self._write(site)
            if found.before is not None:
                found.file.path.write_bytes(restored(found.before, found.file.raw()))
                found.before = None
                self._restart(site)

    def is_whole(self, site: str) -> Look:
        """As `tricast audit verify` says."""
        verdict = self._now(site).file.check(tuple(self.anchors.values()))
        return Look(verdict.whole, f"{verdict.entries} entries, {[str(b) for b in verdict.breaks]}")

    def finds(self, site: str, text: str) -> Look:
        """That the first bad entry is the one that was touched, and these words."""
        found = self._now(site)
        breaks = found.file.check(tuple(self.anchors.values())).breaks
        named = bool(breaks) and breaks[0].seq == found.touched and text in str(breaks[0])
        return Look(named, f"{[str(b) for b in breaks]}; entry {found.touched} was touched")

    def has(self, site: str, text: str) -> Look:
        """That an entry has these words."""
        lines = self._now(site).file.raw().decode(errors="replace").splitlines()
        return Look(any(text in line for line in lines), f"{len(lines)} entries")

    def waits(self, site: str) -> Look:
        """That entries wait for room."""
        waiting = len(self._now(site).waiting)
        return Look(waiting > 0, f"{waiting} entries wait")

    def _now(self, site: str) -> SiteAudit:
        """The log of the site, with everything in it that its daemon has seen."""
        if not self.sites:
            self._begin()
        for each in SITES:
            self._see(each)
        return self.sites[site]

    def _begin(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tricast-audit-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        for site in SITES:
            self.sites[site] = SiteAudit(file=self._file(site), life=self._life(site))
            self.sites[site].file.open(())
            started = [self._note(Event.STARTED, name) for name in ("first", *SERVICES)]
            self.sites[site].waiting += started
            self._write(site)

    def _file(self, site: str) -> AuditFile:
        assert self._folder is not None

        def write(file: int, data: bytes) -> int:
            if self.sites[site].full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return os.write(file, data)

        folder = self._folder / site
        return AuditFile(directory=folder, site=site, stamp=self._stamp, write=write)

    def _see(self, site: str) -> None:
        """A daemon that works notes what is new; one that was restarted has looked at its log."""
        node, found = self.world.node(self.world.site(site)), self.sites[site]
        if not node.works:
            return
        if node.life != found.life:
            self._restart(site)
        for service in SERVICES:
            record = self.world.record_of(self.world.service(service))
            if record is not None and found.epochs.get(service) != record.epoch:
                news = service in found.epochs
                found.epochs[service] = record.epoch
                if news:
                    said = f"{record.kind} to {record.holder}: {record.reason}"
                    found.waiting.append(self._note(Event.RAISED, said))
        self._write(site)

    def _restart(self, site: str) -> None:
        found = self.sites[site]
        found.life, found.file = self._life(site), self._file(site)
        found.file.open(tuple(self.anchors.values()))

    def _write(self, site: str) -> None:
        found = self.sites[site]
        if not found.waiting:
            return
        try:
            head = found.file.append(found.waiting)
        except OSError:
            return
        found.waiting.clear()
        self.anchors[site] = Anchor(site=site, seq=head.seq, hash=head.hash, place="etcd")

    def _life(self, site: str) -> int:
        return self.world.node(self.world.site(site)).life

    def _stamp(self) -> str:
        return f"{self.world.now:.3f} s"

    def _note(self, event: Event, reason: str) -> Note:
        return Note(at=self._stamp(), event=event, reason=reason)
