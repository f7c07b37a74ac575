"""What the API answers about the audit log."""

from pydantic import Field

from controller.web.answer import FORMAT, Answer


class AuditView(Answer):
    """How the audit log of the answering node is."""

    ok: bool
    seq: int = 0  # of the newest entry
    hash: str = ""
    waiting: int = 0  # entries that are not written yet
    lost: int = 0  # that found no room to wait; an entry will say so
    alarms: tuple[str, ...] = ()


class AuditEntryView(Answer):
    """One entry; its hash covers everything but `prev` and `hash`, and follows on `prev`."""

    seq: int
    at: str
    site: str
    event: str
    who: str = ""
    verb: str = ""
    service: str = ""
    epoch: int = 0
    reason: str = ""
    outcome: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
    prev: str
    hash: str


class AuditLog(Answer):
    """GET /api/v1/audit: the newest entries, the oldest of them first."""

    format: int = FORMAT
    cluster: str
    site: str
    audit: AuditView
    entries: tuple[AuditEntryView, ...] = ()


class AuditAnchorView(Answer):
    """One entry of a chain, as `place` knows it."""

    site: str
    seq: int
    hash: str
    at: str = ""
    place: str = ""


class AuditAnchors(Answer):
    """GET /api/v1/audit/anchors: what this node and the store know of every chain."""

    format: int = FORMAT
    cluster: str
    site: str
    now: str
    anchors: tuple[AuditAnchorView, ...] = ()
    missing: tuple[str, ...] = ()  # what could not be read, and why
    others: dict[str, str] = Field(default_factory=dict)  # where the other sites' daemons answer


class AuditBreak(Answer):
    """Something is wrong with entries `seq` to `last`."""

    seq: int
    last: int
    why: str  # changed | deleted | reordered | added | tail cut | torn
    detail: str


class AuditVerdict(Answer):
    """`tricast audit verify --json`."""

    format: int = FORMAT
    cluster: str
    site: str
    whole: bool
    entries: int
    seq: int  # of the last entry that can be read
    hash: str
    first: AuditBreak | None = None  # the first bad entry
    breaks: tuple[AuditBreak, ...] = ()
    compared_with: tuple[str, ...] = ()  # the places whose anchors were compared
    missing: tuple[str, ...] = ()  # places that could not be asked
