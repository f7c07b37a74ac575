"""What the API answers about a role change beyond what its record says: what each site saw of it.

Times are seconds from the moment at which that site first saw the epoch; before it, below zero.
"""

from controller.web.answer import Answer


class HistoryStage(Answer):
    """It was so from then on; at 0: when the epoch came."""

    what: str
    at_s: float


class HistoryStep(Answer):
    """A step that a site other than the new holder climbed, or before the epoch was handed over."""

    ladder: str
    name: str
    database: str = ""
    at_s: float


class HistoryDiscarded(Answer):
    """What of a copy was thrown away when it came back: how much, and where it was saved first."""

    database: str
    what: str


class HistorySite(Answer):
    """What a data site saw, and did."""

    site: str
    seen_at: str = ""  # when it first saw the epoch
    routes: tuple[HistoryStage, ...] = ()  # what its own routes said: stances
    held_s: float | None = None  # its haproxy let new requests wait so long
    steps: tuple[HistoryStep, ...] = ()
    discarded: tuple[HistoryDiscarded, ...] = ()


class HistoryOutside(Answer):
    """Where requests to the service address entered, as a vantage saw it and `told_by` read it."""

    vantage: str
    told_by: str
    entered: tuple[HistoryStage, ...] = ()  # sites, or "nobody"


class HistoryBeyond(Answer):
    """Records that one site's copy held alone, and that were thrown away: an interval."""

    site: str
    after: str  # position; not itself thrown away
    up_to: str  # position; thrown away
    size: int | None = None  # null: the two logs are not in one order
    unit: str = "bytes"  # bytes | transactions


class HistoryLoss(Answer):
    """What of one database was lost."""

    database: str
    acknowledged: str  # none | possible (some of `beyond`) | unknown (a voter has not come back)
    begins: str = ""  # position from which the new history goes on
    source: str = ""  # a voter that held all of it
    sealed: tuple[str, ...] = ()  # the voters that prove it
    needed: int = 0  # so many prove that nothing acknowledged is lost
    excused: tuple[str, ...] = ()  # voters that an operator did without
    beyond: tuple[HistoryBeyond, ...] = ()


class HistoryOrder(Answer):
    """The operator's request that it was made for."""

    request: int
    kind: str
    asked_at: str = ""
    approved_by: tuple[str, ...] = ()
    statement: str = ""  # what was said to be lost, and accepted
