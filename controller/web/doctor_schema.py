"""What `tricast doctor --json` prints."""

from typing import Final

from pydantic import Field

from controller.web.answer import FORMAT, Answer

CHECK_NAMES: Final = (
    *("configuration", "distance", "sites", "etcd", "leases", "clock", "agents", "databases"),
    *("haproxy", "bgp", "weight", "files", "audit", "certificates"),
)


class CheckupRow(Answer):
    """One finding about one subject."""

    check: str  # one of CHECK_NAMES
    subject: str
    grade: str  # ok | unknown | warn | bad
    seen: str
    next_step: str = ""


class Checkup(Answer):
    """Everything that was looked at from one site."""

    format: int = FORMAT
    cluster: str  # "" when the configuration cannot be used
    site: str
    version: str
    verdict: str  # the worst grade of all rows
    counts: dict[str, int] = Field(default_factory=dict)  # rows by grade
    rows: tuple[CheckupRow, ...] = ()
