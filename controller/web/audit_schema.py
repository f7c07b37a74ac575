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


class AuditFileView(Answer):
    """One file of the log."""

    name: str
    id: int  # what GET /api/v1/audit/raw?file= asks by; a rotation does not change it
    size: int
    first: int = 0  # of its entries; 0: not known
    last: int = 0  # 0: the current file


class AuditFiles(Answer):
    """GET /api/v1/audit/files: every file of the log, in order."""

    format: int = FORMAT
    cluster: str
    site: str
    files: tuple[AuditFileView, ...] = ()
    version: str = ""  # of the daemon
    log_format: int = 1  # of the entries that it writes


class AuditArchive(Answer):
    """POST /api/v1/audit/archived: a copy of the oldest closed file is somewhere else."""

    name: str = Field(max_length=200)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the last entry in the copy
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the bytes of the copy
    to: str = Field(default="", max_length=500)  # for humans
    damage: str = Field(default="", max_length=500)  # what is wrong with it, when that is known


class AuditArchived(Answer):
    """What was put on record; the file is gone."""

    format: int = FORMAT
    cluster: str
    site: str
    name: str
    seq: int  # the newest entry of the log


class AuditArchiveDone(Answer):
    """`tricast audit archive --json`."""

    format: int = FORMAT
    cluster: str
    site: str
    to: str
    files: tuple[str, ...] = ()  # copied, verified, on record and removed


class AuditSpan(Answer):
    """Entries that are archived."""

    first: int
    last: int
    hash: str  # of the last
    at: str = ""
    who: str = ""


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
    begins: int = 1  # the first entry that was looked at
    archived: tuple[AuditSpan, ...] = ()  # what is on record as moved away
    unverifiable: str = ""  # nothing is wrong but that another version wrote some of it
