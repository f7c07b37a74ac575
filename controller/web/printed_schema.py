"""What verbs print as JSON that no path of the API answers: made from a status, by the reader."""

from controller.web.answer import FORMAT, Answer


class CopyTree(Answer):
    """One copy of a database, and whom it follows."""

    site: str
    role: str  # primary | deposed | following | waiting | idle | sealed@EPOCH
    state: str  # open | gate closed | streaming | read-only | starting | down | unknown
    kind: str
    upstream: str | None = None
    lag_bytes: int | None = None
    position: str = ""
    epoch: int = 0
    promised: int = 0
    gate_open: bool = False
    problems: tuple[str, ...] = ()


class DatabaseTree(Answer):
    """One database and every copy of it."""

    name: str
    copies: tuple[CopyTree, ...] = ()


class SiteTree(Answer):
    """One site: what it is, what its routes say, where its haproxy sends."""

    site: str
    kind: str
    role: str
    rule: int = 0
    health: str = "unknown"  # ok | ill | silent | unknown
    heard_s: float | None = None  # null for the answering site itself, or never heard
    stance: str | None = None
    more_specifics: tuple[str, ...] = ()
    sessions_up: int | None = None  # null: only its own daemon knows, and that was not asked
    sessions_total: int | None = None
    directed_to: tuple[str, ...] | None = None
    held: bool | None = None
    apps_up: int = 0
    apps_total: int = 0
    lands_at: str = ""


class ServiceTree(Answer):
    """One service: its sites, and each database with who follows whom."""

    name: str
    durability: str
    epoch: int
    holder: str
    paused: str = ""
    guarantee: str = ""
    warnings: tuple[str, ...] = ()
    sites: tuple[SiteTree, ...] = ()
    databases: tuple[DatabaseTree, ...] = ()


class Topology(Answer):
    """`tricast topology --json`."""

    format: int = FORMAT
    cluster: str
    site: str  # who answered
    now: str
    store: str = ""  # what is wrong with it
    unanswered: tuple[str, ...] = ()  # what did not answer, one sentence each
    services: tuple[ServiceTree, ...] = ()


class Event(Answer):
    """One line of `tricast watch --json`."""

    format: int = FORMAT
    at: str
    kind: (
        str  # now | daemon | store | service | role | health | voter | alarm | ladder | change ...
    )
    sentence: str
    service: str = ""
    site: str = ""
    bad: bool = False
