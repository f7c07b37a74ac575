"""Builds the audit log of a node, and answers for it."""

from dataclasses import dataclass
from pathlib import Path

from controller.audit.anchor import Anchor
from controller.audit.entry import FORMAT, Entry, Event, Note
from controller.config import Cluster
from controller.daemon.wiring import Node
from controller.runtime.audit_anchors import AnchorBook, StoreAnchors
from controller.runtime.audit_file import AuditFile, NotArchived
from controller.runtime.auditor import Auditor
from controller.version import VERSION
from controller.web.audit_schema import (
    AuditAnchors,
    AuditAnchorView,
    AuditArchive,
    AuditArchived,
    AuditEntryView,
    AuditFiles,
    AuditFileView,
    AuditLog,
    AuditView,
)
from controller.web.config_shown import fingerprint
from controller.web.source import Asker, NotAsked

FOLDER = "audit"


def build_auditor(node: Node) -> Auditor:
    """The audit log of this node, in `<state_dir>/audit`; not running yet."""
    cluster, site = node.cluster, node.site
    directory = Path(cluster.state_dir) / FOLDER
    return Auditor(
        site=site,
        clock=node.clock,
        file=AuditFile(
            directory=directory,
            site=site,
            stamp=node.clock.stamp,
            rotate_bytes=cluster.audit.rotate_bytes,
        ),
        book=AnchorBook(directory / "anchors.json", site),
        store=StoreAnchors(
            store=node.store, prefix=cluster.etcd.prefix, deadline_s=cluster.etcd.deadline_s
        ),
        configuration=fingerprint(cluster),
        version=VERSION,
    )


def audit_view(auditor: Auditor) -> AuditView:
    """How the audit log is."""
    alarms = auditor.alarms()
    return AuditView(
        ok=auditor.opened and not alarms,
        seq=auditor.file.head.seq,
        hash=auditor.file.head.hash,
        waiting=len(auditor.waiting),
        lost=auditor.lost,
        alarms=alarms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswers:
    """Implements `web.source.AuditSource`."""

    auditor: Auditor
    cluster: Cluster

    async def entries(self, service: str | None, since: str, limit: int) -> AuditLog:
        """The newest entries, the oldest of them first."""
        found = await self.auditor.entries(service, since, limit)
        return AuditLog(
            cluster=self.cluster.cluster,
            site=self.auditor.site,
            audit=audit_view(self.auditor),
            entries=tuple(entry_view(entry) for entry in found),
        )

    async def files(self) -> AuditFiles:
        """Every file of the log."""
        parts = await self.auditor.parts()
        return AuditFiles(
            cluster=self.cluster.cluster,
            site=self.auditor.site,
            version=VERSION,
            log_format=FORMAT,
            files=tuple(
                AuditFileView(name=p.name, id=p.ident, size=p.size, first=p.first, last=p.last)
                for p in parts
            ),
        )

    async def raw(self, file: int, offset: int) -> bytes:
        """Some of a file, byte for byte."""
        found = await self.auditor.part(file, offset)
        if found is None:
            raise NotAsked(404, "that file of the audit log was archived meanwhile: ask again")
        return found

    async def archive(self, copied: AuditArchive, who: Asker) -> AuditArchived:
        """On record, then gone."""
        facts = {"to": copied.to, "sha256": copied.sha256, "damage": copied.damage, **who.facts}
        note = Note(
            at=self.auditor.clock.stamp(),
            event=Event.ARCHIVED,
            who=str(who),
            verb="archive",
            reason=f"{copied.name} is archived",
            facts={name: value for name, value in facts.items() if value},
        )
        try:
            head = await self.auditor.archive(
                copied.name, copied.hash, note, damaged=bool(copied.damage)
            )
        except NotArchived as error:
            raise NotAsked(409, str(error)) from None
        return AuditArchived(
            cluster=self.cluster.cluster, site=self.auditor.site, name=copied.name, seq=head.seq
        )

    async def anchors(self) -> AuditAnchors:
        """What this node and the store know of every chain, and whom else to ask."""
        found, missing = await self.auditor.anchors()
        me, port = self.auditor.site, self.cluster.api.port
        return AuditAnchors(
            cluster=self.cluster.cluster,
            site=me,
            now=self.auditor.clock.stamp(),
            anchors=tuple(_anchor_view(anchor) for anchor in found),
            missing=missing,
            others={o: _url(self.cluster.api_address(o), port) for o in self.cluster.others(me)},
        )


def entry_view(entry: Entry) -> AuditEntryView:
    """An entry as the API tells it."""
    return AuditEntryView(
        seq=entry.seq,
        at=entry.at,
        site=entry.site,
        event=entry.event,
        who=entry.who,
        verb=entry.verb,
        service=entry.service,
        epoch=entry.epoch,
        reason=entry.reason,
        outcome=entry.outcome,
        facts=dict(entry.facts),
        prev=entry.prev,
        hash=entry.hash,
    )


def _anchor_view(anchor: Anchor) -> AuditAnchorView:
    return AuditAnchorView(
        site=anchor.site, seq=anchor.seq, hash=anchor.hash, at=anchor.at, place=anchor.place
    )


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
