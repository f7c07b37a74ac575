"""What the web room asks of a daemon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controller.web.audit_schema import (
    AuditAnchors,
    AuditArchive,
    AuditArchived,
    AuditFiles,
    AuditLog,
)
from controller.web.drill_schema import DrillNote, LastDrill
from controller.web.notify_schema import NotificationsView, TriedView
from controller.web.plan_schema import Foreseen
from controller.web.schema import Ask, HistoryEntry, RequestView, Status, Verdict
from controller.web.voters_schema import ServiceVoters


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """An answer to `are you well?`, with the sentence that goes with it."""

    ok: bool
    detail: str


class StatusSource(Protocol):
    """A daemon, as far as it can be asked. Nothing here changes anything."""

    async def status(self) -> Status:
        """Everything this site knows now. From memory: it asks nobody and returns at once."""

    async def history(self, service: str | None, limit: int) -> tuple[HistoryEntry, ...]:
        """Finished role changes, newest first; of every service when None."""

    async def requests(self, service: str | None) -> tuple[RequestView, ...]:
        """What operators have asked, newest first; of every service, and drains, when None."""

    def alive(self) -> Pulse:
        """Whether the loop has turned lately; a process that is not alive should be restarted."""

    def ready(self) -> Pulse:
        """Whether it has seen enough to judge: its own services, the store, the other sites."""


class NotAsked(Exception):
    """Nothing was changed. The sentence says why, and the status how to tell it over HTTP."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A person, and how it is known who it is. Four eyes compare names, whatever the proof."""

    name: str
    proof: str = ""  # "certificate 4F1C2D3A"; "" for an account of the node
    facts: Mapping[str, str] = field(default_factory=dict)  # for the audit log
    gids: frozenset[int] = frozenset()  # Unix groups, as the kernel tells them; none over TLS

    def __str__(self) -> str:
        return f"{self.name} ({self.proof})" if self.proof else self.name

    def at(self, site: str) -> str:
        """Where and how the daemon of `site` was asked, for records."""
        return f"{site} ({self.proof})" if self.proof else site


class Desk(Protocol):
    """Where operators ask. Raises NotAsked; the connection says who, never the asker."""

    async def ask(self, order: Ask, who: Asker) -> RequestView:
        """The request as it stands now; as it would stand when only a plan is wanted."""

    async def plan(self, order: Ask) -> Foreseen:
        """What a switchover, failover or drain would do now, and a refusal is part of the answer.
        Nothing is changed or noted; NotAsked is raised for what nobody could ask.
        """

    async def voters(self, service: str) -> tuple[ServiceVoters, ...]:
        """Who votes for one service; for each when "" is asked for. Nothing is changed or noted."""

    async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request with one more approval."""

    async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request, ended by `who`."""


class DrillDesk(Protocol):
    """Where a drill that is over is told. Raises NotAsked."""

    async def note(self, note: DrillNote, who: Asker) -> LastDrill:
        """What every site knows of it now."""


class AuditSource(Protocol):
    """The audit log of a daemon, as far as it can be asked."""

    async def entries(self, service: str | None, since: str, limit: int) -> AuditLog:
        """The newest entries, the oldest of them first. Raises OSError."""

    async def files(self) -> AuditFiles:
        """Every file of the log, in order. Raises OSError."""

    async def raw(self, file: int, offset: int) -> bytes:
        """Bytes of a file, for whoever wants to verify it; none at its end. Raises OSError, and
        NotAsked when it is not here.
        """

    async def archive(self, copied: AuditArchive, who: Asker) -> AuditArchived:
        """A closed file is on record as archived, and gone. Raises OSError and NotAsked."""

    async def anchors(self) -> AuditAnchors:
        """What this node and the store know of every chain. Raises OSError."""


class NotifySource(Protocol):
    """What tells people, as far as it can be asked."""

    def view(self) -> NotificationsView:
        """How telling people goes. From memory."""

    async def test(self, target: str) -> tuple[TriedView, ...]:
        """What came back of one attempt to tell `target`, or each when "". Raises NotAsked."""
