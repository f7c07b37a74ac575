"""What the API answers about drills, and what `tricast drill` prints and writes.

Times with `_s` are seconds; in a report those that say when are since the watch began.
"""

from pydantic import BaseModel, ConfigDict, Field

from controller.web.answer import FORMAT, Answer


class LastDrill(Answer):
    """The last drill that moved the service."""

    at: str
    verdict: str  # passed | failed | aborted
    by: str = ""
    site: str = ""  # whose daemon noted it
    home: str = ""
    target: str = ""
    reason: str = ""
    epochs: tuple[int, ...] = ()
    gap_s: float | None = None
    lost: int | None = None
    passed_at: str = ""  # of the last one that passed


class DrillView(Answer):
    """What is promised of a service, and when it was last rehearsed."""

    rto_s: float
    rpo_transactions: int
    every_days: int = 0  # 0: no reminder
    canary_url: str = ""
    settled: bool = True  # the last role change is outside the flap window, or acknowledged
    known: bool = False  # the store has been read
    last: LastDrill | None = None
    age_days: float | None = None  # since the last one that passed
    overdue: str = ""  # why one should be made


class DrillNote(BaseModel):
    """POST /api/v1/drills, taken where requests are: a drill is over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    verdict: str = Field(pattern="^(passed|failed|aborted)$")
    home: str = Field(max_length=100)
    target: str = Field(max_length=100)
    reason: str = Field(default="", max_length=500)
    epochs: tuple[int, ...] = Field(min_length=1, max_length=20)  # each has to be in the history
    gap_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    lost: int | None = Field(default=None, ge=0)


class DrillNoted(Answer):
    """The answer to POST /api/v1/drills."""

    format: int = FORMAT
    cluster: str
    site: str
    last: LastDrill


class DrillCheck(Answer):
    """Something that has to hold before a service is moved."""

    name: str
    ok: bool
    detail: str


class DrillPlan(Answer):
    """`tricast drill plan --json`."""

    format: int = FORMAT
    cluster: str
    site: str  # whose daemon was asked
    now: str
    service: str
    kind: str
    holder: str
    target: str
    may_run: bool
    reasons: tuple[str, ...] = ()  # why not
    warnings: tuple[str, ...] = ()  # of the service; they keep nobody from it
    checks: tuple[DrillCheck, ...] = ()
    steps: tuple[str, ...] = ()  # what would be done, in order
    stall_s: float | None = None  # expected, of each move
    stall_from: str = ""  # where that number comes from
    rto_s: float = 0.0
    rpo_transactions: int = 0
    approvals_needed: int = 0  # for each move
    canary_url: str = ""
    last: LastDrill | None = None
    age_days: float | None = None


class DrillObjective(Answer):
    """What was promised, what was measured."""

    name: str
    wanted: str
    measured: str
    passed: bool


class DrillStep(Answer):
    """One step of a move, as the history has it: since its epoch was raised."""

    name: str
    database: str = ""
    began_s: float = 0.0  # of what was done; a goal has only the moment at which it held
    reached_s: float


class DrillMove(Answer):
    """One move of the service."""

    way: str  # out | back
    source: str
    target: str
    request: int
    asked_by: str = ""
    approved_by: tuple[str, ...] = ()
    asked_s: float
    ended_s: float
    settled_s: float | None = None  # seen to serve; null: it was not
    state: str  # of the request
    why: str = ""
    epoch: int = 0  # 0: none was raised
    took_s: float | None = None  # by the history
    gap_s: float | None = None  # the longest time without an answer meanwhile
    lost: int | None = None
    steps: tuple[DrillStep, ...] = ()


class DrillGap(Answer):
    """A time without a good answer."""

    began_s: float
    took_s: float


class DrillSpan(Answer):
    """A time in which one site gave every good answer."""

    site: str
    began_s: float
    ended_s: float
    answers: int


class DrillCanary(Answer):
    """What requests through the service address have shown."""

    url: str
    every_s: float
    asked: int
    good: int
    longest: DrillGap | None = None
    gaps: tuple[DrillGap, ...] = ()  # those that stand out, at most 50
    spans: tuple[DrillSpan, ...] = ()  # at most 500
    failures: dict[str, int] = Field(default_factory=dict)  # by what came instead


class DrillEvent(Answer):
    """What happened, as it was told."""

    at_s: float
    sentence: str
    bad: bool = False


class DrillReport(Answer):
    """What `tricast drill run` writes."""

    format: int = FORMAT
    cluster: str
    site: str  # whose daemon was asked
    service: str
    kind: str
    verdict: str  # passed | failed | aborted
    aborted: str = ""  # why
    began_at: str
    took_s: float
    asked_by: str = ""
    reason: str = ""
    home: str
    target: str
    holder: str = ""  # when it was over; "" for not known
    goes_back: bool = True  # false: --no-return
    noted: bool = False  # every site knows of it
    objectives: tuple[DrillObjective, ...] = ()
    troubles: tuple[str, ...] = ()
    checks: tuple[DrillCheck, ...] = ()
    moves: tuple[DrillMove, ...] = ()
    canary: DrillCanary
    events: tuple[DrillEvent, ...] = ()
