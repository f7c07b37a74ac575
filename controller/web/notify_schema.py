"""What the API answers about notifications."""

from pydantic import BaseModel, ConfigDict, Field

from controller.web.answer import FORMAT, Answer


class TargetView(Answer):
    """One target of the answering site, since its daemon started."""

    name: str
    where: str  # scheme and host, or the program; never a path or a header, which may be secret
    events: tuple[str, ...] = ()  # none: all
    services: tuple[str, ...] = ()  # none: all
    min_severity: str = "info"
    sent: int = 0
    failed: int = 0  # given up after all attempts
    waiting: int = 0
    dropped: int = 0  # found no room to wait
    failing_s: float = 0.0  # since the first attempt that failed after one that was well
    problem: str = ""


class NotificationsView(Answer):
    """How telling people goes at the answering site."""

    alarms: tuple[str, ...] = ()
    targets: tuple[TargetView, ...] = ()


class Notifications(Answer):
    """GET /api/v1/notifications."""

    format: int = FORMAT
    cluster: str
    site: str
    notifications: NotificationsView


class TriedView(Answer):
    """What came back of a test."""

    target: str
    where: str
    ok: bool
    detail: str


class NotifyTest(Answer):
    """The answer to POST /api/v1/notifications/test."""

    format: int = FORMAT
    cluster: str
    site: str
    tested: tuple[TriedView, ...] = ()


class NotifyAsk(BaseModel):
    """POST /api/v1/notifications/test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(default="", max_length=100)  # "" for every target
