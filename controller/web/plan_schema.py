"""What the API answers about a change that nobody has asked for, and what `tricast plan` prints."""

from controller.web.answer import FORMAT, Answer


class PlanStep(Answer):
    """One rung, were the ladder climbed now."""

    name: str
    database: str = ""
    met: bool | None = None  # its goal holds already; null: only the climbing site's daemon knows


class PlanLadder(Answer):
    """A ladder that would be climbed."""

    ladder: str
    site: str  # who climbs it
    once: str = ""  # what has to be before it is begun
    steps: tuple[PlanStep, ...] = ()


class PlanRoutes(Answer):
    """What the routes of a data site say."""

    site: str
    now: str | None = None  # a stance; null: not known
    after: tuple[str, ...] = ()  # stances, one after the other; empty: not known
    more_specifics: tuple[str, ...] = ()  # announced beside `override`, should that last


class PlanService(Answer):
    """What would become of one service."""

    service: str
    epoch: int = 0
    holder: str = ""
    target: str = ""  # who would hold it
    begins: bool | None = None  # at once, when it is approved; null: only `judge` knows
    held_back: tuple[str, ...] = ()  # why not at once
    ladders: tuple[PlanLadder, ...] = ()  # in the order in which they are begun
    routes: tuple[PlanRoutes, ...] = ()
    stall_s: float | None = None  # expected, from the history; filled in by the command line
    stall_from: str = ""


class Foreseen(Answer):
    """What asking now would do, as one site knows it."""

    kind: str  # switchover | failover | drain
    target: str = ""  # of a drain: the site
    judge: str = ""  # whose daemon decides about it in the end
    accepted: bool
    reasons: tuple[str, ...] = ()  # why not
    plan: str = ""  # what an approval would be bound to; "" while it would be refused
    approvals_needed: int = 0
    approvers: tuple[str, ...] = ()  # groups that may approve; none: whoever may ask
    break_glass: str = ""  # who may go ahead without; "" for nobody
    statement: str = ""  # what may be lost
    services: tuple[PlanService, ...] = ()


class Plan(Foreseen):
    """GET /api/v1/plan?kind=&service=&target=&allow_data_loss=: nothing is changed by asking."""

    format: int = FORMAT
    cluster: str
    site: str  # whose daemon was asked
    now: str
    unanswered: tuple[str, ...] = ()  # other sites that were asked in vain, by the command line
